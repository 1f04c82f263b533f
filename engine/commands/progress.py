"""A progress bar for the terminal that stays out of the way of logs and pipes."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

_REDRAW_S = 0.1
_LINE_EVERY_PERCENT = 10
_LINE_EVERY_FRAMES = 100  # when the total is unknown


class ProgressBar:
    """Shows "done / total", rate and time left on `stream` (default: the present stderr).

    On a terminal one line is redrawn; elsewhere a plain line appears every 10 % (every 100 frames when the total is
    unknown), so a log file stays readable. Use as a context manager: leaving it ends the line.
    """

    def __init__(
        self,
        label: str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        unit: str = "frames",
    ) -> None:
        self._label = label
        self._unit = unit
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._clock = clock
        self._start: float | None = None
        self._drawn_at = float("-inf")
        self._last_step = 0
        self._open_line = False

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal and self._open_line:
            self._stream.write("\n")
            self._stream.flush()

    def announce(self, text: str, fraction: float | None) -> None:
        """Show what happens before the first frame (a download, say); on a terminal only."""
        if self._terminal:
            share = "" if fraction is None else f" {fraction:.0%}"
            self._redraw(f"{text}{share}")

    def update(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` (None: unknown) frames are finished. Cheap to call for every frame."""
        now = self._clock()
        if self._start is None:
            self._start = now  # the first result: model loading before it does not spoil the rate
        if self._terminal:
            if now - self._drawn_at >= _REDRAW_S or done == total:
                self._drawn_at = now
                self._draw(done, total, now)
        elif self._step(done, total) > self._last_step:
            self._last_step = self._step(done, total)
            self._stream.write(self._text(done, total, now) + "\n")
            self._stream.flush()

    @staticmethod
    def _step(done: int, total: int | None) -> int:
        return done * 100 // total // _LINE_EVERY_PERCENT if total else done // _LINE_EVERY_FRAMES

    def _text(self, done: int, total: int | None, now: float) -> str:
        elapsed = now - (self._start if self._start is not None else now)
        rate = (done - 1) / elapsed if elapsed > 0 and done > 1 else None
        parts = [f"{self._label} {done}{f'/{total}' if total else ''} {self._unit}"]
        if rate is not None:
            parts.append(f"{rate:.1f} per second")
            if total and done < total:
                parts.append(f"{_clock_text((total - done) / rate)} left")
        return ", ".join(parts)

    def _draw(self, done: int, total: int | None, now: float) -> None:
        text = self._text(done, total, now)
        columns = shutil.get_terminal_size().columns
        room = min(30, columns - len(text) - 8)
        if total and room >= 5:
            filled = room * min(done, total) // total
            text = f"[{'#' * filled}{'.' * (room - filled)}] {text}"
        self._redraw(text)

    def _redraw(self, text: str) -> None:
        columns = shutil.get_terminal_size().columns
        self._stream.write("\r" + text[: columns - 1].ljust(columns - 1))
        self._stream.flush()
        self._open_line = True


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
