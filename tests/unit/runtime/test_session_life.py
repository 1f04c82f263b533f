"""Opening, replacing, engine start-up and change, shutdown at any moment."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from engine.errors import ModelError
from engine.runtime.config import EngineConfig
from engine.runtime.messages import (
    EngineProgress,
    MaskKind,
    Mode,
    Notice,
    Severity,
    SourceClosed,
    TrackingFinished,
    WorkerState,
)
from tests.unit.runtime.fakes import FakeFile, FakeLive, Gate, square


def test_a_source_that_cannot_be_opened_leaves_an_empty_session(drive):
    driver = drive({})
    driver.session.open("missing.mp4")
    notice = driver.wait_event(Notice)
    assert notice == Notice(Severity.ERROR, "missing.mp4 cannot be opened.", "Choose another file.")
    driver.wait(lambda: driver.modes == [Mode.OPENING, Mode.EMPTY])


def test_an_unexpected_error_while_opening_is_one_sentence_for_the_user(drive):
    def explode():
        raise ZeroDivisionError("inside a driver")

    driver = drive({"bad.mp4": explode})
    driver.session.open("bad.mp4")
    driver.wait(lambda: driver.modes == [Mode.OPENING, Mode.EMPTY])
    assert driver.notices == ["bad.mp4 cannot be opened because of an unexpected error."]


def test_a_file_without_frames_is_refused(drive):
    driver = drive({"empty.mp4": FakeFile(0)})
    driver.session.open("empty.mp4")
    driver.wait_event(Notice)
    driver.wait(lambda: driver.session.mode is Mode.EMPTY)
    assert driver.sources["empty.mp4"].closed


def test_a_failing_open_keeps_the_former_file_and_its_masks(drive):
    driver = drive({"clip.mp4": FakeFile(5)})
    driver.open("clip.mp4")
    driver.wait_mode(Mode.FROZEN)
    mask = driver.paint()
    driver.session.open("missing.mp4")
    driver.wait(lambda: driver.modes[-2:] == [Mode.OPENING, Mode.FROZEN])
    assert np.array_equal(driver.session.mask_at(0)[0], mask)
    driver.session.seek(3)
    driver.wait_shown(3)


def test_the_newest_open_wins_over_one_that_hangs(drive):
    hang = Gate()
    hang.close()

    def slow():
        hang.passes()
        return FakeFile(3, "slow.mp4")

    driver = drive({"slow.mp4": slow, "clip.mp4": FakeFile(5)})
    driver.session.open("slow.mp4")
    hang.wait_arrived(1)
    driver.open("clip.mp4")
    hang.open()
    driver.session.seek(4)
    driver.wait_shown(4)
    assert driver.session._core.info.uri == "clip.mp4"


def test_a_wish_while_opening_is_done_afterwards(drive):
    driver = drive({"clip.mp4": FakeFile(5)})
    driver.session.open("clip.mp4")
    driver.session.seek(4)
    driver.wait_shown(4)


def test_closing_the_source_empties_the_session(drive):
    driver = drive({"clip.mp4": FakeFile(5)})
    driver.open("clip.mp4")
    driver.paint()
    driver.session.close_source()
    assert driver.session.mode is Mode.EMPTY
    driver.wait_event(SourceClosed)
    assert driver.session.mask_kinds() == {}
    assert driver.session.take_display() is None


def test_another_file_resets_the_tracker(drive):
    driver = drive({"a.mp4": FakeFile(5, "a.mp4"), "b.mp4": FakeFile(5, "b.mp4")})
    driver.wait_ready()
    driver.open("a.mp4")
    driver.paint()
    driver.session.track()
    driver.wait_event(TrackingFinished)
    driver.open("b.mp4")
    driver.wait(lambda: driver.shown == 0)
    mask = driver.paint(square(3, x=8), touched=[3])
    driver.session.track()
    driver.wait(lambda: driver.session._core.stats.processed == 5)
    assert np.array_equal(driver.session.mask_at(4)[0], np.roll(mask, 4, axis=1))
    assert driver.tracker.object_ids == (3,)


# -- the engine ----------------------------------------------------------------------------------------------------


def test_tracking_waits_for_an_engine_that_is_not_ready_yet(drive):
    driver = drive({"clip.mp4": FakeFile(5)}, start=False)
    driver.build_gate.close()
    driver.session.start()
    driver.build_gate.wait_arrived(1)
    driver.open("clip.mp4")
    driver.paint()
    driver.session.track()
    assert driver.session.mode is Mode.FROZEN
    driver.wait(lambda: EngineProgress("Loading the fake", False) in driver.events)
    driver.build_gate.open()
    driver.wait_event(TrackingFinished)
    assert sorted(driver.session.mask_kinds()) == [0, 1, 2, 3, 4]


def test_pause_takes_back_a_waiting_wish_to_track(drive):
    driver = drive({"clip.mp4": FakeFile(5)}, start=False)
    driver.build_gate.close()
    driver.session.start()
    driver.open("clip.mp4")
    driver.paint()
    driver.session.track()
    driver.session.pause()
    driver.build_gate.open()
    driver.wait_ready()
    driver.session.seek(1)
    driver.wait_shown(1)
    assert Mode.TRACKING not in driver.modes


def test_an_engine_that_cannot_start_says_why_and_can_be_chosen_anew(drive):
    driver = drive({"clip.mp4": FakeFile(5)}, start=False)
    driver.build_error = ModelError("The weights are damaged.", "Download them again.")
    driver.session.start()
    driver.wait(lambda: "The weights are damaged." in driver.notices)
    driver.open("clip.mp4")
    driver.paint()
    driver.session.track()
    driver.wait(lambda: "The engine is not running." in driver.notices)
    driver.session.configure(EngineConfig(model="other"))
    driver.wait_ready()
    assert driver.session.stats().model == "other"
    driver.session.track()
    driver.wait_event(TrackingFinished)


def test_another_model_sees_the_keyframes_again(drive):
    driver = drive({"clip.mp4": FakeFile(8)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.paint()
    driver.session.seek(2)
    driver.wait_shown(2)
    driver.paint(square(1, x=9))
    driver.session.track(until=3)
    driver.wait_event(TrackingFinished)
    driver.session.configure(EngineConfig(model="other"))
    driver.wait(lambda: len(driver.trackers) == 2)
    driver.wait_ready()
    driver.session.track()
    driver.wait_event(TrackingFinished, 2)
    assert driver.tracker.calls[:3] == [("key", 0), ("key", 2), ("step", 3)]
    assert driver.tracker.calls[-1] == ("step", 7)


def test_keyframes_of_a_file_are_read_again_when_their_pictures_are_gone(drive):
    makes = lambda: FakeFile(8)  # noqa: E731 - the engine opens a reader of its own
    driver = drive({"clip.mp4": makes})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.paint()
    driver.session.seek(4)
    driver.wait_shown(4)
    driver.session._core.frames.clear()
    driver.session.track()
    driver.wait_event(TrackingFinished)
    assert driver.tracker.calls[:2] == [("key", 0), ("step", 4)]
    assert driver.opened == ["clip.mp4", "clip.mp4"]


def test_a_model_that_fails_leaves_the_former_one_at_work(drive):
    driver = drive({"clip.mp4": FakeFile(8)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.paint()
    driver.build_error = ModelError("There is no such model.", "Choose another.")
    driver.session.configure(EngineConfig(model="none"))
    driver.wait(lambda: "There is no such model." in driver.notices)
    driver.wait_ready()
    driver.session.track()
    driver.wait_event(TrackingFinished)
    assert len(driver.trackers) == 1
    assert driver.session.stats().model == "fake"


def test_an_engine_that_dies_is_reported_keeps_the_masks_and_can_be_restarted(drive):
    driver = drive({"clip.mp4": FakeFile(8)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.paint()
    driver.tracker.fail_at[3] = ZeroDivisionError("a bug")
    driver.session.track()
    driver.wait(lambda: driver.session.stats().worker_states["engine"] is WorkerState.FAULTED and driver.notices)
    assert driver.session.mode is Mode.FROZEN
    assert sorted(driver.session.mask_kinds()) == [0, 1, 2]
    assert not any("ZeroDivision" in text for text in driver.notices)
    driver.session.configure(EngineConfig())
    driver.wait_ready()
    driver.session.track()
    driver.wait_event(TrackingFinished)
    assert sorted(driver.session.mask_kinds()) == list(range(8))


# -- shutdown ------------------------------------------------------------------------------------------------------


def test_shutdown_before_start_and_twice(drive):
    driver = drive({}, start=False)
    assert driver.session.shutdown(1.0)
    assert driver.session.shutdown(1.0)


@pytest.mark.parametrize("mode", ["opening", "preview", "frozen", "playing", "tracking", "full", "live tracking"])
def test_shutdown_in_every_mode(drive, mode):
    live, clip = FakeLive(), FakeFile(50, interval_s=100.0)
    driver = drive({"camera:0": live, "clip.mp4": clip})
    driver.wait_ready()
    if mode == "opening":
        driver.session.open("clip.mp4")
    elif mode in ("preview", "live tracking"):
        driver.open("camera:0")
        live.push(1)
        driver.wait_shown(0)
        if mode == "live tracking":
            driver.paint()
            driver.session.track()
            live.push(1)
            driver.wait(lambda: ("key", 0) in driver.tracker.calls)
    else:
        driver.open("clip.mp4")
        driver.paint()
        if mode == "playing":
            driver.session.play()
        elif mode == "tracking":
            driver.session.track()
        elif mode == "full":  # capture waits for room in the mailbox, the engine for the tracker
            driver.tracker.gate.close()
            driver.session.track()
            driver.tracker.gate.wait_arrived(1)
            driver.wait(lambda: len(driver.session._core.job.mailbox) == 3 or clip.reads[-1] >= 3)
            opener = threading.Timer(0.05, driver.tracker.gate.open)  # the step under way ends at some time
            opener.start()
    assert driver.session.shutdown(10.0)
    assert set(driver.session.stats().worker_states.values()) == {WorkerState.STOPPED}
    if mode == "full":
        opener.join()


def test_commands_after_shutdown_do_no_harm(drive):
    driver = drive({"clip.mp4": FakeFile(5)})
    driver.open("clip.mp4")
    driver.paint()
    driver.session.shutdown(10.0)
    for command in (driver.session.track, driver.session.play, driver.session.pause, driver.session.close_source):
        command()
    driver.session.open("clip.mp4")
    driver.session.seek(2)
    assert driver.session.mask_at(0)[1] in (MaskKind.KEYFRAME, MaskKind.NONE)


def test_a_hung_driver_makes_shutdown_say_so_in_time(drive):
    hang = Gate()
    hang.close()

    def stuck():
        hang.passes()
        return FakeFile(1)

    driver = drive({"stuck.mp4": stuck})
    driver.session.open("stuck.mp4")
    hang.wait_arrived(1)
    assert driver.session.shutdown(0.05) is False
    hang.open()
    assert driver.session.shutdown(10.0)
