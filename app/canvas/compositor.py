"""From frame, mask and viewport to the pixels on the screen. numpy and OpenCV only, no Qt.

Works on any block of the view, so that a brush stroke recomputes only what it touched. Pixels are BGRA in one uint32
each, which is `QImage.Format_RGB32` and `Format_ARGB32_Premultiplied` in memory.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from app.canvas.overlay_styles import draw_view, hatch, strength
from app.canvas.viewport import Viewport
from app.painting.raster import Rect
from engine.export.looks import blurred
from engine.types import Mask, Rgb

Pixels32 = NDArray[np.uint32]
Bgra = NDArray[np.uint8]  # h x w x 4
Index = NDArray[np.intp]

NEAREST_FROM = 2.0  # from this zoom on pixels are shown as squares
GRID_FROM = 8.0  # from this zoom on lines separate the pixels
GRID_STRENGTH = 0.12
_LEVELS = np.arange(256)
_GRID_LUT = (_LEVELS + (np.where(_LEVELS > 127, 0, 255) - _LEVELS) * GRID_STRENGTH).astype(np.uint8)
OUTER_LINE_STRENGTH = 0.55
BAND_PIXELS = 1 << 17
PARALLEL_FROM = 3 << 20  # pixels; a smaller view takes a few milliseconds, one of 4K as many as 40 on one core
WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, eq=False)
class OverlayStyle:
    """How ids become colours, or what is left of the picture.

    Attributes:
        colors: 256 x 3 uint8 RGB by id.
        shown: 256 uint8; `shown[id]` is the id, or 0 where the object is hidden.
        opacity: 0..1 of the colour over the frame. Outlines are solid at any opacity, but in the style "outline".
        line: width of the outline in device pixels, 0 for none.
        style: one of `overlay_styles.STYLES`.
        view: one of `overlay_styles.VIEWS`; all but "overlay" have neither colours nor outlines.
        scale: device pixels per pixel of patterns and checks.
    """

    colors: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    opacity: float = 0.5
    line: int = 1
    style: str = "fill"
    view: str = "overlay"
    scale: int = 1
    packed: Pixels32 = field(init=False)

    def __post_init__(self) -> None:
        rgb = self.colors.astype(np.uint32)
        object.__setattr__(self, "packed", 0xFF000000 | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2])


class FrameImage:
    """One frame, ready to be sampled at any zoom: itself, and halves of it, each made when first needed."""

    def __init__(self, rgb: Rgb) -> None:
        self._halvings: list[NDArray[np.uint8]] = [rgb]
        self._levels: dict[int, Bgra] = {}
        self._blurred: FrameImage | None = None

    def blurred(self) -> FrameImage:
        """The same frame out of focus, made when first needed."""
        if self._blurred is None:
            self._blurred = FrameImage(blurred(self._halvings[0]))
        return self._blurred

    def level(self, zoom: float) -> Bgra:
        """The smallest halving that still has a pixel for every view pixel at this zoom (always one at zoom >= 1)."""
        wanted = max(0, math.floor(math.log2(1 / zoom) + 1e-9)) if zoom < 1 else 0
        if wanted not in self._levels:
            while len(self._halvings) <= wanted:
                height, width = self._halvings[-1].shape[:2]
                size = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
                self._halvings.append(_bytes(cv2.resize(self._halvings[-1], size, interpolation=cv2.INTER_AREA)))
            self._levels[wanted] = _bytes(cv2.cvtColor(self._halvings[wanted], cv2.COLOR_RGB2BGRA))
        return self._levels[wanted]


def frame_area(viewport: Viewport) -> Rect | None:
    """The block of the view whose pixel centres lie on the frame."""
    right = viewport.left + viewport.frame_width * viewport.zoom
    bottom = viewport.top + viewport.frame_height * viewport.zoom
    return Rect.clipped(
        viewport.left,
        viewport.top,
        math.ceil(right - 0.5),
        math.ceil(bottom - 0.5),
        viewport.view_width,
        viewport.view_height,
    )


def view_block(viewport: Viewport, rect: Rect, margin: int) -> Rect | None:
    """The block of the view that shows these frame pixels, grown by `margin` device pixels."""
    left, top = viewport.to_view(rect.x, rect.y)
    right, bottom = viewport.to_view(rect.x + rect.width, rect.y + rect.height)
    return Rect.clipped(
        left - margin, top - margin, right + margin, bottom + margin, viewport.view_width, viewport.view_height
    )


def compose(
    target: Pixels32,
    block: Rect,
    viewport: Viewport,
    image: FrameImage,
    mask: Mask | None,
    style: OverlayStyle,
    background: int,
) -> None:
    """Write `block` of the view into `target` (view_height x view_width): background, frame, overlay, outlines."""
    area = frame_area(viewport)
    inside = None if area is None else area.intersected(block)
    if inside != block:
        target[block.slices] = background
    if area is None or inside is None:
        return
    # In bands that stay in the processor's cache: two to three times faster than the whole block at once.
    step = max(8, BAND_PIXELS // inside.width)

    def draw(top: int) -> None:
        band = Rect(inside.x, top, inside.width, min(step, inside.y + inside.height - top))
        picture = _sample_frame(image, viewport, band)
        if mask is not None and style.view != "overlay":
            ids = _bytes(cv2.LUT(_sample_ids(mask, viewport, band), style.shown))
            behind = _sample_frame(image.blurred(), viewport, band) if style.view == "blur" else None
            draw_view(picture, ids, band, viewport, style.view, style.scale, behind)
        if viewport.zoom >= GRID_FROM:
            _draw_grid(picture, viewport, band)
        if mask is not None and style.view == "overlay":
            # Outlines look `line` pixels around, so sample a little more than asked.
            wide = band.grown(style.line).intersected(area) or band
            ids = _bytes(cv2.LUT(_sample_ids(mask, viewport, wide), style.shown))
            _draw_overlay(picture, ids, wide, band, viewport, style)
        target[band.slices] = picture.view(np.uint32)[..., 0]

    tops = range(inside.y, inside.y + inside.height, step)
    if inside.area < PARALLEL_FROM or WORKERS == 1:
        for top in tops:
            draw(top)
        return
    image.level(viewport.zoom)  # made once, before several ask for it
    if mask is not None and style.view == "blur":
        image.blurred().level(viewport.zoom)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(draw, tops))


def _sample_frame(image: FrameImage, viewport: Viewport, block: Rect) -> Bgra:
    """h x w x 4 of the block: squares from NEAREST_FROM and at 100 %, else smoothly interpolated."""
    zoom = viewport.zoom
    source = image.level(zoom)
    if zoom >= NEAREST_FROM or zoom == 1.0:
        rows = _frame_index(block.y, block.height, viewport.top, zoom, viewport.frame_height)
        columns = _frame_index(block.x, block.width, viewport.left, zoom, viewport.frame_width)
        packed = source.view(np.uint32)[..., 0]
        gathered = np.take(packed[rows[0] : rows[-1] + 1][rows - rows[0]], columns, axis=1)
        return np.ascontiguousarray(gathered)[..., None].view(np.uint8)
    # A view pixel centre (i + 0.5 - left) / zoom in frame pixels, in pixels of the level, less 0.5 for its centres.
    scale_x = source.shape[1] / viewport.frame_width / zoom
    scale_y = source.shape[0] / viewport.frame_height / zoom
    offset_x = (block.x + 0.5 - viewport.left) * scale_x - 0.5
    offset_y = (block.y + 0.5 - viewport.top) * scale_y - 0.5
    warped = cv2.warpAffine(
        source,
        np.array([[scale_x, 0, offset_x], [0, scale_y, offset_y]]),
        (block.width, block.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return _bytes(warped)


def _sample_ids(mask: Mask, viewport: Viewport, block: Rect) -> Mask:
    """The id under each view pixel. When several frame pixels share one, the largest id: thin parts never vanish."""
    samples = min(8, math.ceil(1 / viewport.zoom))
    rows = [
        _frame_index(block.y, block.height, viewport.top, viewport.zoom, viewport.frame_height, (s + 0.5) / samples)
        for s in range(samples)
    ]
    columns = [
        _frame_index(block.x, block.width, viewport.left, viewport.zoom, viewport.frame_width, (s + 0.5) / samples)
        for s in range(samples)
    ]
    first, last = columns[0][0], columns[-1][-1] + 1
    strips = mask[rows[0], first:last]
    for more in rows[1:]:
        np.maximum(strips, mask[more, first:last], out=strips)
    ids = np.take(strips, columns[0] - first, axis=1)
    for more in columns[1:]:
        np.maximum(ids, np.take(strips, more - first, axis=1), out=ids)
    return np.ascontiguousarray(ids)


def _frame_index(start: int, count: int, origin: int, zoom: float, size: int, within: float = 0.5) -> Index:
    """Frame row or column under `count` view pixels from `start`; `within` 0..1 is where in the view pixel to look."""
    position = (np.arange(start, start + count) + (within - origin)) / zoom
    index: Index = np.clip(np.floor(position).astype(np.intp), 0, size - 1)
    return index


def _draw_grid(picture: Bgra, viewport: Viewport, block: Rect) -> None:
    """A faint line at the first device row and column of every frame pixel, light on dark and dark on light."""
    rows = _frame_index(block.y - 1, block.height + 1, viewport.top, viewport.zoom, viewport.frame_height)
    columns = _frame_index(block.x - 1, block.width + 1, viewport.left, viewport.zoom, viewport.frame_width)
    on_row, on_column = np.flatnonzero(np.diff(rows)), np.flatnonzero(np.diff(columns))
    picture[on_row] = cv2.LUT(picture[on_row], _GRID_LUT) if on_row.size else picture[on_row]
    picture[:, on_column] = cv2.LUT(picture[:, on_column], _GRID_LUT) if on_column.size else picture[:, on_column]


def _draw_overlay(picture: Bgra, ids: Mask, wide: Rect, block: Rect, viewport: Viewport, style: OverlayStyle) -> None:
    """Blend the colours of `ids` (sampled on `wide`) into `picture` (of `block`), and draw the outlines."""
    x, y, width, height = cv2.boundingRect(ids)
    if width == 0:
        return
    # Work on the box of objects only, with room for the outer line, and never beyond the block.
    work = Rect(wide.x + x, wide.y + y, width, height).grown(style.line).intersected(block)
    if work is None:
        return
    part, inner = picture[work.within(block)], ids[work.within(wide)]
    color = np.take(style.packed, inner)[..., None].view(np.uint8)
    if style.style == "pattern":
        hatch(part, inner, color, work, viewport, style.opacity, style.scale)
    elif style.style == "fill":
        blended = cv2.addWeighted(part, 1 - style.opacity, color, style.opacity, 0)
        cv2.copyTo(blended, inner, part)
    if style.line == 0:
        return
    # The highest and lowest id around each pixel; where they differ there is a border. OpenCV's default border value
    # never wins, so the frame's edge is no outline.
    around = work.grown(style.line).intersected(wide) or work
    near = ids[around.within(wide)]
    cross = cv2.getStructuringElement(
        cv2.MORPH_CROSS if style.line == 1 else cv2.MORPH_ELLIPSE, (2 * style.line + 1,) * 2
    )
    cut = work.within(around)
    high, low = cv2.dilate(near, cross)[cut], cv2.erode(near, cross)[cut]
    border = cv2.compare(high, low, cv2.CMP_NE)
    firm = strength(style.opacity) if style.style == "outline" else 1.0  # there is nothing else that could be fainter
    line = color if firm == 1.0 else cv2.addWeighted(part, 1 - firm, color, firm, 0)
    cv2.copyTo(line, cv2.min(border, inner), part)
    outer = np.where(inner == 0, border, 0).astype(np.uint8)
    cv2.copyTo(cv2.convertScaleAbs(part, alpha=1 - OUTER_LINE_STRENGTH * firm), outer, part)


def _bytes(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """OpenCV keeps the type of what it is given; its stubs cannot say so."""
    return np.asarray(array, dtype=np.uint8)
