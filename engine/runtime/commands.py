"""What the session asks of the engine thread between two frames, and what that thread says of itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from engine.project.state import BankState
from engine.runtime.config import EngineConfig
from engine.runtime.messages import LiveQuality
from engine.scribble_marks import Marks
from engine.types import Frame


@dataclass(frozen=True)
class DeleteObject:
    object_id: int


@dataclass(frozen=True)
class MergeObjects:
    """What is remembered of one object counts for another from now on."""

    object_id: int
    into: int


@dataclass(frozen=True)
class Relearn:
    """Forget every object; the keyframes are shown to the tracker again before it goes on."""


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


@dataclass(frozen=True)
class SaveBank:
    """Tell `reply`, in the engine thread, what the tracker remembers.

    Attributes:
        seen: the revision that the last reply told; when it still holds, there is nothing new.
        reply: takes the present revision and the memory, None when there is none or nothing new.
    """

    seen: int
    reply: Callable[[int, BankState | None], None]


@dataclass(frozen=True)
class LoadBank:
    """Make the tracker remember what an opened project holds, as far as its objects `object_ids` are concerned."""

    state: BankState
    object_ids: Collection[int]


@dataclass(frozen=True, eq=False)
class Scribble:
    """Turn strokes on a frame into a mask.

    Attributes:
        marks: H x W uint8 of the values in `engine.scribble_marks`; read-only.
        serial: tells the answer's question.
    """

    frame: Frame
    marks: Marks
    serial: int


EngineCommand = (
    DeleteObject
    | MergeObjects
    | Relearn
    | ForgetKeyframe
    | ForgetTracked
    | Reset
    | Configure
    | Explain
    | ReadMotion
    | SaveBank
    | LoadBank
    | Scribble
)


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
