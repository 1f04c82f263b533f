"""Enlarging the labels of one frame with learned weights, only where something is to be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from models.logits import Upsampling
from models.upsampler import FACTOR, upsample_labels, weights_of

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
    padded = F.pad(part, (1, 1, 1, 1), mode="replicate")
    highest, lowest = _of_three_by_three(torch.maximum, padded), _of_three_by_three(torch.minimum, padded)
    y, x = ((highest - lowest) > EVEN).any(0).nonzero(as_tuple=True)
    planes = F.interpolate(part[None], scale_factor=float(FACTOR), mode="nearest")[0]
    means = labels.clone()
    if len(y):
        whole = (y + top) * width + x + left
        weights = weights_of(upsampling.at(whole)).permute(1, 2, 0).contiguous()  # 9 x F^2 x n
        corner = y * (across + 2) + x
        # Nine long vector operations: thousands of products of 9 numbers take five times as long for ten objects.
        mixed = torch.zeros(columns, FACTOR**2, len(y))
        for neighbour, weight in enumerate(weights):
            step = neighbour // 3 * (across + 2) + neighbour % 3
            mixed.addcmul_(padded.flatten(1).index_select(1, corner + step)[:, None], weight)
        cells = planes.view(columns, rows, FACTOR, across, FACTOR).permute(1, 3, 0, 2, 4)
        cells[y, x] = mixed.permute(2, 0, 1).reshape(-1, columns, FACTOR, FACTOR)
        means.flatten(1).index_copy_(1, whole, mixed.mean(1))
    return Enlarged(planes, top, left, means)


def _of_three_by_three(choose: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The largest or smallest of each 3 x 3 values: K x (h + 2) x (w + 2) -> K x h x w."""
    rows = choose(choose(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    return choose(choose(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def _part(wanted: torch.Tensor) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of the box around the wanted cells with a margin of two; of one cell without any.

    Two, because enlargement carries a label one cell further, and pictures are interpolated beyond that.
    """
    height, width = wanted.shape
    rows, columns = wanted.any(1).nonzero().flatten().tolist(), wanted.any(0).nonzero().flatten().tolist()
    if not rows:
        return 0, 1, 0, 1
    return max(rows[0] - 2, 0), min(rows[-1] + 3, height), max(columns[0] - 2, 0), min(columns[-1] + 3, width)
