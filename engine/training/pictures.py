"""Reading single pictures and masks; what cannot be used is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.training.config import IGNORE

Picture = NDArray[np.uint8]

_STILL_OBJECT, _STILL_BORDER = 255, 128
_FEWEST_PIXELS = 16


class BrokenSampleError(Exception):
    """A sample cannot be used. `sample` names it, `reason` says why."""

    def __init__(self, sample: str, reason: str) -> None:
        super().__init__(f"{sample}: {reason}")
        self.sample = sample
        self.reason = reason


def read_rgb(path: str) -> Picture:
    """H x W x 3 uint8. Pillow, because OpenCV passes a truncated JPEG off as a whole one."""
    return np.asarray(_open(path, "RGB"))


def read_ids(path: str, *, coding: str) -> Picture:
    """H x W uint8 ids: 0 background, 255 ignored.

    Args:
        coding: "ids": pixels are object ids. "binary": anything else than black is object 1. "still": a mask holding
            255 has 255 as the object and 128 as its uncertain border; other masks hold instance ids.
    """
    ids = np.asarray(_open(path, None))
    if coding == "binary":
        return (
            (ids > 0).astype(np.uint8)
            if ids.max(initial=0) < _STILL_BORDER
            else (ids >= _STILL_BORDER).astype(np.uint8)
        )
    if coding == "still" and ids.max(initial=0) == _STILL_OBJECT:
        values = np.zeros(256, np.uint8)
        values[_STILL_BORDER + 1 :] = 1
        values[_STILL_BORDER] = IGNORE
        return np.asarray(values[ids])
    return np.array(ids)


def read_pair(image: str, mask: str, *, coding: str) -> tuple[Picture, Picture]:
    """A picture and its mask.

    Raises:
        BrokenSampleError: either cannot be read, or their sizes differ.
    """
    rgb, ids = read_rgb(image), read_ids(mask, coding=coding)
    if rgb.shape[:2] != ids.shape:
        size = f"{ids.shape[1]} x {ids.shape[0]}, not {rgb.shape[1]} x {rgb.shape[0]}"
        raise BrokenSampleError(sample_name(mask), f"the mask is {size}")
    if min(ids.shape) < _FEWEST_PIXELS:
        raise BrokenSampleError(sample_name(image), f"the picture is only {ids.shape[1]} x {ids.shape[0]}")
    return rgb, ids


def sample_name(path: str) -> str:
    """The file with its folder, enough to find it."""
    return "/".join(Path(path).parts[-2:])


def _open(path: str, mode: str | None) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            if mode is not None:
                return image.convert(mode)
            return image.copy() if image.mode in ("P", "L") else image.convert("L")
    except FileNotFoundError:
        raise BrokenSampleError(sample_name(path), "the file is gone") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BrokenSampleError(sample_name(path), "the file is damaged") from error
