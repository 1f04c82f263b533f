"""Which device to compute on, in which dtype, and how to name both to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from models.errors import ModelError

if TYPE_CHECKING:
    from models.embedder import Embedder

_DTYPE_NAMES = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}
# Volta (7.0) brought fp16 tensor cores; before it half precision is slower than single.
_MIN_FP16_CAPABILITY = 7


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:N" or "mps" into a device that is there.

    "auto" prefers CUDA, then MPS, then the CPU. "cuda" becomes "cuda:0".

    Raises:
        ModelError: the name is unknown or the device is not there.
    """
    name = str(device).strip().lower()
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not (number.isascii() and number.isdigit())):
        raise ModelError(f"There is no device called {str(device)!r}.", "Use auto, cpu, cuda, cuda:N or mps.")
    index = int(number) if number else 0
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise ModelError("No CUDA device is available to PyTorch.", "Use --device cpu or install a CUDA build.")
        count = torch.cuda.device_count()
        if index >= count:
            raise ModelError(f"There is no cuda:{index}; CUDA devices: {count}.", "Use --device cuda.")
        return torch.device("cuda", index)
    if index > 0:
        raise ModelError(f"There is no {kind}:{index}.", f"Use --device {kind}.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ModelError("Apple's MPS is not available to PyTorch here.", "Use --device cpu.")
    return torch.device(kind)


def best_dtype(device: torch.device) -> torch.dtype:
    """The fastest dtype that keeps the masks: reduced precision only where the hardware multiplies in it."""
    if device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        return torch.float16 if major >= _MIN_FP16_CAPABILITY else torch.float32
    if device.type == "cpu" and cpu_has_bf16():
        return torch.bfloat16
    return torch.float32  # MPS as well: half precision there has been a source of wrong results


def cpu_has_bf16() -> bool:
    """True when this processor multiplies bf16 in hardware (AMX, AVX512-BF16); emulated it is slower than fp32."""
    # Underscored in PyTorch and missing in some releases: without them fp32 is always right, only slower.
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, check)()) for check in checks if hasattr(torch.cpu, check))


def synchronise(device: torch.device) -> None:
    """Wait until `device` has done what it was asked to; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def describe_backend(embedder: Embedder) -> str:
    """What runs the network in which precision: "bf16, PyTorch" or "int8, ONNX Runtime"."""
    return str(getattr(embedder, "backend_text", "")) or f"{dtype_name(embedder.dtype)}, PyTorch"


def dtype_name(dtype: torch.dtype) -> str:
    return _DTYPE_NAMES.get(dtype, str(dtype).removeprefix("torch."))


def describe_device(device: torch.device, dtype: torch.dtype | str) -> str:
    """Such as "cpu (bf16)" or "cuda:0 NVIDIA H100 (fp16)"; `dtype` may be the text of `describe_backend`."""
    model = f" {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""
    return f"{device}{model} ({dtype if isinstance(dtype, str) else dtype_name(dtype)})"
