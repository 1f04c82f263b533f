"""Export an embedder to ONNX and run it through onnxruntime, where PyTorch is too slow or a TensorRT build is at hand.

Exporting needs the `onnx` package; running needs onnxruntime alone. `models.onnx_quantise` makes int8 of an export.
"""

from __future__ import annotations

import inspect
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.cache import cache_dir
from models.embedder import DetailedEmbedder, Embedder
from models.errors import ModelError
from models.logits import DenseLogits, Upsampling

OPSET = 17
EXPORT_VERSION = 1  # part of the name of a cached export: raise it when a network or this exporter gives another graph
INT8 = "int8"
_PREFIX = "livemask."
_TENSORRT, _CUDA, _CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
_PROVIDERS = {"cuda": (_TENSORRT, _CUDA), "mps": ("CoreMLExecutionProvider",)}
_PROVIDER_NAMES = {_TENSORRT: "TensorRT", _CUDA: "CUDA", "CoreMLExecutionProvider": "Core ML"}
_OUTPUT, _DETAIL = "embedding", "upsampling"
_NO_MEMORY = ("allocate memory", "out of memory", "bad allocation")


def export_onnx(embedder: Embedder, path: Path) -> Path:
    """Write an fp32 embedder on the CPU as one ONNX file whose height and width are free.

    The file takes "rgb" 1 x 3 x H x W float32 in 0..1 and gives "embedding" C x h x w float32, h = ceil(H/8), w =
    ceil(W/8), and where the network has an upsampler "upsampling" h x w x L float32 (`models.upsampler`); name, cosine
    and logit_scale travel in its metadata.

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
    example = torch.rand(1, 3, 67, 93)  # odd on purpose: a size baked in by mistake shows up in the tests
    detailed = isinstance(embedder, DetailedEmbedder) and embedder.embed_detailed(example)[1] is not None
    axes = {"rgb": {2: "height", 3: "width"}, _OUTPUT: {1: "rows", 2: "columns"}}
    if detailed:
        axes[_DETAIL] = {0: "rows", 1: "columns"}
    part = path.with_name(f"{path.name}.part")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.onnx")
            warnings.filterwarnings("ignore", message=".*legacy TorchScript-based ONNX export.*")
            # Padding that an even size does not need is traced with its amount, which is then zero.
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
            torch.onnx.export(
                _EmbedModule(embedder, detailed),
                (example,),
                str(part),
                input_names=["rgb"],
                output_names=[_OUTPUT, _DETAIL] if detailed else [_OUTPUT],
                dynamic_axes=axes,
                opset_version=OPSET,
                **tracing,
            )
        model = onnx.load(str(part))
        _make_weights_of_constants(model.graph)
        for key in ("name", "channels", "cosine", "logit_scale"):
            add_metadata(model, key, getattr(embedder, key))
        onnx.save(model, str(part))
        os.replace(part, path)
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error.strerror or error}).", "Choose another place.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def add_metadata(model: Any, key: str, value: object) -> None:
    """Write LiveMask's `key` into an ONNX model."""
    entry = model.metadata_props.add()
    entry.key, entry.value = _PREFIX + key, str(value)


def _make_weights_of_constants(graph: Any) -> None:
    """The embedder is no module of the traced one, so its weights come as nodes; quantising looks for weights."""
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            weight = graph.initializer.add()
            weight.CopyFrom(node.attribute[0].t)
            weight.name = node.output[0]
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


class _EmbedModule(nn.Module):
    """Lets the exporter trace any embedder."""

    def __init__(self, embedder: Embedder, detailed: bool) -> None:
        super().__init__()
        self._embedder, self._detailed = embedder, detailed

    def forward(self, rgb: torch.Tensor) -> Any:
        if not self._detailed:
            return self._embedder.embed(rgb)
        assert isinstance(self._embedder, DetailedEmbedder)
        embedding, upsampling = self._embedder.embed_detailed(rgb)
        return (embedding,) if upsampling is None else (embedding, upsampling.all())


def runtime() -> Any:
    """The onnxruntime package; ModelError when it is missing."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError("Running an ONNX model needs onnxruntime.", "Run: pip install onnxruntime") from error
    return onnxruntime


class OnnxEmbedder:
    """A `DetailedEmbedder` (see `models.embedder`) that runs a file of `export_onnx`.

    Attributes:
        provider: the onnxruntime provider in use.
        precision: "fp32", or "int8" of a file of `models.onnx_quantise`.
        agreement: mean cosine of an int8 file's embeddings with fp32; 1 for fp32.
        fallback_message: why it is not the one that suits `device` best, "" when it is. For the user to read.
    """

    stride = 8
    takes_all_cores = True  # onnxruntime's threads wait spinning

    def __init__(
        self,
        path: Path,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        expected_name: str | None = None,
        threads: int = 0,
    ) -> None:
        """Open the file for `device`, falling back from TensorRT to CUDA to the CPU.

        Args:
            device: where `embed` takes and returns tensors; data is copied when onnxruntime computes elsewhere.
            dtype: of what is returned; the file computes in its own.
            expected_name: registry name the file must have been exported from, None for any.
            threads: of the CPU provider; 0 leaves the choice to onnxruntime.

        Raises:
            ModelError: onnxruntime is missing, or the file is unreadable, not LiveMask's, or of another model.
        """
        onnxruntime = runtime()
        if not path.is_file():
            raise ModelError(f"The model file {path} does not exist.", "Check the path.")
        self._device = torch.device(device)
        self._dtype = dtype
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # a provider that fails to load is told through fallback_message
        # Between two frames the tracker computes in PyTorch; threads that spin meanwhile would keep it from the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wanted = _PROVIDERS.get(self._device.type, ())
        offered = [name for name in wanted if name in onnxruntime.get_available_providers()]
        providers = [(name, _provider_options(name, self._device)) for name in offered]
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[*providers, _CPU])
        except Exception as error:  # onnxruntime's errors share no other base class
            raise ModelError(f"{path} is not a model onnxruntime can run.", "Export it again.") from error
        # The embedding alone is wanted too: then nothing is computed that only the other output needs.
        self._run_options = onnxruntime.RunOptions()
        self._run_options.only_execute_path_to_fetches = True
        self.provider: str = self._session.get_providers()[0]
        self.fallback_message = _fallback_message(self._device, wanted, self.provider)
        on_card = self.provider in (_TENSORRT, _CUDA)
        self._place = self._device if on_card else torch.device("cpu")
        self._detail: int | None = None
        for output in self._session.get_outputs():
            if output.name == _DETAIL:
                self._detail = int(output.shape[-1])
        meta = self._session.get_modelmeta().custom_metadata_map
        try:
            self.name = str(meta[_PREFIX + "name"])
            self.channels = int(meta[_PREFIX + "channels"])
            self.cosine = meta[_PREFIX + "cosine"] == "True"
            self.logit_scale = float(meta[_PREFIX + "logit_scale"])
            self.precision = meta.get(_PREFIX + "precision", "fp32")
            self.agreement = float(meta.get(_PREFIX + "agreement", 1.0))
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
        return self._dtype

    @property
    def backend_text(self) -> str:
        """Such as "int8, ONNX Runtime" or "fp32, ONNX Runtime with CUDA", for the user to read."""
        provider = _PROVIDER_NAMES.get(self.provider)
        precision = "fp16" if self.provider == _TENSORRT else self.precision
        return f"{precision}, ONNX Runtime" + (f" with {provider}" if provider else "")

    @torch.inference_mode()
    def embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """1 x 3 x H x W float RGB in 0..1 -> C x ceil(H/8) x ceil(W/8) of `dtype`."""
        return self._run(rgb, detailed=False)[0]

    @torch.inference_mode()
    def embed_detailed(self, rgb: torch.Tensor) -> tuple[torch.Tensor, Upsampling | None]:
        """As `embed`, and how labels are enlarged (None where the network does not say). Takes uint8 as well."""
        outputs = self._run(rgb, detailed=self._detail is not None)
        return outputs[0], DenseLogits(outputs[1]) if self._detail is not None else None

    def _run(self, rgb: torch.Tensor, *, detailed: bool) -> list[torch.Tensor]:
        """Inputs and outputs stay in torch's memory where onnxruntime computes on the same device."""
        x = rgb.to(self._place, torch.float32, memory_format=torch.contiguous_format, copy=rgb.dtype == torch.uint8)
        if rgb.dtype == torch.uint8:
            x = x.div_(255.0)
        rows, columns = (math.ceil(size / self.stride) for size in rgb.shape[-2:])
        outputs = {_OUTPUT: torch.empty(self.channels, rows, columns, device=self._place)}
        if detailed and self._detail is not None:
            outputs[_DETAIL] = torch.empty(rows, columns, self._detail, device=self._place)
        binding = self._session.io_binding()
        kind, index = self._place.type, self._place.index or 0
        binding.bind_input("rgb", kind, index, np.float32, tuple(x.shape), x.data_ptr())
        for name, tensor in outputs.items():
            binding.bind_output(name, kind, index, np.float32, tuple(tensor.shape), tensor.data_ptr())
        if kind == "cuda":
            torch.cuda.current_stream(self._place).synchronize()  # onnxruntime has a stream of its own
        try:
            self._session.run_with_iobinding(binding, self._run_options)
            binding.synchronize_outputs()
        except Exception as error:  # as above
            if any(mark in str(error).lower() for mark in _NO_MEMORY):
                raise MemoryError(str(error)) from error
            raise ModelError("The exported model did not run as expected.", "Export it again.") from error
        return [tensor.to(self._device, self._dtype) for tensor in outputs.values()]


def _provider_options(provider: str, device: torch.device) -> dict[str, str]:
    if provider not in (_TENSORRT, _CUDA):
        return {}
    options = {"device_id": str(device.index or 0)}
    if provider == _TENSORRT:
        # Building an engine takes minutes, so it is kept: in our own cache, never beside a file that came from
        # somewhere, because an engine is code.
        folder = str(cache_dir() / "tensorrt")
        options |= {"trt_fp16_enable": "True", "trt_engine_cache_enable": "True", "trt_engine_cache_path": folder}
    return options


def _fallback_message(device: torch.device, wanted: Sequence[str], provider: str) -> str:
    if not wanted or provider == wanted[0]:
        return ""
    if provider in wanted:
        return f"onnxruntime cannot use {_PROVIDER_NAMES[wanted[0]]} here; {_PROVIDER_NAMES[provider]} is used."
    return f"onnxruntime cannot use {device.type} here; the model runs on the CPU."
