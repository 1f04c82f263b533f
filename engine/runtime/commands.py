"""What the session asks of the engine thread between two frames, and what that thread says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from engine.runtime.config import EngineConfig
from engine.runtime.messages import LiveQuality
from engine.types import Frame


@dataclass(frozen=True)
class DeleteObject:
    object_id: int


@dataclass(frozen=True)
class ForgetKeyframe:
    index: int


@dataclass(frozen=True)
class ForgetTracked:
    pass


@dataclass(frozen=True)
class Reset:
    """Another source: forget everything."""


@dataclass(frozen=True)
class Configure:
    config: EngineConfig


@dataclass(frozen=True, eq=False)
class Explain:
    """Say which remembered frames decide pixel (x, y) of a frame."""

    frame: Frame
    x: int
    y: int


@dataclass(frozen=True, eq=False)
class ReadMotion:
    """Read the optical flow between two frames off the affinity."""

    first: Frame
    second: Frame


EngineCommand = DeleteObject | ForgetKeyframe | ForgetTracked | Reset | Configure | Explain | ReadMotion


@dataclass(frozen=True)
class EngineFacts:
    """What the engine thread last said of its tracker."""

    device: str = ""
    model: str = ""
    recipe: str = ""
    bank_bytes: int = 0
    bank_frames: tuple[int, int] = (0, 0)
    working_size: tuple[int, int] | None = None
    live_quality: LiveQuality | None = None
