"""What a step costs, worked out without data and without computing: on tensors that have a shape and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from engine.training.config import TrainingConfig
from engine.training.model import ClipModel
from engine.training.networks import build_network


@dataclass(frozen=True)
class StepCost:
    """Cost of one optimiser step.

    Attributes:
        gmac: 10^9 multiply-adds over the whole batch, backward pass included.
        parameters, trainable: numbers in the network.
        state_bytes: parameters, gradients, optimiser state and moving average, per process.
        activation_bytes: what one forward pass of `micro` clips keeps for the backward pass.
    """

    gmac: float
    parameters: int
    trainable: int
    state_bytes: int
    activation_bytes: int


def step_cost(config: TrainingConfig, dtype: torch.dtype, micro: int, objects: int = 1) -> StepCost:
    """Count the operations and the kept tensors of one clip and scale them up.

    Args:
        dtype: of the forward pass.
        micro: clips of one forward pass in one process.
    """
    clip = config.clip
    with torch.device("meta"):
        network = build_network(config.network)
        model = ClipModel(network, config, dtype)
        frames = torch.empty(1, clip.frames, clip.crop, clip.crop, 3, dtype=torch.uint8)
        masks = torch.empty(1, clip.frames, clip.crop, clip.crop, dtype=torch.uint8)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if not isinstance(tensor, torch.nn.Parameter):
            kept[storage._cdata] = storage.nbytes()
        held.append(tensor)  # so that no other storage takes its address
        return tensor

    held: list[torch.Tensor] = []
    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = model(frames, masks, objects).loss
        loss.backward()
    parameters = sum(p.numel() for p in network.parameters())
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    moments = 2 if config.optimiser.kind == "adamw" else 1
    numbers = parameters + trainable * (1 + moments) + (parameters if config.optimiser.ema else 0)
    return StepCost(
        gmac=counter.get_total_flops() / 2 / 1e9 * config.run.batch,
        parameters=parameters,
        trainable=trainable,
        state_bytes=numbers * 4,
        activation_bytes=sum(kept.values()) * micro,
    )
