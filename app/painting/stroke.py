"""A brush stroke while it is being drawn."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.painting.raster import Rect, capsule
from engine.types import Mask


class Stroke:
    """Writes capsules into a mask and remembers the mask from before.

    The cost of `extend` depends on the pixels between two samples only, never on the frame.

    Attributes:
        text: what the undo menu calls it.
        before: the mask as it was.
        dirty: what the stroke has covered so far, None when nothing.
    """

    def __init__(
        self,
        text: str,
        mask: Mask,
        changeable: NDArray[np.bool_],
        value: int,
        radius: float,
        start: tuple[float, float],
    ) -> None:
        self.text = text
        self.before = mask.copy()
        self.dirty: Rect | None = None
        self._mask = mask
        self._changeable = changeable
        self._value = value
        self._radius = radius
        self._last = start

    def extend(self, x: float, y: float, radius: float | None = None) -> Rect | None:
        """Draw from the last point to (x, y); returns the block that may have changed, None outside the frame."""
        self._radius = self._radius if radius is None else radius
        height, width = self._mask.shape
        region = capsule(self._last, (x, y), self._radius, width, height)
        self._last = (x, y)
        if region is None:
            return None
        block = self._mask[region.rect.slices]
        block[region.pixels & self._changeable[block]] = self._value
        self.dirty = region.rect if self.dirty is None else self.dirty.united(region.rect)
        return region.rect


class Proposal(Stroke):
    """The pixels an object could have, put in place of those it has."""

    def __init__(self, text: str, mask: Mask, changeable: NDArray[np.bool_], object_id: int) -> None:
        super().__init__(text, mask, changeable, object_id, 0.0, (0.0, 0.0))
        self._own = _bounds(self.before == object_id)
        self._shown: Rect | None = None

    def extend(self, x: float, y: float, radius: float | None = None) -> Rect | None:
        return None  # it is not drawn

    def propose(self, pixels: NDArray[np.bool_]) -> Rect | None:
        """Returns the block that may have changed: what the object had, has had proposed, and has proposed now."""
        new = _bounds(pixels)
        changed = _united(_united(self._own, self._shown), new)
        self._shown = new
        if changed is None:
            return None
        before = self.before[changed.slices]
        block = np.where(before == self._value, 0, before).astype(np.uint8)
        block[pixels[changed.slices] & self._changeable[before]] = self._value
        self._mask[changed.slices] = block
        self.dirty = _united(self.dirty, changed)
        return changed


def _bounds(pixels: NDArray[np.bool_]) -> Rect | None:
    x, y, width, height = cv2.boundingRect(pixels.view(np.uint8))
    return Rect(x, y, width, height) if width else None


def _united(a: Rect | None, b: Rect | None) -> Rect | None:
    return b if a is None else a if b is None else a.united(b)
