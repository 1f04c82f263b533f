"""Label propagation written to be read: the whole affinity at once, in fp32. The fast path is tested against this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.propagation.prior import axis_log_prior


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
    """

    embedding: torch.Tensor
    label: torch.Tensor
    voice: torch.Tensor
    sigma: float | None = None
    window: int | None = None


def propagate_labels(
    query: torch.Tensor,
    references: Sequence[Reference],
    *,
    logit_scale: float = 1.0,
    renormalise: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Eq. 7 over all cells of all references, with the prior of eq. 6.

    Args:
        query: C x h x w embedding of the target frame.
        references: at least one.
        renormalise: labels are divided by the sum of (affinity x prior x voice);
            False: the prior multiplies the finished softmax, and nothing is divided again (reference implementation).

    Returns:
        (object labels d x h x w, total mass h x w), float32. The background label is mass - sum over objects, because
        the labels of every cell, background included, add up to one. Mass is 1 when renormalised.
    """
    channels, height, width = query.shape
    cells = height * width
    queries = query.reshape(channels, cells).T.float()  # hw x C

    logits, log_priors, labels, voices = [], [], [], []
    for reference in references:
        keys = reference.embedding.reshape(channels, cells).float()  # C x hw
        logits.append(logit_scale * queries @ keys)  # hw x hw
        rows = axis_log_prior(height, reference.sigma)
        columns = axis_log_prior(width, reference.sigma)
        prior = rows[:, None, :, None] + columns[None, :, None, :]  # h x w x h x w
        if reference.window is not None:
            y, x = torch.arange(height), torch.arange(width)
            near = ((y[:, None] - y).abs() <= reference.window)[:, None, :, None] & (
                (x[:, None] - x).abs() <= reference.window
            )[None, :, None, :]
            prior = prior.masked_fill(~near, float("-inf"))
        log_priors.append(prior.reshape(cells, cells).to(queries.device))
        labels.append(reference.label.reshape(-1, cells).float())  # d x hw
        voices.append(reference.voice[:, None].expand(-1, cells).float())  # d x hw

    logit = torch.cat(logits, 1)  # hw x N, N = references x hw
    log_prior = torch.cat(log_priors, 1)  # hw x N
    label = torch.cat(labels, 1)  # d x N
    voice = torch.cat(voices, 1)  # d x N
    if not renormalise:
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
