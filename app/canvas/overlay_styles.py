"""Ways to show objects: hatching in place of a fill, and in place of the overlay a matte or a cut-out.

numpy and OpenCV only, no Qt. Everything takes one block of the view and goes over its pixels a fixed number of times,
however many objects there are; what differs by object comes from a table by id. Patterns and checks are counted from
the frame's corner, so that blocks join without seams and move with the picture.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.canvas.viewport import Viewport
from app.painting.raster import Rect
from engine.export.looks import PLAIN
from engine.types import MAX_OBJECT_ID, Mask

Bgra = NDArray[np.uint8]  # h x w x 4
Pixels32 = NDArray[np.uint32]

STYLES = ("fill", "outline", "pattern")
VIEWS = ("overlay", "matte", "black", "white", "green", "checker", "blur")

_PERIOD = 48  # every pattern repeats after so many pixels in both directions
_SPACINGS = (8, 12, 6, 24)  # an even number of each in a period
_KINDS = 8
PATTERNS = _KINDS * len(_SPACINGS)  # object 33 has the pattern of object 1 again
_SHADOW = 0.55  # how much darker it is beside a line, so that it shows on a picture of its own colour
_CHECK = 8
_CHECK_TONES = np.array([0xFFCCCCCC, 0xFF999999], np.uint32)  # those of the export's preview
_NOTHING = np.zeros(1, np.uint8)


def strength(opacity: float) -> float:
    """How solid lines are at an opacity of 0..1. They cover little, so they are stronger than a fill; 0 and 1 stay."""
    return 1 - (1 - opacity) ** 2


def pattern_of(object_id: int) -> int:
    """Which of the patterns an object id (1..255) has, 0..PATTERNS - 1."""
    return (object_id - 1) % PATTERNS


def _lines() -> Pixels32:
    """_PERIOD x _PERIOD; bit k is set where pattern k draws."""
    y, x = np.mgrid[0:_PERIOD, 0:_PERIOD]
    planes = np.zeros((_PERIOD, _PERIOD), np.uint32)
    for number in range(PATTERNS):
        gap = _SPACINGS[number // _KINDS]
        near_x, near_y, falling, rising = x % gap, y % gap, (x - y) % gap, (x + y) % gap
        on = (
            rising < 2,
            falling < 2,
            near_y < 2,
            near_x < 2,
            (near_x - gap // 2) ** 2 + (near_y - gap // 2) ** 2 <= gap**2 // 16,  # dots
            (near_x < 1) | (near_y < 1),  # a grid
            (rising < 1) | (falling < 1),  # a grid of diamonds
            (near_y < 2) & ((x // gap + y // gap) % 2 == 0),  # dashes, as bricks
        )[number % _KINDS]
        planes |= on.astype(np.uint32) << number
    return planes


_LINES = _lines()
_SHADOWS: Pixels32 = (np.roll(_LINES, 1, 0) | np.roll(_LINES, 1, 1)) & ~_LINES  # below and to the right of lines
_BIT_OF = np.zeros(MAX_OBJECT_ID + 1, np.uint32)
_BIT_OF[1:] = np.uint32(1) << np.array([pattern_of(i) for i in range(1, MAX_OBJECT_ID + 1)], np.uint32)


def hatch(picture: Bgra, ids: Mask, color: Bgra, block: Rect, viewport: Viewport, opacity: float, scale: int) -> None:
    """Draw the pattern of every object into a block of the view.

    Args:
        picture: h x w x 4 of `block`; written to.
        ids: h x w object ids, 0 where nothing is drawn.
        color: h x w x 4, the colours of `ids`.
        opacity: 0..1; see `strength`.
        scale: device pixels per pixel of the pattern.
    """
    firm = strength(opacity)
    rows, columns = (place // scale % _PERIOD for place in _from_corner(block, viewport))
    bits = np.take(_BIT_OF, ids)
    for planes, drawn in (
        (_SHADOWS, cv2.convertScaleAbs(picture, alpha=1 - _SHADOW * firm)),
        (_LINES, cv2.addWeighted(picture, 1 - firm, color, firm, 0)),
    ):
        here = np.take(planes[rows], columns, axis=1)
        cv2.copyTo(drawn, ((here & bits) != 0).view(np.uint8), picture)


def draw_view(
    picture: Bgra, ids: Mask, block: Rect, viewport: Viewport, view: str, scale: int, behind: Bgra | None = None
) -> None:
    """Turn a block of the frame into the matte, or put what is behind the objects in place of the scene.

    Pixels of objects keep their very value, but in the matte.

    Args:
        picture: h x w x 4 of `block`; written to.
        ids: h x w object ids; 0 is cut away.
        view: one of VIEWS, but "overlay".
        scale: device pixels per pixel of the checks.
        behind: h x w x 4, for "blur" only: the blurred scene of the same block.
    """
    if view == "matte":
        cv2.cvtColor(_bytes(cv2.compare(ids, _NOTHING, cv2.CMP_GT)), cv2.COLOR_GRAY2BGRA, dst=picture)
    elif view == "blur":
        assert behind is not None  # whoever asks for it has it
        cv2.copyTo(behind, cv2.compare(ids, _NOTHING, cv2.CMP_EQ), picture)
    else:
        scene = _checks(block, viewport, scale) if view == "checker" else _plain(view)
        np.copyto(picture.view(np.uint32)[..., 0], scene, where=ids == 0)


def _plain(view: str) -> np.uint32:
    red, green, blue = PLAIN[view]
    return np.uint32(0xFF000000 | red << 16 | green << 8 | blue)


def _checks(block: Rect, viewport: Viewport, scale: int) -> Pixels32:
    """h x w: the checks of a block, light at the frame's corner."""
    rows, columns = (place // (_CHECK * scale) % 2 for place in _from_corner(block, viewport))
    return np.take(_CHECK_TONES, rows[:, None] ^ columns)


def _from_corner(block: Rect, viewport: Viewport) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a block, counted in device pixels from the frame's corner."""
    rows = np.arange(block.y, block.y + block.height) - viewport.top
    return rows, np.arange(block.x, block.x + block.width) - viewport.left


def _bytes(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """OpenCV keeps the type of what it is given; its stubs cannot say so."""
    return np.asarray(array, dtype=np.uint8)
