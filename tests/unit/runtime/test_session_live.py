"""A camera: preview, freezing, tracking the newest frames, exact counts, breaking off."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import SourceError
from engine.runtime.config import EngineConfig
from engine.runtime.messages import MaskKind, Mode, Notice, Severity, SourceOpened
from tests.unit.runtime.fakes import FakeFile, FakeLive, square


@pytest.fixture
def camera(drive):
    """A ready driver that previews a camera, frame 0 shown."""
    driver = drive({"camera:0": FakeLive()})
    driver.wait_ready()
    driver.open("camera:0")
    driver.wait_mode(Mode.PREVIEW)
    push(driver)
    driver.wait_shown(0)
    return driver


def push(driver, count=1):
    return driver.sources["camera:0"].push(count)


def waiting(driver):
    """Frames that have gone into the engine's mailbox."""
    with driver.session._core.lock:
        return driver.session._core.job.mailbox.put_count


def accounted(driver):
    """Every picture the camera made is tracked, previewed or dropped."""
    stats = driver.session._core.stats
    return stats.processed + stats.previewed + driver.session.stats().dropped


def test_preview_shows_raw_frames(camera):
    push(camera)
    item = camera.wait_shown(1)
    assert item.mask is None
    assert item.kind is MaskKind.NONE
    assert item.age_s < 5


def test_freezing_holds_what_the_user_sees_not_what_has_just_arrived(camera):
    """Else the first stroke on a live picture lands on a frame that is replaced under the brush."""
    seen = camera.session.take_display()
    assert seen.frame.index == 0
    push(camera)
    camera.wait_shown(1)  # on display, but the window has not taken it
    camera.session.freeze()
    assert camera.session.take_display() is None
    assert camera.frame().index == 0


def test_a_frozen_camera_runs_on_and_its_frames_are_counted(camera):
    camera.session.freeze()
    assert camera.session.mode is Mode.FROZEN
    for _ in range(5):
        push(camera)
    camera.wait(lambda: accounted(camera) == 6)
    assert camera.shown == 0
    camera.session.play()
    push(camera)
    camera.wait_shown(6)
    assert camera.session.mode is Mode.PREVIEW
    camera.wait(lambda: accounted(camera) == 7)


def test_tracking_shows_frames_with_their_own_masks_and_counts_every_drop(camera):
    camera.session.freeze()
    mask = camera.paint()
    camera.tracker.gate.close()
    camera.session.track()
    assert camera.session.mode is Mode.TRACKING
    camera.tracker.gate.wait_arrived(1)  # the keyframe is being learnt
    for count in range(1, 11):
        push(camera)
        camera.wait(lambda count=count: waiting(camera) == count)
    camera.tracker.gate.open()
    camera.wait(lambda: camera.shown == 10)
    for _ in range(4):
        push(camera, 2)
    camera.wait(lambda: camera.shown == 18)
    camera.session.pause()
    camera.wait(lambda: accounted(camera) == camera.sources["camera:0"].pushed)
    tracked = [item for item in camera.items if item.mask is not None]
    for steps, item in enumerate(tracked, start=1):
        assert np.array_equal(item.mask, np.roll(mask, steps, axis=1))
        assert item.kind is MaskKind.TRACKED
    assert camera.tracker.calls[0] == ("key", 0)
    assert [i for _, i in camera.tracker.calls] == sorted(i for _, i in camera.tracker.calls)


def test_a_correction_while_tracking_reaches_the_tracker_before_the_next_frame(camera):
    camera.session.freeze()
    camera.paint()
    camera.session.track()
    push(camera)
    camera.wait_shown(1)
    frame = camera.frame()
    correction = square(1, x=12)
    camera.session.set_mask(frame, correction, [1])
    camera.wait(lambda: ("key", 1) in camera.tracker.calls)  # at once, not only with the next frame
    push(camera)
    item = camera.wait_shown(2)
    assert camera.session.mode is Mode.TRACKING
    assert np.array_equal(item.mask, np.roll(correction, 1, axis=1))
    assert camera.session.mask_kinds()[1] is MaskKind.KEYFRAME


def test_another_model_while_tracking_sees_the_keyframe_before_the_next_frame(camera):
    camera.session.freeze()
    camera.paint()
    camera.session.track()
    push(camera)
    camera.wait_shown(1)
    camera.session.configure(EngineConfig(model="other"))
    camera.wait(lambda: len(camera.trackers) == 2 and ("key", 0) in camera.tracker.calls)
    push(camera)
    camera.wait_shown(2)
    assert camera.session.mode is Mode.TRACKING
    assert camera.tracker.calls == [("key", 0), ("step", 2)]


def test_a_keyframe_whose_picture_is_gone_is_told(camera):
    camera.session.freeze()
    camera.paint()
    push(camera, 1)
    camera.wait(lambda: accounted(camera) == 2)
    camera.session.play()
    shown = push(camera)
    camera.wait_shown(shown)
    camera.session.freeze()
    camera.paint(square(1, x=9))
    camera.session._core.frames.discard(0)
    camera.session.track()
    push(camera)
    camera.wait_shown(shown + 1)
    assert camera.tracker.calls == [("key", shown), ("step", shown + 1)]
    assert any("frame 0" in text for text in camera.notices)


def test_freezing_while_tracking_rests_on_the_last_result(camera):
    camera.session.freeze()
    camera.paint()
    camera.session.track()
    push(camera)
    camera.wait_shown(1)
    camera.tracker.gate.close()
    arrived = camera.tracker.gate.arrived
    push(camera)
    camera.tracker.gate.wait_arrived(arrived + 1)
    camera.session.freeze()
    camera.tracker.gate.open()
    camera.wait(lambda: accounted(camera) == 3)  # the result under way counts as dropped
    assert camera.shown == 1
    assert camera.session.mask_at(2) == (None, MaskKind.NONE)


def test_only_the_last_300_masks_are_kept(camera):
    camera.session.freeze()
    camera.paint()
    camera.session.track()
    for index in range(1, 331):
        push(camera)
        camera.wait(lambda index=index: camera.shown == index)
    kinds = camera.session.mask_kinds()
    assert len(kinds) == 301  # and the keyframe
    assert kinds[0] is MaskKind.KEYFRAME
    assert min(i for i in kinds if i) == 31


def test_a_camera_cannot_go_backward(camera):
    camera.session.freeze()
    camera.paint()
    camera.session.track(-1)
    assert camera.wait_event(Notice).severity is Severity.INFO
    camera.session.seek(0)
    camera.session.step()
    assert camera.session.mode is Mode.FROZEN


@pytest.mark.parametrize("error", [None, SourceError("The camera was unplugged.", "Plug it in.")])
def test_a_camera_that_breaks_off_leaves_the_masks_and_the_last_frame(camera, error):
    camera.session.freeze()
    camera.paint()
    camera.session.track()
    push(camera)
    camera.wait_shown(1)
    camera.sources["camera:0"].end(error)
    camera.wait(lambda: camera.session.mode is Mode.FROZEN and camera.notices)
    assert sorted(camera.session.mask_kinds()) == [0, 1]
    said = len(camera.notices)
    camera.session.track()
    camera.wait(lambda: len(camera.notices) == said + 1)
    assert camera.session.mode is Mode.FROZEN


def test_what_a_source_says_of_itself_is_passed_on_once(camera):
    camera.sources["camera:0"].status = "Reconnecting to the camera"
    camera.wait_event(Notice)
    camera.events.extend(camera.session.events())
    assert [e for e in camera.events if isinstance(e, Notice)] == [Notice(Severity.INFO, "Reconnecting to the camera")]
    assert camera.session.stats().source_status == "Reconnecting to the camera"
    camera.sources["camera:0"].status = ""
    assert camera.session.stats().source_status == ""


def test_leaving_a_camera_for_a_file_closes_it_and_starts_counting_anew(drive):
    live = FakeLive()
    driver = drive({"camera:0": live, "clip.mp4": FakeFile(3)})
    driver.open("camera:0")
    live.push(1)
    driver.wait_shown(0)
    driver.session.freeze()
    driver.paint()
    old = driver.session.take_display().generation
    driver.open("clip.mp4")
    driver.wait_mode(Mode.FROZEN)
    item = driver.session.take_display()
    assert item.generation > old
    assert driver.session.mask_kinds() == {}
    assert live._condition.wait_for is not None
    with live._condition:
        assert live._condition.wait_for(lambda: live.closed, 10)
    assert driver.session.stats().dropped == 0


def test_another_camera_opens_only_when_the_first_is_released(drive):
    first = FakeLive()
    released = []

    def second():
        released.append(first.closed)
        return FakeLive("camera:1")

    driver = drive({"camera:0": first, "camera:1": second})
    driver.open("camera:0")
    first.close_gate.close()
    driver.session.open("camera:1")
    first.close_gate.wait_arrived(1)
    first.close_gate.open()
    assert driver.wait_event(SourceOpened, 2).info.uri == "camera:1"
    assert released == [True]


def test_a_failing_open_goes_back_to_the_running_preview(camera):
    camera.session.open("rtsp://nowhere")
    camera.wait(lambda: camera.modes[-2:] == [Mode.OPENING, Mode.PREVIEW])
    shown = push(camera)
    camera.wait_shown(shown)
