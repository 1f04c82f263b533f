"""What crosses between the app and the session: modes, events, display items, statistics. Frozen, no torch, no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from engine.object_state import ObjectState
from engine.scribble_marks import Pixels
from engine.types import Frame, Mask, Rgb
from engine.video.source import SourceInfo

if TYPE_CHECKING:
    from engine.project.recovery import Leftover
    from engine.project.state import ProjectEngine, ProjectObject, ProjectView, SourceReference


class Mode(Enum):
    """What the session is doing, as the user sees it."""

    EMPTY = "empty"  # no source
    OPENING = "opening"  # a source is being opened
    PREVIEW = "preview"  # live source runs, nothing is tracked
    FROZEN = "frozen"  # one frame stands still: a file at rest, or a live source frozen for painting
    PLAYING = "playing"  # a file plays through frames, known masks shown, nothing is computed
    TRACKING = "tracking"  # the engine propagates


class WorkerState(Enum):
    """Life cycle of each worker thread."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FAULTED = "faulted"


class MaskKind(Enum):
    """Where a shown mask comes from."""

    NONE = "none"
    TRACKED = "tracked"
    KEYFRAME = "keyframe"
    STALE = "stale"  # tracked before a later correction that concerns it


@dataclass(frozen=True, eq=False)
class DisplayItem:
    """A frame with the mask that belongs to it (mask None when this frame has none).

    Attributes:
        mask: H x W uint8 object ids or None.
        age_s: seconds from capture (live) or from read (file) to the moment this item was ready.
        generation: rises by one with each newly opened source, so that a late item of an old source can be ignored.
        states: object id -> how the object fares in this frame; empty where nothing was tracked.
    """

    frame: Frame
    mask: Mask | None
    kind: MaskKind = MaskKind.NONE
    confidence: Mapping[int, float] = field(default_factory=dict)
    age_s: float = 0.0
    generation: int = 0
    states: Mapping[int, ObjectState] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceOpened:
    info: SourceInfo
    generation: int


@dataclass(frozen=True)
class SourceClosed:
    pass


@dataclass(frozen=True)
class ModeChanged:
    mode: Mode


@dataclass(frozen=True)
class EngineProgress:
    """The engine is starting up or changing model. `ready` once it can track."""

    text: str
    ready: bool
    device: str = ""
    model: str = ""
    recipe: str = ""


class Severity(Enum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Notice:
    """One clear sentence for the user, and the way out."""

    severity: Severity
    message: str
    way_out: str = ""


@dataclass(frozen=True)
class MasksChanged:
    """Stored masks of these frames appeared, changed or went (first and last index, inclusive): redraw the timeline."""

    first: int
    last: int


@dataclass(frozen=True)
class TrackingFinished:
    """Tracking reached the end of the source or of the asked range."""

    last_index: int


@dataclass(frozen=True)
class ExportProgress:
    """`done` of `total` frames written (total None when unknown). `finished` with `ok` tells how it ended.

    Attributes:
        text, way_out: what to tell the user, the second one where there is something to do about it.
        cancelled: it ended because the user wanted it to.
    """

    done: int
    total: int | None
    finished: bool = False
    ok: bool = False
    text: str = ""
    way_out: str = ""
    cancelled: bool = False


@dataclass(frozen=True)
class ReplayChanged:
    """A live source is looked at again (or not any more: `frames` is empty).

    Attributes:
        frames: (index, second of its capture) of the frames there are, ascending.
    """

    frames: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class ObjectsChanged:
    """The object ids the session knows (painted or tracked), ascending."""

    object_ids: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ShownVoter:
    """A remembered frame that has a say in a pixel's label.

    Attributes:
        share: of the whole vote, 0 to 1; `said`: the part of its vote that is for the object, 0 to 1.
        picture: H x W x 3 uint8, the frame dimmed and lit where its cells voted.
    """

    frame_index: int
    is_keyframe: bool
    share: float
    said: float
    picture: Rgb


@dataclass(frozen=True, eq=False)
class Explained:
    """Where the label of pixel (x, y) of a frame comes from, the strongest voter first.

    Attributes:
        object_id: the object with the largest label there; `label`: 0 to 1.
    """

    frame_index: int
    x: int
    y: int
    object_id: int
    label: float
    voters: tuple[ShownVoter, ...]


@dataclass(frozen=True, eq=False)
class MotionRead:
    """The motion that led to a frame.

    Attributes:
        picture: H x W x 3 uint8, hue by direction, saturation by length; None when it could not be read.
        pixels: mean length of the flow, in pixels of the frame.
        certainty: 0 to 1, mean over the cells.
    """

    frame_index: int
    picture: Rgb | None
    pixels: float = 0.0
    certainty: float = 0.0


@dataclass(frozen=True)
class ProjectOpened:
    """A project's masks are in place; follows the SourceOpened of its source.

    Attributes:
        engine: how the engine tracks now, which is as the project was tracked if that is to be had.
    """

    path: Path
    objects: tuple[ProjectObject, ...]
    engine: ProjectEngine
    view: ProjectView


@dataclass(frozen=True)
class ProjectChanged:
    """Where the present work is kept.

    Attributes:
        path: the project the user named; None while there is none.
        read_only: changes do not go there.
        failing: the last attempt to save did not succeed; another one follows.
    """

    path: Path | None = None
    read_only: bool = False
    failing: bool = False

    @property
    def keeps(self) -> bool:
        """Changes reach a project the user named."""
        return self.path is not None and not self.read_only and not self.failing


@dataclass(frozen=True)
class ProjectSourceMissing:
    """A project cannot be opened because its source is not where it was (`found` None) or `found` has changed."""

    project: Path
    reference: SourceReference
    found: Path | None = None


@dataclass(frozen=True)
class RecoveryFound:
    """Work that was never closed, newest first; empty when there is none."""

    leftovers: tuple[Leftover, ...]


@dataclass(frozen=True, eq=False)
class Scribbled:
    """What strokes on a frame stand for.

    Attributes:
        serial: of the question.
        pixels: H x W bool, the object; read-only. None: there was no answer, a Notice tells why.
    """

    frame_index: int
    serial: int
    pixels: Pixels | None


Event = (
    SourceOpened
    | SourceClosed
    | ModeChanged
    | EngineProgress
    | Notice
    | MasksChanged
    | TrackingFinished
    | ExportProgress
    | ReplayChanged
    | ObjectsChanged
    | Explained
    | MotionRead
    | ProjectOpened
    | ProjectChanged
    | ProjectSourceMissing
    | RecoveryFound
    | Scribbled
)


@dataclass(frozen=True)
class LiveQuality:
    """What was chosen so that live tracking keeps up.

    Attributes:
        target_fps: the rate to hold.
        short_side: pixels of the working size.
        references: how many recent references vote, None for all.
        full: True when there is nothing better to choose.
        holds: False when even so the rate is not met (or not yet); None when that is not known yet.
    """

    target_fps: float
    short_side: int
    references: int | None
    full: bool
    holds: bool | None


@dataclass(frozen=True)
class StatsSnapshot:
    """Figures for the status bar; None where there is nothing to measure yet.

    Attributes:
        source_fps: frames per second the source delivers (measured over the last 2 s).
        tracked_fps: results per second (measured over the last 2 s).
        age_p50_s, age_p95_s: mask age, seconds from capture to result, over the last 120 results.
        dropped: live frames skipped since the source was opened. Exact.
        processed: results since the source was opened.
        bank_bytes: bytes of the engine's memory bank (fixed once allocated).
        bank_frames: (keyframes, recent frames) held now.
        rss_bytes: resident memory of the process.
        device: such as "cpu (bf16)" or "cuda:0 NVIDIA ... (fp16)"; "" before the engine is ready.
        working_size: (width, height) the engine works at, None before the first frame.
        live_quality: what was chosen to keep up with a live source; None where the user chose, and for files.
        source_status: what the source is busy with instead of delivering frames ("Reconnecting to ..."), else "".
    """

    source_fps: float | None = None
    tracked_fps: float | None = None
    age_p50_s: float | None = None
    age_p95_s: float | None = None
    dropped: int = 0
    processed: int = 0
    bank_bytes: int = 0
    bank_frames: tuple[int, int] = (0, 0)
    rss_bytes: int = 0
    device: str = ""
    model: str = ""
    working_size: tuple[int, int] | None = None
    live_quality: LiveQuality | None = None
    source_status: str = ""
    worker_states: Mapping[str, WorkerState] = field(default_factory=dict)
