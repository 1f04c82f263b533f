"""The models LiveMask knows. A new model is one file with a `load` function and one entry here.

No torch at import time: the menu and ``python main.py models`` list this before anything slow is loaded.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import ModelError
from models.spec import ModelSpec, WeightsFile

if TYPE_CHECKING:
    import torch

    from models.embedder import Embedder

DEFAULT_MODEL = "resnet50-half"
BUNDLED_DIR = Path(__file__).parent / "weights"

_HALF_INPUT = "BGR means subtracted, 0..255 scale"
_IMAGENET_INPUT = "RGB, ImageNet mean and std"
_TVOS_SOURCE = "Zhang et al., CVPR 2020; checkpoints of microsoft/transductive-vos.pytorch or trained here"
_TVOS_LICENCE = "as your checkpoint's (the published ones state none)"

REGISTRY: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="resnet50-half",
            summary="half-width ResNet-50, trained for tracking; light enough for live work without a GPU",
            source="trunk of Yahoo open_nsfw (ResNet-50 1by2), trained here on DAVIS-2016 and stills",
            licence="non-commercial use only (CC BY-NC 4.0, as DAVIS)",
            channels=96,
            input_note=_HALF_INPUT,
            quality="J 87.5, F 89.2 on five DAVIS-2016 val sequences at 480 (measured here)",
            build="models.resnet_half:load",
            default_recipe="robust",
            weights=WeightsFile(
                filename="resnet50_half.safetensors",
                sha256="408a3b50b9fd102c0c571625234068842b2f5817b1da96be09d26a44ab76853d",
                size_bytes=4_801_124,
            ),
            bundled=True,
        ),
        ModelSpec(
            name="resnet50-half-imagenet",
            summary="the same network before that training, for commercial use; leaves trails on moving objects",
            source="trunk of Yahoo open_nsfw (ResNet-50 1by2), projection fitted to stills without labels",
            licence="BSD-2-Clause",
            channels=128,
            input_note=_HALF_INPUT,
            quality="J 75.0, F 66.9 on five DAVIS-2016 val sequences at 480 (measured here)",
            build="models.resnet_half:load",
            default_recipe="robust",
            weights=WeightsFile(
                filename="resnet50_half_imagenet.safetensors",
                sha256="834634255ae9233a26707809bc699b6382282a3ebf4e4315ef0ce0a9b66283dc",
                size_bytes=4_502_428,
            ),
            bundled=True,
        ),
        ModelSpec(
            name="resnet50",
            summary="full-width ImageNet ResNet-50, stage 3; slower, better features, never fine-tuned",
            source="torchvision IMAGENET1K_V1",
            licence="BSD-3-Clause (torchvision); trained on ImageNet, which has terms of its own",
            channels=1024,
            input_note=_IMAGENET_INPUT,
            quality="DAVIS-2017 val J&F 67.3 with such features (Alxead/SFC; not measured here)",
            build="models.resnet50_full:load",
            default_recipe="robust",
            weights=WeightsFile(
                filename="resnet50-0676ba61.pth",
                sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
                size_bytes=102_530_333,
                urls=("https://download.pytorch.org/models/resnet50-0676ba61.pth",),
            ),
            options={"stages": ("layer3",)},
        ),
        ModelSpec(
            name="tvos-resnet50",
            summary="the paper's network, trained for tracking",
            source=_TVOS_SOURCE,
            licence=_TVOS_LICENCE,
            channels=256,
            input_note=_IMAGENET_INPUT,
            quality="DAVIS-2017 val J&F 72.3 (the paper; not measured here)",
            build="models.tvos:load",
            default_recipe="paper",
            options={"depth": 50},
        ),
        ModelSpec(
            name="tvos-resnet18",
            summary="the paper's smaller variant",
            source=_TVOS_SOURCE,
            licence=_TVOS_LICENCE,
            channels=256,
            input_note=_IMAGENET_INPUT,
            quality="no published figure",
            build="models.tvos:load",
            default_recipe="paper",
            options={"depth": 18},
        ),
        ModelSpec(
            name="tvos-resnet101",
            summary="the paper's larger variant",
            source=_TVOS_SOURCE,
            licence=_TVOS_LICENCE,
            channels=256,
            input_note=_IMAGENET_INPUT,
            quality="no published figure",
            build="models.tvos:load",
            default_recipe="paper",
            options={"depth": 101},
        ),
    )
}


def model_names() -> tuple[str, ...]:
    """Every model offered for tracking, the default first."""
    return tuple(name for name, spec in REGISTRY.items() if spec.supports_tracking)


def get_spec(name: str) -> ModelSpec:
    """What is known about a model.

    Raises:
        ModelError: there is none of this name; the message suggests the closest one.
    """
    spec = REGISTRY.get(name)
    if spec is None:
        close = difflib.get_close_matches(name.lower(), REGISTRY, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Known models: {', '.join(REGISTRY)}."
        raise ModelError(f"There is no model called {name!r}.", hint)
    return spec


def load_embedder(
    name: str,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    weights: Path | None = None,
    progress: Callable[[str, float | None], None] | None = None,
    *,
    cancelled: Callable[[], bool] | None = None,
) -> Embedder:
    """Load a model, ready to embed; downloads its weights first when they are neither bundled, cached nor given.

    Args:
        device: "auto", "cpu", "cuda", "cuda:N", "mps" or a torch device.
        dtype: of the computation and the embedding; None for the best this device has.
        weights: the user's own file. It must have the checksum of a downloadable model's file; a bundled or a TVOS
            model takes any trained file of the same network. A `.onnx` file written by
            `models.onnx_backend.export_onnx` runs through onnxruntime, always in fp32.
        progress: called with a text and the fraction done (None where it is unknown).
        cancelled: asked during a download; True stops it with `models.download.DownloadCancelledError`.

    Raises:
        ModelError: unknown model, absent device, or weights that are missing, wrong, damaged or untrained.
    """
    spec = get_spec(name)
    if not spec.supports_tracking:
        raise ModelError(f"The model {name} is not fit for tracking.", f"Choose one of {', '.join(model_names())}.")
    from models.device import best_dtype, resolve_device

    target = resolve_device(device)  # an absent device is told before a long download, not after
    path = _weights_path(spec, weights, progress, cancelled)
    if progress is not None:
        progress(f"Loading {name}", None)
    if path is not None and path.suffix.lower() == ".onnx":
        from models.onnx_backend import OnnxEmbedder

        exported = OnnxEmbedder(path, device=target, expected_name=name)
        if exported.fallback_message and progress is not None:
            progress(exported.fallback_message, None)
        return exported
    module, _, function = spec.build.partition(":")
    build = getattr(importlib.import_module(module), function)
    embedder: Embedder = build(name, device=target, dtype=dtype or best_dtype(target), weights=path, **spec.options)
    return embedder


def _weights_path(
    spec: ModelSpec,
    given: Path | None,
    progress: Callable[[str, float | None], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Path | None:
    from models.download import fetch, verify

    if given is not None and given.suffix.lower() == ".onnx":
        return given
    if spec.weights is None:
        if given is None:
            raise ModelError(
                f"The model {spec.name} has no weights that could be downloaded.",
                "Pass your trained checkpoint with --weights FILE.",
            )
        return given
    if given is not None:
        # In place of a bundled file the user gives one of their own training; a downloadable one is known exactly.
        return given if spec.bundled else verify(spec.weights, given, progress)
    if spec.bundled:
        return verify(spec.weights, BUNDLED_DIR / spec.weights.filename)
    return fetch(spec.weights, progress=progress, cancelled=cancelled)


_COLUMNS: dict[str, Callable[[ModelSpec], str]] = {
    "Model": lambda spec: spec.name,
    "What it is": lambda spec: spec.summary,
    "Weights": lambda spec: spec.availability,
    "Channels": lambda spec: str(spec.channels),
    "Quality": lambda spec: spec.quality,
    "Licence": lambda spec: spec.licence,
}


def describe_table(markdown: bool = False) -> str:
    """The registry as text: a block per model for the terminal, or a Markdown table."""
    if markdown:
        header = ["| " + " | ".join(_COLUMNS) + " |", "|" + " --- |" * len(_COLUMNS)]
        rows = [
            "| "
            + " | ".join(
                _mark_default(spec, f"`{spec.name}`") if title == "Model" else text(spec)
                for title, text in _COLUMNS.items()
            )
            + " |"
            for spec in REGISTRY.values()
        ]
        return "\n".join(header + rows)
    blocks = []
    for spec in REGISTRY.values():
        lines = [_mark_default(spec, spec.name)]
        lines += [f"  {title + ':':<12} {text(spec)}" for title, text in _COLUMNS.items() if title != "Model"]
        lines += [f"  {'Source:':<12} {spec.source}", f"  {'Input:':<12} {spec.input_note}"]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def models_table_markdown() -> str:
    """The table the README shows between its models:begin and models:end comments."""
    return describe_table(markdown=True)


def _mark_default(spec: ModelSpec, text: str) -> str:
    return f"{text} (default)" if spec.name == DEFAULT_MODEL else text
