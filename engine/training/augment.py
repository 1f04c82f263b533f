"""Changes that are the same for every frame of a clip: crop, size, flips, colours."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.config import IGNORE, ClipConfig
from engine.training.pictures import Picture

Clip = NDArray[np.uint8]  # T x H x W x 3 frames or T x H x W ids


def crop_window(
    ids: list[Picture], references: int, rng: np.random.Generator, config: ClipConfig
) -> tuple[int, int, int]:
    """(top, left, side) of a square in the frames, in pixels; it is resized to `config.crop` afterwards."""
    height, width = ids[0].shape
    factor = rng.uniform(*config.scale)
    side = int(np.clip(round(config.crop / factor), 8, min(height, width)))
    top = left = 0
    for _ in range(config.crop_tries):
        top = int(rng.integers(0, height - side + 1))
        left = int(rng.integers(0, width - side + 1))
        if any(_shows_object(mask[top : top + side, left : left + side]) for mask in ids[:references]):
            break
    return top, left, side


def _shows_object(ids: Picture) -> bool:
    return bool(((ids != 0) & (ids != IGNORE)).any())


def cut_clip(frames: list[Picture], ids: list[Picture], window: tuple[int, int, int], size: int) -> tuple[Clip, Clip]:
    """The same square of every frame at `size` x `size`: (T x S x S x 3, T x S x S)."""
    top, left, side = window
    box = np.s_[top : top + side, left : left + side]
    smooth = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return (
        np.stack([_resize(frame[box], size, smooth) for frame in frames]),
        np.stack([_resize(mask[box], size, cv2.INTER_NEAREST_EXACT) for mask in ids]),
    )


def _resize(plane: Picture, size: int, interpolation: int) -> Picture:
    if plane.shape[:2] == (size, size):
        return plane
    return np.asarray(cv2.resize(plane, (size, size), interpolation=interpolation), np.uint8)


def flip(frames: Clip, ids: Clip, rng: np.random.Generator, config: ClipConfig) -> tuple[Clip, Clip]:
    """Mirror the whole clip, or not."""
    for axis, share in ((2, config.flip_horizontal), (1, config.flip_vertical)):
        if rng.random() < share:
            frames, ids = np.flip(frames, axis), np.flip(ids, axis)
    return np.ascontiguousarray(frames), np.ascontiguousarray(ids)


_GREY = np.array([0.299, 0.587, 0.114])  # Rec. 601
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def jitter_colours(frames: Clip, rng: np.random.Generator, config: ClipConfig) -> Clip:
    """Brightness, contrast, saturation and hue of the clip, and the flicker of single frames.

    All of them are linear in the colours (hue as a rotation of the chroma plane), so each frame takes a single matrix.
    """
    strength, hue, flicker = config.colour_jitter, config.hue_jitter, config.frame_jitter
    if not (strength or hue or flicker):
        return frames
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    turn = rng.uniform(-hue, hue)
    factors = rng.uniform(1 - flicker, 1 + flicker, (len(frames), 2)) * (brightness, contrast)
    changed = np.empty_like(frames)
    for frame, (bright, steep), out in zip(frames, factors, changed, strict=True):
        grey = float(_GREY @ cv2.mean(frame)[:3])
        out[:] = cv2.transform(frame, colour_matrix(bright, steep, saturation, turn, grey))
    return changed


def colour_matrix(
    brightness: float, contrast: float, saturation: float, hue: float, mean_grey: float
) -> NDArray[np.float64]:
    """3 x 4 matrix on (r, g, b, 1) in 0..255.

    Args:
        brightness, contrast, saturation: factors; contrast acts about the frame's mean grey, saturation about grey.
        hue: share of a full turn.
        mean_grey: of the frame before the change.
    """
    angle = 2 * np.pi * hue
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    greyed = np.tile(_GREY, (3, 1))
    linear = np.linalg.inv(_YIQ) @ turn @ _YIQ @ (saturation * np.eye(3) + (1 - saturation) * greyed)
    offset = brightness * (1 - contrast) * mean_grey  # greys stay grey through saturation and hue
    return np.hstack([brightness * contrast * linear, np.full((3, 1), offset)])


def number_objects(ids: Clip) -> Clip:
    """Rename the object ids of a clip to 1, 2, ...; 0 and 255 stay. Columns of labels are then as few as possible."""
    present = [value for value in np.unique(ids) if value not in (0, IGNORE)]
    table = np.zeros(256, np.uint8)
    table[IGNORE] = IGNORE
    table[present] = np.arange(1, len(present) + 1)
    return table[ids]
