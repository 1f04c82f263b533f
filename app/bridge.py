"""Between the session and the window: a GUI timer pulls, Qt signals tell. The GUI never waits for the engine."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from engine.export.formats import FORMATS
from engine.export.request import ExportRequest
from engine.object_state import ObjectState
from engine.runtime.config import EngineConfig
from engine.runtime.messages import (
    DisplayItem,
    EngineProgress,
    Event,
    Explained,
    ExportProgress,
    MaskKind,
    MasksChanged,
    Mode,
    ModeChanged,
    MotionRead,
    Notice,
    ObjectsChanged,
    ProjectChanged,
    ProjectOpened,
    ProjectSourceMissing,
    RecoveryFound,
    ReplayChanged,
    Scribbled,
    SourceClosed,
    SourceOpened,
    TrackingFinished,
)
from engine.scribble_marks import Marks
from engine.types import Frame, Mask
from engine.video.source import SourceInfo

if TYPE_CHECKING:
    from engine.project.recovery import Leftover
    from engine.project.state import ProjectObject
    from engine.runtime.session import Session

FAST_MS = 16
IDLE_MS = 60
STATS_MS = 250
_AWAKE_S = 1.0  # keeps the fast pace this long after a command, so that scrubbing feels immediate
_ACTIVE_MODES = (Mode.OPENING, Mode.PREVIEW, Mode.PLAYING, Mode.TRACKING)


class EngineBridge(QObject):
    """Passes commands to a session and turns what it says into signals.

    Keeps what the window asks for again and again: the source, the mode, which objects are painted, whether there are
    masks nobody has exported.

    Signals:
        item_ready(DisplayItem): show this; items of a former source never come through.
        source_opened(SourceInfo), source_closed(), mode_changed(Mode), progress(EngineProgress), notice(Notice),
        masks_changed(first, last), tracking_finished(last), export_progress(ExportProgress),
        objects_changed(tuple of ids), stats_changed(StatsSnapshot), project_opened(ProjectOpened),
        project_changed(ProjectChanged), project_source_missing(ProjectSourceMissing), recovery_found(RecoveryFound):
        as in `engine.runtime.messages`.
        recording_changed(bool): a live recording began or ended.
        motion_read(MotionRead): the motion that `read_motion` asked for.
        scribbled(Scribbled): what the strokes that `scribble` sent stand for.
        replay_changed(frames): the last seconds of a live source are looked at again; empty: not any more.
        explained(Explained): which frames decide the pixel that `explain` asked for.
    """

    item_ready = pyqtSignal(object)
    source_opened = pyqtSignal(object)
    source_closed = pyqtSignal()
    mode_changed = pyqtSignal(object)
    progress = pyqtSignal(object)
    notice = pyqtSignal(object)
    masks_changed = pyqtSignal(int, int)
    tracking_finished = pyqtSignal(int)
    export_progress = pyqtSignal(object)
    objects_changed = pyqtSignal(tuple)
    stats_changed = pyqtSignal(object)
    recording_changed = pyqtSignal(bool)
    explained = pyqtSignal(object)
    motion_read = pyqtSignal(object)
    project_opened = pyqtSignal(object)
    project_changed = pyqtSignal(object)
    project_source_missing = pyqtSignal(object)
    recovery_found = pyqtSignal(object)
    scribbled = pyqtSignal(object)
    replay_changed = pyqtSignal(tuple)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._generation = 0
        self._early: DisplayItem | None = None
        self._info: SourceInfo | None = None
        self._mode = Mode.EMPTY
        self._painted: frozenset[int] = frozenset()
        self._unsaved = False
        self._project = ProjectChanged()
        self._recording = False
        self._replaying = False
        self._export_keeps_masks = False
        self._stopped = False
        self._awake_until = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(FAST_MS)
        self._timer.timeout.connect(self.poll)
        self._stats_timer = QTimer(self)
        self._stats_timer.setInterval(STATS_MS)
        self._stats_timer.timeout.connect(self._poll_stats)

    # -- what the window asks ----------------------------------------------------------------------------------
    @property
    def info(self) -> SourceInfo | None:
        return self._info

    @property
    def live(self) -> bool:
        return self._info is not None and self._info.live

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def painted_ids(self) -> frozenset[int]:
        """Objects that have pixels in some keyframe."""
        return self._painted

    @property
    def unsaved(self) -> bool:
        """True when there are masks of a file that no project keeps and no export wrote, all and exactly, since they
        changed; of a live source, when frames were painted that no project keeps.
        """
        return self._unsaved and not self._project.keeps

    @property
    def project(self) -> ProjectChanged:
        """Where the work is kept."""
        return self._project

    @property
    def replaying(self) -> bool:
        """Whether the last seconds of a live source are looked at again."""
        return self._replaying

    @property
    def recording(self) -> bool:
        return self._recording

    # -- life cycle --------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the session and the timers."""
        self._session.start()
        self._timer.start()
        self._stats_timer.start()

    def shutdown(self, timeout_s: float = 5.0, *, keep_unsaved: bool = True) -> bool:
        """Stop the timers and the session; True when every worker ended in time. Idempotent.

        Args:
            keep_unsaved: work without a name is offered at the next start.
        """
        self._timer.stop()
        self._stats_timer.stop()
        self._stopped = True
        return self._session.shutdown(timeout_s, keep_unsaved=keep_unsaved)

    # -- commands ----------------------------------------------------------------------------------------------
    def open(self, uri: str | Path) -> None:
        self._session.open(uri)
        self._wake()

    def close_source(self) -> None:
        self._session.close_source()
        self._wake()

    def seek(self, index: int) -> None:
        self._session.seek(index)
        self._wake()

    def play(self) -> None:
        self._session.play()
        self._wake()

    def freeze(self) -> None:
        self._session.freeze()
        self._wake()

    def track(self, direction: int = 1, until: int | None = None) -> None:
        self._session.track(direction, until)
        self._wake()

    def step(self, direction: int = 1) -> None:
        self._session.step(direction)
        self._wake()

    def replay(self) -> None:
        self._session.replay()
        self._wake()

    def retrack(self, index: int | None = None) -> None:
        self._session.retrack(index)
        self._wake()

    def pause(self) -> None:
        self._session.pause()
        self._wake()

    def set_mask(self, frame: Frame, mask: Mask, touched: Collection[int]) -> None:
        self._session.set_mask(frame, mask, touched)
        # The session's own word (ObjectsChanged) follows; Space pressed before it comes must already track.
        self._painted |= {object_id for object_id in touched if (mask == object_id).any()}
        self._wake()

    def clear_mask(self, frame: Frame) -> None:
        self._session.clear_mask(frame)
        self._wake()

    def unpin(self, frame_index: int) -> None:
        self._session.unpin(frame_index)
        self._wake()

    def delete_object(self, object_id: int) -> None:
        self._session.delete_object(object_id)
        self._painted -= {object_id}
        self._wake()

    def restore_object(self, object_id: int) -> None:
        self._session.restore_object(object_id)
        self._wake()

    def merge_objects(self, object_id: int, into: int) -> None:
        self._session.merge_objects(object_id, into)
        if object_id in self._painted:
            self._painted = (self._painted - {object_id}) | {into}
        self._wake()

    def part_objects(self, object_id: int) -> None:
        self._session.part_objects(object_id)
        self._wake()

    def mask_at(self, index: int) -> tuple[Mask | None, MaskKind]:
        return self._session.mask_at(index)

    def mask_kinds(self) -> dict[int, MaskKind]:
        return self._session.mask_kinds()

    def confidences(self) -> dict[int, float]:
        return self._session.confidences()

    def object_states(self) -> dict[int, Mapping[int, ObjectState]]:
        return self._session.object_states()

    def explain(self, frame: Frame, x: int, y: int) -> None:
        self._session.explain(frame, x, y)
        self._wake()

    def read_motion(self, first: Frame, second: Frame) -> bool:
        """False when the engine is not ready; no answer will come."""
        return self._session.read_motion(first, second)

    def scribble(self, frame: Frame, marks: Marks, serial: int) -> bool:
        """False when the engine is not ready; no answer will come."""
        asked = self._session.scribble(frame, marks, serial)
        self._wake()
        return asked

    def clear_tracking(self) -> None:
        self._session.clear_tracking()
        self._wake()

    def configure(self, config: EngineConfig) -> None:
        self._session.configure(config)
        self._wake()

    def export(self, request: ExportRequest) -> None:
        self._export_keeps_masks = FORMATS[request.format].keeps_masks and request.whole
        self._session.export(request)
        self._wake()

    def cancel_export(self) -> None:
        self._session.cancel_export()
        self._wake()

    def open_project(self, path: Path, source: Path | None = None, *, changed_ok: bool = False) -> None:
        self._session.open_project(path, source, changed_ok=changed_ok)
        self._wake()

    def save_project(self, path: Path | None, *, overwrite: bool = False) -> None:
        self._session.save_project(path, overwrite=overwrite)
        self._wake()

    def set_objects(self, objects: tuple[ProjectObject, ...]) -> None:
        self._session.set_objects(objects)

    def set_marks(self, mark_in: int | None, mark_out: int | None) -> None:
        self._session.set_marks(mark_in, mark_out)

    def discard_leftover(self, leftover: Leftover) -> None:
        self._session.discard_leftover(leftover)

    def start_recording(self, folder: Path) -> None:
        self._session.start_recording(folder)
        self._set_recording(True)

    def stop_recording(self) -> None:
        self._session.stop_recording()
        self._set_recording(False)

    # -- pulling -----------------------------------------------------------------------------------------------
    def poll(self) -> None:
        """Take what the session has for us. Called by the timer; tests call it directly."""
        # Before the events: an item taken here was announced by a SourceOpened that is then certainly among them.
        item = self._session.take_display()
        for event in self._session.events():
            self._dispatch(event)
        item = item or self._early
        self._early = None
        if item is not None and item.generation == self._generation:
            self.item_ready.emit(item)
        elif item is not None and item.generation > self._generation:
            self._early = item
        self._set_pace()

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, SourceOpened):
            self._generation = event.generation
            self._info = event.info
            self._painted = frozenset()
            self._unsaved = False
            self._set_recording(False)
            self.source_opened.emit(event.info)
        elif isinstance(event, SourceClosed):
            self._info = None
            self._painted = frozenset()
            self._unsaved = False
            self._set_recording(False)
            self.source_closed.emit()
        elif isinstance(event, ModeChanged):
            self._mode = event.mode
            self.mode_changed.emit(event.mode)
        elif isinstance(event, EngineProgress):
            self.progress.emit(event)
        elif isinstance(event, Notice):
            self.notice.emit(event)
        elif isinstance(event, MasksChanged):
            if not (
                self._unsaved and self._mode is Mode.TRACKING
            ):  # then it comes with every frame and changes nothing
                kinds = self._session.mask_kinds()
                # What is tracked live is recorded or gone, as the user chose; what was painted is work.
                self._unsaved = MaskKind.KEYFRAME in kinds.values() if self.live else bool(kinds)
            self.masks_changed.emit(event.first, event.last)
        elif isinstance(event, TrackingFinished):
            self.tracking_finished.emit(event.last_index)
        elif isinstance(event, ExportProgress):
            if event.finished and event.ok and self._export_keeps_masks:
                self._unsaved = False
            self.export_progress.emit(event)
        elif isinstance(event, ObjectsChanged):
            self._painted = frozenset(event.object_ids)
            self.objects_changed.emit(event.object_ids)
        elif isinstance(event, Explained):
            self.explained.emit(event)
        elif isinstance(event, MotionRead):
            self.motion_read.emit(event)
        elif isinstance(event, Scribbled):
            self.scribbled.emit(event)
        else:
            self._dispatch_project(event)

    def _dispatch_project(self, event: Event) -> None:
        if isinstance(event, ReplayChanged):
            self._replaying = bool(event.frames)
            self.replay_changed.emit(event.frames)
        elif isinstance(event, ProjectOpened):
            self.project_opened.emit(event)
        elif isinstance(event, ProjectChanged):
            self._project = event
            self.project_changed.emit(event)
        elif isinstance(event, ProjectSourceMissing):
            self.project_source_missing.emit(event)
        elif isinstance(event, RecoveryFound):
            self.recovery_found.emit(event)

    def _poll_stats(self) -> None:
        self.stats_changed.emit(self._session.stats())

    def _set_recording(self, recording: bool) -> None:
        if recording != self._recording:
            self._recording = recording
            self.recording_changed.emit(recording)

    def _wake(self) -> None:
        self._awake_until = time.monotonic() + _AWAKE_S
        self._set_pace()

    def _set_pace(self) -> None:
        active = self._mode in _ACTIVE_MODES or time.monotonic() < self._awake_until
        interval = FAST_MS if active else IDLE_MS
        if self._timer.interval() != interval and not self._stopped:
            self._timer.setInterval(interval)
