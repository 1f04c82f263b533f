"""The bundled embedder: grid sizes, unit length, strict loading, and the projection's own definition."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from models.conversion.fit_projection import fit
from models.embedder import Embedder
from models.errors import ModelError
from models.resnet_half import WEIGHTS_FILE, HalfResNetEmbedder, Projection, load, pool_stem


@pytest.fixture(scope="module")
def embedder() -> HalfResNetEmbedder:
    return load("resnet50-half")


def test_it_is_an_embedder(embedder: HalfResNetEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    assert (embedder.channels, embedder.logit_scale, embedder.cosine) == (96, pytest.approx(33.26, abs=0.01), True)


@settings(max_examples=12, deadline=None)
@given(height=st.integers(16, 90), width=st.integers(16, 90))
def test_grid_is_an_eighth_rounded_up_and_cells_have_unit_length(height: int, width: int) -> None:
    cells = load("resnet50-half").embed(torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)))
    assert cells.shape == (96, -(-height // 8), -(-width // 8))
    torch.testing.assert_close(cells.norm(dim=0), torch.ones(cells.shape[1:]), atol=1e-4, rtol=0)


def test_bf16_agrees_with_fp32(embedder: HalfResNetEmbedder) -> None:
    rgb = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(2))
    low = load("resnet50-half", dtype=torch.bfloat16).embed(rgb).float()
    cosine = (embedder.embed(rgb) * low).sum(0)
    assert cosine.min() > 0.97


@pytest.mark.parametrize("damage", ["missing", "extra", "shape", "no projection"])
def test_weights_of_another_network_are_refused(tmp_path: Path, damage: str) -> None:
    state = load_file(WEIGHTS_FILE)
    if damage == "missing":
        del state["layer2.0.conv1.weight"]
    elif damage == "extra":
        state["layer4.0.conv1.weight"] = torch.zeros(1)
    elif damage == "shape":
        state["conv1.weight"] = torch.zeros(3, 3)
    else:
        state = {key: value for key, value in state.items() if not key.startswith("projection.")}
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    with pytest.raises(ModelError, match="do not fit"):
        load("resnet50-half", weights=path)


def test_missing_and_unreadable_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing"):
        load("resnet50-half", weights=tmp_path / "none.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        load("resnet50-half", weights=broken)


def test_fitted_projection_keeps_cosines_when_nothing_is_dropped() -> None:
    """With every axis kept, the projection is a rotation of the centred vectors: products are unchanged."""
    generator = torch.Generator().manual_seed(3)
    stage2, stage3 = torch.rand(900, 256, generator=generator), torch.rand(900, 512, generator=generator)
    state = fit(stage2, stage3, 768)
    projection = Projection(768)
    projection.load_state_dict(state)
    both = torch.cat(
        [
            torch.nn.functional.normalize(stage2 - stage2.mean(0), dim=1),
            torch.nn.functional.normalize(stage3 - stage3.mean(0), dim=1),
        ],
        1,
    )
    centred = torch.nn.functional.normalize(both - both.mean(0), dim=1)
    # As a column of cells: every second row of stage 2 lies on a row of stage 3.
    fine = stage2.T[None, :, :, None].repeat_interleave(2, 2)
    got = projection(fine, stage3.T[None, :, :, None])[0, :, ::2, 0].T
    torch.testing.assert_close(got @ got.T, centred @ centred.T, atol=1e-4, rtol=0)


@given(height=st.integers(3, 20), width=st.integers(3, 20))
@settings(max_examples=20, deadline=None)
def test_the_stem_is_pooled_as_caffe_pools(height: int, width: int) -> None:
    stem = torch.rand(1, 4, height, width, generator=torch.Generator().manual_seed(height * 31 + width))
    rows, columns = -(-height // 2), -(-width // 2)
    expected = torch.stack(
        [stem[..., 2 * y : 2 * y + 3, 2 * x : 2 * x + 3].amax((-2, -1)) for y in range(rows) for x in range(columns)],
        -1,
    ).reshape(1, 4, rows, columns)
    assert torch.equal(pool_stem(stem.contiguous(memory_format=torch.channels_last)), expected)
    traced = stem.clone().requires_grad_()
    assert torch.equal(pool_stem(traced), expected), "with gradients by PyTorch's own operator"


def test_bytes_and_floats_embed_alike(embedder: HalfResNetEmbedder) -> None:
    rgb = torch.randint(0, 256, (1, 3, 40, 56), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    detailed, upsampling = embedder.embed_detailed(rgb)
    torch.testing.assert_close(detailed, embedder.embed(rgb.float() / 255), atol=1e-4, rtol=0)
    assert upsampling is not None
    assert upsampling.all().shape[:2] == (5, 7)
