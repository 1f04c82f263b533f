"""Rates, ages and exact counters for the status bar, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
import psutil

WINDOW_S = 2.0
AGES = 120
_MAX_MARKS = 4096  # more than 2 s of any source that exists


class Rate:
    """Events per second over the last `WINDOW_S` seconds. Not thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._marks: deque[float] = deque(maxlen=_MAX_MARKS)

    def mark(self) -> None:
        now = self._clock()
        self._marks.append(now)
        self._forget(now)

    def value(self) -> float | None:
        """Events per second; None with fewer than two events in the window."""
        now = self._clock()
        self._forget(now)
        if len(self._marks) < 2:
            return None
        span = self._marks[-1] - self._marks[0]
        # n marks bound n - 1 intervals. When the last mark is older than such an interval, time runs on without events.
        interval = span / (len(self._marks) - 1)
        idle = now - self._marks[-1]
        if idle > interval:
            span += idle
        return (len(self._marks) - 1) / span if span > 0 else None

    def _forget(self, now: float) -> None:
        while self._marks and now - self._marks[0] > WINDOW_S:
            self._marks.popleft()


class SessionStats:
    """Counts what happens since a source was opened. Thread-safe.

    For live sources every captured frame is exactly one of processed, previewed or dropped (or still in flight).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._process = psutil.Process()
        self.reset()

    def reset(self) -> None:
        """A new source: everything back to zero."""
        with self._lock:
            self._source_rate = Rate(self._clock)
            self._result_rate = Rate(self._clock)
            self._ages: deque[float] = deque(maxlen=AGES)
            self._source_dropped = 0
            self._local_dropped = 0
            self._processed = 0
            self._previewed = 0

    def frame_read(self, source_dropped: int = 0) -> None:
        """One frame came out of the source, which by now has dropped `source_dropped` frames itself."""
        with self._lock:
            self._source_rate.mark()
            self._source_dropped = source_dropped

    def frame_dropped(self, count: int = 1) -> None:
        """Frames that were read but neither shown nor tracked."""
        with self._lock:
            self._local_dropped += count

    def frame_previewed(self) -> None:
        with self._lock:
            self._previewed += 1

    def result(self, age_s: float) -> None:
        """One tracked frame is ready, `age_s` seconds after its capture."""
        with self._lock:
            self._result_rate.mark()
            self._ages.append(age_s)
            self._processed += 1

    @property
    def dropped(self) -> int:
        with self._lock:
            return self._source_dropped + self._local_dropped

    @property
    def processed(self) -> int:
        with self._lock:
            return self._processed

    @property
    def previewed(self) -> int:
        with self._lock:
            return self._previewed

    def rates(self) -> tuple[float | None, float | None]:
        """(source, tracked) frames per second."""
        with self._lock:
            return self._source_rate.value(), self._result_rate.value()

    def ages(self) -> tuple[float | None, float | None]:
        """Median and 95th percentile of the age in seconds over the last 120 results."""
        with self._lock:
            ages = list(self._ages)
        if not ages:
            return None, None
        p50, p95 = np.percentile(ages, [50, 95])
        return float(p50), float(p95)

    def rss_bytes(self) -> int:
        """Resident memory of this process."""
        return int(self._process.memory_info().rss)
