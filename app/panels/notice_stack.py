"""Notices: what went wrong or is worth knowing, and the way out. They float over the picture and never block it."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QPropertyAnimation, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QFrame, QGraphicsOpacityEffect, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.i18n import told
from app.icons import draw, make_icon
from app.panels.controls import Button
from app.theme import Theme
from engine.runtime.messages import Notice, Severity

MAX_SHOWN = 4
MAX_WIDTH = 620
_MARGIN = 10
_LIFE_MS = {Severity.INFO: 6_000, Severity.WARNING: 15_000}  # errors stay until they are dismissed
_FADE_MS = 400


class NoticeItem(QFrame):
    """One notice with its way out, copy and close. `closed` when it is done."""

    closed = pyqtSignal()

    def __init__(self, notice: Notice, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.notice = notice
        self.count = 1
        self.setObjectName("notice")
        self.setProperty("severity", notice.severity.value)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        kinds = {
            Severity.INFO: self.tr("Information"),
            Severity.WARNING: self.tr("Warning"),
            Severity.ERROR: self.tr("Error"),
        }
        self.setAccessibleName(f"{kinds[notice.severity]}: {told(notice.message)}")
        self.setAccessibleDescription(told(notice.way_out))

        self._icon = QLabel()
        self._icon.setFixedSize(22, 22)
        self._message = QLabel()
        self._message.setProperty("role", "heading")
        self._way_out = QLabel(notice.way_out)
        if not notice.way_out:  # to show it here, before it has a parent, would open a window that takes the keyboard
            self._way_out.hide()
        for label in (self._message, self._way_out):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._way_out.setText(told(notice.way_out))
        self._copy = Button(self.tr("Copy this notice"))
        self._copy.setToolTip(self.tr("Copy the text"))
        self._copy.clicked.connect(self._copy_text)
        self._close = Button(self.tr("Close this notice"))
        self._close.setToolTip(self.tr("Close"))
        self._close.clicked.connect(self.closed)
        for button in (self._copy, self._close):
            button.setIconSize(QSize(16, 16))

        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self._message)
        texts.addWidget(self._way_out)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 6, 8)
        row.setSpacing(8)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        row.addWidget(self._copy, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        self._life = QTimer(self)
        self._life.setSingleShot(True)
        self._life.timeout.connect(self._fade)
        self._show_message()
        self.apply_theme(theme)
        self.live_again()

    def apply_theme(self, theme: Theme) -> None:
        name = self.notice.severity.value
        self._icon.setPixmap(draw(name, getattr(theme, name), 20, self.devicePixelRatioF()))
        self._copy.setIcon(make_icon("copy", theme.muted, theme.disabled))
        self._close.setIcon(make_icon("close", theme.muted, theme.disabled))

    def repeat(self) -> None:
        """The same thing happened again: count it rather than fill the window."""
        self.count += 1
        self._show_message()
        self.live_again()

    def live_again(self) -> None:
        self.setGraphicsEffect(None)
        if life := _LIFE_MS.get(self.notice.severity):
            self._life.start(life)

    @property
    def text(self) -> str:
        return f"{told(self.notice.message)} {told(self.notice.way_out)}".strip()

    def _show_message(self) -> None:
        times = f"  (×{self.count})" if self.count > 1 else ""
        self._message.setText(told(self.notice.message) + times)

    def _copy_text(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.text)

    def _fade(self) -> None:
        if self.underMouse():  # somebody is reading it
            self._life.start(1_000)
            return
        effect = QGraphicsOpacityEffect(self)
        self.setGraphicsEffect(effect)
        animation = QPropertyAnimation(effect, b"opacity", self)
        animation.setDuration(_FADE_MS)
        animation.setStartValue(1.0)
        animation.setEndValue(0.0)
        animation.finished.connect(self.closed)
        animation.start(QPropertyAnimation.DeletionPolicy.DeleteWhenStopped)


class NoticeStack(QWidget):
    """The notices, newest first, at the top of the widget they float over."""

    def __init__(self, over: QWidget, theme: Theme) -> None:
        super().__init__(over)
        self._theme = theme
        self._items: list[NoticeItem] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        self._more = QLabel()
        self._more.setProperty("role", "key")
        self._more.hide()
        self._column.addWidget(self._more, 0, Qt.AlignmentFlag.AlignHCenter)
        over.installEventFilter(self)
        self.hide()

    @property
    def items(self) -> list[NoticeItem]:
        return list(self._items)

    def show_notice(self, notice: Notice) -> None:
        for item in self._items:
            if item.notice == notice:
                item.repeat()
                return
        item = NoticeItem(notice, self._theme, self)
        item.closed.connect(lambda: self._remove(item))
        self._items.insert(0, item)
        self._column.insertWidget(0, item)
        self._arrange()

    def apply_theme(self, theme: Theme) -> None:
        self._theme = theme
        for item in self._items:
            item.apply_theme(theme)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is not None and event.type() == QEvent.Type.Resize:
            self._arrange()
        return super().eventFilter(watched, event)

    def _remove(self, item: NoticeItem) -> None:
        if item in self._items:
            self._items.remove(item)
            self._column.removeWidget(item)
            item.hide()
            item.deleteLater()
            self._arrange()

    def _arrange(self) -> None:
        for position, item in enumerate(self._items):
            item.setVisible(position < MAX_SHOWN)
        hidden = len(self._items) - MAX_SHOWN
        self._more.setVisible(hidden > 0)
        self._more.setText(self.tr("and %n more", "", hidden) if hidden > 0 else "")
        self.setVisible(bool(self._items))
        over = self.parentWidget()
        if over is None or not self._items:
            return
        width = min(MAX_WIDTH, over.width() - 2 * _MARGIN)
        self._column.activate()
        height = self._column.heightForWidth(width) if self._column.hasHeightForWidth() else self.sizeHint().height()
        self.setGeometry((over.width() - width) // 2, _MARGIN, width, min(height, over.height() - 2 * _MARGIN))
        self.raise_()
