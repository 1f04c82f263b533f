"""Changes that are the same for every frame of a clip: crop, size, flips, colours."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as adjust

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


def jitter_colours(frames: Clip, rng: np.random.Generator, config: ClipConfig) -> Clip:
    """Brightness, contrast, saturation and hue of the clip; then the flicker of single frames."""
    strength, hue, flicker = config.colour_jitter, config.hue_jitter, config.frame_jitter
    if not (strength or hue or flicker):
        return frames
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2)
    if strength:
        brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3).tolist()
        pictures = adjust.adjust_brightness(pictures, brightness)
        pictures = adjust.adjust_contrast(pictures, contrast)
        pictures = adjust.adjust_saturation(pictures, saturation)
    if hue:
        pictures = adjust.adjust_hue(pictures, float(rng.uniform(-hue, hue)))
    if flicker:
        factors = rng.uniform(1 - flicker, 1 + flicker, (len(pictures), 2)).tolist()
        pictures = torch.stack(
            [
                adjust.adjust_contrast(adjust.adjust_brightness(picture, bright), contrast)
                for picture, (bright, contrast) in zip(pictures, factors, strict=True)
            ]
        )
    return np.ascontiguousarray(pictures.permute(0, 2, 3, 1).numpy())


def number_objects(ids: Clip) -> Clip:
    """Rename the object ids of a clip to 1, 2, ...; 0 and 255 stay. Columns of labels are then as few as possible."""
    present = [value for value in np.unique(ids) if value not in (0, IGNORE)]
    table = np.zeros(256, np.uint8)
    table[IGNORE] = IGNORE
    table[present] = np.arange(1, len(present) + 1)
    return table[ids]
