"""Between masks at full resolution and labels on the stride-8 grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engine.types import Mask


def mask_to_labels(mask: Mask, object_ids: Sequence[int], height: int, width: int, *, area: bool) -> torch.Tensor:
    """Share of every cell that each object covers.

    Args:
        mask: H x W uint8 object ids.
        object_ids: the d objects wanted, in column order.
        area: True averages over the whole cell; False samples bilinearly (align_corners False) as the paper's
            reference implementation does.

    Returns:
        h x w x d float32 in 0..1.
    """
    planes = [_shrink((mask == object_id).astype(np.float32), height, width, area=area) for object_id in object_ids]
    if not planes:
        return torch.zeros(height, width, 0)
    return torch.from_numpy(np.stack(planes, -1))


def _shrink(plane: NDArray[np.float32], height: int, width: int, *, area: bool) -> NDArray[np.float32]:
    shrinks = plane.shape[0] >= height and plane.shape[1] >= width
    interpolation = cv2.INTER_AREA if area and shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=interpolation), np.float32)


def stored_labels(labels: torch.Tensor, mass: torch.Tensor, power: float) -> torch.Tensor:
    """What the memory keeps of a tracked frame's labels.

    Args:
        labels: d x h x w, objects.
        mass: h x w; the background's label is mass - sum of the objects'.
        power: 1 keeps the labels, more sharpens them (p^power / sum of p^power, background included), infinity gives
            the one-hot of the argmax (background wins ties, as row 0 would).

    Returns:
        h x w x d float32.
    """
    whole = torch.cat([(mass - labels.sum(0))[None], labels])
    if math.isinf(power):
        winner = torch.nn.functional.one_hot(whole.argmax(0), len(whole))
        return winner[..., 1:].float()
    if power != 1:
        whole = whole.clamp_min(0) ** power
        whole = whole / whole.sum(0).clamp_min(1e-30)
    return whole[1:].permute(1, 2, 0)


@dataclass(frozen=True)
class PlanePart:
    """Where planes lie that show a part of a grid only.

    Attributes:
        top, left: number of their first row and column.
        height, width: of the whole grid at the planes' own resolution.
    """

    top: int
    left: int
    height: int
    width: int


def labels_to_mask(
    labels: NDArray[np.float32],
    mass: NDArray[np.float32] | None,
    object_ids: Sequence[int],
    height: int,
    width: int,
    part: PlanePart | None = None,
) -> Mask:
    """Bilinear upsampling of every label to the frame's size, then the argmax (background = mass - sum).

    Each object is upsampled only around the cells that carry any of it, so that many small objects cost little.

    Args:
        labels: d x h x w float32.
        mass: sum of all labels, background included, h x w float32; None: 1 everywhere.
        object_ids: d ids.
        part: where the planes of `labels` lie; None: they show the whole frame. No label is to be seen around them.

    Returns:
        H x W uint8 object ids.
    """
    mask = np.zeros((height, width), np.uint8)
    grid = (
        _Grid.whole(labels.shape[1], labels.shape[2], height, width) if part is None else _Grid.of(part, height, width)
    )
    boxes = [grid.support(plane) for plane in labels]
    shown = [(plane, box, id_) for plane, box, id_ in zip(labels, boxes, object_ids, strict=True) if box is not None]
    if not shown:
        return mask
    # Everything happens inside the box around all objects; the rest is background.
    top, left = (min(box[side] for _, box, _ in shown) for side in (0, 2))
    bottom, right = (max(box[side] for _, box, _ in shown) for side in (1, 3))
    best = np.zeros((bottom - top, right - left), np.float32)
    total = np.zeros_like(best)
    winner = mask[top:bottom, left:right]
    for plane, box, object_id in shown:
        own = np.s_[box[0] - top : box[1] - top, box[2] - left : box[3] - left]
        full = grid.enlarge(plane, box)
        wins = full > best[own]
        np.copyto(best[own], full, where=wins)
        np.copyto(winner[own], np.uint8(object_id), where=wins)
        total[own] += full
    whole: float | NDArray[np.float32] = 1.0
    if mass is not None:
        whole = _Grid.whole(mass.shape[0], mass.shape[1], height, width).enlarge(mass, (top, bottom, left, right))
    winner[whole - total >= best] = 0
    return mask


LABEL_FLOOR = 1e-2  # labels below this cannot win a pixel from background and are not upsampled


Box = tuple[int, int, int, int]  # pixels: top, bottom, left, right


@dataclass(frozen=True)
class _Grid:
    """How planes lie on a frame's pixels.

    Attributes:
        top, left: row and column of the grid at which the planes begin.
        scale_y, scale_x: pixels per row and column.
        height, width: pixels of the frame.
    """

    top: int
    left: int
    scale_y: float
    scale_x: float
    height: int
    width: int

    @staticmethod
    def whole(rows: int, columns: int, height: int, width: int) -> _Grid:
        return _Grid(0, 0, height / rows, width / columns, height, width)

    @staticmethod
    def of(part: PlanePart, height: int, width: int) -> _Grid:
        return _Grid(part.top, part.left, height / part.height, width / part.width, height, width)

    def support(self, plane: NDArray[np.float32]) -> Box | None:
        """Pixels that the plane's cells above LABEL_FLOOR can reach through the interpolation."""
        shown = plane > LABEL_FLOOR
        rows = np.flatnonzero(shown.any(1))
        if not rows.size:
            return None
        columns = np.flatnonzero(shown.any(0))
        top = max(int((self.top + rows[0] - 1) * self.scale_y), 0)
        bottom = min(int(np.ceil((self.top + rows[-1] + 2) * self.scale_y)), self.height)
        left = max(int((self.left + columns[0] - 1) * self.scale_x), 0)
        right = min(int(np.ceil((self.left + columns[-1] + 2) * self.scale_x)), self.width)
        return top, bottom, left, right

    def enlarge(self, plane: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        """The part `box` of the plane's bilinear enlargement (half-pixel centres, repeated edges).

        By OpenCV, not as a product of matrices: NumPy's threads spin for milliseconds after a product, on the cores
        that the network wants next (measured: every embedding took twice as long).
        """
        top, bottom, left, right = box
        y, x = 1 / self.scale_y, 1 / self.scale_x
        to_plane = np.array(
            [[x, 0, (left + 0.5) * x - 0.5 - self.left], [0, y, (top + 0.5) * y - 0.5 - self.top]], np.float64
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (right - left, bottom - top)
        return np.asarray(
            cv2.warpAffine(plane, to_plane, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
        )
