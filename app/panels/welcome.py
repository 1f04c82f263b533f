"""What an empty window says: how to get a picture in, and the three steps to a track."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from app.icons import draw, make_icon
from app.theme import Theme

_MAX_RECENT = 3
_MAX_NAME = 30


def short_name(uri: str) -> str:
    """The part of a source's address people know it by."""
    name = uri if "://" in uri or uri.startswith(("camera:", "screen:")) else Path(uri).name or uri
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME // 2]}…{name[-_MAX_NAME // 2 :]}"


class DropZone(QFrame):
    """A dashed frame around the ways to open something."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._color = QColor("#808080")

    def set_color(self, color: str) -> None:
        self._color = QColor(color)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._color, 1.5, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 8, 8)


class Welcome(QWidget):
    """Signals: open_file(), open_demo(), open_recent(uri)."""

    open_file = pyqtSignal()
    open_demo = pyqtSignal()
    open_recent = pyqtSignal(str)

    def __init__(self, camera_menu: QMenu, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("welcome")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        card = QFrame()
        card.setObjectName("welcomeCard")
        card.setMaximumWidth(620)
        column = QVBoxLayout(card)
        column.setContentsMargins(28, 20, 28, 18)
        column.setSpacing(12)
        column.addLayout(self._heading())
        column.addWidget(self._drop_zone(camera_menu))
        column.addLayout(self._steps())
        inputs = self._muted(
            self.tr("Opens MP4, MOV, MKV, AVI, WebM, folders of pictures, cameras, RTSP and HTTP streams.")
        )
        inputs.setWordWrap(True)
        column.addWidget(inputs)
        self._recent = QHBoxLayout()
        self._recent.setSpacing(8)
        column.addLayout(self._recent)
        outer = QGridLayout(self)
        outer.setContentsMargins(16, 10, 16, 10)
        outer.addWidget(card, 1, 1)
        for side in (0, 2):
            outer.setRowStretch(side, 1)
            outer.setColumnStretch(side, 1)
        outer.setColumnStretch(1, 1000)

    def _muted(self, text: str) -> QLabel:
        label = QLabel(text)
        label.setProperty("role", "muted")
        return label

    def _heading(self) -> QHBoxLayout:
        self._logo = QLabel()
        title = QLabel("LiveMask")
        title.setProperty("role", "title")
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(title)
        texts.addWidget(self._muted(self.tr("Paint an object once, and the mask follows it through the video.")))
        row = QHBoxLayout()
        row.setSpacing(14)
        row.addWidget(self._logo)
        row.addLayout(texts, 1)
        return row

    def _drop_zone(self, camera_menu: QMenu) -> DropZone:
        self._zone = DropZone()
        self._drop_icon = QLabel()
        drop = QLabel(self.tr("Drop a video, a folder or a picture here, or"))
        self.file_button = QPushButton(self.tr("Open video…"))
        self.file_button.setProperty("primary", True)
        self.file_button.clicked.connect(lambda: self.open_file.emit())
        self.camera_button = QPushButton(self.tr("Open camera"))
        self.camera_button.setMenu(camera_menu)
        self.demo_button = QPushButton(self.tr("Try the demo"))
        self.demo_button.clicked.connect(lambda: self.open_demo.emit())
        top = QHBoxLayout()
        top.addStretch(1)
        top.addWidget(self._drop_icon)
        top.addWidget(drop)
        top.addStretch(1)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.file_button, self.camera_button, self.demo_button):
            button.setAccessibleName(button.text().rstrip("…"))
            button.setAutoDefault(False)
            button.setIconSize(QSize(18, 18))
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout(self._zone)
        column.setContentsMargins(12, 16, 12, 18)
        column.setSpacing(12)
        column.addLayout(top)
        column.addLayout(buttons)
        return self._zone

    def _steps(self) -> QGridLayout:
        steps = (
            (self.tr("Open"), self.tr("a video, or freeze a live picture with Space")),
            (self.tr("Paint"), self.tr("the object roughly with the brush; N adds another object")),
            (self.tr("Press Space"), self.tr("to track. Paint again wherever the mask is wrong")),
        )
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        for row, (title, text) in enumerate(steps):
            number = QLabel(str(row + 1))
            number.setProperty("role", "step")
            number.setAlignment(Qt.AlignmentFlag.AlignCenter)
            heading = QLabel(title)
            heading.setProperty("role", "heading")
            grid.addWidget(number, row, 0)
            grid.addWidget(heading, row, 1)
            grid.addWidget(self._muted(text), row, 2)
        grid.setColumnStretch(2, 1)
        return grid

    def set_recent(self, uris: list[str]) -> None:
        """Offer the newest of these sources as links."""
        while (entry := self._recent.takeAt(0)) is not None:
            if (widget := entry.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        if uris:
            self._recent.addWidget(self._muted(self.tr("Recent")))
        for uri in uris[:_MAX_RECENT]:
            link = QPushButton(short_name(uri))
            link.setObjectName("recentLink")
            link.setCursor(Qt.CursorShape.PointingHandCursor)
            link.setToolTip(uri)
            link.setAccessibleName(self.tr("Open %1 again").replace("%1", uri))
            link.clicked.connect(partial(self.open_recent.emit, uri))
            self._recent.addWidget(link)
        self._recent.addStretch(1)

    def apply_theme(self, theme: Theme) -> None:
        ratio = self.devicePixelRatioF()
        self._logo.setPixmap(draw("livemask", theme.text, 48, ratio))
        self._drop_icon.setPixmap(draw("drop", theme.muted, 22, ratio))
        self._zone.set_color(theme.strong_border)
        self.file_button.setIcon(make_icon("open", theme.on_accent, theme.disabled))
        self.camera_button.setIcon(make_icon("camera", theme.text, theme.disabled))
        self.demo_button.setIcon(make_icon("demo", theme.text, theme.disabled))
