"""The weights with which a frame's labels are enlarged: ready for every cell, or worked out for the cells that ask."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F

from models.upsampler import HIDDEN, Stages, Upsampler

STEPS = 16  # different numbers of cells that are worked on


class Upsampling(Protocol):
    """Logits of `models.upsampler` of one frame."""

    def all(self) -> torch.Tensor:
        """h x w x (NEIGHBOURS x FACTOR x FACTOR)."""
        ...

    def at(self, cells: torch.Tensor) -> torch.Tensor:
        """n x (NEIGHBOURS x FACTOR x FACTOR) of the cells with these numbers (n int64, y w + x), in their order."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of what it keeps of the frame."""
        ...


class DenseLogits:
    """Logits that are there already."""

    def __init__(self, logits: torch.Tensor) -> None:
        """`logits`: h x w x (NEIGHBOURS x FACTOR x FACTOR)."""
        self._logits = logits

    def all(self) -> torch.Tensor:
        return self._logits

    def at(self, cells: torch.Tensor) -> torch.Tensor:
        return self._logits.flatten(0, 1)[cells]

    @property
    def nbytes(self) -> int:
        return self._logits.nbytes


class StageLogits:
    """Logits worked out when they are asked for, from the trunk's stages, which it keeps.

    Labels change at the outlines of objects only, in a twentieth of the cells of an ordinary frame; for these the
    upsampler takes a tenth of what it takes for all of them (a sixth of the whole network).
    """

    DENSE_SHARE = 0.3  # with more of the cells asked for, all at once is quicker

    def __init__(self, upsampler: Upsampler, stages: Stages) -> None:
        self._upsampler, self._stages = upsampler, stages
        self._height, self._width = stages.stage2.shape[-2:]

    @property
    def nbytes(self) -> int:
        stages = self._stages
        return sum(stage.nbytes for stage in (stages.stem, stages.stage1, stages.stage2, stages.stage3))

    def all(self) -> torch.Tensor:
        logits: torch.Tensor = self._upsampler(self._stages)[0]
        return logits

    def at(self, cells: torch.Tensor) -> torch.Tensor:
        stages, height, width = self._stages, self._height, self._width
        fits = stages.stem.shape[-2:] == (4 * height, 4 * width) and stages.stage1.shape[-2:] == (2 * height, 2 * width)
        if not fits or len(cells) > self.DENSE_SHARE * height * width:
            return self.all().flatten(0, 1)[cells]
        return self._sparse(self._rounded_up(cells))[: len(cells)]

    def _rounded_up(self, numbers: torch.Tensor) -> torch.Tensor:
        """With the last one repeated up to one of a few lengths: oneDNN compiles a product for every new length."""
        step = max(self._height * self._width // STEPS, 1)
        return torch.cat([numbers, numbers[-1:].expand(-len(numbers) % step)])

    def _sparse(self, cells: torch.Tensor) -> torch.Tensor:
        """The 3 x 3 convolution needs the cells around those asked for, too; beyond the border it sees zeros."""
        net, width = self._upsampler, self._width
        # Numbers on a grid with a margin of one cell.
        y, x = torch.div(cells, width, rounding_mode="floor"), cells % width
        steps = torch.arange(-1, 2)
        around = ((y + 1) * (width + 2) + x + 1)[:, None] + (steps[:, None] * (width + 2) + steps).flatten()
        wanted = torch.zeros(self._height + 2, width + 2, dtype=torch.bool)
        wanted.view(-1)[around] = True
        wanted[0] = wanted[-1] = False
        wanted[:, 0] = wanted[:, -1] = False
        inner = wanted.view(-1).nonzero().flatten()
        inner = self._rounded_up(inner)
        mixed = self._mixed(torch.div(inner, width + 2, rounding_mode="floor") - 1, inner % (width + 2) - 1)
        padded = mixed.new_zeros(wanted.numel(), HIDDEN)
        padded.index_copy_(0, inner, mixed)
        windows = padded.index_select(0, around.flatten()).view(len(cells), -1)  # n x (9 x HIDDEN)
        spread = net.spread.weight.permute(0, 2, 3, 1).reshape(HIDDEN, -1)
        hidden = F.relu(F.linear(windows, spread, net.spread.bias))
        return F.linear(hidden, net.weights.weight.flatten(1), net.weights.bias)

    def _mixed(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """What the upsampler makes of all stages in m cells before it looks at their neighbours: m x HIDDEN."""
        net, stages, width = self._upsampler, self._stages, self._width

        def sub_cells(stage: torch.Tensor, factor: int) -> torch.Tensor:
            """m x factor^2 x C: the pixels of a finer stage in each cell."""
            steps = torch.arange(factor)
            inner = (steps[:, None] * factor * width + steps).flatten()
            numbers = ((y * factor) * factor * width + x * factor)[:, None] + inner
            return _rows(stage).index_select(0, numbers.flatten()).view(*numbers.shape, -1)

        def reduced(conv: torch.nn.Conv2d, features: torch.Tensor) -> torch.Tensor:
            return F.linear(features, conv.weight.flatten(1), conv.bias)

        coarse = torch.div(y, 2, rounding_mode="floor") * stages.stage3.shape[-1]
        coarse += torch.div(x, 2, rounding_mode="floor")
        together = torch.cat(
            [
                # As pixel_unshuffle has them: all sub-cells of a channel side by side.
                reduced(net.stem, sub_cells(stages.stem, 4)).transpose(1, 2).flatten(1),
                reduced(net.stage1, sub_cells(stages.stage1, 2)).transpose(1, 2).flatten(1),
                reduced(net.stage2, _rows(stages.stage2).index_select(0, y * width + x)),
                reduced(net.stage3, _rows(stages.stage3).index_select(0, coarse)),
            ],
            1,
        )
        return F.relu(reduced(net.mix, F.relu(together)))


def _rows(stage: torch.Tensor) -> torch.Tensor:
    """1 x C x H x W, channels last -> HW x C, a view."""
    return stage[0].permute(1, 2, 0).flatten(0, 1)
