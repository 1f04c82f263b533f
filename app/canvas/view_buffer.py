"""The pixels of the widget, kept between paint events so that a change recomputes only its own block."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import cast

import numpy as np
from PyQt6.QtGui import QImage

from app.canvas.compositor import Pixels32
from app.painting.raster import Rect

MANY_RECTS = 12


class ViewBuffer:
    """A QImage that owns its memory, a numpy view of it, and the part of it that is out of date.

    Attributes:
        image: Format_RGB32, in device pixels.
        pixels: height x width uint32, the very memory of `image`.
    """

    def __init__(self) -> None:
        self._allocate(1, 1)

    def _allocate(self, width: int, height: int) -> None:
        self.image = QImage(width, height, QImage.Format.Format_RGB32)
        memory = self.image.bits()
        assert memory is not None  # a QImage of this size and format always has memory
        memory.setsize(self.image.sizeInBytes())
        self.pixels: Pixels32 = np.frombuffer(cast("memoryview[int]", memory), dtype=np.uint32).reshape(height, width)
        self._stale = [self._whole]

    def resize(self, width: int, height: int) -> None:
        """Another size in device pixels; everything is out of date."""
        if (width, height) != (self.image.width(), self.image.height()):
            self._allocate(max(1, width), max(1, height))

    def invalidate(self, rect: Rect | None = None) -> None:
        """This block, or everything, is out of date."""
        whole = self._whole
        if rect is None:
            self._stale = [whole]
            return
        # Blocks that overlap much become one, so that few pixels are computed twice (two strips of an L do not).
        while (met := next((other for other in self._stale if _worth_uniting(other, rect)), None)) is not None:
            self._stale.remove(met)
            rect = met.united(rect)
        self._stale.append(rect)
        if len(self._stale) > MANY_RECTS:
            self._stale = [reduce(Rect.united, self._stale)]

    def scroll(self, dx: int, dy: int) -> None:
        """Move the picture by whole device pixels; what comes into sight is out of date."""
        height, width = self.pixels.shape
        if abs(dx) >= width or abs(dy) >= height:
            self.invalidate()
            return
        # Source and target overlap, hence the copy.
        moved = self.pixels[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)].copy()
        self.pixels[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)] = moved
        stale, self._stale = self._stale, []
        for rect in stale:
            shifted = Rect(rect.x + dx, rect.y + dy, rect.width, rect.height).intersected(self._whole)
            if shifted is not None:
                self.invalidate(shifted)
        if dx:
            self.invalidate(Rect(0 if dx > 0 else width + dx, 0, abs(dx), height))
        if dy:
            self.invalidate(Rect(0, 0 if dy > 0 else height + dy, width, abs(dy)))

    def refresh(self, compose: Callable[[Pixels32, Rect], None]) -> None:
        """Have everything that is out of date composed."""
        stale, self._stale = self._stale, []
        for block in stale:
            compose(self.pixels, block)

    @property
    def _whole(self) -> Rect:
        return Rect(0, 0, self.image.width(), self.image.height())


def _worth_uniting(a: Rect, b: Rect) -> bool:
    return a.intersected(b) is not None and a.united(b).area <= a.area + b.area
