"""Export an embedder to ONNX and run it through onnxruntime, where PyTorch is too slow or a TensorRT build is at hand.

Exporting needs the `onnx` package; running needs onnxruntime alone.
"""

from __future__ import annotations

import inspect
import math
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.embedder import Embedder
from models.errors import ModelError

OPSET = 17
_PREFIX = "livemask."
_PROVIDERS = {"cuda": ("TensorrtExecutionProvider", "CUDAExecutionProvider"), "mps": ("CoreMLExecutionProvider",)}
_CPU_PROVIDER = "CPUExecutionProvider"


def export_onnx(embedder: Embedder, path: Path) -> Path:
    """Write an fp32 embedder on the CPU as one ONNX file whose height and width are free.

    The file takes "rgb" 1 x 3 x H x W float32 in 0..1 and gives "embedding" C x ceil(H/8) x ceil(W/8) float32; name,
    cosine and logit_scale travel in its metadata.

    Raises:
        ModelError: the `onnx` package is missing, or the embedder is in half precision or not on the CPU.
    """
    if embedder.dtype != torch.float32 or embedder.device.type != "cpu":
        raise ModelError("Only an fp32 model on the CPU can be exported.", "Load it with device cpu and dtype float32.")
    try:
        import onnx
    except ImportError as error:
        raise ModelError("Exporting to ONNX needs the onnx package.", "Run: pip install onnx") from error

    # The tracing exporter: the one based on torch.export needs onnxscript and gives nothing more for a plain ResNet.
    tracing: dict[str, Any] = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    part = path.with_name(f"{path.name}.part")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.onnx")
            warnings.filterwarnings("ignore", message=".*legacy TorchScript-based ONNX export.*")
            torch.onnx.export(
                _EmbedModule(embedder),
                (torch.rand(1, 3, 67, 93),),  # odd on purpose: a size baked in by mistake shows up in the tests
                str(part),
                input_names=["rgb"],
                output_names=["embedding"],
                dynamic_axes={"rgb": {2: "height", 3: "width"}, "embedding": {1: "rows", 2: "columns"}},
                opset_version=OPSET,
                **tracing,
            )
        model = onnx.load(str(part))
        for key in ("name", "channels", "cosine", "logit_scale"):
            entry = model.metadata_props.add()
            entry.key, entry.value = _PREFIX + key, str(getattr(embedder, key))
        onnx.save(model, str(part))
        os.replace(part, path)
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error.strerror or error}).", "Choose another place.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


class _EmbedModule(nn.Module):
    """Lets the exporter trace any embedder; its weights become constants of the graph."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self._embed = embedder.embed

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return self._embed(rgb)


class OnnxEmbedder:
    """An `Embedder` (see `models.embedder`) that runs a file of `export_onnx`.

    Attributes:
        provider: the onnxruntime provider in use.
        fallback_message: why it is not the one that suits `device`, "" when it is. For the user to read.
    """

    stride = 8

    def __init__(
        self, path: Path, *, device: torch.device | str = "cpu", expected_name: str | None = None, threads: int = 0
    ) -> None:
        """Open the file for `device`, falling back from TensorRT to CUDA to the CPU.

        Args:
            device: where `embed` takes and returns tensors; data is copied when onnxruntime computes elsewhere.
            expected_name: registry name the file must have been exported from, None for any.
            threads: of the CPU provider; 0 leaves the choice to onnxruntime.

        Raises:
            ModelError: onnxruntime is missing, or the file is unreadable, not LiveMask's, or of another model.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError("Running an ONNX model needs onnxruntime.", "Run: pip install onnxruntime") from error
        if not path.is_file():
            raise ModelError(f"The model file {path} does not exist.", "Check the path.")
        self._device = torch.device(device)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # a provider that fails to load is told through fallback_message
        wanted = _PROVIDERS.get(self._device.type, ())
        offered = [name for name in wanted if name in onnxruntime.get_available_providers()]
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[*offered, _CPU_PROVIDER])
        except Exception as error:  # onnxruntime's errors share no other base class
            raise ModelError(f"{path} is not a model onnxruntime can run.", "Export it again.") from error
        self.provider: str = self._session.get_providers()[0]
        self.fallback_message = ""
        if wanted and self.provider not in wanted:
            self.fallback_message = f"onnxruntime cannot use {self._device.type} here; the model runs on the CPU."
        meta = self._session.get_modelmeta().custom_metadata_map
        try:
            self.name = str(meta[_PREFIX + "name"])
            self.channels = int(meta[_PREFIX + "channels"])
            self.cosine = meta[_PREFIX + "cosine"] == "True"
            self.logit_scale = float(meta[_PREFIX + "logit_scale"])
        except (KeyError, ValueError) as error:
            raise ModelError(f"{path} was not exported by LiveMask.", "Export it again.") from error
        if expected_name is not None and self.name != expected_name:
            raise ModelError(
                f"{path} is an export of {self.name}, not of {expected_name}.", f"Use --model {self.name}."
            )

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    @torch.inference_mode()
    def embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """1 x 3 x H x W float RGB in 0..1 -> C x ceil(H/8) x ceil(W/8) float32."""
        (embedding,) = self._session.run(None, {"rgb": rgb.float().contiguous().cpu().numpy()})
        expected = (self.channels, math.ceil(rgb.shape[-2] / self.stride), math.ceil(rgb.shape[-1] / self.stride))
        if embedding.shape != expected:
            raise ModelError(f"The exported model gave {embedding.shape}, expected {expected}.", "Export it again.")
        return torch.from_numpy(embedding).to(self._device)
