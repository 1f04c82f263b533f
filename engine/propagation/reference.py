"""Label propagation written to be read: the whole affinity at once, in fp32. The fast path is tested against this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.propagation.grid import pool_cells
from engine.propagation.prior import pair_log_prior


@dataclass(frozen=True)
class Reference:
    """One reference frame as the plain implementation wants it.

    Attributes:
        embedding: C x h x w float32.
        label: d x h x w float32, object rows only (no background row).
        voice: d float32, how much this frame's word counts for each object; 0 where it says nothing (the object was
            painted for the first time, or corrected, elsewhere).
        sigma: spatial prior, None for none.
        window: window radius in cells, None for all cells.
        pool: 2: seen as means of 2 x 2 cells, each of which counts as often as it has cells.
    """

    embedding: torch.Tensor
    label: torch.Tensor
    voice: torch.Tensor
    sigma: float | None = None
    window: int | None = None
    pool: int = 1


def propagate_labels(
    query: torch.Tensor,
    references: Sequence[Reference],
    *,
    logit_scale: float = 1.0,
    renormalise: bool = True,
    top_k: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Eq. 7 over all cells of all references, with the prior of eq. 6.

    Args:
        query: C x h x w embedding of the target frame.
        references: at least one.
        renormalise: labels are divided by the sum of (affinity x prior x voice);
            False: the prior multiplies the finished softmax, and nothing is divided again (reference implementation).
        top_k: not renormalised only: each target cell listens to so many cells, those with the greatest affinity times
            prior, and the softmax runs over them; 0: to all.

    Returns:
        (object labels d x h x w, total mass h x w), float32. The background label is mass - sum over objects, because
        the labels of every cell, background included, add up to one. Mass is 1 when renormalised.
    """
    channels, height, width = query.shape
    cells = height * width
    queries = query.reshape(channels, cells).T.float()  # hw x C

    logits, log_priors, labels, voices = [], [], [], []
    for reference in references:
        total, count = pool_cells(reference.embedding.permute(1, 2, 0), reference.pool)
        keys = (total / count).flatten(0, 1).T  # C x n, n = hw without pooling
        logits.append(logit_scale * queries @ keys)  # hw x n
        prior = pair_log_prior(height, width, reference.sigma, reference.window, reference.pool)
        log_priors.append(prior.to(queries.device) + count.flatten().log())
        label = pool_cells(reference.label.permute(1, 2, 0), reference.pool)[0] / count
        labels.append(label.flatten(0, 1).T)  # d x n
        voices.append(reference.voice[:, None].expand(-1, keys.shape[1]).float())  # d x n

    logit = torch.cat(logits, 1)  # hw x N, N = cells of all references
    log_prior = torch.cat(log_priors, 1)  # hw x N
    label = torch.cat(labels, 1)  # d x N
    voice = torch.cat(voices, 1)  # d x N
    if not renormalise:
        if top_k:
            weaker = (logit + log_prior).argsort(1, descending=True)[:, top_k:]
            logit = logit.scatter(1, weaker, float("-inf"))
        weight = logit.softmax(1) * log_prior.exp()  # hw x N
        mass = weight.sum(1)  # hw
        return _vote(label, voice, weight, mass, (height, width))
    weight_log = logit + log_prior
    weight = (weight_log - weight_log.amax(1, keepdim=True)).exp()  # hw x N
    return _vote(label, voice, weight, torch.ones(cells), (height, width))


def _vote(
    label: torch.Tensor, voice: torch.Tensor, weight: torch.Tensor, mass: torch.Tensor, grid: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean of the labels weighted by affinity and voice, times the total mass."""
    share = (label * voice) @ weight.T / (voice @ weight.T).clamp_min(1e-30)  # d x hw
    return (share * mass).reshape(-1, *grid), mass.reshape(grid)
