"""Which worker process computes where: one per graphics card, or one on the processor."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from engine.runtime.config import EngineConfig
from engine.runtime.threads import prepare_computing, thread_count


@dataclass(frozen=True)
class Place:
    """Where a worker computes.

    Attributes:
        config: with the worker's own device.
        threads: of PyTorch on the processor.
    """

    config: EngineConfig
    threads: int

    def settle(self) -> None:
        """Call in the worker before torch is imported."""
        prepare_computing()
        os.environ["OMP_NUM_THREADS"] = str(self.threads)


def places(config: EngineConfig, workers: int | None = None) -> list[Place]:
    """One place per worker.

    Args:
        workers: how many; None: one per CUDA device when `config` leaves the choice of a device ("auto", "cuda"), else
            one. More workers than cards share them in turn.
    """
    devices = [config.device]
    if config.device in ("auto", "cuda"):
        prepare_computing()
        import torch

        devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())] or devices
    count = workers or len(devices)
    threads = max(1, thread_count() // count)
    return [Place(replace(config, device=devices[index % len(devices)]), threads) for index in range(count)]
