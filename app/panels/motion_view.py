"""A small window that shows how things move, in the colours of optical flow."""

from __future__ import annotations

from PyQt6.QtCore import QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.runtime.messages import MotionRead


class _Picture(QWidget):
    """An image fitted into the widget, aspect kept."""

    def __init__(self) -> None:
        super().__init__()
        self.image = QImage()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, 270)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        if self.image.isNull():
            return
        size = self.image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        left, top = (self.width() - size.width()) // 2, (self.height() - size.height()) // 2
        painter.drawImage(QRect(left, top, size.width(), size.height()), self.image)
        painter.end()


class MotionView(QWidget):
    """Signals: closed(), the user closed it."""

    closed = pyqtSignal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Dialog)
        self.setWindowTitle(self.tr("Motion"))
        self.picture = _Picture()
        self.picture.setAccessibleName(self.tr("Motion from the frame before, hue by direction"))
        self.caption = QLabel(
            self.tr("Play, track or step to see motion. Where nothing can be told apart it shows none.")
        )
        self.caption.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.addWidget(self.picture, 1)
        column.addWidget(self.caption)

    def show_motion(self, motion: MotionRead) -> None:
        """Show the motion that led to a frame."""
        rgb = motion.picture
        if rgb is None:
            return
        height, width = rgb.shape[:2]
        # A copy: the array may go before the next paint event.
        self.picture.image = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
        self.picture.update()
        text = self.tr("Frame %1: moves by %2 pixels on average, certainty %3 %")
        for number, value in enumerate(
            (str(motion.frame_index), f"{motion.pixels:.1f}", f"{100 * motion.certainty:.0f}"), 1
        ):
            text = text.replace(f"%{number}", value, 1)
        self.caption.setText(text)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        super().closeEvent(event)
        self.closed.emit()
