"""Colours of objects: one fixed colour per object id, told apart by colour-blind users too."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.types import MAX_OBJECT_ID

Rgb = tuple[int, int, int]

# Okabe and Ito, "Color Universal Design" (2008), without black. The order puts the colours that differ most for every
# kind of colour vision first, and starts with the red that mattes are traditionally shown in. Vermilion and blue are
# a little stronger than theirs, so that they show on dark footage and in dark themes.
_UNIVERSAL: tuple[Rgb, ...] = (
    (240, 80, 20),  # vermilion
    (86, 180, 233),  # sky blue
    (240, 228, 66),  # yellow
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (0, 105, 200),  # blue
    (230, 159, 0),  # orange
)


def object_color(object_id: int) -> Rgb:
    """The colour of an object id as (r, g, b), 0..255 each; id 0 (background) is black.

    Raises:
        ValueError: the id is outside 0..255.
    """
    if not 0 <= object_id <= MAX_OBJECT_ID:
        raise ValueError(f"object ids are 0..{MAX_OBJECT_ID}, got {object_id}")
    red, green, blue = _palette()[object_id].tolist()
    return red, green, blue


def palette_array() -> NDArray[np.uint8]:
    """A 256 x 3 uint8 table of the colours of all object ids, row 0 black. A fresh copy."""
    return _palette().copy()


@lru_cache(maxsize=1)
def _palette() -> NDArray[np.uint8]:
    """Row 0 black, the universal colours, then each next colour as far as possible from all before it (in OKLab)."""
    levels = np.array([0, 51, 102, 153, 204, 255], dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    fine = grid.astype(np.int64) + np.array([17, 9, 26])  # a second, shifted lattice: one alone has too few colours
    candidates = np.concatenate([grid.astype(np.int64), fine[(fine <= 255).all(axis=1)]])
    chosen = [(0, 0, 0), *_UNIVERSAL]
    candidate_lab, chosen_lab = _oklab(candidates), _oklab(np.array(chosen))
    # Near black and near white do not read as a colour over video.
    usable = (candidate_lab[:, 0] > 0.42) & (candidate_lab[:, 0] < 0.93) & (np.hypot(*candidate_lab[:, 1:].T) > 0.03)
    candidates, candidate_lab = candidates[usable], candidate_lab[usable]
    distance = np.min(np.linalg.norm(candidate_lab[:, None] - chosen_lab[None], axis=2), axis=1)
    while len(chosen) <= MAX_OBJECT_ID:
        best = int(distance.argmax())
        chosen.append(tuple(candidates[best].tolist()))
        distance = np.minimum(distance, np.linalg.norm(candidate_lab - candidate_lab[best], axis=1))
    return np.array(chosen, dtype=np.uint8)


def _oklab(rgb: NDArray[np.int64]) -> NDArray[np.float64]:
    """sRGB 0..255 (N x 3) to OKLab (N x 3). B. Ottosson, "A perceptual color space for image processing" (2020)."""
    value = rgb / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.asarray(np.cbrt(linear @ to_lms.T) @ to_lab.T)
