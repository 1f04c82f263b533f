"""Work that an unexpected end left behind, to go on with or to delete."""

from __future__ import annotations

from PyQt6.QtCore import QDateTime, QLocale, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.window.asking import ask
from engine.project.recovery import Leftover


class RecoveryDialog(QDialog):
    """Signals: recover(Leftover), discard(Leftover)."""

    recover = pyqtSignal(object)
    discard = pyqtSignal(object)

    def __init__(self, leftovers: tuple[Leftover, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Recover unsaved work"))
        self.setMinimumWidth(520)
        heading = QLabel(self.tr("LiveMask ended before this work was closed."))
        heading.setProperty("role", "heading")
        detail = QLabel(self.tr("Everything up to the last stroke was kept. Choose what to go on with."))
        detail.setProperty("role", "muted")
        detail.setWordWrap(True)
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Work that was not closed"))
        self.list.setMinimumHeight(120)
        self.list.setSpacing(3)
        for leftover in leftovers:
            item = QListWidgetItem(self._text(leftover))
            item.setData(Qt.ItemDataRole.UserRole, leftover)
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.list.itemActivated.connect(lambda _item: self._recover())
        self.recover_button = QPushButton(self.tr("&Recover"))
        self.recover_button.setProperty("primary", True)
        self.recover_button.setDefault(True)
        self.discard_button = QPushButton(self.tr("&Delete…"))
        self.later_button = QPushButton(self.tr("&Not now"))
        self.recover_button.clicked.connect(lambda: self._recover())
        self.discard_button.clicked.connect(lambda: self._discard())
        self.later_button.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addWidget(self.discard_button)
        buttons.addStretch(1)
        for button in (self.later_button, self.recover_button):
            buttons.addWidget(button)
        for button in (self.discard_button, self.later_button, self.recover_button):
            button.setAccessibleName(button.text().replace("&", "").rstrip("…"))
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(10)
        column.addWidget(heading)
        column.addWidget(detail)
        column.addWidget(self.list, 1)
        column.addLayout(buttons)
        self.list.currentRowChanged.connect(self._show_choice)
        self._show_choice()

    def _text(self, leftover: Leftover) -> str:
        name = f"{leftover.path.name} ({leftover.name})" if leftover.named else leftover.name
        when = QLocale().toString(QDateTime.fromSecsSinceEpoch(int(leftover.saved_at)), QLocale.FormatType.ShortFormat)
        painted = self.tr("%1 painted, %2 tracked").replace("%1", str(leftover.keyframes))
        return f"{name}\n{when}, {painted.replace('%2', str(leftover.tracked))}"

    @property
    def _chosen(self) -> Leftover | None:
        item = self.list.currentItem()
        return item.data(Qt.ItemDataRole.UserRole) if item is not None else None

    def _show_choice(self) -> None:
        chosen = self._chosen
        named = chosen is not None and chosen.named
        self.discard_button.setText(self.tr("&Leave it") if named else self.tr("&Delete…"))
        self.discard_button.setToolTip(self.tr("The project stays; it is not offered again") if named else "")

    def _recover(self) -> None:
        if (chosen := self._chosen) is not None:
            self.accept()
            self.recover.emit(chosen)

    def _discard(self) -> None:
        chosen = self._chosen
        if chosen is None or not (chosen.named or self._sure(chosen)):
            return
        self.list.takeItem(self.list.currentRow())
        self.discard.emit(chosen)
        if not self.list.count():
            self.reject()

    def _sure(self, leftover: Leftover) -> bool:
        answer = ask(
            self,
            self.tr("Delete work"),
            self.tr("Delete the work on %1?").replace("%1", leftover.name),
            self.tr("This cannot be undone."),
            [self.tr("&Delete"), self.tr("Cancel")],
            default=1,
        )
        return answer == 0
