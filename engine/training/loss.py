"""The training loss (paper 3.4): cross-entropy of the target's labels as propagated from the references."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from engine.training.config import LossConfig


@dataclass(frozen=True)
class ClipBatchLoss:
    """What one pass over a batch of clips gives.

    Attributes:
        loss: scalar with gradient; the mean over clips of each clip's mean over its decided target cells.
        correct: share of the decided target cells whose strongest label is the true one; detached scalar.
        prediction: B x (K + 1) x h x w labels of the last target, detached.
    """

    loss: torch.Tensor
    correct: torch.Tensor
    prediction: torch.Tensor


def clip_loss(
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    decided: torch.Tensor,
    *,
    logit_scale: torch.Tensor,
    targets: int,
    config: LossConfig,
    edges: torch.Tensor | None = None,
) -> ClipBatchLoss:
    """Loss of a batch of clips whose last `targets` frames are predicted, each from all frames before it.

    Args:
        embeddings: B x T x C x h x w.
        labels: B x T x (K + 1) x h x w float32 (background first).
        decided: B x T x h x w bool; other cells are neither predicted nor referred to.
        edges: B x T x 3 x h x w frames (0..1) on the grid, for the flow-smoothness term; None where its weight is 0.
    """
    embeddings = embeddings.float()  # logits of reduced precision are steps of a quarter at 40
    frames = embeddings.shape[1]
    losses, corrects = [], []
    for target in range(frames - targets, frames):
        prediction, affinity = propagate_clip(
            embeddings[:, target], embeddings[:, :target], labels[:, :target], decided[:, :target], logit_scale
        )
        known = labels[:, :target].amax((1, 3, 4)) > 0  # B x (K + 1): classes some reference shows
        loss, correct = cross_entropy(prediction, labels[:, target], decided[:, target], known, config.log_floor)
        if config.flow_smoothness and edges is not None:
            flow = affinity_flow(affinity[..., -1, :, :])
            loss = loss + config.flow_smoothness * smoothness(flow, edges[:, target], config.flow_edge)
        losses.append(loss)
        corrects.append(correct)
    return ClipBatchLoss(torch.stack(losses).mean(), torch.stack(corrects).mean(), prediction.detach())


def propagate_clip(
    query: torch.Tensor, keys: torch.Tensor, labels: torch.Tensor, decided: torch.Tensor, logit_scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Eq. 7 without a spatial prior: labels of the references times softmax(scale * target . references).

    Args:
        query: B x C x h x w, keys: B x R x C x h x w, labels: B x R x K x h x w, decided: B x R x h x w bool.

    Returns:
        (B x K x h x w, affinity B x h x w x R x h x w). Rows of the affinity add up to 1; undecided cells have none.
    """
    batch, references, channels, height, width = keys.shape
    cells = height * width
    flat_query = query.reshape(batch, channels, cells)
    flat_keys = keys.permute(0, 2, 1, 3, 4).reshape(batch, channels, references * cells)
    logits = logit_scale * flat_query.transpose(1, 2) @ flat_keys  # B x hw x R hw
    usable = decided.reshape(batch, 1, -1)
    # A clip without any decided cell keeps finite numbers: everything is masked alike.
    logits = logits.masked_fill(~usable, torch.finfo(logits.dtype).min)
    affinity = logits.softmax(-1)
    flat_labels = labels.permute(0, 1, 3, 4, 2).reshape(batch, references * cells, -1)  # B x R hw x K
    prediction = (affinity @ flat_labels).transpose(1, 2).reshape(batch, -1, height, width)
    return prediction, affinity.view(batch, height, width, references, height, width)


def cross_entropy(
    prediction: torch.Tensor, truth: torch.Tensor, decided: torch.Tensor, known: torch.Tensor, floor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over clips of the mean over their cells of -sum_k truth_k * log(prediction_k).

    Cells whose truth is mostly an object that no reference shows are left out: nothing could have predicted it.
    Every clip counts alike, so that the loss of a batch does not depend on how it is spread over processes.

    Args:
        prediction, truth: B x K x h x w, decided: B x h x w bool, known: B x K bool.

    Returns:
        (loss, share of correct cells).
    """
    told = truth * known[:, :, None, None]
    weight = told.sum(1)
    counted = (decided & (weight > 0.5)).float()  # B x h x w
    entropy = -(told * (prediction + floor).log()).sum(1) / weight.clamp_min(0.5)
    cells = counted.sum((1, 2)).clamp_min(1)
    loss = ((entropy * counted).sum((1, 2)) / cells).mean()
    right = (prediction.detach().argmax(1) == truth.argmax(1)).float()
    return loss, ((right * counted).sum((1, 2)) / cells).mean()


def affinity_flow(affinity: torch.Tensor) -> torch.Tensor:
    """Flow read off an affinity (Fig. 7): delta d_i = sum_j s_ij * (loc_j - loc_i) / sum_j s_ij.

    Args:
        affinity: B x h x w x h x w, from target cells (first) to the cells of one reference.

    Returns:
        B x 2 x h x w, (rows, columns) in cells.
    """
    height, width = affinity.shape[-2:]
    mass = affinity.sum((-2, -1)).clamp_min(1e-6)
    y = torch.arange(height, dtype=affinity.dtype, device=affinity.device)
    x = torch.arange(width, dtype=affinity.dtype, device=affinity.device)
    rows = (affinity.sum(-1) * y).sum(-1) / mass - y[:, None]
    columns = (affinity.sum(-2) * x).sum(-1) / mass - x
    return torch.stack([rows, columns], 1)


def smoothness(flow: torch.Tensor, picture: torch.Tensor, edge: float) -> torch.Tensor:
    """Mean absolute difference of the flow of neighbouring cells, less where the picture has an edge.

    Args:
        flow: B x 2 x h x w, picture: B x 3 x h x w in 0..1, edge: weight is exp(-edge * |difference of the picture|).
    """
    total = flow.new_zeros(())
    for axis in (-2, -1):
        jump = flow.diff(dim=axis).abs().sum(1)
        contrast = picture.diff(dim=axis).abs().mean(1)
        total = total + (jump * (-edge * contrast).exp()).mean()
    return total


def frames_on_grid(frames: torch.Tensor, stride: int) -> torch.Tensor:
    """B x T x 3 x H x W -> B x T x 3 x h x w means of cells."""
    small = F.avg_pool2d(frames.flatten(0, 1), stride)
    return small.reshape(*frames.shape[:2], *small.shape[1:])
