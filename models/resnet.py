"""ResNet trunks of total stride 8, made of torchvision's blocks (ALGORITHM: section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn
from torchvision.models import resnet as torchvision_resnet
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

Depth = Literal[18, 50, 101]
Layer4 = Literal["none", "narrow"]

# Where torchvision's modules lie in the trunk: its children in their order, so the last figure of "backbone.N".
TRUNK_INDEX = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
NARROW_PLANES = 256
LAYER3_CHANNELS: Mapping[int, int] = {18: 256, 50: 1024, 101: 1024}

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def stride8_trunk(depth: Depth, layer4: Layer4 = "none") -> nn.Sequential:
    """Stem, layer1, layer2 (stride 8) and layer3 at stride 1 without dilation; random weights.

    Build it under ``torch.device("meta")`` when a state dict is assigned anyway: that skips the random numbers.

    Args:
        layer4: "none" ends after layer3; "narrow" adds the paper's layer4 of 256 planes at stride 1.

    Returns:
        Sequential of conv1, bn1, relu, maxpool, layer1, layer2, layer3[, layer4].
        N x 3 x H x W -> N x C x ceil(H/8) x ceil(W/8) with C = 256 (ResNet-18) or 1024.
    """
    net: ResNet = getattr(torchvision_resnet, f"resnet{depth}")(weights=None)
    stages = [net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, _undo_stride(net.layer3)]
    if layer4 == "narrow":
        # Input and output channels agree (256 or 256 * 4), so these blocks need no projection shortcut.
        channels = LAYER3_CHANNELS[depth]
        block = BasicBlock if depth == 18 else Bottleneck
        blocks = 2 if depth == 18 else 3
        narrow = nn.Sequential(*(block(channels, NARROW_PLANES) for _ in range(blocks)))
        initialise(narrow)
        stages.append(narrow)
    return nn.Sequential(*stages)


def _undo_stride(stage: nn.Sequential) -> nn.Sequential:
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
    return stage


def initialise(network: nn.Module) -> None:
    """Random start as torchvision's: He normal (fan out) for every convolution (BatchNorm starts as the identity)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def trunk_state_from_imagenet(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename torchvision's ImageNet state ("layer3.0.conv1.weight") to a trunk's ("6.0.conv1.weight").

    Only the stem and layers 1 to 3 are taken: layer4 and the classifier have no place at stride 8.
    """
    renamed = {}
    for key, tensor in state.items():
        head, _, rest = key.partition(".")
        if head in TRUNK_INDEX and head != "layer4":
            renamed[f"{TRUNK_INDEX[head]}.{rest}"] = tensor
    return renamed


def imagenet_shapes(depth: Depth) -> dict[str, tuple[int, ...]]:
    """Names and shapes of torchvision's ImageNet state dict of this depth (fc and layer4 included)."""
    with torch.device("meta"):
        net: nn.Module = getattr(torchvision_resnet, f"resnet{depth}")(weights=None)
    return {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}
