"""A brush stroke while it is being drawn."""

from __future__ import annotations

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

    def extend(self, x: float, y: float, radius: float | None = None) -> Rect | None:
        return None  # it is not drawn

    def propose(self, pixels: NDArray[np.bool_]) -> Rect:
        """Returns the block that may have changed."""
        height, width = self._mask.shape
        self._mask[...] = np.where(self.before == self._value, 0, self.before)
        self._mask[pixels & self._changeable[self.before]] = self._value
        self.dirty = Rect(0, 0, width, height)
        return self.dirty
