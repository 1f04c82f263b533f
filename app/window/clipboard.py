"""What the clipboard holds that can be a mask."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QBuffer, QIODevice
from PyQt6.QtGui import QGuiApplication, QImage


def picture() -> Path | bytes | None:
    """A copied image file, else the bytes of a PNG of the picture there (palette and alpha kept), else None."""
    board = QGuiApplication.clipboard()
    data = None if board is None else board.mimeData()
    if data is None:
        return None
    if data.hasUrls():
        for url in data.urls():
            if url.isLocalFile():
                return Path(url.toLocalFile())
    if data.hasFormat("image/png"):  # as it was copied: Qt would make colours of a palette
        return bytes(data.data("image/png").data())
    image = data.imageData() if data.hasImage() else None
    if not isinstance(image, QImage) or image.isNull():
        return None
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(buffer.data().data())
