"""The live view of motion: asks for the flow of the newest pair of frames, one question at a time."""

from __future__ import annotations

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QWidget

from app.actions import Actions
from app.bridge import EngineBridge
from app.panels.motion_view import MotionView
from engine.runtime.messages import DisplayItem, MotionRead
from engine.types import Frame


class MotionController(QObject):
    """Shows and hides the view. Pairs that come while the engine still reads another one are left out."""

    def __init__(self, bridge: EngineBridge, actions: Actions, window: QWidget) -> None:
        super().__init__(window)
        self._bridge = bridge
        self._action = actions["show_motion"]
        self._window = window
        self._last: Frame | None = None
        self._asked = False
        self.view: MotionView | None = None
        actions.on_switch("show_motion", self._switch)
        bridge.item_ready.connect(self._on_item)
        bridge.motion_read.connect(self._on_answer)
        bridge.source_opened.connect(lambda _info: self._forget())
        bridge.source_closed.connect(self._forget)

    def _switch(self, on: bool) -> None:
        if on and self.view is None:
            self.view = MotionView(self._window)
            self.view.closed.connect(lambda: self._action.setChecked(False))
        if self.view is not None:
            self.view.setVisible(on)
        self._asked = False

    def _forget(self) -> None:
        """Questions about the former source will not be answered."""
        self._last = None
        self._asked = False

    def _on_item(self, item: DisplayItem) -> None:
        last, self._last = self._last, item.frame
        if last is None or last.index == item.frame.index or self._asked or not self._action.isChecked():
            return
        self._asked = self._bridge.read_motion(last, item.frame)

    def _on_answer(self, motion: MotionRead) -> None:
        self._asked = False
        if self.view is not None and self.view.isVisible():
            self.view.show_motion(motion)
