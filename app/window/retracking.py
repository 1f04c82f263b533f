"""Tracking by keyframes and marks: anew between keyframes after a correction, up to the next keyframe, in the range."""

from __future__ import annotations

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from app.actions import Actions, native_key
from app.bridge import EngineBridge
from app.canvas.canvas import Canvas
from app.i18n import translate
from app.panels.timeline import Timeline
from app.settings import Settings
from app.window.tracking import TrackingController
from engine.runtime.messages import MaskKind, Mode, Notice, Severity
from engine.types import Frame

QUIET_MS = 1200  # after the last stroke of a correction, before the frames around it are tracked anew
_ACTIONS = ("retrack", "track_to_keyframe", "track_back_to_keyframe", "track_range")


class RetrackController(QObject):
    """Signals: notice(Notice)."""

    notice = pyqtSignal(object)

    def __init__(
        self,
        bridge: EngineBridge,
        actions: Actions,
        canvas: Canvas,
        timeline: Timeline,
        tracking: TrackingController,
        settings: Settings,
    ) -> None:
        super().__init__(canvas)
        self._bridge = bridge
        self._actions = actions
        self._canvas = canvas
        self._timeline = timeline
        self._tracking = tracking
        self._settings = settings
        self._told: set[int] = set()  # corrected frames the user has been told of
        self._corrected: int | None = None
        self.quiet = QTimer(self)
        self.quiet.setSingleShot(True)
        self.quiet.setInterval(QUIET_MS)
        self.quiet.timeout.connect(self._retrack_corrected)
        actions.on("retrack", self.retrack)
        actions.on("track_to_keyframe", lambda: self.track_to_keyframe(+1))
        actions.on("track_back_to_keyframe", lambda: self.track_to_keyframe(-1))
        actions.on("track_range", self.track_range)
        actions.on_switch("retrack_auto", self._choose_auto)
        actions["retrack_auto"].setChecked(settings.retrack_auto)
        canvas.edit.stroke_committed.connect(lambda frame, _mask, _touched: self._on_correction(frame))
        bridge.source_opened.connect(lambda _info: self._on_source())
        bridge.source_closed.connect(self._on_source)
        self._on_source()

    def retrack(self) -> None:
        """Between the keyframes beside the frame shown."""
        self.quiet.stop()
        self._bridge.retrack(self._timeline.current)

    def track_to_keyframe(self, direction: int) -> None:
        index = self._timeline.model.keyframe_beside(self._timeline.current, direction)
        if index is None:
            text = (
                translate("RetrackController", "There is no keyframe after this frame.")
                if direction > 0
                else translate("RetrackController", "There is no keyframe before this frame.")
            )
            way_out = translate("RetrackController", "F and B track to the end and to the start.")
            self.notice.emit(Notice(Severity.INFO, text, way_out))
            return
        self._tracking.track(direction, index)

    def track_range(self) -> None:
        """From the in mark to the out mark; a mark that is not set is the end on its side."""
        first, last = self._tracking.marks
        if first is None and last is None:
            text = translate("RetrackController", "No range is marked.")
            way_out = translate("RetrackController", "I sets its first frame, O its last.")
            self.notice.emit(Notice(Severity.INFO, text, way_out))
            return
        self._tracking.go_to(first or 0)
        self._tracking.track(+1, last)

    # -- corrections -------------------------------------------------------------------------------------------
    def _choose_auto(self, on: bool) -> None:
        self._settings.retrack_auto = on

    def _on_correction(self, frame: Frame) -> None:
        kinds = self._timeline.model.kinds
        beside = any(kinds.get(frame.index + side) in (MaskKind.TRACKED, MaskKind.STALE) for side in (-1, 1))
        if self._bridge.live or self._bridge.mode is not Mode.FROZEN or not beside:
            return  # while tracking, the session itself goes back to the correction
        self._corrected = frame.index
        if self._settings.retrack_auto:
            self.quiet.start()
        elif frame.index not in self._told:
            self._told.add(frame.index)
            keys = self._actions.keys("retrack")
            text = translate("RetrackController", "The frames around this correction do not know of it yet.")
            way_out = (
                translate("RetrackController", "{key} tracks them anew, from the keyframes on both sides.").format(
                    key=native_key(keys[0])
                )
                if keys
                else translate("RetrackController", "Track > Re-track between keyframes does it, from both sides.")
            )
            self.notice.emit(Notice(Severity.INFO, text, way_out))

    def _retrack_corrected(self) -> None:
        if self._canvas.busy:  # a stroke is under way
            self.quiet.start()
        elif self._corrected == self._timeline.current and self._bridge.mode is Mode.FROZEN:
            self._bridge.retrack(self._corrected)

    def _on_source(self) -> None:
        self.quiet.stop()
        self._told.clear()
        self._corrected = None
        is_file = self._bridge.info is not None and not self._bridge.live
        for action_id in _ACTIONS:
            self._actions[action_id].setEnabled(is_file)
