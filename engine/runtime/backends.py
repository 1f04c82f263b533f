"""Gives the tracker its network on the backend that is asked for, or on the one measured to be fastest here.

The rule: "auto" takes what `engine.runtime.backend_tune` has measured on this machine, and PyTorch until it has. So the
first start waits for nothing; measuring is done by ``main.py tune``, which the window starts when it is idle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.doctor.compute import processor_name
from engine.errors import UserError
from engine.preparing import resize, working_size
from engine.runtime.backend_table import Measured, machine_key, recall, remember
from engine.runtime.config import EngineConfig
from engine.runtime.threads import thread_count
from models.backends import AUTO, ONNX, ONNX_INT8, TORCH, DisagreementError, check_backend, load_exported, weights_key
from models.device import best_dtype, resolve_device
from models.embedder import Embedder
from models.errors import ModelError
from models.onnx_backend import OnnxEmbedder
from models.registry import DEFAULT_MODEL, get_spec

Progress = Callable[[str, "float | None"], None]

DEMO_CLIP = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"
_CALIBRATION_FRAMES = 16  # half of them set the ranges, half check the result
_CALIBRATION_SIDE = 240


@dataclass(frozen=True)
class Loaded:
    """`notice`: what the user should know, such as why another backend is used than asked for; "" for nothing."""

    embedder: Embedder
    notice: str = ""


def exported_file(config: EngineConfig) -> bool:
    """Whether the user gave an exported model: it runs in ONNX Runtime whatever is measured."""
    return config.weights is not None and config.weights.suffix.lower() == ".onnx"


def key_of(config: EngineConfig, device: torch.device) -> str:
    """What measurements of `config` are remembered under.

    Raises:
        ModelError: unknown model, or its weights cannot be read.
    """
    model = get_spec(config.model or DEFAULT_MODEL).name
    name = str(device) if device.type != "cuda" else f"{device} {torch.cuda.get_device_name(device)}"
    return machine_key(model, weights_key(model, config.weights), name, processor_name(), thread_count())


def remembered(config: EngineConfig) -> Measured | None:
    """What was measured for the model and device of `config` on this machine, None when nothing was.

    Raises:
        ModelError: unknown model, absent device, or the weights cannot be read.
    """
    return recall(key_of(config, resolve_device(config.device)))


def load_backend(
    config: EngineConfig, device: torch.device, load_torch: Callable[[], Embedder], progress: Progress | None
) -> Loaded:
    """The network of `config` on its backend.

    Args:
        load_torch: loads it into PyTorch (or opens the user's exported file).

    Raises:
        ModelError: the backend that was asked for by name cannot run here.
    """
    asked = check_backend(config.backend)
    if exported_file(config):
        if asked in (TORCH, ONNX_INT8):
            raise ModelError(f"{config.weights} is an exported model.", "Use --backend onnx, or leave it out.")
        return Loaded(load_torch())
    if asked == TORCH:
        return Loaded(load_torch())
    tell = progress or (lambda text, fraction: None)
    if asked == AUTO:
        return _measured(config, device, load_torch, tell)
    try:
        embedder = load_onnx(asked, config, device, tell)
    except DisagreementError as error:
        return Loaded(load_torch(), f"{error.message} PyTorch runs it instead.")
    return Loaded(embedder, embedder.fallback_message)


def _measured(config: EngineConfig, device: torch.device, load_torch: Callable[[], Embedder], tell: Progress) -> Loaded:
    try:
        key = key_of(config, device)
    except ModelError:
        return Loaded(load_torch())  # which says what is wrong with the weights
    known = recall(key)
    if known is not None and known.chosen in (ONNX, ONNX_INT8):
        try:
            return Loaded(load_onnx(known.chosen, config, device, tell, prepare=False))
        except ModelError:
            remember(key, None)  # its export is gone or damaged: measured again some time
    return Loaded(load_torch())


def load_onnx(
    backend: str, config: EngineConfig, device: torch.device, tell: Progress, *, prepare: bool = True
) -> OnnxEmbedder:
    """`models.backends.load_exported` for `config`."""
    return load_exported(
        backend,
        get_spec(config.model or DEFAULT_MODEL).name,
        device,
        best_dtype(device),
        config.weights,
        calibration_frames,
        tell,
        threads=thread_count() if device.type == "cpu" else 0,
        prepare=prepare,
    )


def calibration_frames() -> list[NDArray[np.uint8]]:
    """Frames spread over the bundled clip, H x W x 3 uint8.

    Raises:
        ModelError: the clip is missing or unreadable.
    """
    from engine.video.open import open_source

    frames: list[NDArray[np.uint8]] = []
    try:
        source = open_source(DEMO_CLIP)
        try:
            while (frame := source.read()) is not None:
                size = working_size(frame.width, frame.height, _CALIBRATION_SIDE, 1)
                frames.append(resize(frame.rgb, size))
        finally:
            source.close()
    except UserError as error:
        raise ModelError(
            "The bundled clip, which int8 models are tuned on, cannot be read.", "Clone the project again."
        ) from error
    return [frames[index] for index in np.linspace(0, len(frames) - 1, _CALIBRATION_FRAMES).astype(int)]
