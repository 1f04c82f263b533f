"""`resnet50`: torchvision's full-width ImageNet ResNet-50 as an embedder, never fine-tuned (ALGORITHM: section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from models.checkpoint import check_shapes, load_strict, read_state, refuse_untrained
from models.errors import ModelError
from models.network_embedder import NetworkEmbedder, unit_length
from models.resnet import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    TRUNK_INDEX,
    imagenet_shapes,
    stride8_trunk,
    trunk_state_from_imagenet,
)

STAGE_CHANNELS = {"layer2": 512, "layer3": 1024}
LOGIT_SCALE = 20.0  # temperature 0.05


class StageFeatures(nn.Module):
    """A stride-8 trunk whose chosen stages are each L2-normalised per cell and concatenated.

    N x 3 x H x W -> N x C x ceil(H/8) x ceil(W/8); the dot product of two cells is the sum of the stages' cosines.
    """

    def __init__(self, trunk: nn.Sequential, stages: Sequence[str]) -> None:
        super().__init__()
        self.trunk = trunk
        self.indices = sorted(TRUNK_INDEX[stage] for stage in stages)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = []
        for index, module in enumerate(self.trunk):
            x = module(x)
            if index in self.indices:
                features.append(unit_length(x))
        return features[0] if len(features) == 1 else torch.cat(features, dim=1)


def load(
    name: str,
    *,
    device: torch.device,
    dtype: torch.dtype,
    weights: Path | None,
    stages: Sequence[str] = ("layer3",),
) -> NetworkEmbedder:
    """Build the embedder from torchvision's ResNet-50 file.

    Args:
        stages: which of "layer2" and "layer3" to embed with; both lie on the stride-8 grid.

    Raises:
        ModelError: no file is given, or it is unreadable or of another network.
    """
    if weights is None:
        raise ModelError(f"The weights of {name} are missing.", "Pass them with --weights FILE.")
    if not stages or set(stages) - STAGE_CHANNELS.keys():
        raise ValueError(f"stages must be some of {sorted(STAGE_CHANNELS)}, got {stages!r}")
    state = check_shapes(read_state(weights), imagenet_shapes(50), name, weights)
    with torch.device("meta"):
        trunk = stride8_trunk(50)
    trunk_state = load_strict(trunk, trunk_state_from_imagenet(state), name, weights)
    refuse_untrained(trunk_state, ("",), name, weights)
    return NetworkEmbedder(
        name,
        StageFeatures(trunk, stages),
        channels=sum(STAGE_CHANNELS[stage] for stage in set(stages)),
        cosine=True,
        logit_scale=LOGIT_SCALE,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        device=device,
        dtype=dtype,
    )
