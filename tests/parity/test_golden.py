"""Figures of the paper's public reference implementation, reproduced."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.propagation.labels import stored_labels
from engine.propagation.prior import spatial_prior
from engine.propagation.propagator import Propagator
from engine.propagation.recipe import PAPER
from engine.propagation.reference import Reference, propagate_labels
from engine.propagation.sampling import is_dense, sample_reference_frames


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> dict[str, torch.Tensor]:
    with np.load(shared_dir / "golden" / "propagation.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def test_sampling_equals_the_reference_implementation(shared_dir: Path) -> None:
    expected = json.loads((shared_dir / "golden" / "sampling.json").read_text())
    assert {t: sample_reference_frames(int(t)) for t in expected} == expected


@pytest.mark.parametrize(("name", "sigma"), [("spatial_dense", 8.0), ("spatial_sparse", 21.0)])
def test_spatial_prior_equals_the_reference_implementation(
    golden: dict[str, torch.Tensor], name: str, sigma: float
) -> None:
    torch.testing.assert_close(spatial_prior(6, 9, sigma), golden[name], atol=1e-6, rtol=0)


def test_plain_implementation_equals_the_reference_implementation(golden: dict[str, torch.Tensor]) -> None:
    features = golden["features"]
    height, width = features.shape[2:]
    objects = len(golden["label0"]) - 1  # row 0 is background
    labels = [golden["label0"].reshape(-1, height, width)[1:]]
    for target in range(1, len(features)):
        positions = sample_reference_frames(target)
        references = [
            Reference(
                features[position],
                labels[position],
                torch.ones(objects),
                sigma=PAPER.sigma_dense if is_dense(target, len(positions) - 1 - rank) else PAPER.sigma_sparse,
            )
            for rank, position in enumerate(positions)
        ]
        label, mass = propagate_labels(features[target], references, renormalise=False)
        whole = torch.cat([(mass - label.sum(0))[None], label]).reshape(objects + 1, -1)
        torch.testing.assert_close(whole, golden["predictions"][target - 1], atol=1e-4, rtol=0)
        labels.append(stored_labels(label, mass, PAPER.label_power).permute(2, 0, 1))


@pytest.mark.parametrize("window_of_chunks", [7, 512])
def test_paper_recipe_equals_the_reference_implementation(
    golden: dict[str, torch.Tensor], window_of_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path the tracker runs: fixed memory bank, ring of 44, chunked softmax."""
    monkeypatch.setattr("engine.propagation.affinity.DENSE_CHUNK", window_of_chunks)
    features = golden["features"]
    channels, height, width = features.shape[1:]
    objects = len(golden["label0"]) - 1
    propagator = Propagator(
        PAPER,
        height=height,
        width=width,
        channels=channels,
        logit_scale=1.0,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    bank = propagator.bank
    known = torch.zeros(bank.objects, dtype=torch.bool)
    known[:objects] = True
    first = torch.zeros(height, width, bank.objects)
    first[..., :objects] = golden["label0"].reshape(-1, height, width)[1:].permute(1, 2, 0)
    bank.add_recent(0, features[0].permute(1, 2, 0), first, known)
    for target in range(1, len(features)):
        cells = features[target].permute(1, 2, 0).contiguous()
        label, mass = propagator.propagate(cells, target)
        whole = torch.cat([(mass - label.sum(0))[None], label[:objects]]).reshape(objects + 1, -1)
        torch.testing.assert_close(whole, golden["predictions"][target - 1], atol=1e-4, rtol=0)
        bank.add_recent(target, cells, stored_labels(label, mass, PAPER.label_power), known)
