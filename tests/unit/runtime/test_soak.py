"""An hour of live tracking: memory flat, no thread or file left over, every frame accounted for.

The default run feeds the hour's 108,000 frames as fast as they are taken. `pytest -m soak` runs in real time with the
bundled network, ten minutes or LIVEMASK_SOAK_S seconds, and prints what it measured.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.runtime.config import EngineConfig
from engine.runtime.messages import Mode, StatsSnapshot
from engine.runtime.session import Session
from engine.types import Frame, Mask, SegmentationResult
from engine.video.live import LiveSource, Picture, Wait
from engine.video.source import FrameSource, SourceInfo, SourceKind
from tests.unit.runtime.fakes import FakeTracker

HOUR = 108_000  # frames at 30 per second
WIDTH, HEIGHT = 24, 16
GROWTH = 50 * 2**20
TIMEOUT_S = 100.0


class HourOfFrames:
    """A camera that has its next frame ready at once; its driver drops every seventh. Its clock is the frame number."""

    def __init__(self, count: int) -> None:
        self.info = SourceInfo(SourceKind.CAMERA, "camera:0", "An hour", WIDTH, HEIGHT, 30.0)
        self.status = ""
        self.warning = None
        self.dropped = 0
        self.delivered = 0
        self.done = threading.Event()
        self._count = count
        self._next = 0
        self._closed = threading.Event()
        self._rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    def clock(self) -> float:
        return self._next / 30.0

    def read(self) -> Frame | None:
        if self._next % 7 == 6:
            self._next += 1
            self.dropped += 1
        if self._next >= self._count:
            self.done.set()
            self._closed.wait()
            return None
        if self._next % 10 == 0:
            time.sleep(0)  # a camera leaves the others their turn
        frame = Frame(self._next, self.clock(), self._rgb)
        self._next += 1
        self.delivered += 1
        return frame

    def seek(self, index: int) -> None:
        raise AssertionError

    def close(self) -> None:
        self._closed.set()


class QuickTracker(FakeTracker):
    """One mask for all; keeps no diary, which would grow."""

    def step(self, frame: Frame, mask: Mask | None = None, **_: object) -> SegmentationResult:  # type: ignore[override]
        if mask is not None:
            self._state = mask.copy()
        assert self._state is not None
        return SegmentationResult(frame, self._state.copy(), {1: 0.5})


@dataclass(frozen=True)
class Footprint:
    rss: int
    threads: int
    handles: int

    @staticmethod
    def now() -> Footprint:
        process = psutil.Process()
        handles = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
        return Footprint(process.memory_info().rss, threading.active_count(), handles)


def run(
    opener: Callable[[str], FrameSource],
    create: Callable[..., object],
    mask: Mask,
    over: Callable[[StatsSnapshot], bool],
    settled: Callable[[StatsSnapshot], bool],
    autosaves: Path,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Footprint, Footprint, StatsSnapshot, Session]:
    """Track with corrections now and then, as a window would show it; footprints when `settled` and when `over`."""
    session = Session(
        EngineConfig(device="cpu", working_size=112),
        opener=opener,
        create_tracker=create,  # type: ignore[arg-type]
        clock=clock,
        autosave_dir=autosaves,
    )
    session.start()
    session.open("camera:0")
    deadline = time.monotonic() + TIMEOUT_S + float(os.environ.get("LIVEMASK_SOAK_S", 600))
    first: Footprint | None = None
    corrections = 0
    while True:
        session.events()
        item = session.take_display()
        stats = session.stats()
        if item is not None and corrections <= stats.processed // 500:
            corrections += 1
            session.set_mask(item.frame, mask, [1])
            if session.mode is not Mode.TRACKING:
                session.track()
        if first is None and settled(stats):
            first = Footprint.now()
        if over(stats):
            break
        assert time.monotonic() < deadline, stats
        time.sleep(0.005)
    assert first is not None
    return first, Footprint.now(), stats, session


def object_mask(width: int, height: int) -> Mask:
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2, width // 3 : width // 2] = 1
    return mask


def test_an_hour_of_frames(tmp_path: Path) -> None:
    source = HourOfFrames(HOUR)
    first, last, _, session = run(
        lambda _uri: source,
        lambda _config, _progress: QuickTracker(),
        object_mask(WIDTH, HEIGHT),
        over=lambda _stats: source.done.is_set(),
        settled=lambda stats: stats.processed > 1000,
        autosaves=tmp_path,
        clock=source.clock,
    )
    try:
        session.pause()
        core = session._core
        deadline = time.monotonic() + TIMEOUT_S
        counted = -1
        while counted != source.delivered + source.dropped:  # the engine may be at the last frame
            stats = session.stats()
            counted = stats.processed + core.stats.previewed + stats.dropped
            assert time.monotonic() < deadline, (counted, source.delivered, source.dropped)
            time.sleep(0.005)
        assert source.delivered + source.dropped == HOUR
        assert stats.processed > 1000
        assert last.rss - first.rss < GROWTH
        assert last.threads == first.threads
        assert last.handles <= first.handles
        assert len(session.mask_kinds()) <= 300 + stats.processed // 500 + 2
    finally:
        assert session.shutdown(TIMEOUT_S)


class _RealTime:
    """30 pictures per second of a square that goes round."""

    name, fps = "Square", 30.0

    def __init__(self) -> None:
        self._due = 0.0
        self._number = 0
        self._ground = np.random.default_rng(0).integers(60, 120, (120, 160, 3), dtype=np.uint8)

    def open(self) -> None:
        self._due = time.monotonic()

    def grab(self, wait: Wait) -> Picture:
        self._due += 1 / 30
        wait(max(0.0, self._due - time.monotonic()))
        self._number += 1
        x, y = round(60 + 30 * np.cos(self._number / 40)), round(45 + 25 * np.sin(self._number / 40))

        def picture() -> np.ndarray:
            rgb = self._ground.copy()
            rgb[y : y + 24, x : x + 24] = (220, 60, 40)
            return rgb

        return picture

    def close(self) -> None: ...


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_ten_minutes_in_real_time(tmp_path: Path) -> None:
    from engine.runtime.session import _create_tracker

    seconds = float(os.environ.get("LIVEMASK_SOAK_S", 600))
    began = time.monotonic()
    sources: list[LiveSource] = []

    def opener(_uri: str) -> FrameSource:
        sources.append(LiveSource(_RealTime(), SourceKind.CAMERA, "camera:0"))
        return sources[-1]

    mask = np.zeros((120, 160), np.uint8)
    mask[45:69, 90:114] = 1
    first, last, stats, session = run(
        opener,
        _create_tracker,
        mask,
        over=lambda _stats: time.monotonic() - began > seconds,
        settled=lambda stats: stats.processed > 100,
        autosaves=tmp_path,
    )
    try:
        print(
            f"\n{seconds:.0f} s: {sources[0].captured} frames captured, {stats.processed} tracked, {stats.dropped} "
            f"dropped; memory {first.rss >> 20} -> {last.rss >> 20} MiB, threads {first.threads} -> {last.threads}, "
            f"handles {first.handles} -> {last.handles}"
        )
        assert last.rss - first.rss < GROWTH
        assert last.threads == first.threads
        assert last.handles <= first.handles
        counted = stats.processed + session._core.stats.previewed + stats.dropped
        assert abs(sources[0].captured - counted) < 30  # a second's frames came between the figures at most
    finally:
        assert session.shutdown(TIMEOUT_S)
