"""What the project thread keeps in mind of one source: its files, and what was saved when."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path

from engine.project.mask_entries import StoreContents
from engine.project.project_file import ProjectFile
from engine.project.state import BankState, ProjectEngine, ProjectObject, ProjectView, SourceReference
from engine.video.source import SourceInfo

BANK_WAIT_S = 3.0  # for the engine to finish the frame it is at


@dataclass(frozen=True, eq=False)
class Moment:
    """What the session held at one moment."""

    generation: int
    info: SourceInfo
    contents: StoreContents
    changes: int
    objects: tuple[ProjectObject, ...]
    engine: ProjectEngine
    view: ProjectView

    @property
    def work(self) -> tuple[int, tuple[ProjectObject, ...]]:
        """What the user would miss."""
        return self.changes, self.objects

    @property
    def key(self) -> tuple[object, ...]:
        return (*self.work, self.engine, self.view)


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


@dataclass
class Work:
    """The files of one open source. Belongs to the project thread.

    Attributes:
        named: the project the user named; may be open for reading only.
        auto: where work without a name (or of a project that must not be written) is kept.
        saved: `Moment.key` of the last save.
        untouched: `Moment.work` as it was opened; such work needs no file.
        bank_seen: revision of the engine's memory that the file has.
    """

    generation: int | None = None
    named: ProjectFile | None = None
    auto: ProjectFile | None = None
    marker: Path | None = None
    reference: SourceReference | None = None
    saved: tuple[object, ...] | None = None
    untouched: tuple[int, tuple[ProjectObject, ...]] | None = None
    bank_seen: int = -1
    bank_asked: tuple[int, bool] | None = None
    bank_asked_at: float = -math.inf

    @property
    def target(self) -> ProjectFile | None:
        """The file that changes go to."""
        return self.auto if self.named is None or self.named.read_only else self.named
