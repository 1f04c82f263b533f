"""What the session asks of the engine thread between two frames."""

from __future__ import annotations

from dataclasses import dataclass

from engine.runtime.config import EngineConfig


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


EngineCommand = DeleteObject | ForgetKeyframe | ForgetTracked | Reset | Configure
