"""Between masks at full resolution and labels on the stride-8 grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def labels_to_mask(
    labels: NDArray[np.float32], mass: NDArray[np.float32] | None, object_ids: Sequence[int], height: int, width: int
) -> Mask:
    """Bilinear upsampling of every label to the frame's size, then the argmax (background = mass - sum).

    Each object is upsampled only around the cells that carry any of it, so that many small objects cost little.

    Args:
        labels: d x h x w float32.
        mass: sum of all labels, background included, h x w float32; None: 1 everywhere.
        object_ids: d ids.

    Returns:
        H x W uint8 object ids.
    """
    mask = np.zeros((height, width), np.uint8)
    grid = labels.shape[1:]
    boxes = [_support(plane, grid, (height, width)) for plane in labels]
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
        full = _enlarge_region(plane, (height, width), box)
        wins = full > best[own]
        np.copyto(best[own], full, where=wins)
        np.copyto(winner[own], np.uint8(object_id), where=wins)
        total[own] += full
    whole = 1.0 if mass is None else _enlarge_region(mass, (height, width), (top, bottom, left, right))
    winner[whole - total >= best] = 0
    return mask


LABEL_FLOOR = 1e-2  # labels below this cannot win a pixel from background and are not upsampled


def _support(
    plane: NDArray[np.float32], grid: tuple[int, ...], size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Pixels (top, bottom, left, right) that the cells above LABEL_FLOOR can reach through the interpolation."""
    rows = np.flatnonzero((plane > LABEL_FLOOR).any(1))
    if not rows.size:
        return None
    columns = np.flatnonzero((plane > LABEL_FLOOR).any(0))
    scale_y, scale_x = size[0] / grid[0], size[1] / grid[1]
    top = max(int((rows[0] - 1) * scale_y), 0)
    bottom = min(int(np.ceil((rows[-1] + 2) * scale_y)), size[0])
    left = max(int((columns[0] - 1) * scale_x), 0)
    right = min(int(np.ceil((columns[-1] + 2) * scale_x)), size[1])
    return top, bottom, left, right


def _enlarge_region(
    plane: NDArray[np.float32], size: tuple[int, int], box: tuple[int, int, int, int]
) -> NDArray[np.float32]:
    """The part `box` of the plane's bilinear enlargement to `size` (half-pixel centres, repeated edges).

    By OpenCV, not as a product of matrices: NumPy's threads spin for milliseconds after a product, on the cores that
    the network wants next (measured: every embedding took twice as long).
    """
    top, bottom, left, right = box
    scale_y, scale_x = plane.shape[0] / size[0], plane.shape[1] / size[1]
    to_plane = np.array(
        [[scale_x, 0, (left + 0.5) * scale_x - 0.5], [0, scale_y, (top + 0.5) * scale_y - 0.5]], np.float64
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    region = cv2.warpAffine(plane, to_plane, (right - left, bottom - top), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(region, np.float32)
