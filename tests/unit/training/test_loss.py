import math

import numpy as np
import pytest
import torch

from engine.propagation.reference import Reference, propagate_labels
from engine.training.config import LossConfig
from engine.training.labels import cell_labels
from engine.training.loss import affinity_flow, clip_loss, cross_entropy, propagate_clip, smoothness


def _clip(
    batch: int = 2, frames: int = 4, height: int = 3, width: int = 5, objects: int = 2
) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(batch, frames, 8, height, width, generator=generator)
    ids = torch.randint(0, objects + 1, (batch, frames, height, width), generator=generator)
    labels = torch.nn.functional.one_hot(ids, objects + 1).permute(0, 1, 4, 2, 3).float()
    return embeddings, labels, torch.ones(batch, frames, height, width, dtype=torch.bool)


def test_propagation_equals_the_trackers_own_without_a_prior() -> None:
    embeddings, labels, decided = _clip()
    scale = torch.tensor(1.7)
    prediction, affinity = propagate_clip(embeddings[:, -1], embeddings[:, :-1], labels[:, :-1], decided[:, :-1], scale)
    assert affinity.sum((3, 4, 5)).numpy() == pytest.approx(1, abs=1e-5)
    for clip in range(2):
        references = [
            Reference(embeddings[clip, i], labels[clip, i, 1:], torch.ones(2)) for i in range(embeddings.shape[1] - 1)
        ]
        expected, _ = propagate_labels(embeddings[clip, -1], references, logit_scale=1.7)
        assert torch.allclose(prediction[clip, 1:], expected, atol=1e-5)
        assert torch.allclose(prediction[clip].sum(0), torch.ones(3, 5), atol=1e-5)


def test_the_loss_is_the_mean_negative_log_of_the_true_label() -> None:
    embeddings, labels, decided = _clip()
    result = clip_loss(embeddings, labels, decided, logit_scale=torch.tensor(1.0), targets=1, config=LossConfig())
    prediction, _ = propagate_clip(
        embeddings[:, -1], embeddings[:, :-1], labels[:, :-1], decided[:, :-1], torch.tensor(1.0)
    )
    picked = (prediction * labels[:, -1]).sum(1)
    assert float(result.loss) == pytest.approx(float(-picked.log().mean()), rel=1e-5)
    right = (prediction.argmax(1) == labels[:, -1].argmax(1)).float().mean()
    assert float(result.correct) == pytest.approx(float(right))


def test_a_perfect_embedding_costs_nothing_and_a_constant_one_the_entropy() -> None:
    _, labels, decided = _clip(frames=2)
    labels = labels[:, :1].repeat(1, 2, 1, 1, 1)
    perfect = 20 * labels
    config = LossConfig()
    scale = torch.tensor(1.0)
    assert float(clip_loss(perfect, labels, decided, logit_scale=scale, targets=1, config=config).loss) < 1e-4
    constant = torch.zeros(2, 2, 8, 3, 5)
    share = labels[:, 0].mean((2, 3))
    expected = -(share * share.clamp_min(1e-12).log()).sum(1).mean()
    result = clip_loss(constant, labels, decided, logit_scale=scale, targets=1, config=config)
    assert float(result.loss) == pytest.approx(float(expected), rel=1e-4)


def test_ignored_cells_neither_count_nor_speak() -> None:
    embeddings, labels, decided = _clip()
    decided[:, :, 0] = False
    labels = labels * decided[:, :, None]

    def loss() -> tuple[float, torch.Tensor]:
        moving = embeddings.clone().requires_grad_()
        result = clip_loss(moving, labels, decided, logit_scale=torch.tensor(1.0), targets=1, config=LossConfig())
        result.loss.backward()
        assert moving.grad is not None
        return float(result.loss.detach()), moving.grad

    value, gradient = loss()
    assert not gradient[:, :, :, 0].any()
    assert gradient[:, :, :, 1:].abs().sum() > 0
    embeddings[:, :, :, 0] += 100
    assert loss()[0] == pytest.approx(value)


def test_an_object_that_no_reference_shows_is_left_out() -> None:
    _, labels, decided = _clip(batch=1, frames=2, objects=1)
    labels[:, 0] = torch.tensor([1.0, 0.0])[:, None, None]  # reference: all background
    labels[:, 1] = 0
    labels[:, 1, 0, :, :2] = 1
    labels[:, 1, 1, :, 2:] = 1  # target: mostly a new object
    result = clip_loss(
        torch.randn(1, 2, 4, 3, 5), labels, decided, logit_scale=torch.tensor(1.0), targets=1, config=LossConfig()
    )
    assert float(result.loss) == pytest.approx(0, abs=1e-6)


def test_a_clip_without_any_decided_cell_costs_nothing() -> None:
    embeddings, labels, decided = _clip(batch=1)
    embeddings.requires_grad_()
    result = clip_loss(
        embeddings, labels * 0, decided & False, logit_scale=torch.tensor(1.0), targets=1, config=LossConfig()
    )
    result.loss.backward()
    assert float(result.loss.detach()) == 0
    assert embeddings.grad is not None
    assert bool(torch.isfinite(embeddings.grad).all())


def test_every_clip_counts_alike_whatever_it_ignores() -> None:
    embeddings, labels, decided = _clip(batch=2)
    decided[1, :, 1:] = False
    config, scale = LossConfig(), torch.tensor(1.0)

    def loss(clips: slice) -> float:
        return float(
            clip_loss(
                embeddings[clips], labels[clips], decided[clips], logit_scale=scale, targets=1, config=config
            ).loss
        )

    assert loss(slice(0, 2)) == pytest.approx((loss(slice(0, 1)) + loss(slice(1, 2))) / 2)


def test_several_targets_average_their_losses() -> None:
    embeddings, labels, decided = _clip()
    config, scale = LossConfig(), torch.tensor(1.0)

    def loss(frames: int, targets: int) -> float:
        return float(
            clip_loss(
                embeddings[:, :frames], labels[:, :frames], decided[:, :frames],
                logit_scale=scale, targets=targets, config=config,
            ).loss
        )  # fmt: skip

    assert loss(4, 2) == pytest.approx((loss(4, 1) + loss(3, 1)) / 2)


def test_soft_labels_give_the_cross_entropy_of_shares() -> None:
    prediction = torch.tensor([0.25, 0.75])[None, :, None, None]
    truth = torch.tensor([0.4, 0.6])[None, :, None, None]
    known, decided = torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 1, 1, dtype=torch.bool)
    loss, _ = cross_entropy(prediction, truth, decided, known, 1e-12)
    assert float(loss) == pytest.approx(-0.4 * math.log(0.25) - 0.6 * math.log(0.75), rel=1e-5)


def test_flow_of_a_shifted_picture_is_the_shift() -> None:
    height, width = 5, 6
    target = torch.arange(height * width).reshape(height, width)
    affinity = torch.zeros(1, height, width, height, width)
    for y in range(height - 1):
        for x in range(width - 2):
            affinity[0, y, x, y + 1, x + 2] = 0.5
    flow = affinity_flow(affinity)[0, :, : height - 1, : width - 2]
    assert torch.allclose(flow[0], torch.ones_like(flow[0]))
    assert torch.allclose(flow[1], 2 * torch.ones_like(flow[1]))
    assert target.shape == affinity.shape[1:3]


def test_smoothness_is_zero_for_even_flow_and_cheaper_at_edges() -> None:
    even = torch.ones(1, 2, 4, 4)
    flat, edged = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    edged[..., 2:] = 1
    assert float(smoothness(even, edged, 10)) == 0
    torn = even.clone()
    torn[..., 2:] = 3
    assert float(smoothness(torn, flat, 10)) == pytest.approx(4 * 4 / 12)
    assert float(smoothness(torn, edged, 10)) < 0.01


def test_the_flow_term_changes_the_loss_only_when_asked_for() -> None:
    embeddings, labels, decided = _clip()
    edges = torch.rand(2, 4, 3, 3, 5)
    scale = torch.tensor(1.0)

    def loss(weight: float) -> float:
        config = LossConfig(flow_smoothness=weight)
        return float(
            clip_loss(embeddings, labels, decided, logit_scale=scale, targets=1, config=config, edges=edges).loss
        )

    assert loss(2.0) - loss(0.0) == pytest.approx(2 * (loss(1.0) - loss(0.0)), rel=1e-4)
    assert loss(1.0) > loss(0.0)


def test_labels_on_the_grid() -> None:
    masks = np.zeros((1, 1, 16, 24), np.uint8)
    masks[..., :8, :4] = 1  # half of the first cell
    masks[..., :8, 8:16] = 2
    masks[..., 8:, :7] = 255  # most of a cell
    masks[..., 8:, 8:11] = 255  # less than half
    tensor = torch.from_numpy(masks)
    labels, decided = cell_labels(tensor, 2, "area")
    assert labels.shape == (1, 1, 3, 2, 3)
    assert labels[0, 0, :, 0, 0].tolist() == [0.5, 0.5, 0]
    assert labels[0, 0, :, 0, 1].tolist() == [0, 0, 1]
    assert decided[0, 0].tolist() == [[True, True, True], [False, True, True]]
    assert labels[0, 0, :, 1, 0].tolist() == [0, 0, 0]
    assert labels[0, 0, :, 1, 1].tolist() == [1, 0, 0]
    nearest, certain = cell_labels(tensor, 2, "nearest")
    assert nearest[0, 0].argmax(0).tolist() == [[0, 2, 0], [0, 0, 0]]
    assert certain[0, 0].tolist() == [[True, True, True], [False, True, True]]
