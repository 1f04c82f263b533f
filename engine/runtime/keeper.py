"""The project thread: keeps the present work in a project file, named by the user or not, and opens projects.

Work without a name goes to a file of its own in the folder of autosaves; it is deleted when the user lets the work go,
and found again (`RecoveryFound`) when the program ended without that. Nothing is written by any other thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from engine.errors import UserError
from engine.project import recovery
from engine.project.project_file import ProjectFile, open_project, with_suffix
from engine.project.recovery import Leftover
from engine.project.source_place import find_source, recognise
from engine.project.state import (
    BankState,
    ProjectEngine,
    ProjectError,
    ProjectObject,
    ProjectView,
    SourceReference,
)
from engine.runtime.commands import SaveBank
from engine.runtime.core import SessionCore
from engine.runtime.messages import Mode, ProjectChanged, ProjectSourceMissing, RecoveryFound, Severity
from engine.runtime.project_opening import OpeningProject, complete_objects
from engine.runtime.project_work import Capture, Moment, Work
from engine.runtime.sources import SourceManager
from engine.runtime.worker import Worker

log = logging.getLogger(__name__)

AUTOSAVE_S = 3.0
BANK_EVERY_S = 15.0  # while tracking; the memory takes some megabytes
MANY_MASKS = 5000  # every mask of a project is checked when it is opened, some thousands a second


class ProjectKeeper(Worker):
    """Methods up to "the thread" are called by the session, from any thread."""

    def __init__(
        self,
        core: SessionCore,
        sources: SourceManager,
        configure: Callable[[ProjectEngine], ProjectEngine],
        engine: Callable[[], ProjectEngine],
        folder: Path | None,
        autosave_s: float = AUTOSAVE_S,
    ) -> None:
        """`folder`: of autosaves; None keeps nothing that the user did not save."""
        super().__init__("project", lambda notice: core.events.put(notice))
        self._core = core
        self._sources = sources
        self._configure = configure
        self._engine = engine
        self._folder = folder.resolve() if folder is not None else None
        self._autosave_s = autosave_s
        self._changed = threading.Condition()
        self._tasks: deque[Callable[[], None]] = deque()
        self._poked = False
        self._replacing = 0  # tasks on their way that tell of another source
        self._objects: tuple[ProjectObject, ...] | None = None
        self._marks: tuple[int | None, int | None] = (None, None)
        self._work = Work(self._folder)
        self._failing = False
        self._told = ProjectChanged()
        self._saved_changes: tuple[int, int] | None = None  # (generation, changes) on the disk

    def open(self, path: Path, source: Path | None, changed_ok: bool) -> None:
        self._put(partial(self._open, path, source, changed_ok))

    def save(self, path: Path | None, overwrite: bool) -> None:
        self._put(partial(self._save_named, path, overwrite))

    def discard(self, leftover: Leftover) -> None:
        if self._folder is not None:
            self._put(partial(recovery.discard, self._folder, leftover))

    def set_objects(self, objects: tuple[ProjectObject, ...]) -> None:
        with self._core.lock:
            self._objects = objects
        self.poke()

    def set_marks(self, mark_in: int | None, mark_out: int | None) -> None:
        with self._core.lock:
            self._marks = (mark_in, mark_out)

    def poke(self) -> None:
        """Something was edited: save it now."""
        with self._changed:
            self._poked = True
            self._changed.notify_all()

    def leave(self, *, keep_unnamed: bool) -> None:
        """The present source goes: save its last state; work without a name stays only if `keep_unnamed`."""
        with self._core.lock:
            moment, capture = self._take(), None
            if moment is not None and self._core.engine_ready and not moment.info.live:
                capture = Capture()
                self._core.post(SaveBank(-1, capture.reply))
            self._objects, self._marks = None, (None, None)
            self._put(partial(self._leave, moment, capture, keep_unnamed), replaces=True)

    @property
    def up_to_date(self) -> bool:
        """Whether every change of the masks up to now is on the disk."""
        with self._core.lock:
            return self._saved_changes == (self._core.generation, self._core.store.changes)

    # -- the thread ------------------------------------------------------------------------------------------------
    def run(self) -> None:
        if self._folder is not None:
            leftovers = recovery.find_leftovers(self._folder)
            if leftovers:
                self._core.events.put(RecoveryFound(tuple(leftovers)))
        while True:
            task = self._next_task()
            if task is None and self.stopping:
                break
            with self._say_errors():
                if task is not None:
                    task()
                else:
                    self._tick()
        self._work.let_go(keep_unnamed=True)

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _put(self, task: Callable[[], None], *, replaces: bool = False) -> None:
        with self._changed:
            self._tasks.append(partial(self._replace, task) if replaces else task)
            self._replacing += replaces
            self._changed.notify_all()

    def _replace(self, task: Callable[[], None]) -> None:
        try:
            task()
        finally:
            with self._changed:
                self._replacing -= 1

    def _next_task(self) -> Callable[[], None] | None:
        """A task, or None when it is time to look for changes (or to end)."""
        with self._core.lock:
            # Of a live source painted frames alone are kept, and painting is told.
            watching = self._core.info is not None and (not self._core.live or self._failing)
        with self._changed:
            if not self._tasks and not self._poked and not self.stopping:
                self.set_paused(True)
                self._changed.wait(self._autosave_s if watching else None)
                self.set_paused(False)
            if self._tasks:
                return self._tasks.popleft()
            self._poked = False
            return None

    @contextlib.contextmanager
    def _say_errors(self) -> Iterator[None]:
        try:
            yield
        except UserError as error:
            self._core.say(Severity.ERROR, error.message, error.way_out)
        except Exception:
            log.exception("the project thread failed at a task")
            self._core.say(Severity.ERROR, "Something unexpected happened to the project.", "See the log file.")

    # -- saving ----------------------------------------------------------------------------------------------------
    def _take(self) -> Moment | None:
        """What there is now; None when that is nothing a project could hold. Core's lock is held."""
        core = self._core
        if core.info is None:
            return None
        contents, painted = core.store.contents(), {}
        if core.live:
            found = {index: core.frames.get(index) for index in contents.keyframes}
            painted = {index: frame for index, frame in found.items() if frame is not None}
        objects = self._objects if self._objects is not None else ()
        position = core.shown.frame.index if core.shown is not None else core.position
        return Moment(
            core.generation,
            core.info,
            contents,
            core.store.changes,
            complete_objects(objects, core.store.object_ids) if self._objects is None else objects,
            self._engine(),
            ProjectView(position, core.mode is Mode.TRACKING, *self._marks),
            painted,
        )

    def _moment(self) -> Moment | None:
        with self._core.lock, self._changed:
            if self._replacing or self._core.closed:  # what there is belongs to another source than our files
                return None
            moment = self._take()
            if moment is None:
                return None
            if self._work.generation is None:
                self._work.generation = moment.generation
            return moment if self._work.generation == moment.generation else None

    def _tick(self) -> None:
        moment = self._moment()
        if moment is None:
            return
        self._autosave(moment)
        work, tracking = self._work, moment.view.tracking
        if work.target is None or moment.info.live:  # the memory is of frames that cannot be seen again
            return
        if tracking and self._core.clock() - work.bank_asked_at < BANK_EVERY_S:
            return
        if tracking or work.bank_asked != (moment.changes, tracking):
            work.bank_asked, work.bank_asked_at = (moment.changes, tracking), self._core.clock()
            self._core.post(SaveBank(work.bank_seen, partial(self._bank_came, moment.generation)))

    def _bank_came(self, generation: int, revision: int, state: BankState | None) -> None:
        """In the engine thread."""
        if state is not None:
            self._put(partial(self._save_bank, generation, revision, state))

    def _save_bank(self, generation: int, revision: int, state: BankState) -> None:
        moment = self._moment()
        if moment is not None and moment.generation == generation and self._autosave(moment, state):
            self._work.bank_seen = revision

    def _autosave(self, moment: Moment, bank: BankState | None = None) -> bool:
        """Save without being asked. False when that failed, or when there is nowhere to save to."""
        work = self._work
        if bank is None and moment.key == work.saved:
            return True
        try:
            if not work.write(moment, bank):
                return False
        except ProjectError as error:
            if not self._failing:  # said once; every further attempt is silent until one succeeds
                self._core.say(Severity.ERROR, error.message, f"{error.way_out} LiveMask tries again by itself.")
            self._failing = True
            self._tell()
            return False
        self._note_saved(moment)
        return True

    def _note_saved(self, moment: Moment) -> None:
        self._work.saved = moment.key
        if self._failing:
            self._core.say(Severity.INFO, "The work is saved again.")
        self._failing = False
        with self._core.lock:
            self._saved_changes = (moment.generation, moment.changes)
        self._tell()

    def _save_named(self, path: Path | None, overwrite: bool) -> None:
        """The user asks for it."""
        moment, work = self._moment(), self._work
        if moment is None:
            return
        if moment.info.live and moment.empty:
            self._core.say(Severity.INFO, "There is nothing to save yet.", "Paint an object first.")
            return
        path = None if path is None else with_suffix(path)
        bank, revision = (None, -1) if moment.info.live else self._bank_now()
        if path is None or (work.named is not None and path.resolve() == work.named.path):
            work.write_named(moment, bank)
        else:
            work.save_as(path, moment, bank, overwrite=overwrite)
        if bank is not None:
            work.bank_seen = revision
        self._note_saved(moment)
        assert work.named is not None
        kept = "It keeps the frames you painted and their pictures; record what is tracked." if moment.info.live else ""
        self._core.say(Severity.INFO, f"Saved {work.named.path.name}.", kept)

    def _bank_now(self) -> tuple[BankState | None, int]:
        """The engine's memory and its revision; (None, ...) when it has nothing new or does not answer in time."""
        if not self._core.engine_ready:
            return None, -1
        capture = Capture()
        self._core.post(SaveBank(self._work.bank_seen, capture.reply))
        return capture.wait(), capture.revision

    def _leave(self, moment: Moment | None, capture: Capture | None, keep_unnamed: bool) -> None:
        work = self._work
        try:
            if moment is not None and work.generation in (None, moment.generation):
                named = work.named is not None and not work.named.read_only
                if named or keep_unnamed:
                    self._autosave(moment, capture.wait() if capture is not None else None)
        finally:
            work.let_go(keep_unnamed=keep_unnamed)
            self._work = Work(self._folder)
            self._failing = False
            self._tell()

    def _tell(self) -> None:
        named = self._work.named
        now = ProjectChanged(
            named.path if named is not None else None, named is not None and named.read_only, self._failing
        )
        if now != self._told:
            self._told = now
            self._core.events.put(now)

    # -- opening ---------------------------------------------------------------------------------------------------
    def _open(self, path: Path, source: Path | None, changed_ok: bool) -> None:
        if self._work.is_open(path):
            self._core.say(Severity.INFO, f"{path.name} is open already.")
            return
        project = open_project(path)
        try:
            name, keyframes, tracked = project.summary()
            if keyframes + tracked > MANY_MASKS:
                self._core.say(Severity.INFO, f"Opening {path.name} with {keyframes + tracked} masks of {name}.")
            state = project.read()
            reference = state.source
            if source is not None and not reference.own:
                found = recognise(reference, source)
            else:
                found = find_source(reference, project.path)
            if found is None or not (found.same or changed_ok):
                project.close()
                there = found.path if found is not None else None
                self._core.events.put(ProjectSourceMissing(path, reference, there))
                return
        except BaseException:
            project.close()
            raise
        self._sources.open(
            str(found.path),
            OpeningProject(
                self._core,
                project,
                state,
                same=found.same,
                configure=self._configure,
                on_adopted=self._on_adopted,
                on_dropped=lambda gone: self._put(gone.close),
            ),
        )

    def _on_adopted(self, opening: OpeningProject) -> None:
        """In the capture thread, with core's lock held."""
        self._objects = opening.state.objects
        self._marks = (opening.state.view.mark_in, opening.state.view.mark_out)
        moment = self._take()
        if moment is not None:
            self._put(partial(self._adopt, opening.project, opening.state.source, moment), replaces=True)

    def _adopt(self, project: ProjectFile, source: SourceReference, moment: Moment) -> None:
        self._work = Work(self._folder, moment.generation, untouched=moment.work)
        self._work.adopt(project, source)
        with self._core.lock:
            self._saved_changes = (moment.generation, moment.changes)
        if project.read_only:
            self._core.say(
                Severity.WARNING,
                f"{project.path.name} is open for reading only: {project.why_read_only}.",
                "Save under another name to keep what you change.",
            )
        self._tell()
