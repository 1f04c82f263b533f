"""What a project holds, as immutable values: threads share them, the file writes and reads them. No torch, no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import UserError
from engine.object_state import ObjectState
from engine.project.mask_codec import EncodedMask
from engine.project.mask_entries import StoreContents
from engine.video.source import SourceKind

SUFFIX = ".livemask"

# A project may come from a stranger. What lies beyond these limits (and those of a source's frames) is refused before
# memory is taken for it.
MAX_FRAMES = 10_000_000
MAX_MASK_BYTES = 2**31  # compressed, of all masks together
MAX_TEXT = 2**20  # characters of one entry


class ProjectError(UserError):
    """A project cannot be opened, read or written."""


def is_project(path: Path) -> bool:
    """Whether a path is meant as a project, by its ending."""
    return path.suffix.lower() == SUFFIX


@dataclass(frozen=True)
class Fingerprint:
    """By what a source is known again, wherever it lies and whatever its date.

    Attributes:
        size: bytes of the file, or of all pictures of a folder.
        digest: SHA-256 over parts of the content, see `engine.project.fingerprint`.
        frame_count: frames as the source announces them, None when unknown.
    """

    size: int
    digest: str
    frame_count: int | None = None

    def same_content(self, other: Fingerprint) -> bool:
        return (self.size, self.digest) == (other.size, other.digest)


@dataclass(frozen=True)
class SourceReference:
    """The video or folder a project belongs to.

    Attributes:
        path: absolute, as it was when the project was saved.
        beside: the path relative to the project's folder when the source lay in or below it, else "".
        fingerprint: None when the source could not be read for one.
        own: the pictures are in the project itself (`engine.project.pictures`); path and fingerprint mean nothing.
    """

    kind: SourceKind
    path: str
    name: str
    width: int
    height: int
    fingerprint: Fingerprint | None = None
    beside: str = ""
    own: bool = False


@dataclass(frozen=True)
class ProjectObject:
    """An object as the list of objects shows it; `color` is (r, g, b), 0..255 each."""

    id: int
    name: str
    color: tuple[int, int, int]
    visible: bool = True
    locked: bool = False


@dataclass(frozen=True)
class ProjectEngine:
    """What tracked the masks: the choices of `EngineConfig` that a project carries along (never a path of weights)."""

    model: str | None = None
    recipe: str | None = None
    working_size: int | None = None


@dataclass(frozen=True)
class ProjectView:
    """Where the user was.

    Attributes:
        position: the frame shown.
        tracking: it was being tracked, so the memory bank may be older than the newest masks.
        mark_in, mark_out: marks on the time line.
    """

    position: int = 0
    tracking: bool = False
    mark_in: int | None = None
    mark_out: int | None = None


@dataclass(frozen=True)
class SlotState:
    """One remembered frame of the memory bank.

    Attributes:
        pool: "recent" or "keyframe".
        order: place among the slots of its pool, oldest first.
        known: ids of the objects this frame speaks about.
        tensors: safetensors bytes: "embedding" C x h x w, "labels" d x h x w in the order of `BankState.object_ids`.
    """

    pool: str
    order: int
    frame_index: int
    position: int
    is_keyframe: bool
    known: tuple[int, ...]
    tensors: bytes = field(repr=False)


@dataclass(frozen=True)
class TrailState:
    """What confidence and state of one object hang on, see `engine.propagation.presence`.

    Attributes:
        state, run: how the object fares, and for how many frames on end something else has been true; None: unknown.
        cells: of the grid the areas were measured on.
        areas, likenesses: of late, the oldest first.
        looks: K x C float32, little endian: how it looked in K keyframes.
    """

    object_id: int
    state: ObjectState | None
    run: int
    cells: int
    areas: tuple[float, ...]
    likenesses: tuple[float, ...]
    looks: bytes = field(repr=False)


@dataclass(frozen=True)
class AheadState:
    """A frame the tracker has gone through whose mask nobody has seen yet: tracking was paused in that moment."""

    frame_index: int
    encoded: EncodedMask
    confidence: Mapping[int, float]
    keyframe_version: int | None
    states: Mapping[int, ObjectState] = field(default_factory=dict)


@dataclass(frozen=True)
class BankState:
    """The engine's memory between two frames.

    Attributes:
        identity, mark: of the model and recipe, and of the weights that made it; another engine cannot use it.
        object_ids: the objects in the order of the label planes.
        height, width, channels: of the grid and its embeddings.
        working_size: (width, height) the embedder saw.
        processed: frames the ring has seen.
        last: the frame the tracker went through last and was shown, None when it would start afresh.
        stepped: the tracker has tracked a frame of this source by itself.
        fed: keyframe -> version of it that the tracker has seen.
    """

    identity: str
    mark: tuple[float, ...]
    object_ids: tuple[int, ...]
    height: int
    width: int
    channels: int
    working_size: tuple[int, int]
    processed: int
    last: int | None
    stepped: bool
    fed: Mapping[int, int]
    slots: tuple[SlotState, ...]
    ahead: AheadState | None = None
    trails: tuple[TrailState, ...] = ()


@dataclass(frozen=True)
class ProjectState:
    """Everything a project file holds.

    Attributes:
        bank: None leaves the one in the file as it is.
        pictures: frame -> PNG, added to those in the file; reading a project leaves them there.
    """

    source: SourceReference
    contents: StoreContents
    objects: tuple[ProjectObject, ...] = ()
    engine: ProjectEngine = field(default_factory=ProjectEngine)
    view: ProjectView = field(default_factory=ProjectView)
    bank: BankState | None = None
    pictures: Mapping[int, bytes] = field(default_factory=dict, repr=False)
