"""Where does this pixel's label come from? Asks the engine and shows the answer."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from app.actions import Actions
from app.bridge import EngineBridge
from app.canvas.canvas import Canvas
from app.dialogs.explain_dialog import ExplainDialog
from engine.runtime.messages import Explained, Notice, Severity


class ExplainController(QObject):
    """Signals: notice(Notice), why a question could not be asked."""

    notice = pyqtSignal(object)

    def __init__(
        self,
        bridge: EngineBridge,
        actions: Actions,
        canvas: Canvas,
        go_to: Callable[[int], object],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._bridge = bridge
        self._canvas = canvas
        self._go_to = go_to
        self._window = window
        self._pointer = (-1, -1)
        self.dialog: ExplainDialog | None = None
        canvas.cursor_moved.connect(self._follow)
        actions.on("explain", self.ask)
        bridge.explained.connect(self._show)
        bridge.source_opened.connect(lambda _info: self.close())
        bridge.source_closed.connect(self.close)

    def _follow(self, x: int, y: int) -> None:
        self._pointer = (x, y)

    def ask(self) -> None:
        """Ask about the pixel under the pointer, in the frame on show."""
        item, (x, y) = self._canvas.item, self._pointer
        if item is None or x < 0:
            self._say(self.tr("No pixel is meant."), self.tr("Point at one on the picture and press the key."))
        elif not self._bridge.painted_ids:
            self._say(self.tr("Nothing is painted yet."), self.tr("Paint an object and track first."))
        else:
            self._bridge.explain(item.frame, x, y)

    def close(self) -> None:
        """Its answer is about another video now."""
        if self.dialog is not None:
            self.dialog.close()

    def _say(self, message: str, way_out: str) -> None:
        self.notice.emit(Notice(Severity.INFO, message, way_out))

    def _show(self, answer: Explained) -> None:
        if self.dialog is None:
            self.dialog = ExplainDialog(self._window)
            self.dialog.frame_chosen.connect(self._go_to)
        thing = self._canvas.objects.get(answer.object_id)
        self.dialog.show_answer(answer, str(answer.object_id) if thing is None else thing.name)
        self.dialog.show()
