"""One process or many: where this process stands, and the few things they say to each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from engine.errors import UserError
from models.device import resolve_device

_TIMEOUT = timedelta(hours=2)  # processes wait for each other while one of them validates a long sequence


@dataclass(frozen=True)
class World:
    """This process among all of them.

    Attributes:
        rank: number of this process, 0 is the one that writes.
        size: number of processes.
        device: where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def is_shared(self) -> bool:
        return self.size > 1

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Mean of every value over the processes (all must ask for the same names)."""
        if not self.is_shared:
            return values
        tensor = torch.tensor(list(values.values()), dtype=torch.float64, device=self._talk)
        dist.all_reduce(tensor)
        return dict(zip(values, (tensor / self.size).tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """True when any process says so."""
        if not self.is_shared:
            return flag
        tensor = torch.tensor([int(flag)], device=self._talk)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return bool(tensor.item())

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in every process."""
        if not self.is_shared:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        if self.is_shared:
            dist.barrier()

    @property
    def _talk(self) -> torch.device:
        return self.device if self.device.type == "cuda" else torch.device("cpu")


@contextmanager
def joined_world(device: str) -> Iterator[World]:
    """The world as torchrun set it up (RANK, WORLD_SIZE, LOCAL_RANK), or a world of one.

    Raises:
        ModelError: the device is not there.
        UserError: more processes than CUDA devices, or a device that cannot be shared.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    target = resolve_device(device)
    if size == 1:
        yield World(0, 1, target)
        return
    if target.type == "mps":
        raise UserError("Several processes cannot train on Apple's GPU.", "Use --device cpu, or one process.")
    local = int(os.environ["LOCAL_RANK"])
    if target.type == "cuda":
        if local >= torch.cuda.device_count():
            raise UserError(
                f"Process {local} has no CUDA device of its own: there are {torch.cuda.device_count()}.",
                "Start at most one process per device.",
            )
        target = torch.device("cuda", local)
        torch.cuda.set_device(target)
    dist.init_process_group("nccl" if target.type == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield World(int(os.environ["RANK"]), size, target)
    finally:
        dist.destroy_process_group()


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce whose gradient is summed over the processes as well: each of them used the sum."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        gradient = gradients[0].clone()
        dist.all_reduce(gradient)
        return gradient


class CpuSyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the batches of all processes. PyTorch's own SyncBatchNorm runs on CUDA only.

    All processes must bring batches of the same size.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        values = x.float()
        mean = _SumOverProcesses.apply(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / count
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                momentum = 0.1 if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * (count / (count - 1)), momentum)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
        normalised = centred * (variance + self.eps).rsqrt()[:, None, None]
        result: torch.Tensor = normalised * self.weight[:, None, None] + self.bias[:, None, None]
        return result.to(x.dtype)


def synchronise_batchnorm(network: nn.Module, world: World) -> None:
    """Let every BatchNorm of `network` see the batches of all processes; in place, names of the state unchanged."""
    if not world.is_shared:
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and not isinstance(child, CpuSyncBatchNorm):
                kind = nn.SyncBatchNorm if world.device.type == "cuda" else CpuSyncBatchNorm
                synced = kind(child.num_features, child.eps, child.momentum).train(child.training)
                synced.load_state_dict(child.state_dict())
                for own, other in zip(synced.parameters(), child.parameters(), strict=True):
                    own.requires_grad_(other.requires_grad)
                setattr(module, name, synced.to(next(child.parameters()).device))
