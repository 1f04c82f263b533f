"""How the objects fare: the object list and the time line show it, a key goes to the next doubt, a sound warns live."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QApplication

from app.actions import Actions
from app.bridge import EngineBridge
from app.panels.object_dock import ObjectDock
from app.panels.timeline import Timeline
from app.settings import Settings
from engine.object_state import ObjectState
from engine.runtime.messages import DisplayItem, Notice, Severity
from engine.video.source import SourceInfo

_QUIET_S = 2.0  # no second sound within this time: several objects are often lost together


def _worse(before: ObjectState, now: ObjectState) -> bool:
    """Whether an object has just become unsure or been lost."""
    return now is not before and (now is ObjectState.LOST or (now is ObjectState.UNSURE and not before.doubtful))


class StatesController(QObject):
    """Signals: notice(Notice).

    Args:
        go_to: goes to a frame.
        beep: makes the sound.
    """

    notice = pyqtSignal(object)

    def __init__(
        self,
        bridge: EngineBridge,
        actions: Actions,
        dock: ObjectDock,
        timeline: Timeline,
        settings: Settings,
        go_to: Callable[[int], None],
        beep: Callable[[], None] = QApplication.beep,
    ) -> None:
        super().__init__(dock)
        self._bridge = bridge
        self._actions = actions
        self._dock = dock
        self._timeline = timeline
        self._settings = settings
        self._go_to = go_to
        self.beep = beep
        self._states: Mapping[int, ObjectState] = {}
        self._last_sound = -_QUIET_S
        actions.on("doubt_next", lambda: self.go_to_doubt(+1))
        actions.on("doubt_previous", lambda: self.go_to_doubt(-1))
        actions.on_switch("lost_sound", self._choose_sound)
        actions["lost_sound"].setChecked(settings.lost_sound)
        bridge.item_ready.connect(self._show_item)
        bridge.source_opened.connect(self._on_source)
        bridge.source_closed.connect(lambda: self._on_source(None))
        self._on_source(None)

    def go_to_doubt(self, direction: int) -> None:
        """Where an object next begins to be unsure or lost."""
        index = self._timeline.strips.doubt_beside(self._timeline.current, direction)
        if index is not None:
            self._go_to(index)
            return
        text = self.tr("No doubtful frame after this one.") if direction > 0 else self.tr("No doubtful frame before.")
        self.notice.emit(Notice(Severity.INFO, text))

    def _choose_sound(self, on: bool) -> None:
        self._settings.lost_sound = on

    def _show_item(self, item: DisplayItem) -> None:
        # An object of which nothing was known before has not become anything.
        newly = {i for i, state in item.states.items() if _worse(self._states.get(i, state), state)}
        self._states = item.states
        self._dock.show_states(item.states)
        now = time.monotonic()
        if newly and self._bridge.live and self._settings.lost_sound and now - self._last_sound >= _QUIET_S:
            self._last_sound = now
            self.beep()

    def _on_source(self, info: SourceInfo | None) -> None:
        self._states = {}
        self._last_sound = -_QUIET_S
        self._dock.show_states({})
        for action_id in ("doubt_next", "doubt_previous"):
            self._actions[action_id].setEnabled(info is not None and not info.live)
