"""What one edit changed in one mask, compressed, so that undo can go back without limit."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from app.painting.raster import Rect
from engine.types import Mask


@dataclass(frozen=True)
class MaskDelta:
    """The changed pixels of a mask and the ids they do not have at present.

    One delta serves both ways: `swap` exchanges the stored ids with those in the mask and returns the delta that
    exchanges them back. Only changed pixels are touched, so a delta stays exact even when other pixels of the mask
    were changed from outside in between.

    Attributes:
        rect: the tight bounding box of the changed pixels.
        pixels: zlib of the packed bits of `rect`, 1 where a pixel changed.
        values: zlib of the ids (uint8, row by row) of those pixels on the other side.
    """

    rect: Rect
    pixels: bytes
    values: bytes

    @classmethod
    def between(cls, before: Mask, after: Mask, within: Rect) -> tuple[MaskDelta, frozenset[int]] | None:
        """The delta that turns `after` back into `before`, and the ids that lost or gained pixels.

        Looks for differences in `within`; None when there is none.
        """
        changed = before[within.slices] != after[within.slices]
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if rows.size == 0:
            return None
        top, left = int(rows[0]), int(columns[0])
        height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
        rect = Rect(within.x + left, within.y + top, width, height)
        changed = changed[top : top + height, left : left + width]
        old, new = before[rect.slices][changed], after[rect.slices][changed]
        return cls(rect, zlib.compress(np.packbits(changed).tobytes(), 3), _pack(old)), _ids(old, new)

    def swap(self, mask: Mask) -> tuple[MaskDelta, frozenset[int]]:
        """Exchange in place; returns the delta back and the ids (0 excepted) that lost or gained pixels."""
        count = self.rect.width * self.rect.height
        packed = np.frombuffer(zlib.decompress(self.pixels), dtype=np.uint8)
        changed = np.unpackbits(packed, count=count).reshape(self.rect.height, self.rect.width).astype(bool)
        block = mask[self.rect.slices]
        present, other = block[changed], np.frombuffer(zlib.decompress(self.values), dtype=np.uint8)
        block[changed] = other
        different = present != other
        return MaskDelta(self.rect, self.pixels, _pack(present)), _ids(present[different], other[different])

    @property
    def nbytes(self) -> int:
        return len(self.pixels) + len(self.values)


def _pack(ids: Mask) -> bytes:
    return zlib.compress(ids.tobytes(), 3)


def _ids(old: Mask, new: Mask) -> frozenset[int]:
    present = np.bincount(old, minlength=256) + np.bincount(new, minlength=256)
    return frozenset(np.flatnonzero(present).tolist()) - {0}
