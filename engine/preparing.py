"""The size the embedder sees, and making pictures that small on the thread that reads them. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from engine.types import Frame, Rgb

SIZES = (192, 240, 288, 320, 360, 420, 480)  # short sides to step through when time or memory is short


def working_size(width: int, height: int, short_side: int, align: int) -> tuple[int, int]:
    """(width, height) the embedder sees: short side at most `short_side`, aspect kept, multiples of `align`, >= 16."""
    scale = min(1.0, short_side / min(width, height))

    def side(pixels: int) -> int:
        return max(int(pixels * scale / align + 0.5) * align, 16)

    return side(width), side(height)


def resize(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    """The picture at `size` (width, height): the mean of the pixels it covers when it shrinks, else linear."""
    interpolation = cv2.INTER_AREA if size[0] < rgb.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, size, interpolation=interpolation), np.uint8)


def picture_of_size(frame: Frame, size: tuple[int, int]) -> Rgb:
    """The frame's pixels at `size` (width, height); made now unless the frame brings them."""
    if size == (frame.width, frame.height):
        return frame.rgb
    small = frame.small
    if small is not None and (small.shape[1], small.shape[0]) == size:
        return small
    return resize(frame.rgb, size)


@dataclass(frozen=True)
class Preparation:
    """What a tracker will do to the next frame before it embeds it; another thread may do it first.

    Attributes:
        short_side, align: as in `working_size`.
    """

    short_side: int
    align: int

    def apply(self, frame: Frame) -> Frame:
        """The same frame with the small picture in it; the frame itself where it needs none or has it."""
        size = working_size(frame.width, frame.height, self.short_side, self.align)
        small = picture_of_size(frame, size)
        return frame if small is frame.rgb or small is frame.small else replace(frame, small=small)
