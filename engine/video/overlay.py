"""Blending a mask over its frame: the one rule that the window, the exports and the command line share."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.types import Mask, Rgb

_BAND_PIXELS = 1 << 16


def compose_overlay(rgb: Rgb, mask: Mask, palette: NDArray[np.uint8], opacity: float, outline: bool = True) -> Rgb:
    """A new frame with the objects tinted in their colours; pixels outside every object are untouched.

    tinted = round(frame * (1 - a)) + round(colour * a), at most 255, in integers from look-up tables, so the result is
    the same to the byte on every machine. The outline is the inner rim of each object in its full colour, one pixel
    wide per 480 lines of the frame.

    Args:
        rgb: H x W x 3 uint8; not written to.
        mask: H x W uint8 object ids, 0 = background.
        palette: 256 x 3 uint8 RGB, row = object id.
        opacity: a, 0..1 (clamped).
        outline: draw the rims.

    Returns:
        H x W x 3 uint8, writable, never `rgb` itself.

    Raises:
        ValueError: sizes or types do not fit.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a frame is H x W x 3 uint8, got {rgb.shape} {rgb.dtype}")
    if mask.shape != rgb.shape[:2] or mask.dtype != np.uint8:
        raise ValueError(f"mask {mask.shape} {mask.dtype} does not fit frame {rgb.shape}")
    if palette.shape != (256, 3) or palette.dtype != np.uint8:
        raise ValueError(f"a palette is 256 x 3 uint8, got {palette.shape} {palette.dtype}")
    out = rgb.copy()
    weight = round(min(1.0, max(0.0, opacity)) * 255)
    dim, tints, colours = (
        _scaled(255 - weight),
        _scaled(weight)[palette][:, None],
        np.ascontiguousarray(palette)[:, None],
    )
    reach = max(1, round(rgb.shape[0] / 480)) if outline else 0
    # Bands of rows keep the intermediate pictures in the processor's cache: several times faster at 1080p.
    rows = max(1, _BAND_PIXELS // rgb.shape[1])
    for top in range(0, rgb.shape[0], rows):
        x, y, width, height = cv2.boundingRect(mask[top : top + rows])
        if width and height:
            _tint(out, mask, (slice(top + y, top + y + height), slice(x, x + width)), dim, tints, colours, reach)
    return out


def _tint(
    out: Rgb,
    mask: Mask,
    part: tuple[slice, slice],
    dim: NDArray[np.uint8],
    tints: NDArray[np.uint8],
    colours: NDArray[np.uint8],
    reach: int,
) -> None:
    """Blend one rectangle of `out` in place."""
    ids = np.ascontiguousarray(mask[part])
    pixels = np.ascontiguousarray(out[part])
    inside = _differ(ids, np.zeros_like(ids))
    tinted = cv2.add(cv2.LUT(pixels, dim), cv2.applyColorMap(ids, tints))
    cv2.copyTo(tinted, inside, pixels)
    if reach:
        cv2.copyTo(cv2.applyColorMap(ids, colours), _rims(mask, part, inside, reach), pixels)
    out[part] = pixels


def _differ(a: Any, b: Any) -> NDArray[np.uint8]:
    """255 where two H x W uint8 arrays differ, else 0."""
    return np.asarray(cv2.compare(a, b, cv2.CMP_NE), dtype=np.uint8)


@lru_cache(maxsize=8)
def _scaled(weight: int) -> NDArray[np.uint8]:
    """256 uint8: v -> round(v * weight / 255), halves up."""
    return ((np.arange(256) * weight * 2 + 255) // 510).astype(np.uint8)


def _rims(mask: Mask, part: tuple[slice, slice], inside: NDArray[np.uint8], reach: int) -> NDArray[np.uint8]:
    """255 where an object pixel has another id within reach; the border of the frame is no rim."""
    rows, columns = part
    top, left = max(0, rows.start - reach), max(0, columns.start - reach)
    around = np.ascontiguousarray(mask[top : rows.stop + reach, left : columns.stop + reach])
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    differs = _differ(cv2.dilate(around, kernel), cv2.erode(around, kernel))
    y, x = rows.start - top, columns.start - left
    differs = differs[y : y + inside.shape[0], x : x + inside.shape[1]]
    return np.asarray(cv2.bitwise_and(differs, inside), dtype=np.uint8)
