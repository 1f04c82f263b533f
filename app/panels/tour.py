"""The first three steps. They float at the foot of the picture, block nothing, and can be skipped at any time."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.i18n import translate

_MARGIN = 12
_WIDTH = 520


class Tour(QFrame):
    """Signals: finished(), at its end or when it was skipped."""

    finished = pyqtSignal()

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self.setObjectName("notice")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName(translate("Tour", "First steps"))
        self.step = 0
        self._title, self._text = QLabel(), QLabel()
        self._title.setProperty("role", "heading")
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        self.skip_button = QPushButton(translate("Tour", "S&kip"))
        self.back_button = QPushButton(translate("Tour", "Bac&k"))
        self.next_button = QPushButton(translate("Tour", "&Next"))
        self.next_button.setProperty("primary", True)
        self.skip_button.clicked.connect(self.end)
        self.back_button.clicked.connect(lambda: self.show_step(self.step - 1))
        self.next_button.clicked.connect(lambda: self.show_step(self.step + 1))
        buttons = QHBoxLayout()
        buttons.addWidget(self.skip_button)
        buttons.addStretch(1)
        buttons.addWidget(self.back_button)
        buttons.addWidget(self.next_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 10, 14, 10)
        column.addWidget(self._title)
        column.addWidget(self._text)
        column.addLayout(buttons)
        over.installEventFilter(self)
        self.hide()

    def _steps(self) -> tuple[tuple[str, str], ...]:
        return (
            (
                translate("Tour", "1 of 3: open something"),
                translate("Tour", "Drop a video on the window, open a camera, or take the demo."),
            ),
            (
                translate("Tour", "2 of 3: paint the object"),
                translate(
                    "Tour", "The left button paints, the right one erases. N adds another object, Ctrl+Z undoes."
                ),
            ),
            (
                translate("Tour", "3 of 3: track and correct"),
                translate(
                    "Tour", "Space tracks and pauses. Paint again wherever the mask is wrong; F1 shows all keys."
                ),
            ),
        )

    def begin(self) -> None:
        self.show()
        self.show_step(0)

    def show_step(self, step: int) -> None:
        """Show a step; the one behind the last ends the tour."""
        steps = self._steps()
        if step >= len(steps):
            self.end()
            return
        self.step = max(step, 0)
        self._title.setText(steps[self.step][0])
        self._text.setText(steps[self.step][1])
        self.setAccessibleDescription(" ".join(steps[self.step]))
        self.back_button.setEnabled(self.step > 0)
        last = self.step == len(steps) - 1
        self.next_button.setText(translate("Tour", "&Done") if last else translate("Tour", "&Next"))
        self._place()

    def opened(self) -> None:
        """Something was opened: the first step is done."""
        if self.isVisibleTo(self.parentWidget()) and self.step == 0:
            self.show_step(1)

    def end(self) -> None:
        self.hide()
        self.finished.emit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        over = self.parentWidget()
        if over is None:
            return
        width = min(_WIDTH, over.width() - 2 * _MARGIN)
        height = max(self.heightForWidth(width), self.sizeHint().height())
        self.setGeometry((over.width() - width) // 2, over.height() - height - _MARGIN, width, height)
        self.raise_()
