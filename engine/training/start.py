"""Weights a training run starts from: registry models, ImageNet, MoCo, InstDisc, own checkpoints, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from engine.errors import ModelError
from engine.training.networks import HalfNetwork, PaperNetwork, TrainableNetwork
from models.checkpoint import check_shapes, read_state
from models.registry import BUNDLED_DIR, REGISTRY, get_spec
from models.resnet import LAYER3_CHANNELS, trunk_state_from_imagenet

SCRATCH = "scratch"
HALF_MODELS = ("resnet50-half", "resnet50-half-imagenet")
IMAGENET = "imagenet"
# MoCo v1 and v2 keep the query encoder beside the key encoder, the queue and (v2) a two-layer head.
_MOCO_QUERY = "encoder_q."
_MOCO_OTHERS = ("encoder_k.", "queue")
# Classifier (torchvision), 128-d head (InstDisc, MoCo v1) or two-layer head (MoCo v2).
_HEADS = ("fc.",)
_HALF_HEADS = ("projection.", "upsampler.", "logit_scale")

Progress = Callable[[str, float | None], None]


def load_start(network: TrainableNetwork, start: str, progress: Progress | None = None) -> str:
    """Fill `network` with the weights to start from.

    Args:
        start: "scratch"; "imagenet" (torchvision's ResNet-50, downloaded once); a registry name; or a file: weights
            exported by a training run, a checkpoint of the reference, torchvision's, MoCo's or InstDisc's ResNet.

    Returns:
        One sentence on what was loaded and what is still random.

    Raises:
        ModelError: unknown name, unreadable file, or weights of another network.
    """
    if start == SCRATCH:
        return "All weights are random."
    if isinstance(network, HalfNetwork):
        return _start_half(network, _file_of(start, network.config.name, progress))
    assert isinstance(network, PaperNetwork)
    return _start_paper(network, _file_of(start, network.config.name, progress))


def _file_of(start: str, network: str, progress: Progress | None) -> Path:
    path = Path(start)
    if path.is_file():
        return path
    if start not in (IMAGENET, *REGISTRY):
        if path.suffix:
            raise ModelError(f"There is no weights file {start}.", "Check the path given with --start.")
        raise ModelError(
            f"Training cannot start from {start!r}.", f"Use scratch, imagenet, {', '.join(REGISTRY)}, or a file."
        )
    if (start in HALF_MODELS) != (network in HALF_MODELS):
        raise ModelError(f"{network} cannot start from {start}: they are different networks.", "Choose another start.")
    if network != "tvos-resnet50" and start in (IMAGENET, "resnet50"):
        raise ModelError(
            f"ImageNet weights for {network} are not in the registry.",
            "Download torchvision's file and pass it with --start FILE.",
        )
    spec = get_spec("resnet50" if start == IMAGENET else start)
    if spec.weights is None:
        raise ModelError(f"{start} has no weights of its own to start from.", "Pass a checkpoint with --start FILE.")
    if spec.bundled:
        return BUNDLED_DIR / spec.weights.filename
    from models.download import fetch

    return fetch(spec.weights, progress=progress)


def _start_half(network: HalfNetwork, path: Path) -> str:
    state = read_state(path)
    if network.upsampler is None:
        state = {key: tensor for key, tensor in state.items() if not key.startswith("upsampler.")}
    expected = {key: tuple(tensor.shape) for key, tensor in network.export_state().items()}
    trunk_only = not any(key.startswith("projection.") for key in state)
    if not any(key.startswith("upsampler.") for key in state):  # it starts as bilinear enlargement
        expected = {key: shape for key, shape in expected.items() if not key.startswith("upsampler.")}
    if trunk_only:
        state = {key: tensor for key, tensor in state.items() if key != "logit_scale"}
        expected = {key: shape for key, shape in expected.items() if not key.startswith(_HALF_HEADS)}
    elif "projection.bias" in state and len(state["projection.bias"]) != network.config.projection_channels:
        # Another width was asked for: the trunk still fits, the projection is fitted anew.
        return _start_half_trunk(network, state, expected, path)
    complete = check_shapes(state, expected, network.config.name, path)
    if trunk_only:
        return _start_half_trunk(network, complete, expected, path)
    network.load_exported(complete)
    return f"Trunk and projection from {path.name}."


def _start_half_trunk(
    network: HalfNetwork, state: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]], path: Path
) -> str:
    trunk = {key: value for key, value in state.items() if not key.startswith(_HALF_HEADS)}
    shapes = {key: shape for key, shape in expected.items() if not key.startswith(_HALF_HEADS)}
    network.net.load_state_dict(check_shapes(trunk, shapes, network.config.name, path))
    network.projection.weight.data.zero_()  # marks it as not fitted
    return f"Trunk from {path.name}; the projection is fitted to the data."


def needs_projection(network: TrainableNetwork) -> bool:
    """True when the start weights held a trunk alone, so the projection must be fitted to clips first."""
    return isinstance(network, HalfNetwork) and not bool(network.projection.weight.detach().any())


def _start_paper(network: PaperNetwork, path: Path) -> str:
    state = read_state(path, ignore=("queue_ptr",))
    name = network.config.name
    expected = {key: tuple(tensor.shape) for key, tensor in network.net.state_dict().items()}
    if any(key.startswith("backbone.") for key in state):
        network.load_exported(check_shapes(state, expected, name, path))
        return f"All weights from {path.name}."
    trunk_shapes = {
        key.removeprefix("backbone."): shape
        for key, shape in expected.items()
        if f"net.{key}".startswith(network.trunk)
    }
    trunk = check_shapes(trunk_state_from_imagenet(torchvision_names(state)), trunk_shapes, name, path)
    network.net.backbone.load_state_dict(trunk, strict=False)
    random = "layer4" if name == "tvos-resnet18" else "layer4 and the reduction to 256 channels"
    channels = LAYER3_CHANNELS[50 if name == "tvos-resnet50" else 18 if name == "tvos-resnet18" else 101]
    return f"Stem to layer3 ({channels} channels) from {path.name}; {random} start at random."


def torchvision_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A ResNet's tensors under torchvision's names ("layer3.0.conv1.weight"), without heads.

    Takes torchvision's and InstDisc's state (already so named; "fc" is a classifier or a 128-d head) and MoCo's, of
    which the query encoder is the network to keep.
    """
    if any(key.startswith(_MOCO_QUERY) for key in state):
        state = {
            key.removeprefix(_MOCO_QUERY): tensor for key, tensor in state.items() if not key.startswith(_MOCO_OTHERS)
        }
    return {key: tensor for key, tensor in state.items() if not key.startswith(_HEADS)}
