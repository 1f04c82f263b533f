"""Transport: Space, tracking, going to frames, marks; keeps transport bar and time line up to date."""

from __future__ import annotations

import time

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from app.actions import Actions
from app.bridge import EngineBridge
from app.canvas.canvas import Canvas
from app.panels.timeline import Timeline
from app.panels.transport_bar import TransportBar
from app.transport_logic import Command, space_command
from app.window.asking import ask
from engine.runtime.messages import DisplayItem, EngineProgress, MaskKind, Mode, Notice, Severity
from engine.video.source import SourceInfo

_KINDS_MS, _KINDS_SLOWEST_MS = 100, 2000
_KINDS_SHARE = 0.05  # of the GUI thread, at most, to keep the time line up to date

_FILE_ONLY = (
    "track_backward", "step_forward", "step_backward", "play", "mark_in", "mark_out", "clear_marks", "to_start",
    "to_end", "frame_previous", "frame_next", "frame_back_10", "frame_on_10", "keyframe_previous", "keyframe_next",
)  # fmt: skip
_REPLAY = ("to_start", "to_end", "frame_previous", "frame_next", "frame_back_10", "frame_on_10")
_ANY_SOURCE = ("toggle_track", "track_forward", "stop", "clear_tracking")


class TrackingController(QObject):
    """Signals: notice(Notice), marks_changed(in, out): frame numbers or None."""

    notice = pyqtSignal(object)
    marks_changed = pyqtSignal(object, object)

    def __init__(
        self, bridge: EngineBridge, actions: Actions, canvas: Canvas, bar: TransportBar, timeline: Timeline
    ) -> None:
        super().__init__(canvas)
        self._bridge = bridge
        self._actions = actions
        self._canvas = canvas
        self._bar = bar
        self._timeline = timeline
        self._direction = 1
        self._engine_ready = False
        self._waiting = False  # tracking was asked for, the engine is still loading
        self._refreshed_at_end = False
        self._mark_in: int | None = None
        self._mark_out: int | None = None
        self._item: DisplayItem | None = None
        self._kinds_timer = QTimer(self)
        self._kinds_timer.setSingleShot(True)
        self._kinds_timer.setInterval(_KINDS_MS)
        self._kinds_timer.timeout.connect(self._show_kinds)
        self._clock = QTimer(self)  # a live time line counts up
        self._clock.setInterval(500)
        self._clock.timeout.connect(timeline.update)
        self._connect_actions()
        bridge.source_opened.connect(self._on_source)
        bridge.source_closed.connect(lambda: self._on_source(None))
        bridge.mode_changed.connect(self._on_mode)
        bridge.item_ready.connect(self.show_item)
        bridge.objects_changed.connect(self.refresh)
        bridge.masks_changed.connect(self._on_masks_changed)
        bridge.progress.connect(self._on_progress)
        bridge.recording_changed.connect(self._on_recording)
        bridge.replay_changed.connect(lambda _frames: self.refresh())
        timeline.seek_requested.connect(bridge.seek)
        canvas.space_tapped.connect(self.toggle)
        self.refresh()

    def _connect_actions(self) -> None:
        on = self._actions.on
        on("toggle_track", self.toggle)
        on("play", self.toggle_play)
        on("track_forward", lambda: self.track(+1))
        on("track_backward", lambda: self.track(-1))
        on("step_forward", lambda: self.step(+1))
        on("step_backward", lambda: self.step(-1))
        on("stop", self._bridge.pause)
        on("freeze", self.toggle_freeze)
        on("frame_previous", lambda: self.go_by(-1))
        on("frame_next", lambda: self.go_by(+1))
        on("frame_back_10", lambda: self.go_by(-10))
        on("frame_on_10", lambda: self.go_by(+10))
        on("keyframe_previous", lambda: self.go_to_keyframe(-1))
        on("keyframe_next", lambda: self.go_to_keyframe(+1))
        on("to_start", lambda: self.go_to(0))
        on("to_end", lambda: self.go_to(self._timeline.model.count - 1))
        on("mark_in", lambda: self._set_marks(self._timeline.current, self._mark_out))
        on("mark_out", lambda: self._set_marks(self._mark_in, self._timeline.current))
        on("clear_marks", lambda: self._set_marks(None, None))
        on("clear_tracking", self.clear_tracking)

    # -- what the user wants -----------------------------------------------------------------------------------
    @property
    def at_end(self) -> bool:
        info = self._bridge.info
        known = info is not None and not info.live and info.frame_count is not None
        return known and self._timeline.current == self._timeline.model.count - 1 and self._timeline.current > 0

    @property
    def marks(self) -> tuple[int | None, int | None]:
        """In and out mark, None where there is none."""
        return self._mark_in, self._mark_out

    def toggle(self) -> None:
        """Space."""
        command = space_command(
            self._bridge.mode, live=self._bridge.live, painted=bool(self._bridge.painted_ids), at_end=self.at_end
        )
        if command is Command.TRACK:
            self.track(+1)
        elif command is Command.PLAY:
            self._bridge.play()
        elif command is Command.PAUSE:
            self._bridge.pause()
        elif command is Command.FREEZE:
            self._bridge.freeze()
        elif command is Command.REPLAY:
            self._bridge.seek(0)
            self._bridge.play()

    def toggle_play(self) -> None:
        if self._bridge.mode in (Mode.PLAYING, Mode.TRACKING):
            self._bridge.pause()
        elif self.at_end:
            self._bridge.seek(0)
            self._bridge.play()
        else:
            self._bridge.play()

    def track(self, direction: int, until: int | None = None) -> None:
        """Track to frame `until`; None: to the mark on that side, or to the end."""
        self._direction = direction
        mark = self._mark_out if direction > 0 else self._mark_in
        current = self._timeline.current
        if until is None and mark is not None and (mark - current) * direction > 0 and not self._bridge.live:
            until = mark
        self._waiting = not self._engine_ready and bool(self._bridge.painted_ids)
        self._bridge.track(direction, until)
        self.refresh()

    def step(self, direction: int) -> None:
        self._direction = direction
        self._bridge.step(direction)

    def toggle_freeze(self) -> None:
        if self._bridge.mode is Mode.FROZEN:
            self._bridge.play()
        else:
            self._bridge.freeze()
        self.refresh()

    def go_to(self, index: int) -> None:
        if self._bridge.info is None or self._bridge.live:
            return
        index = min(max(index, 0), max(self._timeline.model.count - 1, 0))
        self._timeline.show_frame(index)  # the next key press counts from here, not from the picture still on screen
        self._bridge.seek(index)

    def go_by(self, frames: int) -> None:
        self.go_to(self._timeline.current + frames)

    def go_to_keyframe(self, direction: int) -> None:
        index = self._timeline.model.keyframe_beside(self._timeline.current, direction)
        if index is not None:
            self.go_to(index)

    def clear_tracking(self) -> None:
        answer = ask(
            self._canvas,
            self.tr("Clear tracking"),
            self.tr("Drop every tracked mask?"),
            self.tr("Keyframes stay. This cannot be undone."),
            [self.tr("&Clear"), self.tr("Cancel")],
            default=1,
        )
        if answer == 0:
            self._bridge.clear_tracking()

    def _set_marks(self, mark_in: int | None, mark_out: int | None) -> None:
        if mark_in is not None and mark_out is not None and mark_in >= mark_out:
            text = self.tr("The in mark must be before the out mark.")
            self.notice.emit(Notice(Severity.INFO, text, self.tr("Shift+I clears both.")))
            return
        self.restore_marks(mark_in, mark_out)
        self.marks_changed.emit(mark_in, mark_out)

    def restore_marks(self, mark_in: int | None, mark_out: int | None) -> None:
        """Show the marks of an opened project."""
        self._mark_in, self._mark_out = mark_in, mark_out
        self._timeline.show_marks(mark_in, mark_out)

    # -- what is going on --------------------------------------------------------------------------------------
    def show_item(self, item: DisplayItem) -> None:
        info = self._bridge.info
        if info is None:
            return
        self._item = item
        self._timeline.show_frame(item.frame.index)
        self._bar.show_frame(item.frame.index, item.frame.time_s, info, item.kind)
        if self._refreshed_at_end != self.at_end:  # a click on the time line is there before its picture
            self.refresh()

    def refresh(self) -> None:
        """Bring buttons and texts in line with the state."""
        bridge, mode = self._bridge, self._bridge.mode
        self._refreshed_at_end = self.at_end
        is_open = bridge.info is not None
        for action_id in _ANY_SOURCE:
            self._actions[action_id].setEnabled(is_open)
        for action_id in _FILE_ONLY:
            self._actions[action_id].setEnabled(is_open and not bridge.live)
        for action_id in _REPLAY:
            self._actions[action_id].setEnabled(is_open and (not bridge.live or bridge.replaying))
        for action_id in ("freeze", "record"):
            self._actions[action_id].setEnabled(is_open and bridge.live)
        self._actions["freeze"].setChecked(is_open and bridge.live and mode is Mode.FROZEN)
        self._actions["stop"].setEnabled(mode in (Mode.PLAYING, Mode.TRACKING))
        self._bar.show_state(
            mode,
            live=bridge.live,
            painted=bool(bridge.painted_ids),
            direction=self._direction,
            at_end=self._refreshed_at_end,
            recording=bridge.recording,
            waiting=self._waiting,
            replaying=bridge.replaying,
        )

    def _on_source(self, info: SourceInfo | None) -> None:
        self._item = None
        self._mark_in = self._mark_out = None
        self._direction = 1
        self._waiting = False
        self._bar.show_source(info)
        self._timeline.show_source(info)
        if info is not None and info.live:
            self._clock.start()
        else:
            self._clock.stop()
        self.refresh()

    def _on_mode(self, mode: Mode) -> None:
        if mode is not Mode.FROZEN or self._engine_ready:
            self._waiting = False
        self.refresh()

    def _on_progress(self, progress: EngineProgress) -> None:
        self._engine_ready = progress.ready
        if progress.ready:
            self._waiting = False
        self.refresh()

    def _on_recording(self, recording: bool) -> None:
        self._actions["record"].setChecked(recording)
        self._timeline.show_recording(recording)
        self.refresh()

    def _on_masks_changed(self, first: int, last: int) -> None:
        if not self._kinds_timer.isActive():  # while tracking this comes with every frame
            self._kinds_timer.start()
        info, item = self._bridge.info, self._item
        if info is not None and item is not None and first <= item.frame.index <= last:
            kind = self._bridge.mask_at(item.frame.index)[1]
            self._bar.show_frame(item.frame.index, item.frame.time_s, info, kind)

    def _show_kinds(self) -> None:
        started = time.perf_counter()
        live = self._bridge.live
        kinds: dict[int, MaskKind] = {} if live else self._bridge.mask_kinds()
        self._timeline.show_kinds(
            kinds, {} if live else self._bridge.confidences(), {} if live else self._bridge.object_states()
        )
        # An hour of video takes its time to list; tracking must not wait for the time line.
        spent_ms = (time.perf_counter() - started) * 1000
        self._kinds_timer.setInterval(round(min(max(_KINDS_MS, spent_ms / _KINDS_SHARE), _KINDS_SLOWEST_MS)))
