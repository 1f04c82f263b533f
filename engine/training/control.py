"""Pace of a run, and its orderly end on request."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any


class Clock:
    """Pace and time left; validation does not count as pace."""

    def __init__(self, first: int, total: int) -> None:
        self._first, self._total, self._started = first, total, time.monotonic()

    def pause(self, step: int) -> None:
        """Start measuring anew after a pause."""
        self._first, self._started = step, time.monotonic()

    def text(self, step: int) -> str:
        elapsed = time.monotonic() - self._started
        done = step - self._first
        if not done or elapsed <= 0:
            return ""
        pace = done / elapsed
        minutes, seconds = divmod(round((self._total - step) / pace), 60)
        return f"{pace:.2f} steps/s  {minutes // 60}:{minutes % 60:02}:{seconds:02} left"


@contextlib.contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """An event that Ctrl+C and SIGTERM set, so that a step is finished and saved; the second one interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    former = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
