"""Synthetic clips in which an object goes away and may come back: their truth is known to the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.types import Mask, Rgb

MARGIN = 12  # pixels by which a panel is larger than what it hides
SLIDE = 6  # frames a panel takes to slide over the object, and off it


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames (H x W x 3 uint8) and the true mask (H x W uint8, 1 the object) of each."""

    name: str
    frames: Sequence[Rgb]
    truths: Sequence[Mask]


class Occlusion(Enum):
    """How an object disappears."""

    PANEL = "panel"  # something slides in front of it
    CUT = "cut"  # other pictures altogether, as after a cut


def texture(width: int, height: int, seed: int) -> Rgb:
    """Smooth coloured noise with some detail: unlike anything filmed, but not flat. H x W x 3 uint8."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((4, 0.6), (12, 0.3), (48, 0.2)):
        noise = rng.random((cells, cells, 3), np.float32) - 0.5
        picture += strength * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(picture + 0.5, 0, 1) * 255, np.uint8)


def occlude(clip: Clip, kind: Occlusion, first: int, last: int, seed: int = 0) -> Clip:
    """The clip with its object away in frames `first` to `last` (inclusive)."""
    height, width = clip.truths[0].shape
    cover = texture(width, height, seed)
    frames, truths = list(clip.frames), list(clip.truths)
    slide = SLIDE if kind is Occlusion.PANEL else 0
    for index in range(max(first - slide, 0), min(last + slide + 1, len(frames))):
        if kind is Occlusion.CUT:
            frames[index], truths[index] = cover, np.zeros_like(truths[index])
            continue
        before, after = first - index, index - last  # positive while the panel is still on its way
        share = 1 - max(before, after, 0) / (slide + 1)
        frames[index], truths[index] = _behind_panel(frames[index], truths[index], cover, share)
    return replace(clip, name=f"{clip.name}~{kind.value}", frames=frames, truths=truths)


def _behind_panel(frame: Rgb, truth: Mask, cover: Rgb, share: float) -> tuple[Rgb, Mask]:
    x, y, width, height = cv2.boundingRect(truth)
    if not width:
        return frame, truth
    left, top = max(x - MARGIN, 0), max(y - MARGIN, 0)
    right = x + round(width * share) if share < 1 else x + width + MARGIN
    panel = np.s_[top : y + height + MARGIN, left:right]
    frame, truth = frame.copy(), truth.copy()
    frame[panel] = cover[panel]
    truth[panel] = 0
    return frame, truth


def absence_clip(before: int, away: int, after: int, *, width: int = 320, height: int = 192, seed: int = 1) -> Clip:
    """A textured disc on a panning background; it leaves through the left edge and comes back through the right one.

    It is fully out of the picture in `away` frames; the truth is empty there and only there.
    """
    radius = height // 6
    ground = texture(width * 2, height, seed)
    skin = _skin(2 * radius + 1, seed + 1)
    yy, xx = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = xx * xx + yy * yy <= radius * radius
    start, step = width // 3, 4
    leaving = (start + radius) // step  # frames on its way in which something of it is still to be seen
    frames, truths = [], []
    for index in range(before + leaving + away + after):
        if index < before + leaving:
            x = start - step * max(index - before + 1, 0)
        else:
            coming = index - before - leaving - away + 1
            x = max(width + radius - step * coming, width // 2) if coming > 0 else -2 * radius
        offset = round((1 + np.sin(index / 40)) / 2 * (width - 1))
        frame = ground[:, offset : offset + width].copy()
        truth: Mask = np.zeros((height, width), np.uint8)
        _paste(frame, truth, skin, disc, x, height // 2)
        frames.append(frame)
        truths.append(truth)
    return Clip("absence", frames, truths)


def _skin(size: int, seed: int) -> Rgb:
    """Two strong colours in rings and spokes, so that the disc looks like a thing."""
    centre = (size - 1) / 2
    yy, xx = np.mgrid[:size, :size] - centre
    rings = np.sin(np.hypot(yy, xx) / size * 18) > 0
    spokes = np.sin(np.arctan2(yy, xx) * 3 + seed) > 0
    colors = np.array([[230, 60, 40], [250, 220, 70]], np.uint8)
    return np.ascontiguousarray(colors[(rings ^ spokes).astype(int)])


def _paste(frame: Rgb, truth: Mask, skin: Rgb, disc: NDArray[np.bool_], x: int, y: int) -> None:
    radius = disc.shape[0] // 2
    left, right = max(x - radius, 0), min(x + radius + 1, frame.shape[1])
    if left >= right:
        return
    rows = slice(y - radius, y + radius + 1)
    part = np.s_[:, left - x + radius : right - x + radius]
    frame[rows, left:right][disc[part]] = skin[part][disc[part]]
    truth[rows, left:right][disc[part]] = 1
