"""The machine a figure was taken on, and the most it can multiply."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil
import torch

from engine.doctor.compute import processor_name
from models.device import synchronise

_SIDE = 2048
_TRIES = 5


@dataclass(frozen=True)
class Machine:
    """Attributes:
    processor: its name; `threads` of `cores` compute.
    card: name of the graphics card in use, "" for none.
    dtype: that products are taken in.
    matmul_gflops: best of some products of two 2048 x 2048 matrices of that dtype.
    """

    processor: str
    cores: int
    threads: int
    card: str
    dtype: str
    matmul_gflops: float
    torch: str

    def __str__(self) -> str:
        where = self.card or f"{self.processor}, {self.threads} threads on {self.cores} processors"
        return f"{where}; products in {self.dtype} at {self.matmul_gflops:.0f} GFLOP/s at best; PyTorch {self.torch}"


def this_machine(device: torch.device, dtype: torch.dtype) -> Machine:
    return Machine(
        processor=processor_name(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        card=torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        dtype=str(dtype).removeprefix("torch."),
        matmul_gflops=matmul_gflops(device, dtype),
        torch=torch.__version__,
    )


def matmul_gflops(device: torch.device, dtype: torch.dtype, side: int = _SIDE) -> float:
    """10^9 multiplications and additions per second in the best of some square products."""
    a = torch.randn(side, side, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(_TRIES):
        started = time.perf_counter()
        a @ a
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best / 1e9


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """The most memory this process ever had, as far as the system tells."""
    info = psutil.Process().memory_info()
    if hasattr(info, "peak_wset"):  # Windows
        return int(info.peak_wset)
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
