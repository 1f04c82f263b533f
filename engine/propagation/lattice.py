"""Votes of whole references, in full only where they may matter.

Most cells of a frame are background, by every reference's account, and so are the cells beside them. So a reference is
asked about every second cell in both directions first. All cells near one in which it sees a trace of an object, and
near those in which the recent frames do, are asked about then; the others take over what their neighbour was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.propagation.affinity import DenseKernel, Votes

NEAR = 2  # cells around a trace that are asked about as well
STEPS = 16  # different numbers of cells that are asked about at once


@dataclass(frozen=True)
class Speakers:
    """References that speak alike.

    Attributes:
        voice: d float32, how much their word counts for each object.
        keys, columns: of each of them, as `DenseKernel` takes them.
    """

    voice: torch.Tensor
    keys: Sequence[torch.Tensor]
    columns: Sequence[torch.Tensor]


def all_votes(kernel: DenseKernel, query: torch.Tensor, speakers: Sequence[Speakers]) -> Votes:
    """Votes for every cell of `query`, rows x columns x C' (n x d per cell as in `Votes`)."""
    rows, columns = query.shape[:2]
    votes = Votes.empty(rows, columns, len(speakers[0].voice), query.device)
    for group in speakers:
        sums = kernel(query.reshape(rows * columns, -1), group.keys, group.columns)
        votes.add(sums.reshape(rows, columns, -1), group.voice.to(query.device))
    return votes


def lattice_votes(
    kernel: DenseKernel,
    query: torch.Tensor,
    speakers: Sequence[Speakers],
    shown: torch.Tensor,
    spacing: int,
    trace: float,
) -> Votes:
    """The same, with the neighbour's votes in cells far from every trace of an object. On a CPU.

    Args:
        query: h x w x C'.
        shown: h x w bool, where the recent frames have a trace of an object.
        spacing: of the lattice in cells. An object of spacing x spacing cells cannot slip through.
        trace: labels up to this are as good as none.
    """
    height, width = query.shape[:2]
    coarse = all_votes(kernel, query[::spacing, ::spacing], speakers)

    def spread(x: torch.Tensor) -> torch.Tensor:
        return x.repeat_interleave(spacing, 0).repeat_interleave(spacing, 1)[:height, :width]

    votes = Votes(spread(coarse.numerator).contiguous(), spread(coarse.denominator).contiguous())
    traces = (spread(coarse.share().amax(0) > trace) | shown).float()
    asked = torch.nn.functional.max_pool2d(traces[None], 2 * NEAR + 1, stride=1, padding=NEAR)[0]
    asked[::spacing, ::spacing] = 0  # they were
    cells = asked.flatten().nonzero().flatten()
    if not len(cells):
        return votes
    # The last one again and again, up to one of a few numbers: oneDNN compiles a product for every new length.
    padding = -len(cells) % max(height * width // STEPS, 1)
    numbers = torch.cat([cells, cells[-1:].expand(padding)])
    fine = all_votes(kernel, query.flatten(0, 1).index_select(0, numbers)[None], speakers)
    votes.numerator.flatten(0, 1).index_copy_(0, numbers, fine.numerator[0])
    votes.denominator.flatten(0, 1).index_copy_(0, numbers, fine.denominator[0])
    return votes
