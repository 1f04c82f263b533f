"""Ask for the address of a stream."""

from __future__ import annotations

from PyQt6.QtCore import QUrl
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QLineEdit, QVBoxLayout, QWidget

STREAM_SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "srt")


def is_stream_url(text: str) -> bool:
    """True for an address a stream can be opened from."""
    url = QUrl(text.strip(), QUrl.ParsingMode.StrictMode)
    return url.isValid() and url.scheme().lower() in STREAM_SCHEMES and bool(url.host() or url.port() > 0)


class StreamDialog(QDialog):
    """`url` holds the address when accepted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Open stream"))
        self.setMinimumWidth(460)
        label = QLabel(self.tr("&Address of the stream"))
        self.edit = QLineEdit()
        self.edit.setAccessibleName(self.tr("Address of the stream"))
        self.edit.setPlaceholderText("rtsp://camera.example:554/stream")
        label.setBuddy(self.edit)
        self.hint = QLabel(
            self.tr("RTSP, RTMP, SRT, UDP or HTTP. User and password go before the host: rtsp://user:password@host/…")
        )
        self.hint.setProperty("role", "muted")
        self.hint.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
        self.open_button = buttons.button(QDialogButtonBox.StandardButton.Open)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(8)
        for widget in (label, self.edit, self.hint, buttons):
            column.addWidget(widget)
        self.edit.textChanged.connect(self._check)
        clipboard = QGuiApplication.clipboard()
        text = clipboard.text().strip() if clipboard is not None else ""
        self.edit.setText(text if is_stream_url(text) else "")
        self._check()

    @property
    def url(self) -> str:
        return self.edit.text().strip()

    def _check(self) -> None:
        if self.open_button is not None:
            self.open_button.setEnabled(is_stream_url(self.edit.text()))
