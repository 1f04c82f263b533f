"""What the project thread keeps of one source: its files, and what was saved when."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.project import recovery
from engine.project.mask_entries import StoreContents
from engine.project.project_file import ProjectFile, create
from engine.project.source_place import reference_to, seen_from
from engine.project.state import (
    BankState,
    ProjectEngine,
    ProjectError,
    ProjectObject,
    ProjectState,
    ProjectView,
    SourceReference,
)
from engine.runtime.album import Album
from engine.types import Frame
from engine.video.source import SourceInfo, SourceKind

BANK_WAIT_S = 3.0  # for the engine to finish the frame it is at


@dataclass(frozen=True, eq=False)
class Moment:
    """What the session held at one moment.

    Attributes:
        painted: the pictures at hand of a live source's keyframes; those of files can be read again.
    """

    generation: int
    info: SourceInfo
    contents: StoreContents
    changes: int
    objects: tuple[ProjectObject, ...]
    engine: ProjectEngine
    view: ProjectView
    painted: Mapping[int, Frame] = field(default_factory=dict)

    @property
    def work(self) -> tuple[int, tuple[ProjectObject, ...]]:
        """What the user would miss."""
        return self.changes, self.objects

    @property
    def key(self) -> tuple[object, ...]:
        return (*self.work, self.engine, self.view)

    @property
    def empty(self) -> bool:
        """Nothing that a project could keep."""
        kept = self.contents.keyframes or (self.contents.tracked and not self.info.live)
        return not kept


class Capture:
    """Waits for the engine's word on its memory."""

    def __init__(self) -> None:
        self._came = threading.Event()
        self.revision = -1
        self.state: BankState | None = None

    def reply(self, revision: int, state: BankState | None) -> None:
        self.revision, self.state = revision, state
        self._came.set()

    def wait(self) -> BankState | None:
        return self.state if self._came.wait(BANK_WAIT_S) else None


class Work:
    """The files of one open source. Belongs to the project thread; its methods raise ProjectError.

    Attributes:
        named: the project the user named; may be open for reading only.
        auto: where work without a name (or of a project that must not be written) is kept.
        saved: `Moment.key` of the last save.
        bank_seen: revision of the engine's memory that the file has.
    """

    def __init__(
        self,
        folder: Path | None,
        generation: int | None = None,
        untouched: tuple[int, tuple[ProjectObject, ...]] | None = None,
    ) -> None:
        """
        Args:
            folder: of autosaves; None keeps nothing that has no name.
            untouched: `Moment.work` as it was opened; such work needs no file.
        """
        self._folder = folder
        self.generation = generation
        self._untouched = untouched
        self.named: ProjectFile | None = None
        self.auto: ProjectFile | None = None
        self._marker: Path | None = None
        self._reference: SourceReference | None = None
        self._album = Album()
        self.saved: tuple[object, ...] | None = None
        self.bank_seen = -1
        self.bank_asked: tuple[int, bool] | None = None
        self.bank_asked_at = -math.inf

    @property
    def target(self) -> ProjectFile | None:
        """The file that changes go to."""
        return self.auto if self.named is None or self.named.read_only else self.named

    def is_open(self, path: Path) -> bool:
        return any(ours is not None and path.resolve() == ours.path for ours in (self.named, self.auto))

    def adopt(self, project: ProjectFile, source: SourceReference) -> None:
        """Go on with a project that was opened; `source` as it says."""
        self._reference = source if source.own else None
        if project.path.parent == self._folder and not project.read_only:
            self.auto = project
            return
        self.named = project
        if self._folder is not None and not project.read_only:
            former = recovery.notes_of(self._folder, project.path)
            self._marker = self._mark(project)
            for note in former:
                recovery.forget(note)

    def write(self, moment: Moment, bank: BankState | None) -> bool:
        """Save to the target, which is made when there is none yet. False when there is nothing to save, or nowhere."""
        if self.target is None and not self._begin_unnamed(moment):
            return False
        assert self.target is not None
        self.target.write(self._state(moment, bank, self.target.path))
        self._album.written()
        return True

    def write_named(self, moment: Moment, bank: BankState | None) -> None:
        """Save to the project that has a name, also when it is one that must not be written: then it says so."""
        if self.named is None:
            raise ProjectError("The project has no name yet.", "Save it under one.")
        self.named.write(self._state(moment, bank, self.named.path))
        self._album.written()

    def save_as(self, path: Path, moment: Moment, bank: BankState | None, *, overwrite: bool) -> None:
        """Save under a name; later changes go there."""
        state = self._state(moment, bank, path)
        project = create(path, state, overwrite=overwrite, like=self.target or self.named)
        self._album.written()
        marker = self._mark(project)  # before the former files go: at every moment one of them is found again
        self.let_go(keep_unnamed=False)
        self.named, self._marker, self.bank_asked = project, marker, None

    def let_go(self, *, keep_unnamed: bool) -> None:
        """Close the files; work without a name is deleted unless `keep_unnamed`."""
        if self.auto is not None:
            self.auto.close() if keep_unnamed else self.auto.remove()
        if self.named is not None:
            self.named.close()
        recovery.forget(self._marker)
        self.auto = self.named = self._marker = None

    def _begin_unnamed(self, moment: Moment) -> bool:
        """Make a file for work that has none; False when it needs none."""
        if self._folder is None or moment.empty or moment.work == self._untouched:
            return False
        try:
            path = recovery.new_autosave(self._folder, moment.info.name)
        except OSError as error:
            message = f"Work cannot be kept in {self._folder}: {error.strerror or error}."
            raise ProjectError(message, "Save the project elsewhere (Ctrl+S).") from error
        self.auto = create(path, self._state(moment, None, path), like=self.named)
        return True

    def _state(self, moment: Moment, bank: BankState | None, path: Path) -> ProjectState:
        """What is to be written into the file `path`."""
        info = moment.info
        if info.live:
            self._album.add(moment.painted)
            contents = self._album.contents(moment.contents)
            source = SourceReference(SourceKind.FOLDER, "", info.name, info.width, info.height, own=True)
            view = ProjectView(max(contents.keyframes, default=0))
            return ProjectState(source, contents, moment.objects, moment.engine, view, pictures=self._album.waiting)
        if self._reference is None:
            self._reference = reference_to(info)
        source = seen_from(self._reference, path)
        return ProjectState(source, moment.contents, moment.objects, moment.engine, moment.view, bank)

    def _mark(self, named: ProjectFile) -> Path | None:
        return recovery.mark_open(self._folder, named.path) if self._folder is not None else None
