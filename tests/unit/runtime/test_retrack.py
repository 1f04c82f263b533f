"""Re-tracking between keyframes: what is tracked anew, in which order, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.blending import blend_masks, share_of_earlier
from engine.runtime.messages import MaskKind, Mode, Notice, TrackingFinished
from engine.runtime.retrack import Stretch, stretches
from tests.unit.runtime.fakes import FakeFile, square


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_no_stretch_holds_a_keyframe_and_each_touches_the_frame(keyframes, masked, index):
    for part in stretches(sorted(keyframes), masked | keyframes, index):
        inner = set(range(part.first, part.last + 1))
        assert inner
        assert not inner & keyframes
        assert set(part.ends) <= keyframes
        if part.earlier is not None and part.later is not None:
            assert part.earlier <= index <= part.later
        else:
            assert inner <= masked  # an open side is followed only as far as there are masks


def test_both_sides_of_a_keyframe_or_the_stretch_around_a_frame():
    masked = set(range(30))
    assert stretches([0, 10, 20], masked, 10) == [Stretch(0, 10, 1, 9), Stretch(10, 20, 11, 19)]
    assert stretches([0, 10, 20], masked, 14) == [Stretch(10, 20, 11, 19)]
    assert stretches([0, 10, 20], masked, 20) == [Stretch(10, 20, 11, 19), Stretch(20, None, 21, 29)]
    assert stretches([10], masked, 10) == [Stretch(None, 10, 0, 9), Stretch(10, None, 11, 29)]
    assert stretches([10], {10}, 10) == []
    assert stretches([], masked, 3) == []


@pytest.fixture
def tracked(drive):
    """Keyframes at 0, 6 and 18 of 24 frames, all tracked."""
    driver = drive({"clip.mp4": FakeFile(24)})
    driver.wait_ready()
    driver.open("clip.mp4")
    paint(driver, 0, square(x=2))
    driver.session.seek(0)
    driver.wait_shown(0)
    driver.session.track()
    driver.wait_event(TrackingFinished)
    for index in (6, 18):
        paint(driver, index, square(x=6))
    driver.session.seek(0)
    driver.wait_shown(0)
    driver.session.track()
    driver.wait(lambda: sum(isinstance(e, TrackingFinished) for e in driver.events) == 2)
    return driver


def paint(driver, index, mask):
    driver.session.seek(index)
    driver.wait_shown(index)
    driver.session.set_mask(driver.frame(), mask, [1])


def masks(driver):
    return {i: (driver.session.mask_at(i)[0].tobytes(), driver.session.mask_at(i)[1]) for i in range(24)}


def retracked(driver, count=1):
    done = sum(isinstance(e, TrackingFinished) for e in driver.events)
    driver.session.retrack()
    driver.wait(lambda: sum(isinstance(e, TrackingFinished) for e in driver.events) == done + count)
    driver.wait(lambda: driver.session._core.job is None)


def test_a_correction_retracks_both_sides_up_to_the_next_keyframes_and_nothing_else(tracked):
    before = masks(tracked)
    paint(tracked, 12, square(x=12, y=8))
    tracked.tracker.calls.clear()
    retracked(tracked)
    after = masks(tracked)
    stepped = {i for call, i in tracked.tracker.calls if call == "step"}
    assert stepped == {*range(7, 12), *range(13, 18)}
    for index in range(24):
        if not 6 < index < 18:
            assert after[index] == before[index], index
        elif index != 12:
            assert after[index][1] is MaskKind.TRACKED
    assert after[11][0] != before[11][0]
    assert after[13][0] != before[13][0]
    assert after[12][1] is MaskKind.KEYFRAME
    assert tracked.shown == 12  # where the user was
    assert tracked.session.mode is Mode.FROZEN


def test_the_two_runs_are_blended_by_their_distance_to_the_keyframes(tracked):
    paint(tracked, 12, square(x=12))
    tracked.tracker.results.clear()
    retracked(tracked)
    for index in range(7, 12):
        backward, forward = tracked.tracker.results[index]
        share = share_of_earlier(index, 6, 12, 0.5, 0.5)
        assert np.array_equal(tracked.session.mask_at(index)[0], blend_masks(forward, backward, {1: share}))


def test_an_object_only_one_end_knows_comes_from_its_run(tracked):
    tracked.session.seek(12)
    tracked.wait_shown(12)
    mask = square(x=12)
    mask[9:13, 3:7] = 2
    tracked.session.set_mask(tracked.frame(), mask, [1, 2])
    tracked.tracker.results.clear()
    retracked(tracked)
    for index in range(7, 12):
        backward = tracked.tracker.results[index][0]
        assert np.array_equal(tracked.session.mask_at(index)[0] == 2, backward == 2)


def test_after_the_last_keyframe_it_goes_as_far_as_there_are_masks(tracked):
    tracked.session.seek(20)
    tracked.wait_shown(20)
    tracked.tracker.calls.clear()
    retracked(tracked)
    assert {i for call, i in tracked.tracker.calls if call == "step"} == set(range(19, 24))


def test_a_correction_while_it_runs_starts_it_anew(tracked):
    tracked.session.seek(12)
    frame = tracked.wait_shown(12).frame
    before = masks(tracked)
    tracked.tracker.gate.close()
    tracked.tracker.gate.allow(2)
    arrived = tracked.tracker.gate.arrived
    tracked.session.retrack()
    tracked.tracker.gate.wait_arrived(arrived + 3)
    tracked.session.set_mask(frame, square(x=15, y=9), [1])
    tracked.tracker.gate.open()
    tracked.wait(lambda: tracked.session.mode is Mode.FROZEN and tracked.session._core.job is None)
    after = masks(tracked)
    assert all(after[i] == before[i] for i in range(24) if not 6 < i < 18)
    assert after[12][1] is MaskKind.KEYFRAME
    assert tracked.shown == 12
    # From the new keyframe both ways: the frames beside it lean on it.
    assert np.count_nonzero(tracked.session.mask_at(13)[0] & square(x=16, y=9)) > 8


def test_tracking_on_from_a_blended_frame_begins_with_its_mask(tracked):
    paint(tracked, 12, square(x=12))
    retracked(tracked)
    tracked.session.seek(10)
    tracked.wait_shown(10)
    tracked.tracker.calls.clear()
    tracked.session.track(until=11)
    tracked.wait(lambda: ("step", 11) in tracked.tracker.calls)
    assert ("recall", 10) in tracked.tracker.calls


def test_pausing_keeps_what_is_done_and_ends_the_rest(tracked):
    tracked.session.seek(12)
    tracked.wait_shown(12)
    tracked.tracker.gate.close()
    tracked.tracker.gate.allow(2)
    arrived = tracked.tracker.gate.arrived
    tracked.session.retrack()
    tracked.tracker.gate.wait_arrived(arrived + 3)
    tracked.session.pause()
    tracked.tracker.gate.open()
    tracked.wait(lambda: tracked.session._core.job is None)
    assert tracked.session.mode is Mode.FROZEN


def test_where_there_is_nothing_to_do_it_says_so(drive):
    driver = drive({"clip.mp4": FakeFile(5)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.session.retrack()
    assert "nothing to track again" in driver.wait_event(Notice).message
    assert driver.session.mode is Mode.FROZEN
