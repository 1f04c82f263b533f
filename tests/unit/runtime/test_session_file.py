"""A file: opening, seeking, playing, tracking forward and backward, pausing, correcting."""

from __future__ import annotations

import time

import numpy as np
import pytest

from engine.errors import DeviceError
from engine.runtime.messages import (
    MaskKind,
    Mode,
    Notice,
    ObjectsChanged,
    Severity,
    SourceOpened,
    TrackingFinished,
    WorkerState,
)
from tests.unit.runtime.fakes import FakeFile, index_of, square


@pytest.fixture
def clip(drive):
    """A ready driver at rest on frame 0 of ten."""
    driver = drive({"clip.mp4": FakeFile(10)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.wait_mode(Mode.FROZEN)
    return driver


def test_a_file_opens_at_rest_on_its_first_frame(clip):
    opened = clip.wait_event(SourceOpened)
    item = clip.session.take_display()
    assert item.frame.index == 0
    assert item.mask is None
    assert item.generation == opened.generation
    assert clip.session.take_display() is None
    assert clip.modes == [Mode.OPENING, Mode.FROZEN]


def test_tracking_delivers_every_frame_in_order_with_its_own_mask(clip):
    mask = clip.paint()
    clip.session.track()
    assert clip.wait_event(TrackingFinished) == TrackingFinished(9)
    assert clip.session.mode is Mode.FROZEN
    tracked = [item for item in clip.items if item.kind is not MaskKind.NONE]
    assert [item.frame.index for item in tracked] == list(range(10))
    for item in tracked:
        assert index_of(item.frame.rgb) == item.frame.index
        assert np.array_equal(item.mask, np.roll(mask, item.frame.index, axis=1))
        stored, kind = clip.session.mask_at(item.frame.index)
        assert np.array_equal(stored, item.mask)
        assert kind is item.kind
    assert tracked[0].kind is MaskKind.KEYFRAME
    assert clip.session.stats().processed == 10
    assert clip.session.stats().dropped == 0
    assert clip.tracker.threads.isdisjoint(clip.sources["clip.mp4"].users)
    assert len(clip.tracker.threads) == 1


def test_tracking_without_a_painted_object_says_so_and_stays(clip):
    clip.session.track()
    notice = clip.wait_event(Notice)
    assert notice.severity is Severity.WARNING
    assert clip.session.mode is Mode.FROZEN
    assert clip.modes[-1] is Mode.FROZEN


def test_until_ends_the_range(clip):
    clip.paint()
    clip.session.track(until=4)
    assert clip.wait_event(TrackingFinished) == TrackingFinished(4)
    assert sorted(clip.session.mask_kinds()) == [0, 1, 2, 3, 4]


def test_backward_tracking_reads_descending(clip):
    clip.session.seek(7)
    clip.wait_shown(7)
    mask = clip.paint()
    clip.session.track(-1)
    assert clip.wait_event(TrackingFinished) == TrackingFinished(0)
    assert [i for _, i in clip.tracker.calls] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert np.array_equal(clip.session.mask_at(5)[0], np.roll(mask, 2, axis=1))


@pytest.mark.parametrize("count", [70])
def test_backward_tracking_crosses_blocks(drive, count):
    driver = drive({"long.mp4": FakeFile(count, "long.mp4")})
    driver.wait_ready()
    driver.open("long.mp4")
    driver.session.seek(count - 1)
    driver.wait_shown(count - 1)
    driver.paint()
    driver.session.track(-1, until=2)
    driver.wait_event(TrackingFinished)
    assert [i for _, i in driver.tracker.calls] == list(range(count - 1, 1, -1))
    assert len(driver.sources["long.mp4"].seeks) <= 5


def test_a_step_tracks_exactly_one_frame_and_is_no_end_of_tracking(clip):
    clip.paint()
    clip.session.step()
    clip.wait(lambda: clip.session.mode is Mode.FROZEN and clip.shown == 1)
    clip.session.step()
    clip.wait(lambda: clip.session.mode is Mode.FROZEN and clip.shown == 2)
    assert clip.tracker.calls == [("key", 0), ("step", 1), ("step", 2)]
    assert not any(isinstance(e, TrackingFinished) for e in clip.events)


def test_pausing_and_going_on_gives_the_same_masks_as_tracking_through(clip):
    mask = clip.paint()
    clip.tracker.gate.close()
    clip.tracker.gate.allow(3)
    clip.session.track()
    clip.wait_shown(2)
    clip.tracker.gate.wait_arrived(4)  # frame 3 is being computed
    clip.session.pause()
    assert clip.session.mode is Mode.FROZEN
    clip.tracker.gate.open()
    clip.wait(lambda: ("step", 3) in clip.tracker.calls)
    assert clip.shown == 2
    assert clip.session.mask_at(3) == (None, MaskKind.NONE)
    clip.session.track()
    clip.wait_event(TrackingFinished)
    assert [i for _, i in clip.tracker.calls] == list(range(10))  # nothing computed twice
    for index in range(10):
        assert np.array_equal(clip.session.mask_at(index)[0], np.roll(mask, index, axis=1))


def test_scrubbing_shows_the_newest_and_the_stored_masks(clip):
    mask = clip.paint()
    clip.session.track()
    clip.wait_event(TrackingFinished)
    for index in (1, 8, 3, 6, 2):
        clip.session.seek(index)
    item = clip.wait_shown(2)
    clip.wait(lambda: clip.session._core.job is None)
    assert clip.shown == 2
    assert item.kind is MaskKind.TRACKED
    assert np.array_equal(item.mask, np.roll(mask, 2, axis=1))
    assert item.confidence == {1: 0.5}


def test_seeking_past_the_end_shows_the_last_frame(clip):
    clip.session.seek(1000)
    clip.wait_shown(9)
    clip.session.seek(-5)
    clip.wait_shown(0)


@pytest.mark.parametrize("promised", [None, 14, 1000])
def test_seeking_past_the_end_of_a_file_that_promises_too_much(drive, promised):
    driver = drive({"clip.mp4": FakeFile(10, announce=promised)})
    driver.open("clip.mp4")
    driver.session.seek(5000)
    driver.wait_shown(9)
    driver.session.seek(3)
    driver.wait_shown(3)


def test_an_unexpected_error_while_reading_keeps_the_masks(drive):
    class Broken(FakeFile):
        def read(self):
            if self._next == 4:
                raise ZeroDivisionError("a bug in a decoder")
            return super().read()

    driver = drive({"clip.mp4": Broken(10)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.paint()
    driver.session.track()
    driver.wait(lambda: driver.session.stats().worker_states["capture"] is WorkerState.FAULTED)
    driver.wait(lambda: driver.notices)
    assert driver.session.mode is Mode.FROZEN
    assert 0 in driver.session.mask_kinds()
    assert not any("ZeroDivision" in text for text in driver.notices)
    said = len(driver.notices)
    driver.session.seek(2)
    driver.wait(lambda: len(driver.notices) == said + 1)  # "open it again"


def test_damaged_files_have_gaps_that_nothing_stumbles_over(drive):
    class Damaged(FakeFile):
        def read(self):
            if self._next in (4, 5):
                self._next = 6
            return super().read()

    driver = drive({"clip.mp4": Damaged(10, interval_s=0.001)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.paint()
    driver.session.track()
    assert driver.wait_event(TrackingFinished) == TrackingFinished(9)
    assert sorted(driver.session.mask_kinds()) == [0, 1, 2, 3, 6, 7, 8, 9]
    driver.session.track(-1)
    assert driver.wait_event(TrackingFinished, 2) == TrackingFinished(0)
    driver.session.play()
    driver.wait(lambda: driver.modes[-2:] == [Mode.PLAYING, Mode.FROZEN])
    assert driver.shown == 9


def test_tracking_starts_from_the_frame_asked_for_even_before_it_is_shown(clip):
    clip.paint()
    clip.session.seek(5)
    clip.session.track()
    clip.wait_event(TrackingFinished)
    assert sorted(clip.session.mask_kinds()) == [0, 5, 6, 7, 8, 9]
    assert clip.tracker.calls[0] == ("key", 0)  # a keyframe in the past is shown to the tracker first


def test_keyframes_on_the_way_are_met_there(clip):
    first = clip.paint()
    clip.session.seek(5)
    clip.wait_shown(5)
    second = clip.paint(square(2, x=10), touched=[2])
    clip.session.seek(0)
    clip.wait_shown(0)
    clip.session.track()
    clip.wait_event(TrackingFinished)
    assert [c for c in clip.tracker.calls if c[0] == "key"] == [("key", 0), ("key", 5)]
    assert clip.tracker.touched == [frozenset([1]), frozenset([2])]
    assert np.array_equal(clip.session.mask_at(4)[0], np.roll(first, 4, axis=1))
    assert np.array_equal(clip.session.mask_at(5)[0], second)
    assert np.array_equal(clip.session.mask_at(7)[0], np.roll(second, 2, axis=1))
    assert clip.session.mask_kinds()[5] is MaskKind.KEYFRAME


def test_a_frame_without_mask_is_tracked_from_keyframes_that_lie_ahead(clip):
    clip.session.seek(8)
    clip.wait_shown(8)
    clip.paint()
    clip.session.seek(2)
    clip.wait_shown(2)
    clip.session.track(until=3)
    clip.wait_event(TrackingFinished)
    assert clip.tracker.calls == [("key", 8), ("step", 2), ("step", 3)]


def test_a_correction_while_tracking_goes_over_the_frames_from_there(clip):
    clip.paint()
    clip.tracker.gate.close()
    clip.tracker.gate.allow(6)
    clip.session.track()
    clip.wait_shown(5)
    frame = next(item.frame for item in clip.items if item.frame.index == 3)
    correction = square(1, x=12, y=8)
    clip.session.set_mask(frame, correction, [1])
    assert clip.session.mode is Mode.TRACKING
    clip.tracker.gate.open()
    clip.wait_event(TrackingFinished)
    assert Mode.FROZEN not in clip.modes[2:-1]
    assert ("key", 3) in clip.tracker.calls
    for index in range(3, 10):
        assert np.array_equal(clip.session.mask_at(index)[0], np.roll(correction, index - 3, axis=1))
    assert set(clip.session.mask_kinds().values()) == {MaskKind.KEYFRAME, MaskKind.TRACKED}


def test_an_edit_of_an_older_frame_makes_later_masks_stale_and_reaches_the_tracker_first(clip):
    clip.paint()
    clip.session.track()
    clip.wait_event(TrackingFinished)
    clip.session.seek(4)
    clip.wait_shown(4)
    clip.paint(square(1, x=9))
    kinds = clip.session.mask_kinds()
    assert [kinds[i] for i in range(10)] == (
        [MaskKind.KEYFRAME] + [MaskKind.TRACKED] * 3 + [MaskKind.KEYFRAME] + [MaskKind.STALE] * 5
    )
    clip.session.seek(6)
    clip.wait_shown(6)
    del clip.tracker.calls[:]
    clip.session.track()
    clip.wait_event(TrackingFinished, 2)
    assert clip.tracker.calls == [("key", 4), ("step", 6), ("step", 7), ("step", 8), ("step", 9)]
    assert clip.session.mask_kinds()[5] is MaskKind.STALE
    assert clip.session.mask_kinds()[6] is MaskKind.TRACKED


def test_a_mask_painted_while_its_frame_is_computed_is_not_overwritten(clip):
    clip.paint()
    clip.tracker.gate.close()
    clip.tracker.gate.allow(3)
    clip.session.track()
    clip.wait_shown(2)
    clip.tracker.gate.wait_arrived(4)  # frame 3 is on its way through the tracker
    ahead = square(1, x=15)
    from engine.types import Frame
    from tests.unit.runtime.fakes import picture

    clip.session.set_mask(Frame(3, 0.0, picture(3)), ahead, [1])
    clip.tracker.gate.open()
    clip.wait_event(TrackingFinished)
    assert np.array_equal(clip.session.mask_at(3)[0], ahead)
    assert clip.session.mask_kinds()[3] is MaskKind.KEYFRAME
    shown = [item for item in clip.items if item.frame.index == 3]
    assert all(np.array_equal(item.mask, ahead) for item in shown)


def test_deleting_an_object_while_tracking_removes_it_everywhere(clip):
    both = square(1) | square(2, x=12)
    clip.paint(both, touched=[1, 2])
    clip.tracker.gate.close()
    clip.tracker.gate.allow(4)
    clip.session.track()
    clip.wait_shown(3)
    clip.tracker.gate.wait_arrived(5)
    clip.session.delete_object(2)
    clip.tracker.gate.open()
    clip.wait_event(TrackingFinished)
    for index in range(10):
        assert set(np.unique(clip.session.mask_at(index)[0])) == {0, 1}
    assert ObjectsChanged((1,)) in clip.events
    assert ("delete", 2) in clip.tracker.calls


def test_merging_objects_while_tracking_reaches_every_frame_and_undo_ends_the_run(clip):
    both = square(1) | square(2, x=12)
    clip.paint(both, touched=[1, 2])
    clip.tracker.gate.close()
    clip.tracker.gate.allow(4)
    clip.session.track()
    clip.wait_shown(3)
    clip.tracker.gate.wait_arrived(5)  # frame 4 is on its way through the tracker
    before = {index: clip.session.mask_at(index)[0] for index in range(4)}
    clip.session.merge_objects(2, 1)
    clip.tracker.gate.allow(1)
    clip.wait_shown(4)
    for index in range(5):
        assert set(np.unique(clip.session.mask_at(index)[0])) == {0, 1}
    assert ("merge", 2) in clip.tracker.calls
    clip.session.part_objects(2)
    clip.wait_mode(Mode.FROZEN)
    clip.tracker.gate.open()
    for index, mask in before.items():
        assert np.array_equal(clip.session.mask_at(index)[0], mask)
    clip.session.seek(3)
    clip.wait_shown(3)
    clip.session.track()  # the tracker has to see the keyframe again, and tells the two apart then
    clip.wait_event(TrackingFinished)
    assert set(np.unique(clip.session.mask_at(9)[0])) == {0, 1, 2}


def test_deleting_the_last_object_stops_tracking(clip):
    clip.paint()
    clip.tracker.gate.close()
    clip.tracker.gate.allow(3)
    clip.session.track()
    clip.wait_shown(2)
    clip.session.delete_object(1)
    clip.tracker.gate.open()
    clip.wait_mode(Mode.FROZEN)
    assert clip.session.mask_kinds() == {}


def test_clear_tracking_keeps_keyframes(clip):
    clip.paint()
    clip.session.track()
    clip.wait_event(TrackingFinished)
    clip.session.clear_tracking()
    assert clip.session.mask_kinds() == {0: MaskKind.KEYFRAME}
    assert clip.session._core.shown.mask is None
    clip.wait(lambda: ("forget_tracked", -1) in clip.tracker.calls)


def test_clearing_a_mask_makes_the_tracker_forget_it(clip):
    clip.paint()
    clip.session.track(until=2)
    clip.wait_event(TrackingFinished)
    clip.session.seek(0)
    clip.wait_shown(0)
    clip.session.clear_mask(clip.frame())
    assert clip.session.mask_at(0) == (None, MaskKind.NONE)
    clip.wait(lambda: ("forget", 0) in clip.tracker.calls)
    assert clip.session.mask_kinds() == {1: MaskKind.STALE, 2: MaskKind.STALE}


def test_playing_shows_stored_masks_to_the_end_at_the_files_pace(drive):
    driver = drive({"clip.mp4": FakeFile(6, interval_s=0.01)})
    driver.wait_ready()
    driver.open("clip.mp4")
    mask = driver.paint()
    driver.session.track(until=3)
    driver.wait_event(TrackingFinished)
    driver.session.seek(0)
    driver.wait_shown(0)
    del driver.items[:]
    started = time.monotonic()
    driver.session.play()
    driver.wait(lambda: driver.modes[-2:] == [Mode.PLAYING, Mode.FROZEN])
    assert time.monotonic() - started >= 5 * 0.01
    assert driver.shown == 5
    assert [item.frame.index for item in driver.items] == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(driver.items[2].mask, np.roll(mask, 2, axis=1))
    assert driver.items[5].mask is None
    assert driver.tracker.calls[-1] == ("step", 3)  # playing computes nothing


def test_pause_ends_playing_at_once(drive):
    driver = drive({"clip.mp4": FakeFile(6, interval_s=1000.0)})
    driver.open("clip.mp4")
    driver.session.play()
    driver.wait_mode(Mode.PLAYING)
    driver.session.pause()
    assert driver.session.mode is Mode.FROZEN
    driver.session.seek(3)
    driver.wait_shown(3)


def test_a_file_that_breaks_in_the_middle_keeps_every_mask(drive):
    driver = drive({"clip.mp4": FakeFile(10, broken_at=6)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.paint()
    driver.session.track()
    driver.wait(lambda: "The file is broken at frame 6." in driver.notices)
    assert driver.session.mode is Mode.FROZEN
    assert driver.shown == 5
    assert sorted(driver.session.mask_kinds()) == [0, 1, 2, 3, 4, 5]
    driver.session.seek(2)
    driver.wait_shown(2)


@pytest.mark.parametrize("error", [DeviceError("The device ran out of memory.", "Work smaller."), MemoryError()])
def test_running_out_of_memory_pauses_and_loses_nothing(clip, error):
    clip.paint()
    clip.tracker.fail_at[4] = error
    clip.session.track()
    clip.wait(lambda: any("memory" in text.lower() for text in clip.notices))
    assert clip.session.mode is Mode.FROZEN
    assert clip.shown == 3
    assert sorted(clip.session.mask_kinds()) == [0, 1, 2, 3]
    clip.session.track()
    clip.wait_event(TrackingFinished)
    assert sorted(clip.session.mask_kinds()) == list(range(10))


def test_a_mask_of_another_size_is_refused_with_a_notice(clip):
    clip.session.set_mask(clip.frame(), np.ones((3, 3), np.uint8), [1])
    clip.wait_event(Notice)
    assert clip.session.mask_kinds() == {}


def test_memory_figures_come_from_the_tracker(clip):
    clip.paint()
    clip.session.track(until=2)
    clip.wait_event(TrackingFinished)
    stats = clip.session.stats()
    assert (stats.bank_bytes, stats.bank_frames, stats.working_size) == (1000, (1, 2), (24, 16))
    assert (stats.device, stats.model) == ("cpu (fake)", "fake")
    assert set(stats.worker_states) == {"capture", "engine", "writer", "project"}
    assert stats.rss_bytes > 10_000_000
    assert stats.age_p50_s >= 0


def test_tracking_on_from_a_frame_tracked_before_keeps_its_mask_and_starts_from_it(clip):
    mask = clip.paint()
    clip.session.track()
    clip.wait_event(TrackingFinished)
    clip.session.seek(4)
    clip.wait_shown(4)
    clip.session.track(until=6)
    clip.wait_event(TrackingFinished, 2)
    assert clip.tracker.calls[-3:] == [("recall", 4), ("step", 5), ("step", 6)]
    for index in range(10):
        assert np.array_equal(clip.session.mask_at(index)[0], np.roll(mask, index, axis=1))


def test_tracking_on_from_a_stale_mask_makes_it_anew(clip):
    clip.paint()
    clip.session.track()
    clip.wait_event(TrackingFinished)
    clip.session.seek(2)
    clip.wait_shown(2)
    clip.paint(square(1, x=9))
    clip.session.seek(4)
    clip.wait_shown(4)
    clip.session.track(until=5)
    clip.wait_event(TrackingFinished, 2)
    assert clip.tracker.calls[-3:] == [("key", 2), ("step", 4), ("step", 5)]


def test_the_user_hears_when_a_keyframe_had_to_make_room(drive):
    driver = drive({"clip": FakeFile(6)})
    driver.wait_ready()
    driver.open("clip")
    driver.wait_mode(Mode.FROZEN)
    driver.tracker.evicted_keyframe = 3
    driver.paint()
    driver.session.step()
    driver.wait(lambda: any("frame 0 took the place of frame 3" in notice for notice in driver.notices))
