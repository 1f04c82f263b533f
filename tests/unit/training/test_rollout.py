"""The tracker's loss: what it propagates from is what the tracker itself would remember."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from engine.propagation.recipe import ROBUST
from engine.propagation.reference import Reference, propagate_labels
from engine.training.config import LossConfig
from engine.training.labels import cell_labels
from engine.training.rollout import judge, rollout_loss
from models.upsampler import bilinear_logits

CONFIG = LossConfig(kind="tracker", hardest=1.0, overlap=0.0, log_floor=1e-6)


def _clip(frames: int = 4, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings 1 x T x 8 x h x w of unit length and masks 1 x T x size x size of a square that moves."""
    generator = torch.Generator().manual_seed(0)
    grid = size // 8
    embeddings = F.normalize(torch.randn(1, frames, 8, grid, grid, generator=generator), dim=2)
    masks = torch.zeros(1, frames, size, size, dtype=torch.uint8)
    for frame in range(frames):
        masks[:, frame, 16:48, 8 + 8 * frame : 32 + 8 * frame] = 1
    return embeddings, masks


def test_targets_are_predicted_as_the_plain_tracker_does() -> None:
    """Oracle: `engine.propagation.reference` with the recipe's priors, windows and pooling, rolled out by hand."""
    embeddings, masks = _clip()
    labels, _ = cell_labels(masks, 1, "area")
    loss = rollout_loss(embeddings, None, masks, 1, logit_scale=torch.tensor(12.0), references=2, config=CONFIG)
    held = [labels[0, 0, 1:], labels[0, 1, 1:]]
    losses = []
    for target in (2, 3):
        references = [
            Reference(
                embeddings[0, index],
                label,
                torch.ones(1),
                sigma=ROBUST.sigma_keyframe if index == 0 else ROBUST.sigma_dense,
                window=None if index == 0 else ROBUST.window,
                pool=ROBUST.pool_keyframes if index == 0 else 1,
            )
            for index, label in enumerate(held)
        ]
        predicted, _ = propagate_labels(embeddings[0, target], references, logit_scale=12.0)
        whole = torch.cat([1 - predicted, predicted])
        losses.append(-(labels[0, target] * (whole + 1e-6).log()).sum(0).mean())
        held.append(predicted)
    assert float(loss.loss) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-3)
    torch.testing.assert_close(loss.prediction[0, 1:], held[-1], atol=1e-4, rtol=0)


def test_errors_of_a_target_reach_the_embeddings_of_the_frames_before_it() -> None:
    embeddings, masks = _clip()
    embeddings.requires_grad_()
    upsampling = bilinear_logits().flatten().expand(1, 4, 8, 8, -1).clone().requires_grad_()
    result = rollout_loss(embeddings, upsampling, masks, 1, logit_scale=torch.tensor(12.0), references=2, config=CONFIG)
    result.loss.backward()
    assert result.prediction.shape == (1, 2, 32, 32)
    assert embeddings.grad is not None
    assert upsampling.grad is not None
    assert all(bool(embeddings.grad[:, frame].any()) for frame in range(4))
    assert not bool(upsampling.grad[:, :2].any()), "frames with true masks are not enlarged"
    assert bool(upsampling.grad[:, 2].any())


def test_hardest_cells_count_and_overlap_is_soft_iou() -> None:
    truth = torch.zeros(1, 2, 4, 4)
    truth[:, 1, :2], truth[:, 0, 2:] = 1, 1
    shown = torch.full_like(truth, 0.5)
    shown[:, 1, 0], shown[:, 0, 0] = 0.9, 0.1
    certain, known = torch.ones(1, 4, 4, dtype=torch.bool), torch.ones(1, 2, dtype=torch.bool)

    def value(**options: float) -> float:
        return float(judge(shown, truth, certain, known, LossConfig(kind="tracker", log_floor=1e-6, **options)))

    surprise = -torch.tensor([0.9, 0.5, 0.5, 0.5]).log()
    assert value() == pytest.approx(float(surprise.mean()), rel=1e-3)
    assert value(hardest=0.75) == pytest.approx(float(surprise[1]), rel=1e-3)
    both, either = 4 * 0.9 + 4 * 0.5, 8.0 + 8 * 0.5
    missed = 1 - (both + 1) / (either + 1)
    assert value(overlap=2.0) - value() == pytest.approx(2 * missed, rel=1e-3)


def test_nothing_decided_costs_a_finite_nothing() -> None:
    embeddings, masks = _clip()
    embeddings.requires_grad_()
    result = rollout_loss(
        embeddings,
        None,
        torch.full_like(masks, 255),
        1,
        logit_scale=torch.tensor(12.0),
        references=2,
        config=LossConfig(kind="tracker", hardest=0.5, overlap=1.0),
    )
    result.loss.backward()
    assert float(result.loss.detach()) == pytest.approx(0, abs=1e-4)
    assert embeddings.grad is not None
    assert bool(torch.isfinite(embeddings.grad).all())
