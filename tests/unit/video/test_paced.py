"""A file played like a camera."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import SourceError
from engine.video.paced import PacedFileSource
from engine.video.source import SourceKind
from tests.unit.video.fakes import TIMEOUT_S

Clip = Callable[..., Path]


def test_plays_in_real_time_and_ends(clip: Clip) -> None:
    path = clip("short.mp4", "-c:v", "libx264", source="testsrc2=s=64x48:r=25:d=0.6")
    start = time.monotonic()
    with closing(PacedFileSource(path)) as source:
        info = source.info
        assert (info.kind, info.live, info.uri, info.fps) == (SourceKind.STREAM, True, f"live:{path}", 25.0)
        frames = []
        while (frame := source.read()) is not None:
            frames.append(frame)
        assert frames[-1].index == 14
        assert source.captured == 15 == len(frames) + source.dropped
    assert time.monotonic() - start >= 14 / 25  # never faster than its own pace
    assert all(later.time_s > earlier.time_s for earlier, later in itertools.pairwise(frames))


def test_frames_that_nobody_reads_are_dropped_and_counted(clip: Clip) -> None:
    path = clip("b_frames.mp4")
    waits: list[float] = []
    now = 0.0
    gate = threading.Semaphore(0)

    def wait(seconds: float) -> bool:  # time passes frame by frame, when the test says so
        nonlocal now
        gate.acquire(timeout=TIMEOUT_S)
        waits.append(seconds)
        now += seconds
        return source_stop()

    def source_stop() -> bool:
        return stopping

    stopping = False
    source = PacedFileSource(path, clock=lambda: now, wait=wait)
    first = source.read()
    assert first is not None
    assert first.index == 0
    gate.release(74)
    source._thread.join(TIMEOUT_S)
    last = source.read()
    assert last is not None
    assert (last.index, source.dropped, source.captured) == (74, 73, 75)
    assert source.read() is None
    assert waits == pytest.approx([0.04] * 74)
    source.close()


def test_close_interrupts_the_pause_between_frames(clip: Clip) -> None:
    path = clip("slow.mp4", "-c:v", "libx264", "-r", "0.02", source="testsrc2=s=64x48:r=0.02:d=200")
    source = PacedFileSource(path)
    assert source.read() is not None
    reader_done = threading.Event()

    def read() -> None:
        assert source.read() is None
        reader_done.set()

    reader = threading.Thread(target=read)
    reader.start()
    source.close()
    assert reader_done.wait(TIMEOUT_S)
    reader.join()
    source._thread.join(TIMEOUT_S)
    assert not source._thread.is_alive()


def test_a_missing_file_is_the_files_own_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file"):
        PacedFileSource(tmp_path / "none.mp4")
