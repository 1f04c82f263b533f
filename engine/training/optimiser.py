"""Optimiser, parameter groups, learning-rate schedule, moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from engine.training.config import OptimiserConfig
from engine.training.networks import TrainableNetwork


def build_optimiser(network: TrainableNetwork, config: OptimiserConfig) -> torch.optim.Optimizer:
    """SGD or AdamW over the trainable parameters.

    Groups carry "peak", the learning rate the schedule scales; pretrained parts take `trunk_lr`, and with
    `decay_vectors` False vectors and the logit scale are not decayed.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decayed = config.decay_vectors or parameter.ndim > 1
            groups.setdefault((network.is_trunk(name), decayed), []).append(parameter)
    trunk_lr = config.lr if config.trunk_lr is None else config.trunk_lr
    settings = [
        {
            "params": parameters,
            "peak": trunk_lr if trunk else config.lr,
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (trunk, decayed), parameters in sorted(groups.items())
    ]
    if config.kind == "adamw":
        return torch.optim.AdamW(settings, lr=config.lr, betas=config.betas)
    return torch.optim.SGD(settings, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov)


def schedule_factor(step: int, steps: int, config: OptimiserConfig) -> float:
    """Learning rate of 0-based step `step` of `steps`, as a share of the peak.

    Warm-up rises linearly; the decay then runs over the rest. The factor ends at min_lr / lr, as if the step after the
    last one were the end (so the first step after the warm-up has the peak).
    """
    if step < config.warm_up:
        return (step + 1) / (config.warm_up + 1)
    progress = (step - config.warm_up) / max(steps - config.warm_up, 1)
    floor = config.min_lr / config.lr
    if config.schedule == "cosine":
        return floor + (1 - floor) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    if config.schedule == "poly":
        return floor + (1 - floor) * math.pow(1 - min(progress, 1.0), config.power)
    return 1.0


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Every group's learning rate becomes `factor` of its peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> float:
    """Scale the gradients down to the norm `limit` (0: leave them) and return their norm before that."""
    held = [parameter for parameter in parameters if parameter.grad is not None]
    return float(torch.nn.utils.clip_grad_norm_(held, limit if limit > 0 else math.inf))


class MovingAverage:
    """Exponential moving average of every floating tensor of a network's state; counters are copied."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after 0-based step `step`; early on the average forgets faster (1 - 1/(step + 2))."""
        decay = min(self.decay, 1 - 1 / (step + 2))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, 1 - decay)
            else:
                self.state[name].copy_(tensor)
