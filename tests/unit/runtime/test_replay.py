"""Instant replay: what is kept within which bounds, and how a correction in it reaches the present."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.messages import MaskKind, Mode, Notice, ReplayChanged, TrackingFinished
from engine.runtime.replay_ring import ReplayRing
from engine.types import Frame
from tests.unit.runtime.fakes import FakeLive, square


def shade(index, height=16, width=24):
    yy, xx = np.mgrid[0:height, 0:width]
    return np.stack([yy * 4 % 256, xx * 3 % 256, np.full_like(xx, index % 256)], -1).astype(np.uint8)


# -- the ring ----------------------------------------------------------------------------------------------------------
@given(st.lists(st.floats(0, 0.6), min_size=1, max_size=60), st.integers(1, 20), st.integers(2_000, 40_000))
def test_no_more_frames_seconds_or_bytes_than_allowed(gaps, most, budget):
    ring = ReplayRing(seconds=3.0, budget_bytes=budget, most=most)
    now = 0.0
    for index, gap in enumerate(gaps):
        now += gap
        ring.put(Frame(index, now, shade(index)))
        times = ring.times
        assert ring.nbytes <= budget
        assert len(times) <= most
        assert list(times) == sorted(times)
        assert all(now - second <= 3.0 for second in times.values())
    ring.settle()
    assert ring.nbytes <= budget
    if budget >= 2 * shade(0).nbytes:
        assert len(gaps) - 1 in ring.times  # the newest is there
    ring.close()


def test_small_pictures_come_back_to_the_byte():
    ring = ReplayRing()
    ring.put(Frame(7, 1.0, shade(7)))
    frame = ring.get(7)
    assert frame.time_s == 1.0
    assert np.array_equal(frame.rgb, shade(7))
    assert ring.get(8) is None


def test_large_pictures_are_compressed_and_come_back_nearly_the_same():
    ring = ReplayRing(budget_bytes=300_000, most=50)
    for index in range(50):
        ring.put(Frame(index, index / 30, shade(index, 60, 80)))
    ring.settle()
    assert ring.nbytes < 50 * 60 * 80 * 3 / 2
    for index in ring.times:
        assert np.abs(ring.get(index).rgb.astype(int) - shade(index, 60, 80)).mean() < 3
    ring.clear()
    assert ring.nbytes == 0
    ring.close()
    ring.put(Frame(0, 0.0, shade(0)))
    assert ring.times == {}


# -- a session ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def tracked(drive):
    """A camera of which frames 1 to 12 were tracked after a mask on frame 0; it is still being tracked."""
    driver = drive({"camera:0": FakeLive()})
    driver.wait_ready()
    driver.open("camera:0")
    driver.wait_mode(Mode.PREVIEW)
    driver.sources["camera:0"].push()
    driver.wait_shown(0)
    driver.session.freeze()
    driver.paint()
    driver.session.track()
    for index in range(1, 13):
        push(driver, index)
    return driver


def push(driver, index):
    assert driver.sources["camera:0"].push() == index
    driver.wait(lambda: ("step", index) in driver.tracker.calls and driver.shown == index)


def replay(driver, index):
    driver.session.replay()
    driver.session.seek(index)
    return driver.wait_shown(index)


def test_the_replay_shows_kept_frames_with_their_masks_while_the_source_runs_on(tracked):
    item = replay(tracked, 6)
    assert tracked.session.mode is Mode.FROZEN
    shown = tracked.wait_event(ReplayChanged)
    assert [index for index, _ in shown.frames] == list(range(1, 13))
    assert item.kind is MaskKind.TRACKED
    assert np.array_equal(item.mask, tracked.session.mask_at(6)[0])
    dropped = tracked.session.stats().dropped
    tracked.sources["camera:0"].push(3)
    tracked.wait(lambda: tracked.session.stats().dropped > dropped)
    assert tracked.shown == 6
    tracked.session.seek(1_000)
    tracked.wait_shown(12)
    tracked.session.seek(0)
    tracked.wait_shown(1)  # the nearest there is


def test_a_correction_is_tracked_through_the_kept_frames_into_the_present(tracked):
    before = {i: tracked.session.mask_at(i)[0].copy() for i in range(13)}
    frame = replay(tracked, 6).frame
    tracked.session.set_mask(frame, square(x=1, y=9), [1])
    tracked.tracker.calls.clear()
    tracked.sources["camera:0"].push(2)  # nobody waits for these
    tracked.session.track()
    tracked.wait(lambda: ("step", 12) in tracked.tracker.calls)
    push(tracked, 15)
    calls = [call for call in tracked.tracker.calls if call[0] in ("key", "step")]
    assert calls[:7] == [("key", 6), *(("step", i) for i in range(7, 13))]
    assert calls[-1] == ("step", 15)
    for index in range(6):
        assert np.array_equal(tracked.session.mask_at(index)[0], before[index])
    for index in range(7, 13):  # the correction, carried on frame by frame
        expected = np.roll(square(x=1, y=9), index - 6, axis=1)
        assert np.array_equal(tracked.session.mask_at(index)[0], expected)
    assert tracked.session.mode is Mode.TRACKING
    assert not tracked.session._replay.active
    # What the live frame shows follows from the frames tracked anew, not from what was remembered before.
    tail = [i for call, i in calls if i > 12]
    assert np.array_equal(tracked.session.mask_at(15)[0], np.roll(square(x=1, y=9), 6 + len(tail), axis=1))


def test_two_corrections_are_both_met_on_the_way(tracked):
    for index, mask in ((9, square(x=1, y=9)), (4, square(x=3, y=6))):
        tracked.session.set_mask(replay(tracked, index).frame, mask, [1])
    tracked.tracker.calls.clear()
    tracked.session.track()
    tracked.wait(lambda: ("step", 12) in tracked.tracker.calls)
    calls = [call for call in tracked.tracker.calls if call[0] in ("key", "step")]
    assert calls[:9] == [
        ("key", 4), *(("step", i) for i in range(5, 9)), ("key", 9), *(("step", i) for i in range(10, 13)),
    ]  # fmt: skip


def test_without_a_correction_it_goes_on_live_at_once(tracked):
    replay(tracked, 3)
    tracked.tracker.calls.clear()
    tracked.session.track()
    push(tracked, 13)
    assert [call for call in tracked.tracker.calls if call[0] == "step"] == [("step", 13)]
    assert [e.frames for e in tracked.events if isinstance(e, ReplayChanged)][-1] == ()


def test_when_the_camera_is_gone_a_correction_is_carried_on_to_the_last_kept_frame(tracked):
    frame = replay(tracked, 9).frame
    tracked.sources["camera:0"].end()
    tracked.wait(lambda: not tracked.session._core.source_alive)
    tracked.session.set_mask(frame, square(x=1, y=9), [1])
    tracked.session.track()
    assert tracked.wait_event(TrackingFinished) == TrackingFinished(12)
    assert np.array_equal(tracked.session.mask_at(12)[0], np.roll(square(x=1, y=9), 3, axis=1))
    assert tracked.session.mode is Mode.FROZEN


def test_pausing_on_the_way_keeps_what_was_tracked_anew(tracked):
    frame = replay(tracked, 6).frame
    tracked.session.set_mask(frame, square(x=1, y=9), [1])
    tracked.tracker.gate.close()
    tracked.tracker.gate.allow(3)
    arrived = tracked.tracker.gate.arrived
    tracked.session.track()
    tracked.tracker.gate.wait_arrived(arrived + 4)
    tracked.session.freeze()
    tracked.tracker.gate.open()
    tracked.wait(lambda: tracked.session.mode is Mode.FROZEN)
    assert np.array_equal(tracked.session.mask_at(8)[0], np.roll(square(x=1, y=9), 2, axis=1))


def test_back_to_the_preview_and_another_source_end_it(tracked):
    replay(tracked, 3)
    tracked.session.play()
    assert tracked.session.mode is Mode.PREVIEW
    assert not tracked.session._replay.active
    tracked.session.replay()
    tracked.session.close_source()
    tracked.wait_mode(Mode.EMPTY)
    assert not tracked.session._replay.active
    assert tracked.session._core.ring.times == {}


def test_there_is_nothing_to_replay_before_anything_was_tracked(drive):
    driver = drive({"camera:0": FakeLive()})
    driver.wait_ready()
    driver.open("camera:0")
    driver.wait_mode(Mode.PREVIEW)
    driver.session.replay()
    assert "nothing to replay" in driver.wait_event(Notice).message
    assert driver.session.mode is Mode.PREVIEW
