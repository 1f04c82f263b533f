"""The networks: names and shapes of the reference, sizes of the grid, and equality with torchvision's own blocks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from models.embedder import Embedder
from models.errors import ModelError
from models.fuse import fold_batchnorm
from models.registry import load_embedder
from models.resnet import IMAGENET_MEAN, IMAGENET_STD, stride8_trunk, trunk_state_from_imagenet
from models.resnet50_full import load as load_resnet50
from models.tvos import TvosNetwork

CPU = torch.device("cpu")
SIZES = st.tuples(st.integers(16, 60), st.integers(16, 60))


@pytest.fixture(scope="module")
def imagenet_file(tmp_path_factory, imagenet_resnet50) -> Path:
    """A file like torchvision's first ResNet-50: plain names, no batch counters (and random weights)."""
    state = imagenet_resnet50.state_dict()
    path = tmp_path_factory.mktemp("imagenet") / "resnet50.safetensors"
    save_file({key: value.half() for key, value in state.items() if not key.endswith("num_batches_tracked")}, path)
    return path


@pytest.fixture(scope="module")
def tvos18_file(tmp_path_factory, look_trained) -> Path:
    path = tmp_path_factory.mktemp("tvos") / "checkpoint.pth.tar"
    torch.save(look_trained(TvosNetwork(18)).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def embedders(imagenet_file, tvos18_file) -> dict[str, Embedder]:
    both = ("layer2", "layer3")
    return {
        "resnet50-half": load_embedder("resnet50-half", dtype=torch.float32),
        "resnet50": load_resnet50("resnet50", device=CPU, dtype=torch.float32, weights=imagenet_file),
        "resnet50 two stages": load_resnet50(
            "resnet50", device=CPU, dtype=torch.float32, weights=imagenet_file, stages=both
        ),
        "tvos-resnet18": load_embedder("tvos-resnet18", dtype=torch.float32, weights=tvos18_file),
    }


@pytest.mark.parametrize("depth", [18, 50, 101])
def test_tvos_has_the_reference_checkpoints_names_and_shapes(depth, shared_dir):
    golden = json.loads((shared_dir / "golden" / "tvos_state_dict_shapes.json").read_text())[f"resnet{depth}"]
    with torch.device("meta"):
        state = TvosNetwork(depth).state_dict()
    assert {f"module.{key}": list(tensor.shape) for key, tensor in state.items()} == golden


@given(size=SIZES)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", ["resnet50-half", "resnet50", "resnet50 two stages", "tvos-resnet18"])
def test_the_grid_is_an_eighth_rounded_up(embedders, name, size):
    height, width = size
    embedder = embedders[name]
    embedding = embedder.embed(torch.rand(1, 3, height, width))
    assert isinstance(embedder, Embedder)
    assert tuple(embedding.shape) == (embedder.channels, -(-height // 8), -(-width // 8))
    assert embedding.dtype == embedder.dtype
    assert bool(torch.isfinite(embedding).all())
    if embedder.cosine:
        stages = 2 if "two" in name else 1
        assert torch.allclose(embedding.square().sum(0), torch.tensor(float(stages)), atol=1e-4)


def test_half_precision_keeps_the_directions(embedders, tvos18_file):
    rgb = torch.rand(1, 3, 65, 90)
    half = load_embedder("tvos-resnet18", dtype=torch.bfloat16, weights=tvos18_file)
    exact, rounded = embedders["tvos-resnet18"].embed(rgb), half.embed(rgb)
    assert rounded.dtype == half.dtype == torch.bfloat16
    assert float(torch.cosine_similarity(exact, rounded.float(), dim=0).min()) > 0.99


def test_the_tvos_embedding_is_the_networks_raw_output(embedders, look_trained):
    """Also holds the folded network equal to the original on normalised input."""
    rgb = torch.rand(1, 3, 40, 51)
    network = look_trained(TvosNetwork(18))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.inference_mode():
        expected = network((rgb - mean) / std)[0]
    embedder = embedders["tvos-resnet18"]
    torch.testing.assert_close(embedder.embed(rgb), expected, rtol=1e-3, atol=1e-3)
    assert (embedder.cosine, embedder.logit_scale) == (False, 1.0)


def test_the_trunk_computes_what_torchvision_does(imagenet_resnet50):
    """layer2 must be equal; the first block of layer3 at stride 1 must be torchvision's on every second cell."""
    original = imagenet_resnet50
    with torch.device("meta"):
        trunk = stride8_trunk(50)
    trunk.load_state_dict(trunk_state_from_imagenet(original.state_dict()), strict=True, assign=True)
    trunk.eval()
    rgb = torch.rand(1, 3, 64, 48)
    with torch.inference_mode():
        x = original.maxpool(original.relu(original.bn1(original.conv1(rgb))))
        layer2 = original.layer2(original.layer1(x))
        torch.testing.assert_close(trunk[:6](rgb), layer2)
        torch.testing.assert_close(trunk[6][0](layer2)[:, :, ::2, ::2], original.layer3[0](layer2))


def test_no_layer_is_dilated_or_strided_beyond_eight():
    with torch.device("meta"):
        trunk = stride8_trunk(101, layer4="narrow")
    convolutions = [module for module in trunk.modules() if isinstance(module, torch.nn.Conv2d)]
    assert all(conv.dilation == (1, 1) for conv in convolutions)
    assert all(
        conv.stride == (1, 1) for stage in (trunk[6], trunk[7]) for conv in stage.modules() if conv in convolutions
    )


@pytest.mark.parametrize("depth", [18, 50])
def test_folding_batchnorm_changes_nothing(depth, look_trained):
    network = look_trained(TvosNetwork(depth))
    rgb = torch.rand(1, 3, 35, 50)
    with torch.inference_mode():
        expected = network(rgb)
        folded = fold_batchnorm(network)
        torch.testing.assert_close(folded(rgb), expected, rtol=1e-3, atol=1e-3)
    assert not [module for module in folded.modules() if isinstance(module, torch.nn.BatchNorm2d)]


def test_folding_leaves_a_batchnorm_without_its_own_convolution_alone(look_trained):
    network = look_trained(
        torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.BatchNorm2d(4))
    )
    rgb = torch.rand(1, 3, 9, 9)
    with torch.inference_mode():
        expected = network(rgb)
        torch.testing.assert_close(fold_batchnorm(network)(rgb), expected)


def test_two_stages_hold_the_single_one(embedders):
    rgb = torch.rand(1, 3, 40, 33)
    one, two = embedders["resnet50"].embed(rgb), embedders["resnet50 two stages"].embed(rgb)
    torch.testing.assert_close(two[512:], one)


def test_resnet50_refuses_another_network(tvos18_file):
    with pytest.raises(ModelError, match="does not fit the network resnet50"):
        load_resnet50("resnet50", device=CPU, dtype=torch.float32, weights=tvos18_file)
