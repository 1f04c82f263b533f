"""What the engine is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EngineConfig:
    """What the engine is started with.

    Attributes:
        model: registry name, None for the bundled default.
        recipe: recipe name, None for the model's default.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        working_size: short side in pixels the engine works at (240, 320, 360, 480), or None for auto.
        weights: the user's own weights file for the model, None for the model's own.
        backend: "auto", "torch", "onnx" or "onnx-int8"; auto: the one measured to be fastest here (see
            `engine.runtime.backends`).
        live_rate: frames per second to hold on live sources by choosing the working size, while that is automatic;
            None: every frame the source delivers.
    """

    model: str | None = None
    recipe: str | None = None
    device: str = "auto"
    working_size: int | None = None
    weights: Path | None = None
    backend: str = "auto"
    live_rate: float | None = 24.0
