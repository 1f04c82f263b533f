"""The session: everything the app may ask of the engine. Every method returns at once; work happens on worker threads.

Threads: *capture* (opens, reads, seeks and releases the source), *engine* (the only one that touches tensors; imports
torch and loads the model when started), *writer* (encoders and files), *project* (opens and saves projects). The app
drains `events()` and `take_display()` from a GUI timer; the session never calls into the app.

The way of a correction: the app hands over the very `Frame` it painted on, with the whole mask and the ids that were
touched; the engine thread feeds pending keyframes to the tracker before the next frame it tracks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.export.masks import StoredMasks
from engine.export.request import ExportRequest
from engine.object_state import ObjectState
from engine.project.state import ProjectEngine, ProjectObject
from engine.runtime.capture import Opener
from engine.runtime.commands import Configure, Explain, ReadMotion, Scribble
from engine.runtime.config import EngineConfig
from engine.runtime.core import SessionCore
from engine.runtime.editing import Editing
from engine.runtime.engine_worker import EngineWorker, Progress, TrackerFactory
from engine.runtime.idle_tune import IdleTune
from engine.runtime.keeper import ProjectKeeper
from engine.runtime.messages import (
    DisplayItem,
    Event,
    MaskKind,
    Mode,
    Severity,
    StatsSnapshot,
    WorkerState,
)
from engine.runtime.replay import Replay
from engine.runtime.sources import SourceManager
from engine.runtime.threads import prepare_computing
from engine.runtime.transport import Transport
from engine.runtime.writer import WriterWorker
from engine.scribble_marks import Marks
from engine.types import Frame, Mask
from engine.video.source import FrameSource

if TYPE_CHECKING:
    from engine.project.recovery import Leftover
    from engine.tracker import Tracker

_DEFAULT_CONFIG = EngineConfig()
_KEEPER_SHARE = 0.8  # of the time for the shutdown, for the last save


def _open_source(uri: str) -> FrameSource:
    from engine.video.open import open_source

    return open_source(uri)


def _create_tracker(config: EngineConfig, progress: Progress) -> Tracker:
    prepare_computing()
    from engine.runtime.factory import create_tracker  # imports torch: seconds, in the engine thread

    return create_tracker(config, progress)


class Session:
    """One open source, its masks, and the workers that serve them. Thread-safe; made and used by the app."""

    def __init__(
        self,
        config: EngineConfig = _DEFAULT_CONFIG,
        *,
        opener: Opener = _open_source,
        create_tracker: TrackerFactory = _create_tracker,
        clock: Callable[[], float] = time.monotonic,
        autosave_dir: Path | None = None,
    ) -> None:
        """
        Args:
            autosave_dir: where work without a name is kept until it gets one or is let go; None keeps none.

        `opener`, `create_tracker` and `clock` are replaced by tests.
        """
        self._config = config
        self._opener = opener
        self._create_tracker = create_tracker
        self._core = SessionCore(clock)
        self._sources = SourceManager(self._core, opener, self._source_replaced)
        self._transport = Transport(self._core, self._sources)
        self._replay = Replay(self._core)
        self._editing = Editing(self._core, self._transport)
        self._engine = self._new_engine(config)
        self._writer = WriterWorker(self._core, opener)
        self._keeper = ProjectKeeper(self._core, self._sources, self._configure_for, self._project_engine, autosave_dir)
        self._core.on_rest = self._keeper.poke
        self._idle_tune = IdleTune(self._core, lambda: self._config) if create_tracker is _create_tracker else None

    # -- life cycle --------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the worker threads; the engine thread begins to import torch and load the model (EngineProgress)."""
        self._writer.start()
        self._keeper.start()
        self._engine.start()
        if self._idle_tune is not None:
            self._idle_tune.start()

    def shutdown(self, timeout_s: float = 5.0, *, keep_unsaved: bool = True) -> bool:
        """Save the project, stop event, wake mailboxes, join. True when every thread ended in time. Idempotent.

        Args:
            keep_unsaved: work without a name stays in the autosave folder and is offered at the next start.
        """
        deadline = time.monotonic() + timeout_s
        with self._core.lock:
            first, self._core.closed = not self._core.closed, True
            self._core.wanted = None
            captures = self._sources.stop()
            self._core.cancel_job()
            if first:
                self._keeper.leave(keep_unnamed=keep_unsaved)
            workers = [*captures, self._engine, self._writer, *([self._idle_tune] if self._idle_tune else [])]
        self._core.ring.close()
        self._keeper.stop()
        ended = [self._keeper.join(timeout_s * _KEEPER_SHARE)]  # it may have to hear from the engine yet
        for worker in workers:
            worker.stop()
        ended += [worker.join(max(0.0, deadline - time.monotonic())) for worker in workers]
        return all(ended)

    def _source_replaced(self) -> None:
        """Core's lock is held; the masks of the source are still there."""
        self.stop_recording()
        self._keeper.leave(keep_unnamed=False)

    def _new_engine(self, config: EngineConfig) -> EngineWorker:
        return EngineWorker(
            self._core,
            config,
            self._create_tracker,
            self._opener,
            on_ready=self._transport.start_wanted,
            on_text=self._transport.set_engine_text,
        )

    # -- source ------------------------------------------------------------------------------------------------
    def open(self, uri: str | Path) -> None:
        """Open a file, folder, camera ("camera:0" or a camera name) or URL; replaces the present source.

        On success: SourceOpened, then the first frame in the display. Files and folders come to rest in Mode.FROZEN at
        frame 0; live sources run in Mode.PREVIEW. On failure: Notice(ERROR), and the former source stays if it can.
        """
        self._sources.open(str(uri))

    def close_source(self) -> None:
        self._sources.close_source()

    # -- transport ---------------------------------------------------------------------------------------------
    def seek(self, index: int) -> None:
        """File at rest: show frame `index` with its stored mask. The newest request wins (scrubbing). Pauses first.

        In the replay of a live source: show the kept frame nearest to it.
        """
        if self._replay.active:
            self._replay.show(index)
        else:
            self._transport.seek(index)

    def play(self) -> None:
        """File: play from the current frame at its own pace with stored masks. Live: back to the running preview."""
        self._transport.play()

    def freeze(self) -> None:
        """Live: hold the frame last displayed (the source runs on, its frames are dropped and counted)."""
        self._transport.freeze()

    def replay(self) -> None:
        """Live: hold the picture and look at the last seconds of tracking again: ReplayChanged, then the newest of its
        frames; `seek` shows others. The source runs on, its frames are dropped and counted.

        A frame painted here becomes a keyframe; `track` then tracks the kept frames after it anew and goes on live.
        `play` goes back to the preview.
        """
        self._replay.begin()

    def track(self, direction: int = 1, until: int | None = None) -> None:
        """Propagate from the current frame forward (+1) or backward (-1, files only) to `until` or the end.

        Live: continue with the newest frames. Frames whose stored mask is fresh are still recomputed.
        Without any painted object: Notice(WARNING) and no change of mode.
        """
        self._transport.track(direction, until)
        self._keeper.poke()

    def step(self, direction: int = 1) -> None:
        """Track exactly one frame (files)."""
        self._transport.step(direction)
        self._keeper.poke()

    def retrack(self, index: int | None = None) -> None:
        """Files: track the frames between the keyframes beside frame `index` (None: the present one) anew, from both
        sides, and blend the two; on an open side, as far as there are masks. Other frames stay to the byte.

        Ends on that frame with TrackingFinished. When there is nothing to track: Notice(INFO).
        """
        self._transport.retrack(index)
        self._keeper.poke()

    def pause(self) -> None:
        """Stop playing or tracking; comes to rest (FROZEN) on the frame last shown."""
        self._transport.pause()

    # -- masks -------------------------------------------------------------------------------------------------
    def set_mask(self, frame: Frame, mask: Mask, touched: Collection[int]) -> None:
        """The user edited the mask of `frame`; it becomes a keyframe. `touched` are the ids whose pixels they meant.

        An edit that empties the mask of its last touched object removes the keyframe again. Stored masks of later
        tracked frames become STALE.
        """
        self._editing.set_mask(frame, mask, touched)
        self._keeper.poke()

    def clear_mask(self, frame: Frame) -> None:
        """Forget the keyframe and the stored mask of this frame (undo back to nothing)."""
        self._editing.clear_mask(frame)
        self._keeper.poke()

    def unpin(self, frame_index: int) -> None:
        """A tracked mask that `set_mask` made a keyframe as it was counts as tracked again; else nothing happens."""
        self._editing.unpin(frame_index)
        self._keeper.poke()

    def delete_object(self, object_id: int) -> None:
        """Remove the object from memory, keyframes and every stored mask."""
        self._editing.delete_object(object_id)
        self._keeper.poke()

    def restore_object(self, object_id: int) -> None:
        """Undo of `delete_object`: its pixels come back wherever no mask was made anew since."""
        self._editing.restore_object(object_id)
        self._keeper.poke()

    def merge_objects(self, object_id: int, into: int) -> None:
        """Make one object a part of another in memory, keyframes and every stored mask."""
        self._editing.merge_objects(object_id, into)
        self._keeper.poke()

    def part_objects(self, object_id: int) -> None:
        """Undo of `merge_objects`: its pixels come back wherever no mask was made anew since. Ends a tracking run."""
        self._editing.part_objects(object_id)
        self._keeper.poke()

    def mask_at(self, index: int) -> tuple[Mask | None, MaskKind]:
        """The stored mask of a frame (a copy-free read-only array) and its kind. Cheap: decompresses one mask."""
        return self._core.store.get(index)

    def mask_kinds(self) -> dict[int, MaskKind]:
        """Every stored frame index and its kind, for the timeline."""
        return self._core.store.kinds()

    def confidence_at(self, index: int) -> Mapping[int, float]:
        """Object id -> 0..1 of the tracked mask of a frame; empty for keyframes and frames without a mask."""
        return self._core.store.confidence(index)

    def confidences(self) -> dict[int, float]:
        """Tracked frame -> the lowest confidence of its objects, for a strip along the timeline."""
        return self._core.store.confidences()

    def object_states(self) -> dict[int, Mapping[int, ObjectState]]:
        """Frame -> object id -> how the object fares there; what is not known is left out."""
        return self._core.store.all_states()

    def clear_tracking(self) -> None:
        """Drop every tracked mask and the engine's memory of it; keyframes stay."""
        self._editing.clear_tracking()
        self._keeper.poke()

    def explain(self, frame: Frame, x: int, y: int) -> None:
        """Ask which remembered frames decide pixel (x, y) of a frame: an Explained event, or a Notice why not."""
        with self._core.lock:
            if not self._core.engine_ready:
                self._core.say(Severity.INFO, "The engine is not ready yet.", "Ask again in a moment.")
                return
            self._core.post(Explain(frame, x, y))

    def read_motion(self, first: Frame, second: Frame) -> bool:
        """Ask for the motion between two frames: a MotionRead event follows. False when the engine is not ready."""
        with self._core.lock:
            if self._core.engine_ready:
                self._core.post(ReadMotion(first, second))
            return self._core.engine_ready

    def scribble(self, frame: Frame, marks: Marks, serial: int) -> bool:
        """Ask what strokes on a frame stand for: a Scribbled event with this serial follows. Former questions that
        are not being answered yet are dropped. False when the engine is not ready; no answer will come then.
        """
        core = self._core
        with core.lock:
            if core.engine_ready:
                for old in [command for command in core.commands if isinstance(command, Scribble)]:
                    core.commands.remove(old)
                core.post(Scribble(frame, marks, serial))
            return core.engine_ready

    # -- engine choices ----------------------------------------------------------------------------------------
    def configure(self, config: EngineConfig) -> None:
        """Change model, recipe or device: the tracker is rebuilt and re-fed with the keyframes. The working size and
        the live rate alone change on the way, and what the tracker remembers stays.
        """
        with self._core.lock:
            if self._core.closed:
                return
            self._config = config
            if self._engine.state is not WorkerState.FAULTED:
                self._core.post(Configure(config))
                return
            engine = self._engine = self._new_engine(config)
        engine.start()

    # -- projects ----------------------------------------------------------------------------------------------
    def open_project(self, path: Path, source: Path | None = None, *, changed_ok: bool = False) -> None:
        """Open a project in place of what is open: SourceOpened, then ProjectOpened, then its masks.

        When its video or folder is not there, or is not the same any more: ProjectSourceMissing, and nothing else
        changes. On failure: Notice(ERROR), and what is open stays.

        Args:
            source: where the video is; None: where the project says.
            changed_ok: take it although its content is another than the project knows.
        """
        self._keeper.open(path, source, changed_ok)

    def save_project(self, path: Path | None = None, *, overwrite: bool = False) -> None:
        """Save the work as a project: Notice, and ProjectChanged where it has a name now. Later changes follow there.

        Args:
            path: its name; None: the one it has.
            overwrite: replace a file of that name; False refuses to.
        """
        self._keeper.save(path, overwrite)

    def set_objects(self, objects: tuple[ProjectObject, ...]) -> None:
        """Names, colours and order of the objects, which only projects need. A new source starts with none."""
        self._keeper.set_objects(objects)

    def set_marks(self, mark_in: int | None, mark_out: int | None) -> None:
        """The marks on the time line, which only projects need."""
        self._keeper.set_marks(mark_in, mark_out)

    def discard_leftover(self, leftover: Leftover) -> None:
        """Delete unnamed work that was found at the start; a named project stays, and is not offered again."""
        self._keeper.discard(leftover)

    @property
    def project_up_to_date(self) -> bool:
        """Whether every change of the masks up to now is in a file."""
        return self._keeper.up_to_date

    def _project_engine(self) -> ProjectEngine:
        return ProjectEngine(self._config.model, self._config.recipe, self._config.working_size)

    def _configure_for(self, engine: ProjectEngine) -> ProjectEngine:
        """Track as the project was tracked, where that is to be had. A project names no weights file."""
        if engine == self._project_engine():
            return engine
        from engine.runtime.catalog import list_models, list_recipes

        free = {model.name for model in list_models() if not model.needs_weights}
        if (engine.model is None or engine.model in free) and engine.recipe in (None, *list_recipes()):
            self.configure(replace(self._config, weights=None, **vars(engine)))
        return self._project_engine()

    # -- output ------------------------------------------------------------------------------------------------
    def export(self, request: ExportRequest) -> None:
        """Write the stored masks of a file on the writer thread (own source reader). ExportProgress events."""
        with self._core.lock:
            info = self._core.info
            if info is None or info.live:
                self._core.say(
                    Severity.WARNING, "Only videos and folders can be exported.", "Record a live source instead."
                )
                return
            self._writer.export(info, StoredMasks(self._core.store.snapshot()), request)

    def cancel_export(self) -> None:
        self._writer.cancel_export()

    def start_recording(self, folder: Path, palette: NDArray[np.uint8] | None = None) -> None:
        """Live: write every further tracked frame as it came, with its overlay, and its mask into `folder` until
        `stop_recording`.

        Files: `folder`/source.mp4, `folder`/overlay.mp4 in the colours of `palette` (see `ExportRequest`) and
        `folder`/masks/00000.png by frame index; as many frames in each. ExportProgress events tell the
        frames written and the end.
        """
        with self._core.lock:
            info = self._core.info
            if info is None or not info.live:
                self._core.say(Severity.WARNING, "Only live sources can be recorded.", "Export a video instead.")
                return
            self._writer.start_recording(info, folder, palette)

    def stop_recording(self) -> None:
        self._writer.stop_recording()

    # -- pulled by the GUI timer -------------------------------------------------------------------------------
    def take_display(self) -> DisplayItem | None:
        """The newest item not yet taken, or None."""
        return self._core.take_display()

    def events(self) -> list[Event]:
        """Every event since the last call, oldest first."""
        self._sources.poll()
        return self._core.events.drain()

    def stats(self) -> StatsSnapshot:
        core = self._core
        source_fps, tracked_fps = core.stats.rates()
        age_p50, age_p95 = core.stats.ages()
        facts = core.facts
        return StatsSnapshot(
            source_fps=source_fps,
            tracked_fps=tracked_fps,
            age_p50_s=age_p50,
            age_p95_s=age_p95,
            dropped=core.dropped,
            processed=core.stats.processed,
            bank_bytes=facts.bank_bytes,
            bank_frames=facts.bank_frames,
            rss_bytes=core.stats.rss_bytes(),
            device=facts.device,
            model=facts.model,
            working_size=facts.working_size,
            live_quality=facts.live_quality,
            source_status=self._sources.status,
            worker_states={
                "capture": self._sources.state,
                "engine": self._engine.state,
                "writer": self._writer.state,
                "project": self._keeper.state,
            },
        )

    def watch_results(self, watcher: Callable[[DisplayItem], None] | None) -> None:
        """Call `watcher` with every tracked item, in the engine thread; None ends it. For measuring."""
        with self._core.lock:
            self._core.watcher = watcher

    @property
    def mode(self) -> Mode:
        return self._core.mode

    @property
    def ready(self) -> bool:
        """Whether the engine can track."""
        return self._core.engine_ready

    @property
    def recipe(self) -> str:
        """Name of the recipe in use, "" before the engine is ready."""
        return self._core.facts.recipe
