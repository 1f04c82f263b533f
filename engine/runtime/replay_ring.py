"""The pictures of the last seconds of a tracked live source, within a fixed number of bytes. The store has the masks.

Small pictures are kept as they are. Where ten seconds of them would not fit they are kept as JPEG of quality 95 without
chroma subsampling, made by a thread of the ring's own, so that the engine never waits for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.project.mask_store import LIVE_LIMIT
from engine.types import Frame

SECONDS = 10.0
BUDGET_BYTES = 256 * 2**20
QUALITY = 95


@dataclass
class _Kept:
    """One picture: raw, or compressed once its turn has come."""

    index: int
    time_s: float
    raw: Frame | None
    jpeg: NDArray[np.uint8] | None = None

    @property
    def nbytes(self) -> int:
        return (self.raw.rgb.nbytes if self.raw is not None else 0) + (self.jpeg.nbytes if self.jpeg is not None else 0)


class ReplayRing:
    """Thread-safe. The oldest pictures go when there are too many, too old or too large ones.

    Args:
        seconds: how far back it reaches.
        budget_bytes: of all pictures together, those not yet compressed included.
        most: pictures, at most; the store keeps no more masks of a live source.
    """

    def __init__(self, seconds: float = SECONDS, budget_bytes: int = BUDGET_BYTES, most: int = LIVE_LIMIT) -> None:
        self._seconds = seconds
        self._budget = budget_bytes
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._bytes = 0
        self._helper: ThreadPoolExecutor | None = None
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Keep a picture that was just tracked. Returns at once."""
        kept = _Kept(frame.index, frame.time_s, Frame(frame.index, frame.time_s, frame.rgb))
        with self._lock:
            if self._closed:
                return
            self._drop(frame.index)
            self._kept[frame.index] = kept
            self._bytes += kept.nbytes
            self._shrink()
            if frame.rgb.nbytes * self._most > self._budget and frame.index in self._kept:
                self._helper = self._helper or ThreadPoolExecutor(1, "livemask-replay")
                self._helper.submit(self._compress, kept)

    def get(self, index: int) -> Frame | None:
        """The picture of a frame, None when it is not kept; decodes one JPEG where they are compressed."""
        with self._lock:
            kept = self._kept.get(index)
            if kept is None:
                return None
            raw, jpeg = kept.raw, kept.jpeg
        if raw is not None:
            return raw
        assert jpeg is not None
        rgb = cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB)
        return None if rgb is None else Frame(index, kept.time_s, np.asarray(rgb, np.uint8))

    @property
    def times(self) -> dict[int, float]:
        """Frame index -> when it was captured, in seconds; ascending."""
        with self._lock:
            return {index: self._kept[index].time_s for index in sorted(self._kept)}

    @property
    def nbytes(self) -> int:
        with self._lock:
            return self._bytes

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def close(self) -> None:
        """Keep nothing any more; the helping thread ends by itself."""
        self.clear()
        with self._lock:
            self._closed = True
            helper, self._helper = self._helper, None
        if helper is not None:
            helper.shutdown(wait=False, cancel_futures=True)

    def settle(self) -> None:
        """Wait until everything that is to be compressed is (for tests)."""
        with self._lock:
            helper = self._helper
        if helper is not None:
            helper.submit(lambda: None).result()

    def _compress(self, kept: _Kept) -> None:
        with self._lock:
            if self._kept.get(kept.index) is not kept or kept.raw is None:
                return
            rgb: NDArray[np.uint8] = kept.raw.rgb
        options = [
            cv2.IMWRITE_JPEG_QUALITY, QUALITY,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ]  # fmt: skip
        done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
        if not done:
            return  # it stays as it is, and counts so
        with self._lock:
            if self._kept.get(kept.index) is kept:
                self._bytes -= kept.nbytes
                kept.raw, kept.jpeg = None, np.asarray(jpeg, np.uint8)
                self._bytes += kept.nbytes

    def _drop(self, index: int) -> None:
        kept = self._kept.pop(index, None)
        if kept is not None:
            self._bytes -= kept.nbytes

    def _shrink(self) -> None:
        newest = max(kept.time_s for kept in self._kept.values())
        while self._kept:
            oldest = min(self._kept)
            late = newest - self._kept[oldest].time_s > self._seconds
            if not (late or len(self._kept) > self._most or self._bytes > self._budget):
                return
            self._drop(oldest)
