"""Learned enlargement of labels: for every sub-cell, how much of each of nine cells' labels it takes over.

Convex upsampling (Teed and Deng, RAFT, ECCV 2020) applied to labels: the weights come from the frame alone, never from
a label, so one set serves every object and the result is still a share between 0 and 1. It is the paper's idea at a
finer scale: labels travel along the affinity, here from the cells of a frame to its own pixels.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import nn

from models.fused import Conv, conv_relu

FACTOR = 4  # sub-cells per cell and axis: stride 8 becomes stride 2
NEIGHBOURS = 9  # the 3 x 3 cells around (and with) a cell, row by row
HIDDEN = 96
_SHARE = 64  # channels that each of the four inputs contributes


class Stages(Protocol):
    """See `models.resnet_half.Stages`."""

    @property
    def stem(self) -> torch.Tensor: ...

    @property
    def stage1(self) -> torch.Tensor: ...

    @property
    def stage2(self) -> torch.Tensor: ...

    @property
    def stage3(self) -> torch.Tensor: ...


class Upsampler(nn.Module):
    """Weights from the trunk's stages (see `models.resnet_half.Stages` for their shapes)."""

    def __init__(self, stem: int, stage1: int, stage2: int, stage3: int) -> None:
        super().__init__()
        # Fine stages keep their detail: 16 (4) sub-cells of a cell become channels.
        self.stem = Conv(stem, _SHARE // 16, 1)
        self.stage1 = Conv(stage1, _SHARE // 4, 1)
        self.stage2 = Conv(stage2, _SHARE, 1)
        self.stage3 = Conv(stage3, _SHARE, 1)
        self.mix = Conv(4 * _SHARE, HIDDEN, 1)
        self.spread = Conv(HIDDEN, HIDDEN, 3, padding=1)
        self.weights = Conv(HIDDEN, NEIGHBOURS * FACTOR**2, 1)
        # Training starts from bilinear enlargement.
        nn.init.normal_(self.weights.weight, std=1e-3)
        self.weights.bias = nn.Parameter(bilinear_logits().flatten())

    def forward(self, stages: Stages) -> torch.Tensor:
        """-> N x h x w x (NEIGHBOURS x FACTOR x FACTOR) logits; softmax over the neighbours gives the weights."""
        height, width = stages.stage2.shape[-2:]
        third = self.stage3(stages.stage3)
        third = third.repeat_interleave(2, 2)[:, :, :height].repeat_interleave(2, 3)[..., :width]
        together = torch.cat(
            [
                _cells(self.stem(stages.stem), 4, height, width),
                _cells(self.stage1(stages.stage1), 2, height, width),
                self.stage2(stages.stage2),
                third,
            ],
            1,
        )
        x = conv_relu(conv_relu(F.relu(together, inplace=True), self.mix), self.spread)
        logits: torch.Tensor = self.weights(x)
        return logits.permute(0, 2, 3, 1)


def _cells(x: torch.Tensor, factor: int, height: int, width: int) -> torch.Tensor:
    """N x C x ~factor h x ~factor w -> N x (factor^2 C) x h x w; odd sizes are padded at the right and the bottom."""
    pad_right, pad_bottom = factor * width - x.shape[-1], factor * height - x.shape[-2]
    if pad_right or pad_bottom:
        x = F.pad(x, (0, pad_right, 0, pad_bottom))
    return F.pixel_unshuffle(x, factor)


def bilinear_logits() -> torch.Tensor:
    """NEIGHBOURS x FACTOR x FACTOR: logarithms of the weights of bilinear enlargement (half-pixel centres)."""
    offset = (torch.arange(FACTOR) + 0.5) / FACTOR - 0.5  # of a sub-cell's centre from the cell's, in cells
    axis = torch.stack([(-offset).clamp_min(0), 1 - offset.abs(), offset.clamp_min(0)])  # 3 x FACTOR
    weights = axis[:, None, :, None] * axis[None, :, None, :]  # 3 x 3 x FACTOR x FACTOR
    return weights.clamp_min(1e-3).log().reshape(NEIGHBOURS, FACTOR, FACTOR)


def upsample_labels(labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Enlarge labels by FACTOR with the weights of `Upsampler`.

    Args:
        labels: N x K x h x w.
        logits: N x h x w x (NEIGHBOURS x FACTOR x FACTOR).

    Returns:
        N x K x (FACTOR h) x (FACTOR w); every value is a weighted mean of nine of the labels (repeated at the border).
    """
    batch, columns, height, width = labels.shape
    weights = weights_of(logits.reshape(batch, height * width, -1))  # N x hw x 9 x F^2
    nearby = around(labels).permute(0, 3, 1, 2)  # N x hw x K x 9
    fine = (nearby @ weights).permute(0, 2, 3, 1)  # N x K x F^2 x hw
    return F.pixel_shuffle(fine.reshape(batch, columns * FACTOR**2, height, width), FACTOR)


def weights_of(logits: torch.Tensor) -> torch.Tensor:
    """... x (9 x F^2) -> ... x 9 x F^2 that add up to 1 over the nine."""
    return logits.float().reshape(*logits.shape[:-1], NEIGHBOURS, FACTOR**2).softmax(-2)


def around(labels: torch.Tensor) -> torch.Tensor:
    """N x K x h x w -> N x K x 9 x hw, the 3 x 3 labels around every cell, repeated at the border."""
    windows = F.unfold(F.pad(labels, (1, 1, 1, 1), mode="replicate"), 3)
    return windows.reshape(*labels.shape[:2], NEIGHBOURS, -1)
