"""Shapes as pixels. A pixel (column i, row j) belongs to a shape when its centre (i + 0.5, j + 0.5) lies in it.

Coordinates are frame pixels as floats, (0, 0) the top left corner of the frame. Labels have hard edges, so nothing here
is antialiased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.types import Mask

Pixels = NDArray[np.bool_]


@dataclass(frozen=True)
class Rect:
    """A block of whole pixels: columns x..x + width - 1, rows y..y + height - 1."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an H x W array with."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    @property
    def area(self) -> int:
        return self.width * self.height

    def united(self, other: Rect) -> Rect:
        x, y = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return Rect(x, y, right - x, bottom - y)

    def intersected(self, other: Rect) -> Rect | None:
        x, y = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return Rect(x, y, right - x, bottom - y) if right > x and bottom > y else None

    def grown(self, by: int) -> Rect:
        return Rect(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)

    def within(self, outer: Rect) -> tuple[slice, slice]:
        """Rows and columns of this block in an array that holds the block `outer`."""
        x, y = self.x - outer.x, self.y - outer.y
        return slice(y, y + self.height), slice(x, x + self.width)

    @staticmethod
    def clipped(left: float, top: float, right: float, bottom: float, width: int, height: int) -> Rect | None:
        """The pixels a box touches within a frame of width x height; None when it touches none."""
        x, y = max(0, int(np.floor(left))), max(0, int(np.floor(top)))
        x_end, y_end = min(width, int(np.ceil(right))), min(height, int(np.ceil(bottom)))
        return Rect(x, y, x_end - x, y_end - y) if x_end > x and y_end > y else None


@dataclass(frozen=True)
class Region:
    """Some pixels of a frame: `pixels` is height x width of `rect`, True where the pixel belongs to the region."""

    rect: Rect
    pixels: Pixels


def capsule(
    start: tuple[float, float], end: tuple[float, float], radius: float, width: int, height: int
) -> Region | None:
    """Every pixel whose centre is at most `radius` from the segment start-end; None when none is in the frame.

    A stroke is a chain of capsules, so it has no gaps however fast the pointer moves. The shape is convex: each row is
    one interval, found in closed form, which costs time per row and only one comparison per pixel.
    """
    (x0, y0), (x1, y1) = start, end
    rect = Rect.clipped(
        min(x0, x1) - radius, min(y0, y1) - radius, max(x0, x1) + radius, max(y0, y1) + radius, width, height
    )
    if rect is None:
        return None
    rows = np.arange(rect.y, rect.y + rect.height, dtype=np.float64) + 0.5
    left, right = _disc_rows(x0, y0, radius, rows)
    length = float(np.hypot(x1 - x0, y1 - y0))
    if length > 0:
        for more_left, more_right in (
            _disc_rows(x1, y1, radius, rows),
            _band_rows(x0, y0, (x1 - x0) / length, (y1 - y0) / length, length, radius, rows),
        ):
            left, right = np.minimum(left, more_left), np.maximum(right, more_right)
    columns = np.arange(rect.x, rect.x + rect.width, dtype=np.float64) + 0.5
    return Region(rect, (columns >= left[:, None]) & (columns <= right[:, None]))


def _disc_rows(
    x: float, y: float, radius: float, rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right end of a disc in each row; (inf, -inf) where the row misses it."""
    square = radius**2 - (rows - y) ** 2
    half = np.sqrt(np.maximum(square, 0))
    return np.where(square >= 0, x - half, np.inf), np.where(square >= 0, x + half, -np.inf)


def _band_rows(
    x: float, y: float, ux: float, uy: float, length: float, radius: float, rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right end, per row, of the rectangle of half width `radius` around a segment of direction (ux, uy)."""
    left, right = np.full(rows.shape, -np.inf), np.full(rows.shape, np.inf)
    dy = rows - y
    # Along the segment 0 <= ux dx + uy dy <= length; across it -radius <= -uy dx + ux dy <= radius.
    for slope, offset, low, high in ((ux, uy * dy, 0.0, length), (-uy, ux * dy, -radius, radius)):
        if abs(slope) < 1e-12:
            outside = (offset < low) | (offset > high)
            left, right = np.where(outside, np.inf, left), np.where(outside, -np.inf, right)
            continue
        a, b = (low - offset) / slope, (high - offset) / slope
        left, right = np.maximum(left, np.minimum(a, b)), np.minimum(right, np.maximum(a, b))
    empty = left > right
    return np.where(empty, np.inf, x + left), np.where(empty, -np.inf, x + right)


def polygon(points: Sequence[tuple[float, float]], width: int, height: int) -> Region | None:
    """Every pixel whose centre lies inside the polygon (even-odd rule); None when none is in the frame.

    Raises:
        ValueError: fewer than three points.
    """
    if len(points) < 3:
        raise ValueError("a polygon has at least three points")
    corners = np.asarray(points, dtype=np.float64)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    rect = Rect.clipped(left, top, right, bottom, width, height)
    if rect is None:
        return None
    # Crossings of each row's centre line with the edges; between the 1st and 2nd, 3rd and 4th, ... is inside.
    # cv2.fillPoly would also fill every pixel the border touches, which fattens the shape by half a pixel.
    flips = np.zeros((rect.height, rect.width + 1), dtype=np.uint8)
    for (xa, ya), (xb, yb) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = min(ya, yb), max(ya, yb)
        first = max(rect.y, int(np.ceil(low - 0.5)))
        last = min(rect.y + rect.height, int(np.ceil(high - 0.5)))  # a row counts when low <= centre < high
        if first >= last:
            continue
        rows = np.arange(first, last)
        crossing = xa + (rows + 0.5 - ya) * (xb - xa) / (yb - ya)
        column = np.clip(np.ceil(crossing - 0.5).astype(np.int64) - rect.x, 0, rect.width)
        np.bitwise_xor.at(flips, (rows - rect.y, column), 1)
    pixels = np.bitwise_xor.accumulate(flips, axis=1)[:, :-1].astype(bool)
    return Region(rect, pixels) if pixels.any() else None


def box(corner: tuple[float, float], opposite: tuple[float, float], width: int, height: int) -> Region | None:
    """Every pixel an upright box touches; None when none is in the frame. A box without area is the pixel under it."""
    (xa, ya), (xb, yb) = corner, opposite
    left, top = min(xa, xb), min(ya, yb)
    right, bottom = max(xa, xb, np.floor(left) + 1e-9), max(ya, yb, np.floor(top) + 1e-9)
    rect = Rect.clipped(left, top, right, bottom, width, height)
    return None if rect is None else Region(rect, np.ones((rect.height, rect.width), dtype=bool))


def similar_colour(rgb: NDArray[np.uint8], mask: Mask, x: int, y: int, tolerance: int) -> Region:
    """The connected pixels (4 neighbours) of the clicked pixel's label whose colour is near the clicked colour.

    Args:
        rgb: H x W x 3; mask: H x W ids. Pixels of another id than the clicked one are walls.
        tolerance: largest difference per channel, 0..255.
    """
    height, width = mask.shape
    # floodFill wants a mask with a one pixel border, non-zero where it must not go; it marks what it filled with 2.
    walls = np.ones((height + 2, width + 2), dtype=np.uint8)
    walls[1:-1, 1:-1] = mask != mask[y, x]
    limit = (tolerance, tolerance, tolerance)
    flags = 4 | (2 << 8) | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    _, _, _, (left, top, w, h) = cv2.floodFill(np.array(rgb), walls, (x, y), 0, limit, limit, flags)
    rect = Rect(left, top, w, h)
    return Region(rect, walls[1:-1, 1:-1][rect.slices] == 2)


def same_label(mask: Mask, x: int, y: int) -> Region:
    """The connected pixels (4 neighbours) that have the clicked pixel's id."""
    height, width = mask.shape
    walls = np.ones((height + 2, width + 2), dtype=np.uint8)
    walls[1:-1, 1:-1] = mask != mask[y, x]
    flags = 4 | (2 << 8) | cv2.FLOODFILL_MASK_ONLY
    _, _, _, (left, top, w, h) = cv2.floodFill(np.array(mask), walls, (x, y), 0, 0, 0, flags)
    rect = Rect(left, top, w, h)
    return Region(rect, walls[1:-1, 1:-1][rect.slices] == 2)
