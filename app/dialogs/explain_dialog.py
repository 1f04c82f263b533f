"""Which earlier frames decided a pixel: their pictures, lit where they voted."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QIcon, QImage, QPixmap
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from engine.runtime.messages import Explained, ShownVoter

COLUMNS = 3
PICTURE_WIDTH = 240


class ExplainDialog(QDialog):
    """Stays open beside the window; `show_answer` fills it anew.

    Signals:
        frame_chosen(int): the user clicked on the picture of this frame.
    """

    frame_chosen = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Why this label?"))
        self.headline = QLabel()
        self.headline.setWordWrap(True)
        self.headline.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        hint = QLabel(
            self.tr(
                "Bright cells voted for the pixel; the brighter, the more. Click on a picture to go to its frame, "
                "point elsewhere and press the key again for another pixel."
            )
        )
        hint.setWordWrap(True)
        hint.setProperty("role", "muted")
        self._grid = QGridLayout()
        self._grid.setSpacing(8)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 14, 14, 12)
        column.setSpacing(10)
        column.addWidget(self.headline)
        column.addLayout(self._grid)
        column.addStretch(1)
        column.addWidget(hint)
        column.addWidget(buttons)
        self.pictures: list[QToolButton] = []

    def show_answer(self, answer: Explained, object_name: str) -> None:
        """Show the voters of one pixel."""
        text = self.tr("Pixel %1 of frame %2: “%3” with %4 %. Its label comes from:")
        for number, value in enumerate(
            (f"{answer.x}, {answer.y}", str(answer.frame_index), object_name, f"{100 * answer.label:.0f}"), 1
        ):
            text = text.replace(f"%{number}", value, 1)
        self.headline.setText(text)
        for button in self.pictures:
            self._grid.removeWidget(button)
            button.deleteLater()
        self.pictures = [self._button(voter) for voter in answer.voters]
        for number, button in enumerate(self.pictures):
            self._grid.addWidget(button, number // COLUMNS, number % COLUMNS)

    def _button(self, voter: ShownVoter) -> QToolButton:
        rgb = voter.picture
        height, width = rgb.shape[:2]
        pixmap = QPixmap.fromImage(QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888))
        kind = self.tr("Keyframe") if voter.is_keyframe else self.tr("Frame")
        share = f"{100 * voter.share:.1f}" if voter.share < 0.995 else "100"
        caption = (
            self.tr("%1 %2: %3 % of the vote")
            .replace("%1", kind)
            .replace("%2", str(voter.frame_index))
            .replace("%3", share)
        )
        button = QToolButton()
        button.setAutoRaise(True)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setIcon(QIcon(pixmap))
        button.setIconSize(QSize(PICTURE_WIDTH, max(1, PICTURE_WIDTH * height // width)))
        button.setText(caption)
        button.setToolTip(
            self.tr("%1 % of what this frame says is for the object").replace("%1", f"{100 * voter.said:.0f}")
        )
        button.setAccessibleName(caption)
        button.clicked.connect(lambda: self.frame_chosen.emit(voter.frame_index))
        return button
