"""The pictures of keyframes the engine has still to see, or may have to see again, within a budget of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from engine.types import Frame

BUDGET_BYTES = 256 * 2**20
ALWAYS_KEPT = 4


class FrameCache:
    """Thread-safe. Beyond the budget the pictures stored longest ago go (files can be read again; live ones cannot)."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self._budget = budget_bytes
        self._lock = threading.Lock()
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._bytes = 0

    def put(self, frame: Frame) -> None:
        with self._lock:
            self._pop(frame.index)
            self._frames[frame.index] = frame
            self._bytes += frame.nbytes
            while self._bytes > self._budget and len(self._frames) > ALWAYS_KEPT:
                self._pop(next(iter(self._frames)))

    def get(self, index: int) -> Frame | None:
        with self._lock:
            return self._frames.get(index)

    def discard(self, index: int) -> None:
        with self._lock:
            self._pop(index)

    def clear(self) -> None:
        with self._lock:
            self._frames.clear()
            self._bytes = 0

    @property
    def nbytes(self) -> int:
        with self._lock:
            return self._bytes

    def _pop(self, index: int) -> None:
        frame = self._frames.pop(index, None)
        if frame is not None:
            self._bytes -= frame.nbytes
