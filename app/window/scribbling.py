"""Between the smart scribble and the engine: one question at a time, colours alone until there is an engine to ask."""

from __future__ import annotations

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from app.bridge import EngineBridge
from app.canvas.canvas import Canvas
from app.i18n import translate
from engine.runtime.messages import EngineProgress, Notice, Scribbled, Severity
from engine.scribble_marks import Marks, by_colour
from engine.types import Frame

COLOUR_PAUSE_MS = 80  # colours are looked at here, not in the engine's thread: not with every move of the pointer


class ScribbleController(QObject):
    """Signals: notice(Notice), that the preview is made of colours only."""

    notice = pyqtSignal(object)

    def __init__(self, bridge: EngineBridge, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._bridge = bridge
        self._tool = canvas.scribble
        self._next: tuple[Frame, Marks] | None = None  # asked while an answer was on its way
        self._colours: tuple[Frame, Marks] | None = None
        self._serial = 0
        self._asked = False
        self._told = False
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(COLOUR_PAUSE_MS)
        self._pause.timeout.connect(self._answer_by_colour)
        self._tool.ask = self._ask
        bridge.scribbled.connect(self._on_answer)
        bridge.progress.connect(self._on_progress)
        bridge.source_opened.connect(lambda _info: self._forget())
        bridge.source_closed.connect(self._forget)

    def _ask(self, frame: Frame, marks: Marks) -> None:
        marks.setflags(write=False)  # it goes to another thread
        if self._asked:
            self._next = (frame, marks)
            return
        self._serial += 1
        self._asked = self._bridge.scribble(frame, marks, self._serial)
        if not self._asked:
            self._colours = (frame, marks)
            self._pause.start()
            if not self._told:
                self._told = True
                self.notice.emit(
                    Notice(
                        Severity.INFO,
                        translate(
                            "ScribbleController", "The engine is still starting: the scribble goes by colour alone."
                        ),
                        translate("ScribbleController", "It is made anew as soon as the engine is there."),
                    )
                )

    def _on_answer(self, answer: Scribbled) -> None:
        if answer.serial != self._serial:
            return
        self._asked = False
        following, self._next = self._next, None
        if answer.pixels is not None and self._tool.busy:
            self._tool.answer(answer.frame_index, answer.pixels)
        if following is not None and self._tool.busy:
            self._ask(*following)

    def _answer_by_colour(self) -> None:
        question, self._colours = self._colours, None
        if question is not None and self._tool.busy:
            frame, marks = question
            self._tool.answer(frame.index, by_colour(frame.rgb, marks))

    def _on_progress(self, progress: EngineProgress) -> None:
        if not progress.ready:
            self._asked, self._next = False, None  # an engine that starts anew, or stopped, owes nothing
        elif not self._asked and self._colours_shown():
            self._tool.ask_again()

    def _colours_shown(self) -> bool:
        shown, self._told = self._told, False
        self._pause.stop()
        self._colours = None
        return shown

    def _forget(self) -> None:
        """Questions about the former source will not be answered."""
        self._asked, self._next, self._colours = False, None, None
        self._pause.stop()
