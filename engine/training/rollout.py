"""The loss of a tracker: targets are predicted one after the other, each from what the tracker itself would remember.

Unlike the paper's loss (`engine.training.loss`), references carry the spatial prior of the robust recipe, the keyframe
is pooled as the memory pools it, earlier targets speak with their predicted labels instead of the true ones, so that
the network learns what its own errors do, and the result is judged after the learned enlargement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F

from engine.propagation.prior import pair_log_prior
from engine.propagation.recipe import ROBUST
from engine.training.config import STRIDE, LossConfig
from engine.training.labels import cell_labels
from engine.training.loss import ClipBatchLoss
from models.upsampler import FACTOR, upsample_labels


@dataclass(frozen=True)
class _Remembered:
    """A frame as references see it: embedding B x C x h x w, labels B x K x h x w, decided B x h x w bool."""

    embedding: torch.Tensor
    labels: torch.Tensor
    decided: torch.Tensor

    def pooled(self, pool: int) -> _Remembered:
        """Means of pool x pool cells; a pooled cell counts when any of its cells does."""
        decided = self.decided[:, None].float()
        share = F.avg_pool2d(decided, pool)
        labels = F.avg_pool2d(self.labels * decided, pool) / share.clamp_min(1e-6)
        return _Remembered(F.avg_pool2d(self.embedding, pool), labels, share[:, 0] > 0)


def rollout_loss(
    embeddings: torch.Tensor,
    upsampling: torch.Tensor | None,
    masks: torch.Tensor,
    objects: int,
    *,
    logit_scale: torch.Tensor,
    references: int,
    config: LossConfig,
) -> ClipBatchLoss:
    """Loss of a batch of clips: frame 0 is a keyframe, the other references and the targets are recent frames.

    Args:
        embeddings: B x T x C x h x w, unit length, h and w even; the affinity is multiplied in their dtype.
        upsampling: B x T x h x w x (9 x 16) logits of `models.upsampler`, None for a network without.
        masks: B x T x H x W uint8; 0 background, 1..objects, 255 ignored.
        references: how many of the T frames come with their true masks.
    """
    dtype, embeddings = embeddings.dtype, embeddings.float()
    labels, decided = cell_labels(masks, objects, "area")
    stride = STRIDE // FACTOR if upsampling is not None else STRIDE
    truths, certain = cell_labels(masks[:, references:], objects, "area", stride)
    held = [_Remembered(embeddings[:, i], labels[:, i], decided[:, i]) for i in range(references)]
    known = labels[:, :references].amax((1, 3, 4)) > 0  # B x (K + 1)
    losses = []
    for step, target in enumerate(range(references, embeddings.shape[1])):
        prediction = propagate(embeddings[:, target], held, logit_scale, dtype)
        stored = shown = prediction
        if upsampling is not None:
            shown = upsample_labels(prediction, upsampling[:, target])
            stored = F.avg_pool2d(shown, FACTOR)
        losses.append(judge(shown, truths[:, step], certain[:, step], known, config))
        held.append(_Remembered(embeddings[:, target], stored, torch.ones_like(decided[:, target])))
    correct = share_correct(shown.detach(), truths[:, -1], certain[:, -1])
    return ClipBatchLoss(torch.stack(losses).mean(), correct, shown.detach())


def propagate(
    query: torch.Tensor, held: list[_Remembered], logit_scale: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """Labels of `query` (B x C x h x w) from a keyframe (first) and recent frames, the newest last: B x K x h x w."""
    batch, _, height, width = query.shape
    keys, labels, usable, priors = [], [], [], []
    for number, reference in enumerate(held):
        is_keyframe = number == 0
        pool = ROBUST.pool_keyframes if is_keyframe else 1
        seen = reference.pooled(pool) if pool > 1 else reference
        prior = _log_prior(height, width, pool=pool, keyframe=is_keyframe)
        keys.append(seen.embedding.flatten(2))
        labels.append(seen.labels.flatten(2))
        usable.append(seen.decided.flatten(1))
        priors.append(prior.to(query.device))
    logits = _shifted_logits(query.flatten(2), torch.cat(keys, 2), logit_scale, dtype) + torch.cat(priors, 1)
    logits = logits.masked_fill(~torch.cat(usable, 1)[:, None], torch.finfo(logits.dtype).min)
    spread = logits.softmax(-1) @ torch.cat(labels, 2).transpose(1, 2)  # B x hw x K
    return spread.transpose(1, 2).reshape(batch, -1, height, width)


def _shifted_logits(query: torch.Tensor, keys: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """scale * (query . keys - 1), B x hw x N float32, multiplied in `dtype` as the tracker does.

    The shift is part of the product (one more channel), so that in bf16 the likely matches are rounded finely.
    """
    ones = torch.ones_like(query[:, :1])
    queries = torch.cat([scale * query, -scale * ones], 1).to(dtype)
    keys = torch.cat([keys, torch.ones_like(keys[:, :1])], 1).to(dtype)
    return torch.bmm(queries.transpose(1, 2), keys).float()


@lru_cache(maxsize=16)
def _log_prior(height: int, width: int, *, pool: int, keyframe: bool) -> torch.Tensor:
    """hw x (cells of the reference) float32, as the robust recipe has it; a pooled cell speaks for all of its cells."""
    sigma = ROBUST.sigma_keyframe if keyframe else ROBUST.sigma_dense
    window = None if keyframe else ROBUST.window
    prior = pair_log_prior(height, width, sigma, window, pool=pool)
    # Not -inf: a cell that sees undecided cells only must keep a finite softmax.
    return prior.clamp_min(-1e4) + 2 * math.log(pool)


def judge(
    shown: torch.Tensor, truth: torch.Tensor, certain: torch.Tensor, known: torch.Tensor, config: LossConfig
) -> torch.Tensor:
    """Cross-entropy over the hardest share of the decided cells plus 1 - soft IoU of the objects; mean over clips.

    Args:
        shown, truth: B x K x H x W, certain: B x H x W bool, known: B x K bool, objects that a reference shows.
    """
    told = truth * known[:, :, None, None]
    weight = told.sum(1)
    counted = (certain & (weight > 0.5)).float()  # B x H x W
    entropy = -(told * (shown + config.log_floor).log()).sum(1) / weight.clamp_min(0.5) * counted
    hardest = max(int(config.hardest * entropy[0].numel()), 1)
    share = counted.mean((1, 2)).clamp_min(1e-3)
    chosen = entropy.flatten(1).topk(hardest, 1).values.mean(1) if config.hardest < 1 else entropy.mean((1, 2)) / share
    both = (shown * told * counted[:, None]).sum((2, 3))
    either = ((shown + told) * counted[:, None]).sum((2, 3)) - both
    overlap = (both + 1) / (either + 1)
    objects = known[:, 1:].float()
    missed = ((1 - overlap[:, 1:]) * objects).sum(1) / objects.sum(1).clamp_min(1)
    return (chosen + config.overlap * missed).mean()


def share_correct(shown: torch.Tensor, truth: torch.Tensor, certain: torch.Tensor) -> torch.Tensor:
    """Share of the decided cells whose strongest label is the true one, mean over clips; arguments as `judge`."""
    right = (shown.argmax(1) == truth.argmax(1)) & certain
    return (right.sum((1, 2)) / certain.sum((1, 2)).clamp_min(1)).mean()
