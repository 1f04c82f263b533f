"""One frame as the export will make it: the picture on a checkerboard where it is transparent, and the text of data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontDatabase, QImage, QPainter, QPaintEvent, QPalette
from PyQt6.QtWidgets import QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

_SQUARE = 8  # pixels of a checkerboard field
_LIGHT, _DARK = QColor(204, 204, 204), QColor(153, 153, 153)


def to_image(picture: NDArray[np.uint8]) -> QImage:
    """A QImage that owns its pixels, of H x W x 3 RGB or H x W x 4 RGBA with straight alpha."""
    height, width, channels = picture.shape
    kind = QImage.Format.Format_RGBA8888 if channels == 4 else QImage.Format.Format_RGB888
    data = np.ascontiguousarray(picture)
    return QImage(data.tobytes(), width, height, channels * width, kind).copy()


class PictureView(QWidget):
    """Shows a picture as large as it goes, never enlarged more than fourfold."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._note = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 96)
        self.setAccessibleName(self.tr("Preview of one frame"))

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(320, 160)

    def show_picture(self, image: QImage | None, note: str = "") -> None:
        """`note` stands in place of a picture that there is not, and is what a screen reader says."""
        self._image, self._note = image, note
        self.setAccessibleDescription(note)
        self.update()

    @property
    def image(self) -> QImage | None:
        return self._image

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.Shadow))
        if self._image is None:
            painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
            box = self.rect().adjusted(12, 12, -12, -12)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), self._note)
            painter.end()
            return
        scale = min(self.width() / self._image.width(), self.height() / self._image.height(), 4.0)
        width, height = round(self._image.width() * scale), round(self._image.height() * scale)
        place = QRectF((self.width() - width) // 2, (self.height() - height) // 2, width, height)
        if self._image.hasAlphaChannel():
            self._paint_checkerboard(painter, place)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, scale < 2)
        painter.drawImage(place, self._image)
        painter.end()

    @staticmethod
    def _paint_checkerboard(painter: QPainter, place: QRectF) -> None:
        painter.save()
        painter.setClipRect(place)
        painter.fillRect(place, _LIGHT)
        left, top = int(place.left()), int(place.top())
        for row, y in enumerate(range(top, int(place.bottom()) + 1, _SQUARE)):
            for x in range(left + _SQUARE * (row % 2), int(place.right()) + 1, 2 * _SQUARE):
                painter.fillRect(x, y, _SQUARE, _SQUARE, _DARK)
        painter.restore()


class ExportPreview(QWidget):
    """The picture, and below it the text of data files."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture = PictureView()
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName(self.tr("Beginning of the file with this frame in it"))
        self.text.setFixedHeight(84)
        self.text.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.picture, 1)
        column.addWidget(self.text)

    def show_frame(self, picture: NDArray[np.uint8], text: str, note: str) -> None:
        self.picture.show_picture(to_image(picture), note)
        self.text.setVisible(bool(text))
        if text != self.text.toPlainText():
            self.text.setPlainText(text)

    def show_nothing(self, note: str) -> None:
        self.picture.show_picture(None, note)
        self.text.hide()
