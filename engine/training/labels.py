"""Masks of clips on the stride-8 grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from engine.training.config import IGNORE, STRIDE

_DECIDED = 0.5  # a cell counts when at least this share of its pixels has a label


def cell_labels(
    masks: torch.Tensor, objects: int, kind: str, stride: int = STRIDE
) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels of every cell.

    Args:
        masks: B x T x H x W uint8; 0 background, 1..objects, 255 ignored. H and W are multiples of 8.
        objects: K, the largest id in `masks`.
        kind: "nearest" (one-hot of the pixel at the cell's centre) or "area" (share of the cell's decided pixels).
        stride: pixels per cell and axis.

    Returns:
        (labels B x T x (K + 1) x h x w float32 that add up to 1 in decided cells and 0 elsewhere,
        decided B x T x h x w bool).
    """
    if kind == "nearest":
        centre = masks[..., stride // 2 :: stride, stride // 2 :: stride]
        labels = torch.stack([centre == value for value in range(objects + 1)], 2).float()
        return labels, centre != IGNORE
    # One class at a time: all at once would take (K + 1) times the masks in fp32.
    shares = torch.stack([_cell_mean(masks == value, stride) for value in range(objects + 1)], 2)
    total = shares.sum(2, keepdim=True)
    decided = total >= _DECIDED
    labels = torch.where(decided, shares / total.clamp_min(1e-6), torch.zeros_like(shares))
    return labels, decided.squeeze(2)


def _cell_mean(plane: torch.Tensor, stride: int) -> torch.Tensor:
    return F.avg_pool2d(plane.float(), stride)
