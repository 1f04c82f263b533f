"""Diagnostics and About: text to read and to copy."""

from __future__ import annotations

import sys
from pathlib import Path

from PyQt6.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, QProcess, Qt
from PyQt6.QtGui import QFontDatabase, QGuiApplication
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from app.i18n import translate
from app.icons import draw
from engine.version import VERSION

_ROOT = Path(__file__).resolve().parents[2]


def _copy_button(dialog: QDialog, text: QPlainTextEdit) -> QPushButton:
    button = QPushButton(translate("TextDialog", "&Copy"))
    button.setAccessibleName(translate("TextDialog", "Copy the text"))

    def copy() -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(text.toPlainText())

    button.clicked.connect(copy)
    return button


class DiagnosticsDialog(QDialog):
    """Shows what ``main.py doctor`` says. It runs in a process of its own and can neither slow nor crash the window."""

    def __init__(self, files: list[tuple[str, Path]], parent: QWidget | None = None) -> None:
        """`files`: (what it is, where it is), listed below the findings."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Diagnostics"))
        self.resize(820, 520)
        self._files = files
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setAccessibleName(self.tr("Findings"))
        self.text.setPlainText(self.tr("Looking at this machine…"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.copy_button = _copy_button(self, self.text)
        self.copy_button.setEnabled(False)
        buttons.addButton(self.copy_button, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 14, 14, 12)
        column.addWidget(self.text, 1)
        column.addWidget(buttons)
        self._process = QProcess(self)
        self._process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._process.setWorkingDirectory(str(_ROOT))
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_failed)
        self._process.start(sys.executable, ["-W", "ignore", str(_ROOT / "main.py"), "doctor"])

    def _on_finished(self) -> None:
        output = bytes(self._process.readAll().data()).decode(errors="replace").strip()
        self._show(output or self.tr("The doctor said nothing."))

    def _on_failed(self) -> None:
        self._show(self.tr("The doctor could not start: %1").replace("%1", self._process.errorString()))

    def _show(self, findings: str) -> None:
        places = "\n".join(f"{what}: {path}" for what, path in self._files)
        self.text.setPlainText(f"{findings}\n\n{places}\n")
        self.copy_button.setEnabled(True)

    def done(self, result: int) -> None:
        self._process.blockSignals(True)
        if self._process.state() != QProcess.ProcessState.NotRunning:
            self._process.kill()
            self._process.waitForFinished(2000)
        super().done(result)


class AboutDialog(QDialog):
    """Version, what it is, and the licences."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("About LiveMask"))
        self.resize(720, 520)
        logo = QLabel()
        logo.setPixmap(draw("livemask", "#ffffff", 56, self.devicePixelRatioF()))
        title = QLabel("LiveMask")
        title.setProperty("role", "title")
        version = QLabel(
            self.tr("Version %1, with Qt %2 and PyQt %3")
            .replace("%1", VERSION)
            .replace("%2", QT_VERSION_STR)
            .replace("%3", PYQT_VERSION_STR)
        )
        version.setProperty("role", "muted")
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(title)
        names.addWidget(version)
        head = QHBoxLayout()
        head.setSpacing(14)
        head.addWidget(logo)
        head.addLayout(names, 1)
        method = QLabel(
            self.tr(
                "Paint an object once, and the mask follows it through the video. The method: Y. Zhang, Z. Wu, H. Peng "
                "and S. Lin, “A Transductive Approach for Video Object Segmentation”, CVPR 2020."
            )
        )
        method.setWordWrap(True)
        self.licences = QTextBrowser()
        self.licences.setAccessibleName(self.tr("Licences"))
        self.licences.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.licences.setPlainText(licence_text())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 12)
        column.setSpacing(10)
        column.addLayout(head)
        column.addWidget(method)
        column.addWidget(self.licences, 1)
        column.addWidget(buttons)
        for label in (version, method):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)


def licence_text(root: Path = _ROOT) -> str:
    """Our licence and the notices of what we bring along, as they lie beside the program."""
    parts = []
    for name in ("LICENSE", "NOTICE"):
        file = root / name
        if file.is_file():
            parts.append(file.read_text(encoding="utf-8").strip())
    return "\n\n".join(parts)
