"""Choose a screen, and the part of it to track in, on a picture of what it shows now."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QPoint, QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.errors import SourceError
from engine.types import Rgb
from engine.video.screen import SMALLEST, Region, ScreenSpec, screen_count, screen_picture

PICTURE = QSize(720, 420)
_DIMMED = QColor(0, 0, 0, 130)
_EDGE = QColor(255, 200, 40)


class ScreenPicture(QWidget):
    """A picture of the screen; dragging marks a part of it.

    Signals:
        region_changed(): another part is marked, or none.
    """

    region_changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(PICTURE)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self._image = QImage()
        self._start: QPoint | None = None
        self.region: Region | None = None  # in pixels of the screen

    def show_screen(self, picture: Rgb) -> None:
        height, width = picture.shape[:2]
        self._image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
        self._mark(None)

    def _mark(self, region: Region | None) -> None:
        self.region = region
        self.region_changed.emit()
        self.update()

    @property
    def _shown(self) -> QRectF:
        """Where the picture lies in the widget."""
        if self._image.isNull():
            return QRectF()
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(QPoint(0, 0), size)
        place.moveCenter(self.rect().center())
        return QRectF(place)

    def to_screen(self, position: QPoint) -> QPoint:
        """The pixel of the screen below a point of the widget; the nearest one where there is none."""
        shown = self._shown
        x = (position.x() - shown.left()) * self._image.width() / max(shown.width(), 1)
        y = (position.y() - shown.top()) * self._image.height() / max(shown.height(), 1)
        return QPoint(min(max(round(x), 0), self._image.width()), min(max(round(y), 0), self._image.height()))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is not None and event.button() == Qt.MouseButton.LeftButton and not self._image.isNull():
            self._start = self.to_screen(event.position().toPoint())
            self._mark(None)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is not None and self._start is not None:
            one, other = self._start, self.to_screen(event.position().toPoint())
            left, top = min(one.x(), other.x()), min(one.y(), other.y())
            width, height = abs(one.x() - other.x()), abs(one.y() - other.y())
            large = min(width, height) >= SMALLEST
            self._mark(Region(left, top, width, height) if large else None)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        self._start = None

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        shown = self._shown
        painter.drawImage(shown, self._image)
        if self.region is not None and not self._image.isNull():
            scale = shown.width() / self._image.width()
            part = QRectF(
                shown.left() + self.region.left * scale,
                shown.top() + self.region.top * scale,
                self.region.width * scale,
                self.region.height * scale,
            )
            painter.setClipRect(shown)
            for outside in (
                QRectF(shown.left(), shown.top(), shown.width(), part.top() - shown.top()),
                QRectF(shown.left(), part.bottom(), shown.width(), shown.bottom() - part.bottom()),
                QRectF(shown.left(), part.top(), part.left() - shown.left(), part.height()),
                QRectF(part.right(), part.top(), shown.right() - part.right(), part.height()),
            ):
                painter.fillRect(outside, _DIMMED)
            painter.setPen(_EDGE)
            painter.drawRect(part)


class ScreenDialog(QDialog):
    """`uri` names the chosen part when accepted.

    Args:
        look, count: read a screen and the number of screens; replaced by tests.

    Raises:
        SourceError: no screen can be read.
    """

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        look: Callable[[int], Rgb] = screen_picture,
        count: Callable[[], int] = screen_count,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Open screen region"))
        self._look = look
        self.screens = QComboBox()
        self.screens.setAccessibleName(self.tr("Screen"))
        for number in range(count()):
            self.screens.addItem(self.tr("Screen %1").replace("%1", str(number)))
        self.screens.setVisible(self.screens.count() > 1)
        self.picture = ScreenPicture()
        self.picture.setAccessibleName(self.tr("Picture of the screen"))
        self.hint = QLabel()
        self.hint.setProperty("role", "muted")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(8)
        for widget in (self.screens, self.picture, self.hint, buttons):
            column.addWidget(widget, 1 if widget is self.picture else 0)
        self.picture.region_changed.connect(self._describe)
        self.screens.currentIndexChanged.connect(self._show_screen)
        self._show_screen()

    @property
    def uri(self) -> str:
        return str(ScreenSpec(max(self.screens.currentIndex(), 0), self.picture.region))

    def _show_screen(self) -> None:
        try:
            self.picture.show_screen(self._look(max(self.screens.currentIndex(), 0)))
        except SourceError:
            if not self.isVisible():
                raise
            self.reject()

    def _describe(self) -> None:
        region = self.picture.region
        if region is None:
            self.hint.setText(self.tr("The whole screen. Drag a rectangle to track in a part of it."))
        else:
            size = self.tr("%1 x %2 pixels").replace("%1", str(region.width)).replace("%2", str(region.height))
            self.hint.setText(size)
