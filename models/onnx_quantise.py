"""Make int8 of an exported embedder: weights per channel, activations by ranges seen on a few frames.

Convolutions, their residual additions and pooling compute in int8; the projection to unit length stays in fp32. Moving
averages of the extremes: a single outlier must not widen a range for all (cosine with fp32 0.9926 against 0.9900).
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import ModelError
from models.onnx_backend import INT8, OnnxEmbedder, add_metadata


def quantise(
    source: Path, path: Path, calibration: Sequence[NDArray[np.uint8]], held: Sequence[NDArray[np.uint8]]
) -> float:
    """Write the int8 form of `source` (a file of `export_onnx`) to `path`; returns how far it agrees with fp32.

    Args:
        calibration: H x W x 3 uint8 RGB frames of one size whose activations set the ranges.
        held: other frames, on which embeddings are compared; the mean cosine over their cells goes into the file.

    Raises:
        ModelError: the `onnx` package is missing, or the file cannot be read, quantised or written.
    """
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise ModelError(
            "An int8 model is made with onnx and onnxruntime.", "Run: pip install onnx onnxruntime"
        ) from error

    class Frames(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._inputs = _inputs(calibration)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self._inputs, None)

    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(made),
                Frames(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=_nodes(onnx.load(str(prepared)).graph),
                extra_options={"CalibMovingAverage": True},
            )
            model = onnx.load(str(made))
            kept = onnx.load(str(source), load_external_data=False).metadata_props
            del model.metadata_props[:]
            model.metadata_props.extend(kept)
            add_metadata(model, "precision", INT8)
            onnx.save(model, str(made))
            agreement = mean_cosine(OnnxEmbedder(source), OnnxEmbedder(made), held)
            add_metadata(model, "agreement", agreement)
            onnx.save(model, str(made))
            os.replace(made, path)
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error.strerror or error}).", "Choose another place.") from error
    except Exception as error:  # onnx and onnxruntime have no base class of their own
        raise ModelError(f"onnxruntime cannot make an int8 model of {source.name}.", "Use --backend onnx.") from error
    return agreement


def mean_cosine(first: OnnxEmbedder, second: OnnxEmbedder, frames: Sequence[NDArray[np.uint8]]) -> float:
    """Mean over the cells of all frames (H x W x 3 uint8) of the cosine between two embeddings."""
    means = []
    for frame in frames:
        rgb = torch.from_numpy(frame).permute(2, 0, 1)[None]
        a, b = first.embed_detailed(rgb)[0], second.embed_detailed(rgb)[0]
        means.append(float(torch.nn.functional.cosine_similarity(a, b, dim=0).mean()))
    return sum(means) / len(means)


def _inputs(frames: Sequence[NDArray[np.uint8]]) -> Iterator[dict[str, NDArray[np.float32]]]:
    for frame in frames:
        yield {"rgb": np.ascontiguousarray(frame.transpose(2, 0, 1)[None].astype(np.float32) / 255.0)}


def _nodes(graph: Any) -> list[str]:
    """Convolutions, pooling, and the additions between the outputs of convolutions."""
    makers = {output: node.op_type for node in graph.node for output in node.output}
    names = []
    for node in graph.node:
        residual = node.op_type == "Add" and all(makers.get(name) in ("Conv", "Relu") for name in node.input)
        if node.op_type in ("Conv", "MaxPool") or residual:
            names.append(node.name)
    return names
