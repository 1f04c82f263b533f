"""Replayed networks; the graph itself needs a graphics card (`-m cuda`)."""

from __future__ import annotations

import pytest
import torch

from models.graphed import Graphed, Network, Tensors
from models.registry import load_embedder


def _double(x: torch.Tensor) -> Tensors:
    return 2 * x, None


def test_a_shape_is_captured_once_and_two_are_kept() -> None:
    captured: list[torch.Size] = []

    def capture(network: Network, x: torch.Tensor) -> Network:
        captured.append(x.shape)
        return network

    graphed = Graphed(_double, capture)
    for size in (3, 3, 4, 3, 5, 4, 3):
        result, nothing = graphed(torch.ones(size))
        assert result is not None
        assert result.tolist() == [2.0] * size
        assert nothing is None
    assert [shape[0] for shape in captured] == [3, 4, 5, 3]


def test_what_cannot_be_captured_is_called_plainly_and_not_tried_again() -> None:
    tries: list[int] = []

    def capture(network: Network, x: torch.Tensor) -> Network:
        tries.append(1)
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    graphed = Graphed(_double, capture)
    for _ in range(3):
        result, _ = graphed(torch.ones(2))
        assert result is not None
        assert result.tolist() == [2.0, 2.0]
    assert len(tries) == 1
    assert graphed.failed == "operation not permitted when stream is capturing"


def test_memory_that_runs_out_is_told() -> None:
    def capture(network: Network, x: torch.Tensor) -> Network:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        Graphed(_double, capture)(torch.ones(1))


@pytest.mark.cuda
def test_replayed_embeddings_equal_plain_ones() -> None:
    plain = load_embedder("resnet50-half", "cpu", torch.float32)
    card = load_embedder("resnet50-half", "cuda", torch.float16)
    for seed in range(3):
        rgb = torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(seed))
        expected, found = plain.embed(rgb), card.embed(rgb.cuda()).float().cpu()
        assert float((expected * found).sum(0).min()) > 0.99
