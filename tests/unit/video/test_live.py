"""The newest-frame-wins reader, with a grabber and a clock that the test controls."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from engine.errors import SourceError
from engine.types import Frame
from engine.video.live import EndOfStreamError, GrabError, LiveSource, RetryPolicy
from engine.video.source import SourceKind
from tests.unit.video.fakes import TIMEOUT_S, FakeClock, FakeGrabber, grey


@pytest.fixture
def grabber() -> FakeGrabber:
    return FakeGrabber()


@pytest.fixture
def source(grabber: FakeGrabber) -> Iterator[LiveSource]:
    grabber.feed(grey(0))
    with closing(LiveSource(grabber, SourceKind.CAMERA, "camera:0")) as opened:
        yield opened


def take(source: LiveSource) -> Frame:
    frame = source.read()
    assert frame is not None
    return frame


def test_newest_wins_and_drops_are_exact(grabber: FakeGrabber, source: LiveSource) -> None:
    assert take(source).index == 0
    grabber.feed_and_settle(*(grey(v) for v in range(1, 6)))
    newest = take(source)
    assert newest.index == 5
    assert (newest.rgb == 5).all()
    assert source.dropped == 4
    grabber.feed_and_settle(grey(6))
    assert take(source).index == 6
    assert source.dropped == 4
    assert source.captured == 7


def test_index_gaps_add_up_to_the_drops(grabber: FakeGrabber, source: LiveSource) -> None:
    rng = np.random.default_rng(0)
    indices = [take(source).index]
    for _ in range(30):
        grabber.feed_and_settle(*(grey(0) for _ in range(rng.integers(1, 5))))
        indices.append(take(source).index)
    gaps = sum(b - a - 1 for a, b in itertools.pairwise(indices))
    assert gaps == source.dropped > 0
    assert source.captured == len(indices) + source.dropped


def test_only_frames_that_are_read_are_converted(grabber: FakeGrabber, source: LiveSource) -> None:
    take(source)
    before = grabber.converted
    grabber.feed_and_settle(*(grey(v) for v in range(20)))
    take(source)
    assert grabber.converted == before + 1


def test_read_blocks_until_a_newer_frame_comes(grabber: FakeGrabber, source: LiveSource) -> None:
    take(source)
    results: list[Frame | None] = []
    reader = threading.Thread(target=lambda: results.append(source.read()))
    reader.start()
    assert not results
    grabber.feed(grey(9))
    reader.join(TIMEOUT_S)
    assert results[0] is not None
    assert results[0].index == 1


def test_close_wakes_a_blocked_read_and_releases_the_device(grabber: FakeGrabber, source: LiveSource) -> None:
    take(source)
    results: list[Frame | None] = []
    reader = threading.Thread(target=lambda: results.append(source.read()))
    reader.start()
    source.close()
    reader.join(TIMEOUT_S)
    assert results == [None]
    assert grabber.closed >= 1
    assert source.read() is None
    source.close()


def test_close_wakes_a_read_even_while_the_device_hangs() -> None:
    let_go = threading.Event()

    class Hanging(FakeGrabber):
        def grab(self, wait):  # type: ignore[no-untyped-def]
            if self.converted:  # after the first picture
                let_go.wait(TIMEOUT_S)
            return super().grab(wait)

    grabber = Hanging()
    grabber.feed(grey(0))
    source = LiveSource(grabber, SourceKind.CAMERA, "camera:0")
    take(source)
    results: list[Frame | None] = []
    reader = threading.Thread(target=lambda: results.append(source.read()))
    reader.start()
    closer = threading.Thread(target=source.close)
    closer.start()
    reader.join(TIMEOUT_S)
    assert results == [None]
    let_go.set()
    closer.join(TIMEOUT_S)


def test_info_and_seek(source: LiveSource) -> None:
    info = source.info
    assert (info.kind, info.uri, info.width, info.height) == (SourceKind.CAMERA, "camera:0", 8, 6)
    assert (info.frame_count, info.duration_s) == (None, None)
    assert info.live
    with pytest.raises(SourceError, match="live"):
        source.seek(0)


def test_the_end_of_a_finite_stream_comes_after_its_last_frame(grabber: FakeGrabber, source: LiveSource) -> None:
    take(source)
    grabber.feed(grey(1), EndOfStreamError())
    assert take(source).index == 1
    assert source.read() is None


def test_frames_of_another_size_are_scaled_to_the_first(grabber: FakeGrabber, source: LiveSource) -> None:
    take(source)
    grabber.feed(grey(50, width=16, height=12))
    frame = take(source)
    assert frame.rgb.shape == (6, 8, 3)
    assert (frame.rgb == 50).all()


# -- failing and coming back -----------------------------------------------------------------------------------
def open_with(grabber: FakeGrabber, clock: FakeClock, policy: RetryPolicy) -> LiveSource:
    source = LiveSource(grabber, SourceKind.STREAM, "x", policy=policy, clock=clock, wait=clock.wait)
    clock.stopped = source._stop.is_set
    return source


def test_short_failures_are_tolerated_without_reconnecting(grabber: FakeGrabber) -> None:
    clock = FakeClock()
    grabber.feed(grey(0))
    with closing(open_with(grabber, clock, RetryPolicy(tolerate_s=0.8, give_up_s=0))) as source:
        take(source)
        grabber.feed(*(GrabError("hiccup") for _ in range(5)), grey(1))
        assert take(source).index == 1
        assert grabber.opened == 1


def test_lasting_failure_ends_with_an_error_within_the_tolerated_time(grabber: FakeGrabber) -> None:
    clock = FakeClock()
    grabber.feed(grey(0))
    with closing(open_with(grabber, clock, RetryPolicy(tolerate_s=0.8, give_up_s=0))) as source:
        take(source)
        start = clock.now
        grabber.feed(*(GrabError("it was unplugged") for _ in range(200)))
        with pytest.raises(SourceError, match="Fake was lost: it was unplugged"):
            source.read()
        assert 0.8 <= clock.now - start < 1.0
        with pytest.raises(SourceError):  # it stays so
            source.read()
        assert grabber.opened == 1


def test_reconnects_with_growing_pauses(grabber: FakeGrabber) -> None:
    clock = FakeClock()
    statuses: list[str] = []
    grabber.feed(grey(0))
    with closing(open_with(grabber, clock, RetryPolicy(first_delay_s=0.25, max_delay_s=2, give_up_s=60))) as source:
        take(source)
        wait = clock.wait

        def watching(seconds: float) -> bool:
            if seconds > 0:
                statuses.append(source.status)
            return wait(seconds)

        source._wait = watching
        grabber.open_errors = [
            SourceError("No route."),
            GrabError("busy"),
            SourceError("No route."),
            SourceError("No."),
        ]
        grabber.feed(GrabError("stalled"), grey(1), grey(2))
        while take(source).index < 2:
            pass
    assert clock.waits == [0.25, 0.5, 1.0, 2.0, 2.0]
    assert set(statuses) == {"Reconnecting to Fake"}
    assert source.status == ""
    assert grabber.opened == 6


def test_gives_up_after_a_bounded_time(grabber: FakeGrabber) -> None:
    clock = FakeClock()
    grabber.feed(grey(0))
    with closing(open_with(grabber, clock, RetryPolicy(give_up_s=30))) as source:
        take(source)
        start = clock.now
        grabber.open_errors = [SourceError("Nothing listens there.") for _ in range(100)]
        grabber.feed(GrabError("stalled"))
        with pytest.raises(SourceError, match="was lost: Nothing listens there"):
            source.read()
        assert 30 <= clock.now - start < 35


def test_a_last_frame_is_delivered_before_the_error(grabber: FakeGrabber) -> None:
    clock = FakeClock()
    grabber.feed(grey(0), GrabError("gone"))
    with closing(open_with(grabber, clock, RetryPolicy(give_up_s=0))) as source:
        source._thread.join(TIMEOUT_S)
        assert take(source).index == 0
        with pytest.raises(SourceError, match="gone"):
            source.read()


@pytest.mark.parametrize("error", [SourceError("There is no camera 7."), GrabError("it is busy"), RuntimeError("odd")])
def test_failure_to_open_is_a_source_error(grabber: FakeGrabber, error: Exception) -> None:
    grabber.open_errors = [error]
    with pytest.raises(SourceError):
        LiveSource(grabber, SourceKind.CAMERA, "camera:7", policy=RetryPolicy(give_up_s=0))
    assert grabber.closed >= 1


def test_no_first_picture_within_the_time_out(grabber: FakeGrabber) -> None:
    with pytest.raises(SourceError, match="sent no picture"):
        LiveSource(grabber, SourceKind.CAMERA, "camera:0", open_timeout_s=0.05)


def test_a_stall_is_reported_whatever_the_reader_is_blocked_in(grabber: FakeGrabber) -> None:
    grabber.feed(grey(0))
    with closing(LiveSource(grabber, SourceKind.CAMERA, "camera:0", stall_timeout_s=0.05)) as source:
        take(source)
        with pytest.raises(SourceError, match="stopped delivering"):
            source.read()


def test_a_picture_that_cannot_be_converted_is_a_source_error(grabber: FakeGrabber, source: LiveSource) -> None:
    take(source)
    grabber.feed(np.zeros((6, 8, 3), np.uint8))
    source._pixels(lambda: grey(1))  # the ordinary way works
    with pytest.raises(SourceError, match="unusable"):
        source._pixels(lambda: 1 / 0)  # type: ignore[arg-type, return-value]


# -- how soon ------------------------------------------------------------------------------------------------------
def test_silence_is_told_within_a_second_and_only_while_it_lasts(grabber: FakeGrabber) -> None:
    clock = FakeClock()
    grabber.feed(grey(0))
    with closing(open_with(grabber, clock, RetryPolicy(give_up_s=60))) as source:
        take(source)
        for number in range(1, 4):  # 25 per second
            clock.now += 0.04
            grabber.feed_and_settle(grey(number))
            take(source)
        clock.now += 0.8
        assert source.status == ""
        clock.now += 0.15
        assert source.status == "No picture from Fake"
        clock.now += 10  # the network stalls for ten seconds, and the very connection goes on
        grabber.feed_and_settle(grey(4))
        assert source.status == ""
        assert take(source).index == 4
        assert grabber.opened == 1


def test_a_camera_that_sends_a_picture_a_minute_is_not_called_silent(grabber: FakeGrabber) -> None:
    clock = FakeClock()
    grabber.feed(grey(0))
    with closing(open_with(grabber, clock, RetryPolicy())) as source:
        take(source)
        clock.now += 60
        grabber.feed_and_settle(grey(1))
        clock.now += 60
        assert source.status == ""


def test_what_is_back_is_there_within_three_seconds(grabber: FakeGrabber) -> None:
    """After an absence of any length the next attempt is never far."""
    clock = FakeClock()
    grabber.feed(grey(0))
    with closing(open_with(grabber, clock, RetryPolicy(give_up_s=600))) as source:
        take(source)
        grabber.open_errors = [SourceError("No route.") for _ in range(100)]
        grabber.feed(GrabError("unplugged"), grey(1))
        assert take(source).index == 1
    assert len(clock.waits) == 101
    assert max(clock.waits) <= 1.0


def test_frozen_and_repeated_pictures_are_pictures(grabber: FakeGrabber) -> None:
    """A source whose time stands still or that repeats itself keeps its numbers and its times in order."""
    clock = FakeClock()
    grabber.feed(grey(0))
    with closing(open_with(grabber, clock, RetryPolicy())) as source:
        frames = [take(source)]
        for _ in range(5):
            grabber.feed_and_settle(grey(0))
            frames.append(take(source))
        assert [frame.index for frame in frames] == list(range(6))
        assert all(b.time_s >= a.time_s for a, b in itertools.pairwise(frames))
        assert source.dropped == 0
