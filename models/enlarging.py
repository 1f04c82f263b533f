"""Enlarging the labels of one frame with learned weights, only where something is to be seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from models.logits import Upsampling
from models.upsampler import FACTOR, around, upsample_labels, weights_of

EVEN = 1e-2  # labels that differ by less are alike


@dataclass(frozen=True)
class Enlarged:
    """Labels of one frame at FACTOR times the grid's resolution, in the part of the grid that holds any.

    Attributes:
        planes: K x (FACTOR rows) x (FACTOR columns) float32.
        top, left: cell at which the part begins; everything around it is at most EVEN.
        means: K x h x w float32, the mean of each cell's FACTOR x FACTOR labels.
    """

    planes: torch.Tensor
    top: int
    left: int
    means: torch.Tensor


def enlarge(labels: torch.Tensor, upsampling: Upsampling) -> Enlarged:
    """K x h x w labels of one frame, enlarged in the way that is quickest on their device."""
    if labels.device.type == "cpu":
        return enlarge_at_edges(labels, upsampling)
    planes = upsample_labels(labels[None], upsampling.all()[None])[0]  # no shape depends on the labels: no waiting
    return Enlarged(planes, 0, 0, F.avg_pool2d(planes, FACTOR))


def enlarge_at_edges(labels: torch.Tensor, upsampling: Upsampling) -> Enlarged:
    """Weighted means are computed only where the nine labels differ; elsewhere every one of them is the label.

    At most EVEN off `models.upsampler.upsample_labels`.
    """
    columns, _, width = labels.shape
    top, bottom, left, right = _part((labels > EVEN).any(0))
    part = labels[:, top:bottom, left:right]
    rows, across = part.shape[1:]
    highest = F.max_pool2d(part, 3, stride=1, padding=1)
    lowest = -F.max_pool2d(-part, 3, stride=1, padding=1)
    edge = ((highest - lowest) > EVEN).any(0).flatten().nonzero().flatten()
    fine = part.reshape(columns, 1, rows * across).repeat(1, FACTOR**2, 1)
    means = labels.clone()
    if len(edge):
        whole = (torch.div(edge, across, rounding_mode="floor") + top) * width + edge % across + left
        weights = weights_of(upsampling.at(whole)).permute(1, 2, 0).contiguous()  # 9 x F^2 x n
        neighbours = around(part[None])[0][..., edge]  # K x 9 x n
        # Nine long vector operations: thousands of products of 9 numbers take five times as long for ten objects.
        mixed = torch.zeros(columns, FACTOR**2, len(edge))
        for neighbour, weight in enumerate(weights):
            mixed.addcmul_(neighbours[:, neighbour, None], weight)
        fine.index_copy_(2, edge, mixed)
        means.flatten(1).index_copy_(1, whole, mixed.mean(1))
    planes = F.pixel_shuffle(fine.reshape(1, columns * FACTOR**2, rows, across), FACTOR)[0]
    return Enlarged(planes, top, left, means)


def _part(wanted: torch.Tensor) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of the box around the wanted cells with a margin of two; of one cell without any.

    Two, because enlargement carries a label one cell further, and pictures are interpolated beyond that.
    """
    height, width = wanted.shape
    rows, columns = wanted.any(1).nonzero().flatten().tolist(), wanted.any(0).nonzero().flatten().tolist()
    if not rows:
        return 0, 1, 0, 1
    return max(rows[0] - 2, 0), min(rows[-1] + 3, height), max(columns[0] - 2, 0), min(columns[-1] + 3, width)
