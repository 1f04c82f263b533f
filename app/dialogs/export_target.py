"""Where an export goes: a path that fits the format, typed or chosen."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.i18n import told
from engine.export.formats import FORMATS, ExportFormat


class TargetRow(QWidget):
    """A field and a button. Signals: changed()."""

    changed = pyqtSignal()

    def __init__(self, folder: Path, stem: str, parent: QWidget | None = None) -> None:
        """`folder`: where to suggest a place until the user names another; `stem`: of the suggested names."""
        super().__init__(parent)
        self._folder, self._stem = folder, stem
        self._format = next(iter(FORMATS.values()))
        self._suggested = ""
        self.label = QLabel()
        self.edit = QLineEdit()
        self.label.setBuddy(self.edit)
        self.browse = QPushButton(self.tr("C&hoose…"))
        self.browse.setAccessibleName(self.tr("Choose the target"))
        self.browse.setAutoDefault(False)  # Enter means Export
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.edit, 1)
        row.addWidget(self.browse)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.label)
        column.addLayout(row)
        self.edit.textChanged.connect(lambda _text: self.changed.emit())
        self.browse.clicked.connect(self._choose)

    def show_format(self, format_: ExportFormat) -> None:
        """Suggest a place for this format, in the folder that the user named last."""
        self._format = format_
        self.label.setText(self.tr("&Target folder") if format_.makes_folder else self.tr("&Target file"))
        self.edit.setAccessibleName(self.tr("Target folder") if format_.makes_folder else self.tr("Target file"))
        current = self.edit.text().strip()
        if current and current != self._suggested:
            self._folder = Path(current).expanduser().parent
        self._suggested = str(self._folder / f"{self._stem}{format_.tail}{format_.suffix}")
        self.edit.setText(self._suggested)

    @property
    def target(self) -> Path | None:
        """With the suffix of the format; None when nothing is named."""
        text = self.edit.text().strip()
        if not text:
            return None
        path = Path(text).expanduser()
        suffix = self._format.suffix
        return path if not suffix or path.suffix.lower() == suffix else path.with_name(path.name + suffix)

    def _choose(self) -> None:
        current = self.edit.text().strip()
        if self._format.makes_folder:
            chosen = QFileDialog.getExistingDirectory(self, self.tr("Target folder"), str(Path(current).parent))
            # Others may have put things there, so what is made gets a folder of its own.
            chosen = str(Path(chosen) / Path(current).name) if chosen and Path(current).name else chosen
        else:
            chosen, _ = QFileDialog.getSaveFileName(
                self,
                self.tr("Target file"),
                current,
                f"{told(self._format.title)} (*{self._format.suffix})",
                options=QFileDialog.Option.DontConfirmOverwrite,  # asked once, on Export
            )
        if chosen:
            self.edit.setText(chosen)


def is_occupied(target: Path) -> bool:
    """Whether something would be replaced."""
    return any(target.iterdir()) if target.is_dir() else target.exists()
