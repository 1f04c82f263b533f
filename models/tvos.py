"""The paper's network (ALGORITHM: section 4), with the names the reference's checkpoints use.

`backbone` is a stride-8 ResNet whose layer4 has 256 planes; a 1x1 convolution and BatchNorm reduce 1024 channels to 256
(ResNet-18 ends with 256 channels already and has neither). The raw dot product of two cells is their logit.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.checkpoint import load_strict, read_state, refuse_untrained
from models.errors import ModelError
from models.network_embedder import NetworkEmbedder
from models.resnet import IMAGENET_MEAN, IMAGENET_STD, LAYER3_CHANNELS, Depth, initialise, stride8_trunk

EMBEDDING_CHANNELS = 256
# ImageNet training never touches these: without TVOS training they are random, whatever else was loaded.
TRAINED_PARTS = ("backbone.7.", "adjust_dim.", "bn256.")


class TvosNetwork(nn.Module):
    """N x 3 x H x W (ImageNet-normalised) -> N x 256 x ceil(H/8) x ceil(W/8), not normalised. Random weights.

    `state_dict()` has the reference's names without "module.", so training can start from and write its checkpoints.
    """

    def __init__(self, depth: Depth) -> None:
        super().__init__()
        self.backbone = stride8_trunk(depth, layer4="narrow")
        self.adjust_dim: nn.Module | None = None
        self.bn256: nn.Module | None = None
        if depth != 18:
            self.adjust_dim = nn.Conv2d(LAYER3_CHANNELS[depth], EMBEDDING_CHANNELS, 1, bias=False)
            self.bn256 = nn.BatchNorm2d(EMBEDDING_CHANNELS)
            initialise(self.adjust_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.backbone(x)
        if self.adjust_dim is not None and self.bn256 is not None:
            x = self.bn256(self.adjust_dim(x))
        return x


def load(
    name: str, *, device: torch.device, dtype: torch.dtype, weights: Path | None, depth: Depth = 50
) -> NetworkEmbedder:
    """Build the network of `depth` from a trained checkpoint.

    Raises:
        ModelError: no file is given, or it is unreadable, of another network, or not trained for tracking.
    """
    if weights is None:
        raise ModelError(f"The model {name} ships without weights.", "Pass your checkpoint with --weights FILE.")
    state = read_state(weights)
    _refuse_imagenet(state, name, weights)
    with torch.device("meta"):
        network = TvosNetwork(depth)
    state = load_strict(network, state, name, weights)
    refuse_untrained(state, TRAINED_PARTS, name, weights)
    return embedder_of(name, network, device=device, dtype=dtype)


def _refuse_imagenet(state: dict[str, torch.Tensor], name: str, path: Path) -> None:
    """A classifier's weights fit the stem and three layers only; tracking with the random rest would be noise."""
    layer4 = state.get("backbone.7.0.conv2.weight", state.get("layer4.0.conv2.weight"))
    plain_names = "layer4.0.conv1.weight" in state or "fc.weight" in state
    wide_layer4 = layer4 is not None and layer4.ndim == 4 and layer4.shape[0] == 512
    if plain_names or wide_layer4:
        raise ModelError(
            f"{path.name} holds weights of an ImageNet classifier: layer4 and adjust_dim of {name} would stay random "
            "and could not track.",
            "Pass a checkpoint trained for tracking, or use --model resnet50.",
        )


def embedder_of(name: str, network: TvosNetwork, *, device: torch.device, dtype: torch.dtype) -> NetworkEmbedder:
    """The paper's embedder over a trained network: raw features, whose dot product is the logit."""
    return NetworkEmbedder(
        name,
        network,
        channels=EMBEDDING_CHANNELS,
        cosine=False,
        logit_scale=1.0,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        device=device,
        dtype=dtype,
    )
