"""The edited masks of the frames that are not being edited right now, compressed."""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from app.painting.delta import MaskDelta
from engine.types import Frame, Mask

KEPT_FRAMES_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Shelved:
    """One edited frame.

    Attributes:
        packed: the zlib-compressed mask.
        shape: (H, W).
        alive: weak reference to the frame; the frame may still be alive elsewhere.
        kept: the frame itself where it could not be fetched again (live sources).
        unreported: ids whose change the listeners have not heard of yet, because the frame was gone.
    """

    packed: bytes
    shape: tuple[int, int]
    alive: weakref.ref[Frame]
    kept: Frame | None
    unreported: frozenset[int] = frozenset()

    @property
    def frame(self) -> Frame | None:
        return self.kept or self.alive()

    def unpack(self) -> Mask:
        """The mask, H x W uint8, writable and owned by the caller."""
        return np.frombuffer(bytearray(zlib.decompress(self.packed)), dtype=np.uint8).reshape(self.shape)


class Shelf:
    """Frame index -> `Shelved`. Keeps frames themselves only when told to, and then only a bounded number of bytes."""

    def __init__(self, kept_bytes: int = KEPT_FRAMES_BYTES) -> None:
        self.keep_frames = False
        self._kept_bytes = kept_bytes
        self._shelved: dict[int, Shelved] = {}

    def put(self, frame: Frame, mask: Mask) -> list[int]:
        """Shelve a frame; returns the indices that had to go because the kept frames exceed their bytes."""
        self._shelved.pop(frame.index, None)
        self._shelved[frame.index] = Shelved(
            zlib.compress(mask.tobytes(), 1),
            (frame.height, frame.width),
            weakref.ref(frame),
            frame if self.keep_frames else None,
        )
        return self._evict() if self.keep_frames else []

    def take(self, index: int) -> Shelved | None:
        return self._shelved.pop(index, None)

    def peek(self, index: int) -> Shelved | None:
        return self._shelved.get(index)

    def swap(self, index: int, delta: MaskDelta) -> tuple[MaskDelta, frozenset[int]]:
        """Apply a delta to a shelved mask. KeyError when the frame is not here."""
        shelved = self._shelved[index]
        mask = shelved.unpack()
        back, ids = delta.swap(mask)
        self._shelved[index] = replace(shelved, packed=zlib.compress(mask.tobytes(), 1))
        return back, ids

    def mark(self, index: int, unreported: frozenset[int]) -> None:
        self._shelved[index] = replace(self._shelved[index], unreported=unreported)

    def __contains__(self, index: object) -> bool:
        return index in self._shelved

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._shelved))

    def clear(self) -> None:
        self._shelved.clear()

    def _evict(self) -> list[int]:
        gone = []
        total = sum(s.kept.rgb.nbytes for s in self._shelved.values() if s.kept is not None)
        for index in tuple(self._shelved)[:-1]:  # the newest stays however large it is
            if total <= self._kept_bytes:
                break
            kept = self._shelved.pop(index).kept
            total -= kept.rgb.nbytes if kept is not None else 0
            gone.append(index)
        return gone
