"""What runs a network: PyTorch, or ONNX Runtime with the network exported to the cache, in fp32 or int8. No torch here.

Exports lie in the cache folder under the model's name, the checksum of its weights and the exporter's version, so that
other weights or another exporter never meet an old file.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.cache import cache_dir, exclusive
from models.errors import ModelError
from models.registry import get_spec, load_embedder

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from models.onnx_backend import OnnxEmbedder

    Frames = Callable[[], Sequence[NDArray[np.uint8]]]

AUTO, TORCH, ONNX, ONNX_INT8 = "auto", "torch", "onnx", "onnx-int8"
BACKENDS = (AUTO, TORCH, ONNX, ONNX_INT8)
LEAST_AGREEMENT = 0.98  # mean cosine of int8 embeddings with fp32; below it an int8 model is not used
_FOLDER = "onnx"


class DisagreementError(ModelError):
    """The int8 model gives other embeddings than the network it was made of."""


def check_backend(name: str) -> str:
    """`name` itself.

    Raises:
        ModelError: there is no such backend.
    """
    if name not in BACKENDS:
        raise ModelError(f"There is no backend called {name!r}.", f"Use {', '.join(BACKENDS)}.")
    return name


def weights_key(model: str, weights: Path | None) -> str:
    """The SHA-256 of the weights `model` runs with.

    Raises:
        ModelError: the user's file cannot be read, or the model needs one.
    """
    if weights is None:
        known = get_spec(model).sha256
        if known is None:
            raise ModelError(f"The model {model} has no weights.", "Pass your trained checkpoint with --weights FILE.")
        return known
    try:
        with weights.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"The weights {weights} cannot be read ({error.strerror}).", "Check the path.") from error
    return digest.hexdigest()


def export_path(backend: str, model: str, weights: Path | None) -> Path:
    """Where the export for `backend` lies, or will lie. Imports torch."""
    from models.onnx_backend import EXPORT_VERSION

    suffix = "-int8" if backend == ONNX_INT8 else ""
    name = f"{model}-{weights_key(model, weights)[:16]}-v{EXPORT_VERSION}{suffix}.onnx"
    return cache_dir() / _FOLDER / name


def int8_in_hardware() -> bool:
    """Whether this processor multiplies int8 in hardware (VNNI, AMX); elsewhere int8 overflows or takes longer."""
    if sys.platform == "linux":
        try:
            flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return any(flag in flags.split() for flag in ("avx512_vnni", "avx_vnni", "amx_int8"))
    import torch

    checks = ("_is_avx512_vnni_supported", "_is_vnni_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, check)()) for check in checks if hasattr(torch.cpu, check))


def load_exported(
    backend: str,
    model: str,
    device: torch.device,
    dtype: torch.dtype,
    weights: Path | None,
    frames: Frames,
    progress: Callable[[str, float | None], None],
    *,
    threads: int = 0,
    prepare: bool = True,
) -> OnnxEmbedder:
    """The network run by ONNX Runtime, exported (and made int8) first where that has not been done yet.

    Args:
        backend: "onnx" or "onnx-int8".
        dtype: of the embedding that is returned.
        frames: gives frames of one size to make int8 with; every second one is kept to check it.
        threads: of the CPU, 0 for all.
        prepare: False: only take what has been exported before.

    Raises:
        DisagreementError: the int8 model was made but must not be used.
        ModelError: onnx or onnxruntime is missing, the device cannot do int8, or the weights are not right.
    """
    from models.onnx_backend import OnnxEmbedder, runtime

    if backend == ONNX_INT8 and device.type != "cpu":
        raise ModelError("The int8 backend is for the CPU.", "Use --backend onnx, or --device cpu.")
    if backend == ONNX_INT8 and not int8_in_hardware():
        raise ModelError("This processor does not multiply int8 in hardware (VNNI).", "Use --backend onnx.")
    path = export_path(backend, model, weights)

    def opened() -> OnnxEmbedder:
        return OnnxEmbedder(path, device=device, dtype=dtype, expected_name=model, threads=threads)

    runtime()
    if not prepare:
        return _checked(opened())
    _export(backend, model, weights, frames, progress)
    try:
        return _checked(opened())
    except DisagreementError:
        raise
    except ModelError:
        path.unlink(missing_ok=True)  # damaged
    _export(backend, model, weights, frames, progress)
    return _checked(opened())


def _checked(embedder: OnnxEmbedder) -> OnnxEmbedder:
    if not embedder.agreement >= LEAST_AGREEMENT:
        raise DisagreementError(
            f"The int8 form of {embedder.name} differs too much from the network (cosine {embedder.agreement:.3f}).",
            "Use --backend torch or onnx.",
        )
    return embedder


def _export(
    backend: str, model: str, weights: Path | None, frames: Frames, progress: Callable[[str, float | None], None]
) -> None:
    """Write the export unless it is there. One process at a time, so that nobody sees half of one."""
    path = export_path(backend, model, weights)
    if path.is_file():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(path.with_suffix(".lock"), lambda: progress(f"Waiting for another export of {model}", None)):
            if path.is_file():
                return
            if backend == ONNX_INT8:
                _write_int8(path, model, weights, frames, progress)
            else:
                _write_fp32(path, model, weights, progress)
    except OSError as error:
        raise ModelError(
            f"The cache folder {path.parent} cannot be written ({error.strerror}).", "Set LIVEMASK_CACHE to another."
        ) from error


def _write_fp32(path: Path, model: str, weights: Path | None, progress: Callable[[str, float | None], None]) -> None:
    import torch

    from models.onnx_backend import export_onnx

    network = load_embedder(model, "cpu", torch.float32, weights, progress)
    progress(f"Exporting {model} (once)", None)
    export_onnx(network, path)


def _write_int8(
    path: Path, model: str, weights: Path | None, frames: Frames, progress: Callable[[str, float | None], None]
) -> None:
    from models.onnx_backend import OnnxEmbedder
    from models.onnx_quantise import quantise

    source = export_path(ONNX, model, weights)
    _export(ONNX, model, weights, frames, progress)
    try:
        OnnxEmbedder(source, expected_name=model)
    except ModelError:
        source.unlink(missing_ok=True)  # damaged
        _export(ONNX, model, weights, frames, progress)
    shown = frames()
    progress(f"Making {model} int8 (once)", None)
    quantise(source, path, shown[::2], shown[1::2])
