"""The networks that can be trained: forward pass with gradients, frozen parts, parameter groups, exported weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import ClassVar, cast

import torch
from torch import nn

from engine.training.config import NetworkConfig
from models.embedder import Embedder
from models.resnet import IMAGENET_MEAN, IMAGENET_STD, Depth
from models.resnet_half import STAGE_CHANNELS, STEM_CHANNELS, HalfResNetEmbedder, HalfResNetTrunk, Projection
from models.tvos import TvosNetwork, embedder_of
from models.upsampler import Upsampler

_DEPTHS: Mapping[str, Depth] = {"tvos-resnet18": 18, "tvos-resnet50": 50, "tvos-resnet101": 101}


class TrainableNetwork(nn.Module):
    """What the training loop knows of a network.

    `forward`: N x 3 x H x W RGB in 0..1 -> embedding N x C x ceil(H/8) x ceil(W/8), with gradients, and the logits of
    `models.upsampler` where the network has one (None otherwise).

    A subclass says where its parts lie (`parts`: "stem", "layer1", ... to prefixes of parameter names) and which
    prefixes are pretrained (`trunk`: they take the trunk's learning rate).
    """

    parts: ClassVar[Mapping[str, tuple[str, ...]]]
    trunk: ClassVar[tuple[str, ...]]

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        scale = torch.tensor(float(config.logit_scale)).log()
        self.log_scale = nn.Parameter(scale, requires_grad=config.learn_logit_scale)

    @property
    def logit_scale(self) -> torch.Tensor:
        return self.log_scale.exp()

    def freeze(self) -> None:
        """Take the frozen parts out of training.

        They are the first parts of the network and its input needs no gradient, so autograd records nothing for them.
        """
        for name, parameter in self.named_parameters():
            if self.is_frozen(name):
                parameter.requires_grad_(False)

    def is_frozen(self, name: str) -> bool:
        return any(name.startswith(self.parts[part]) for part in self.config.frozen)

    def is_trunk(self, name: str) -> bool:
        return name.startswith(self.trunk)

    def train(self, mode: bool = True) -> TrainableNetwork:
        """As usual, but BatchNorm of the frozen parts keeps to its running statistics."""
        super().train(mode)
        for name, module in self.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and self.is_frozen(f"{name}."):
                module.eval()
        return self

    def half_precision_names(self) -> Iterator[str]:
        """Parameters that a reduced precision applies to: those of convolutions. Vectors elsewhere stay in fp32."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                yield from (f"{name}.{own}" for own, _ in module.named_parameters(recurse=False))

    def export_state(self) -> dict[str, torch.Tensor]:
        """Weights in the layout that `models.registry.load_embedder(name, weights=...)` reads; detached copies, CPU."""
        raise NotImplementedError

    def load_exported(self, state: Mapping[str, torch.Tensor]) -> None:
        """Inverse of `export_state`; RuntimeError when `state` does not fit."""
        raise NotImplementedError

    def embedder(self, device: torch.device, dtype: torch.dtype) -> Embedder:
        """An embedder over a copy of the present weights."""
        raise NotImplementedError


class HalfNetwork(TrainableNetwork):
    """`resnet50-half`: trunk, projection, learned logit scale."""

    parts: ClassVar = {"stem": ("net.conv1.",), **{f"layer{i}": (f"net.layer{i}.",) for i in (1, 2, 3)}}
    trunk = ("net.",)

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.net = HalfResNetTrunk()
        self.projection = Projection(config.projection_channels)
        nn.init.orthogonal_(self.projection.weight)
        self.upsampler = Upsampler(STEM_CHANNELS, *STAGE_CHANNELS) if config.upsampler else None

    def forward(self, rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        stages = self.net(rgb)
        embedding = self.projection(stages.stage2, stages.stage3)
        return embedding, None if self.upsampler is None else self.upsampler(stages)

    def export_state(self) -> dict[str, torch.Tensor]:
        state = dict(self.net.state_dict())
        for prefix, module in self._heads():
            state |= {f"{prefix}{key}": tensor for key, tensor in module.state_dict().items()}
        state["logit_scale"] = self.logit_scale
        return {key: tensor.detach().cpu().clone().contiguous() for key, tensor in state.items()}

    def load_exported(self, state: Mapping[str, torch.Tensor]) -> None:
        tensors = {key: tensor.float() for key, tensor in state.items() if key != "logit_scale"}
        for prefix, module in self._heads():
            own = {key: tensors.pop(key) for key in list(tensors) if key.startswith(prefix)}
            if not own and module is self.upsampler:
                continue  # start weights without one
            module.load_state_dict({key.removeprefix(prefix): tensor for key, tensor in own.items()})
        self.net.load_state_dict(tensors)

    def _heads(self) -> list[tuple[str, nn.Module]]:
        """What is learned on top of the trunk, with its prefix in exported weights."""
        heads: list[tuple[str, nn.Module]] = [("projection.", self.projection)]
        if self.upsampler is not None:
            heads.append(("upsampler.", self.upsampler))
        return heads

    def embedder(self, device: torch.device, dtype: torch.dtype) -> Embedder:
        return HalfResNetEmbedder(self.config.name, self.export_state(), device=device, dtype=dtype)


class PaperNetwork(TrainableNetwork):
    """`tvos-resnet50` (-18, -101): the paper's network; the raw dot product is the logit."""

    parts: ClassVar = {"stem": ("net.backbone.0.", "net.backbone.1.")} | {
        f"layer{i}": (f"net.backbone.{i + 3}.",) for i in (1, 2, 3, 4)
    }
    trunk = tuple(f"net.backbone.{index}." for index in (0, 1, 4, 5, 6))

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.net = TvosNetwork(_DEPTHS[config.name])
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        x = (rgb - self.get_buffer("mean")) / self.get_buffer("std")
        stem = cast(nn.Conv2d, self.net.backbone[0])
        return self.net(x.to(stem.weight.dtype)), None

    def export_state(self) -> dict[str, torch.Tensor]:
        return {key: tensor.detach().cpu().clone().contiguous() for key, tensor in self.net.state_dict().items()}

    def load_exported(self, state: Mapping[str, torch.Tensor]) -> None:
        self.net.load_state_dict(dict(state))

    def embedder(self, device: torch.device, dtype: torch.dtype) -> Embedder:
        network = TvosNetwork(_DEPTHS[self.config.name])
        network.load_state_dict(copy.deepcopy(self.net.state_dict()))
        return embedder_of(self.config.name, network, device=device, dtype=dtype)


def build_network(config: NetworkConfig) -> TrainableNetwork:
    """The network with random weights, its frozen parts frozen, in training mode."""
    network = HalfNetwork(config) if config.name == "resnet50-half" else PaperNetwork(config)
    network.freeze()
    network.to(memory_format=torch.channels_last)
    return network.train()
