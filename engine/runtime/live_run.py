"""A measured live run without a window: a file plays as a camera through the very session the window uses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from engine.errors import SourceError, UserError
from engine.runtime.config import EngineConfig
from engine.runtime.engine_worker import TrackerFactory
from engine.runtime.live_report import LiveReport, trend_per_minute
from engine.runtime.messages import DisplayItem, Mode, Notice, Severity
from engine.runtime.session import Session
from engine.types import Mask, Rgb
from engine.video.live import EndOfStreamError, LiveSource, Picture, RetryPolicy, Wait
from engine.video.masks import read_mask
from engine.video.open import open_source
from engine.video.source import FrameSource, SourceKind

WARM_UP_S = 3.0  # the most that is left out of the figures at the start: memory is allocated, quality settles
WARM_UP_SHARE = 0.25  # ... of a short run
PULL_S = 1 / 60  # as often as the window takes what is to be shown
STATS_S = 0.25
READY_S = 600.0  # a model may have to be downloaded
END_S = 10.0


class _Film:
    """Gives the frames of a file at a rate, `count` of them after the first; see `engine.video.live.Grabber`.

    The first picture comes at once, for painting; the others once `go` is set. At its end the file starts again.
    """

    def __init__(self, file: FrameSource, fps: float, count: int, clock: Callable[[], float]) -> None:
        self._file = file
        self._count = count
        self._clock = clock
        self._sent = 0
        self._started = 0.0
        self.go = threading.Event()
        self.name = f"{file.info.name} (camera)"
        self.fps: float | None = fps

    def open(self) -> None:
        """Nothing to do: the file is open."""

    def grab(self, wait: Wait) -> Picture:
        rgb = self._next()
        if self._sent:
            while not self.go.is_set():
                if wait(0.01):
                    raise EndOfStreamError
            if self._sent == 1:
                self._started = self._clock()
            if self._sent > self._count:
                raise EndOfStreamError
            assert self.fps is not None
            wait(max(0.0, self._started + self._sent / self.fps - self._clock()))
        self._sent += 1
        return lambda: rgb

    def _next(self) -> Rgb:
        frame = self._file.read()
        if frame is None:
            self._file.seek(0)
            frame = self._file.read()
        if frame is None:
            raise SourceError(f"{self._file.info.name} holds no frames.", "Choose another file.")
        return frame.rgb

    def close(self) -> None:
        self._file.close()


def run_live(
    source: str | Path,
    *,
    fps: float = 30.0,
    seconds: float = 60.0,
    config: EngineConfig | None = None,
    mask: Mask | Path | None = None,
    opener: Callable[[str | Path], FrameSource] = open_source,
    create_tracker: TrackerFactory | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> LiveReport:
    """Play a file as a camera and track it as the window does: capture, mailbox and engine on their own threads.

    Takes `seconds` of real time, and as long as the engine takes to start.

    Args:
        source: a video file or a folder of images.
        fps: pictures per second the camera makes.
        config: as the window is started with; `working_size` None lets the engine choose the quality that holds
            `live_rate`.
        mask: of the first frame, as ids or a file; None takes an ellipse in its middle.
        opener, create_tracker: replaced by tests.
        on_progress: called now and then with the seconds done.

    Raises:
        ValueError: `fps` or `seconds` is not positive.
        UserError: bad source, mask, model or device, or the engine failed on the way.
    """
    if fps <= 0 or seconds <= 0:
        raise ValueError("a live run needs a positive rate and duration")
    file = opener(source)
    if file.info.live:
        file.close()
        raise SourceError(f"{file.info.name} is live already.", "Name a video file or a folder of images.")
    film = _Film(file, fps, max(1, round(fps * seconds)), time.monotonic)
    camera = LiveSource(film, SourceKind.CAMERA, str(source), policy=RetryPolicy(give_up_s=0.0))
    config = config or EngineConfig()
    if create_tracker is None:
        session = Session(config, opener=lambda uri: camera)
    else:
        session = Session(config, opener=lambda uri: camera, create_tracker=create_tracker)
    try:
        session.start()
        return _Run(session, camera, film, fps, seconds, on_progress).measure(mask)
    finally:
        session.shutdown()
        camera.close()


class _Run:
    """One run from the first picture to the report. Everything here is on the caller's thread but `_result`."""

    def __init__(
        self,
        session: Session,
        camera: LiveSource,
        film: _Film,
        fps: float,
        seconds: float,
        on_progress: Callable[[float], None] | None,
    ) -> None:
        self._session = session
        self._camera = camera
        self._film = film
        self._fps = fps
        self._seconds = seconds
        self._on_progress = on_progress or (lambda done: None)
        self._results: list[tuple[float, float]] = []  # (when, mask age)
        self._sizes: list[tuple[float, tuple[int, int]]] = []
        self._notes: list[str] = []
        self._shown: DisplayItem | None = None
        self._rss: list[tuple[float, int]] = []
        self._next_stats = 0.0

    def measure(self, mask: Mask | Path | None) -> LiveReport:
        session = self._session
        session.open("camera")
        self._wait(lambda: self._shown is not None and session.ready, READY_S, "The engine was not ready in time.")
        item = self._shown
        assert item is not None
        session.freeze()
        first = first_mask(mask, item.frame.width, item.frame.height)
        session.set_mask(item.frame, first, [int(i) for i in np.unique(first) if i])
        session.watch_results(self._result)
        session.track()
        self._begun = time.monotonic()
        self._film.go.set()
        self._wait(
            lambda: session.mode is not Mode.TRACKING, self._seconds + END_S, "The live run did not end in time."
        )
        self._wait(lambda: self._counted == self._camera.captured, END_S, "Pictures were lost count of.")
        session.watch_results(None)
        return self._report()

    @property
    def _counted(self) -> int:
        """Pictures that are accounted for; the first one was only shown."""
        stats = self._session.stats()
        return 1 + stats.processed + stats.dropped

    def _result(self, item: DisplayItem) -> None:
        self._results.append((time.monotonic(), item.age_s))

    def _wait(self, done: Callable[[], bool], timeout_s: float, complaint: str) -> None:
        """Pull what the window would pull, at its pace, until something holds."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._shown = self._session.take_display() or self._shown
            for event in self._session.events():
                if isinstance(event, Notice) and event.severity is Severity.ERROR:
                    raise UserError(event.message, event.way_out)
                if isinstance(event, Notice) and event.severity is Severity.WARNING:
                    self._notes.append(f"{event.message} {event.way_out}".strip())
            if done():
                return
            if time.monotonic() > deadline:
                raise UserError(complaint, "Run it again while the computer has less to do.")
            self._look()
            time.sleep(PULL_S)

    def _look(self) -> None:
        now = time.monotonic()
        if not self._film.go.is_set() or now < self._next_stats:
            return
        self._next_stats = now + STATS_S
        stats = self._session.stats()
        self._rss.append((now - self._begun, stats.rss_bytes))
        self._note_size(stats.working_size)
        self._on_progress(now - self._begun)

    def _note_size(self, size: tuple[int, int] | None) -> None:
        if size is not None and (not self._sizes or self._sizes[-1][1] != size):
            self._sizes.append((time.monotonic() - self._begun, size))

    def _report(self) -> LiveReport:
        stats = self._session.stats()
        self._note_size(stats.working_size)
        warm_up = min(WARM_UP_S, self._seconds * WARM_UP_SHARE)
        results = [(when - self._begun, age) for when, age in self._results if when - self._begun >= warm_up]
        ages = np.array([age for _, age in results])
        rss = [size for when, size in self._rss if when >= warm_up]
        p50, p95, most = (None,) * 3 if not len(ages) else np.percentile(ages, [50, 95, 100]).tolist()
        last = f"{self._film.name} ended."  # that is how it should be
        return LiveReport(
            fps=self._fps,
            produced=self._camera.captured - 1,
            tracked=stats.processed,
            dropped=stats.dropped,
            warm_up_s=warm_up,
            seconds=self._seconds - warm_up,
            tracked_fps=len(results) / (self._seconds - warm_up),
            age_p50_s=p50,
            age_p95_s=p95,
            age_max_s=most,
            age_trend_s_per_min=trend_per_minute(results),
            sizes=tuple(self._sizes),
            quality=stats.live_quality,
            rss_growth_bytes=rss[-1] - rss[0] if rss else 0,
            model=stats.model,
            recipe=self._session.recipe,
            device=stats.device,
            notes=tuple(note for note in self._notes if not note.startswith(last)),
        )


def first_mask(mask: Mask | Path | None, width: int, height: int) -> Mask:
    if isinstance(mask, Path):
        return read_mask(mask, (width, height), resize=True)
    if mask is not None:
        return mask
    made = np.zeros((height, width), np.uint8)
    axes = (max(1, width // 6), max(1, height // 5))
    cv2.ellipse(made, (width // 2, height // 2), axes, 0, 0, 360, 1, -1)
    return made
