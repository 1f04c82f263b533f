"""The time line's own commands: magnifying it, and small pictures below it."""

from __future__ import annotations

from PyQt6.QtCore import QObject

from app.actions import Actions
from app.bridge import EngineBridge
from app.panels.timeline import Timeline
from app.settings import Settings
from engine.runtime.messages import Mode
from engine.video.source import SourceInfo

_KEY_STEP = 2.0  # of a key press
_ACTIONS = ("timeline_in", "timeline_out", "timeline_fit")


class TimelineController(QObject):
    """Connects the time line with its actions and settings."""

    def __init__(self, bridge: EngineBridge, actions: Actions, timeline: Timeline, settings: Settings) -> None:
        super().__init__(timeline)
        self._actions = actions
        self._timeline = timeline
        self._settings = settings
        actions.on("timeline_in", lambda: timeline.zoom(_KEY_STEP))
        actions.on("timeline_out", lambda: timeline.zoom(1 / _KEY_STEP))
        actions.on("timeline_fit", timeline.fit)
        actions.on_switch("show_thumbnails", self._show_thumbnails)
        actions["show_thumbnails"].setChecked(settings.thumbnails)
        timeline.show_thumbnails(settings.thumbnails)
        # The engine needs the processor more than small pictures do.
        bridge.mode_changed.connect(
            lambda mode: timeline.thumbnails.reader.pause(mode in (Mode.TRACKING, Mode.PLAYING, Mode.OPENING))
        )
        bridge.source_opened.connect(self._on_source)
        bridge.source_closed.connect(lambda: self._on_source(None))
        self._on_source(None)

    def _show_thumbnails(self, shown: bool) -> None:
        self._settings.thumbnails = shown
        self._timeline.show_thumbnails(shown)

    def _on_source(self, info: SourceInfo | None) -> None:
        for action_id in _ACTIONS:
            self._actions[action_id].setEnabled(info is not None and not info.live)
