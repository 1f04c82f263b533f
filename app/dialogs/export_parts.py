"""Two parts of the export dialog: the list of formats, and the strip that says how far it is and how it ended."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QFrame, QLabel, QListWidget, QListWidgetItem, QProgressBar, QVBoxLayout, QWidget

from app.i18n import told
from engine.export.formats import FORMATS, ExportFormat


class FormatList(QListWidget):
    """Every format under the heading of its family. Signals: chosen(), another format was chosen."""

    chosen = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Format"))
        self.setMinimumWidth(150)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        family = ""
        for format_ in FORMATS.values():
            if format_.family != family:
                family = format_.family
                heading = QListWidgetItem(told(family))
                heading.setFlags(Qt.ItemFlag.NoItemFlags)
                font = heading.font()
                font.setBold(True)
                heading.setFont(font)
                self.addItem(heading)
            entry = QListWidgetItem("  " + told(format_.title))
            entry.setData(Qt.ItemDataRole.UserRole, format_.key)
            entry.setData(Qt.ItemDataRole.AccessibleTextRole, f"{told(format_.title)}: {told(format_.summary)}")
            entry.setToolTip(told(format_.summary))
            self.addItem(entry)
        self.currentItemChanged.connect(lambda _new, _old: self.chosen.emit())

    @property
    def format(self) -> ExportFormat:
        item = self.currentItem()
        assert item is not None, "a format is chosen as soon as the dialog is made"
        return FORMATS[str(item.data(Qt.ItemDataRole.UserRole))]

    def choose(self, key: str) -> None:
        for row in range(self.count()):
            item = self.item(row)
            if item is not None and item.data(Qt.ItemDataRole.UserRole) == key:
                self.setCurrentItem(item)
                self.scrollToItem(item)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        if event is not None and event.key() == Qt.Key.Key_Home:  # the first row is a heading, which Qt stops at
            self.choose(next(iter(FORMATS)))
            return
        super().keyPressEvent(event)


class ProgressStrip(QWidget):
    """One sentence that stays in place (never a box that has to be clicked away), and a bar while something runs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.notice = QFrame()
        self.notice.setObjectName("notice")
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.bar = QProgressBar()
        self.bar.setAccessibleName(self.tr("Export progress"))
        told = QVBoxLayout(self.notice)
        told.setContentsMargins(10, 6, 10, 6)
        told.addWidget(self.status)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.notice)
        column.addWidget(self.bar)
        self.bar.hide()
        self.say("")

    def begin(self, text: str) -> None:
        self.bar.setRange(0, 0)
        self.bar.show()
        self.say(text)

    def advance(self, done: int, total: int | None) -> None:
        """`total` None: not known."""
        self.bar.setRange(0, total or 0)
        self.bar.setValue(done)
        text = self.tr("%1 of %2 frames") if total else self.tr("%1 frames")
        self.say(text.replace("%1", f"{done:,}").replace("%2", f"{total or 0:,}"))

    def end(self, text: str, severity: str) -> None:
        """`severity`: "info" or "error", as notices have it."""
        self.bar.hide()
        self.say(text, severity)

    def say(self, text: str, severity: str = "info") -> None:
        self.status.setText(text)
        self.status.setAccessibleName(text)
        self.notice.setVisible(bool(text))
        self.setVisible(bool(text) or not self.bar.isHidden())
        if self.notice.property("severity") != severity:
            self.notice.setProperty("severity", severity)
            style = self.notice.style()
            if style is not None:
                style.polish(self.notice)
