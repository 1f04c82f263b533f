"""Export: what to write and where, then how far it is. One dialog from question to result."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.bridge import EngineBridge
from app.settings import Settings
from engine.runtime.messages import ExportProgress, ExportRequest
from engine.video.source import SourceInfo


class ExportDialog(QDialog):
    """Writes palette PNGs, an overlay video, or both. Accepted once an export has ended well."""

    def __init__(
        self, bridge: EngineBridge, info: SourceInfo, settings: Settings, opacity: float, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Export"))
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumWidth(520)
        self._bridge = bridge
        self._settings = settings
        self._opacity = opacity
        self._running = False
        folder = Path(settings.last_folder("export") or _home_of(info))
        stem = Path(info.name).stem or "video"

        self.png_check = QCheckBox(self.tr("&Masks as palette PNGs, one per frame (DAVIS names, 00000.png)"))
        self.png_check.setChecked(True)
        self.png_path = self._path_edit(str(folder / f"{stem}_masks"), self.tr("Folder for the masks"))
        self.video_check = QCheckBox(self.tr("&Video with the overlay (H.264 MP4)"))
        self.video_path = self._path_edit(str(folder / f"{stem}_overlay.mp4"), self.tr("Overlay video file"))
        self._png_browse = QPushButton(self.tr("Choose…"))
        self._png_browse.setAccessibleName(self.tr("Choose the folder for the masks"))
        self._png_browse.clicked.connect(self._choose_folder)
        self._video_browse = QPushButton(self.tr("Choose…"))
        self._video_browse.setAccessibleName(self.tr("Choose the overlay video file"))
        self._video_browse.clicked.connect(self._choose_video)
        for button in (self._png_browse, self._video_browse):
            button.setAutoDefault(False)  # Enter means Export
        self.progress = QProgressBar()
        self.progress.setAccessibleName(self.tr("Export progress"))
        self.progress.hide()
        self.status = QLabel(self.tr("Masks come at the full size of the video, for every frame that has one."))
        self.status.setWordWrap(True)
        self.status.setProperty("role", "muted")
        self.buttons = QDialogButtonBox()
        self.start_button = self._add_button(self.tr("&Export"), QDialogButtonBox.ButtonRole.ActionRole)
        self.start_button.setDefault(True)
        self.close_button = self._add_button(self.tr("Cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        self.start_button.clicked.connect(self.start)
        self.close_button.clicked.connect(self.reject)
        self._lay_out()
        for check in (self.png_check, self.video_check):
            check.toggled.connect(self._enable)
        bridge.export_progress.connect(self._on_progress)
        self._enable()

    def _add_button(self, text: str, role: QDialogButtonBox.ButtonRole) -> QPushButton:
        button = QPushButton(text)
        button.setAccessibleName(text.replace("&", ""))
        self.buttons.addButton(button, role)
        return button

    def _path_edit(self, text: str, name: str) -> QLineEdit:
        edit = QLineEdit(text)
        edit.setAccessibleName(name)
        edit.textChanged.connect(lambda: self._enable())
        return edit

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(8)
        rows = (
            (self.png_check, self.png_path, self._png_browse),
            (self.video_check, self.video_path, self._video_browse),
        )
        for number, (check, edit, button) in enumerate(rows):
            grid.addWidget(check, 2 * number, 0, 1, 2)
            grid.addWidget(edit, 2 * number + 1, 0)
            grid.addWidget(button, 2 * number + 1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(12)
        column.addLayout(grid)
        column.addWidget(self.status)
        column.addWidget(self.progress)
        column.addWidget(self.buttons)

    # -- the question ------------------------------------------------------------------------------------------
    def _enable(self) -> None:
        for check, edit, browse in (
            (self.png_check, self.png_path, self._png_browse),
            (self.video_check, self.video_path, self._video_browse),
        ):
            check.setEnabled(not self._running)
            edit.setEnabled(check.isChecked() and not self._running)
            browse.setEnabled(check.isChecked() and not self._running)
        self.start_button.setEnabled(not self._running and self._request(overwrite=False) is not None)

    def _request(self, overwrite: bool) -> ExportRequest | None:
        """What the fields ask for, None when that is nothing or incomplete."""
        out_dir = Path(self.png_path.text().strip()).expanduser() if self.png_check.isChecked() else None
        overlay = Path(self.video_path.text().strip()).expanduser() if self.video_check.isChecked() else None
        texts = [e.text().strip() for c, e in self._fields if c.isChecked()]
        if not texts or not all(texts):
            return None
        if overlay is not None and overlay.suffix.lower() != ".mp4":
            overlay = overlay.with_name(overlay.name + ".mp4")
        return ExportRequest(out_dir=out_dir, overlay=overlay, opacity=self._opacity, overwrite=overwrite)

    @property
    def _fields(self) -> tuple[tuple[QCheckBox, QLineEdit], ...]:
        return ((self.png_check, self.png_path), (self.video_check, self.video_path))

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder for the masks"), self.png_path.text())
        if folder:
            self.png_path.setText(folder)

    def _choose_video(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self,
            self.tr("Overlay video"),
            self.video_path.text(),
            self.tr("MP4 video (*.mp4)"),
            options=QFileDialog.Option.DontConfirmOverwrite,  # asked once, for everything, on Export
        )
        if path:
            self.video_path.setText(path)

    # -- the work ----------------------------------------------------------------------------------------------
    def start(self) -> None:
        request = self._request(overwrite=False)
        if request is None:
            return
        existing = _existing(request)
        if existing:
            if not self._may_overwrite(existing):
                return
            request = self._request(overwrite=True)
            assert request is not None
        target = request.out_dir or request.overlay
        assert target is not None
        self._settings.set_last_folder("export", target.parent)
        self._running = True
        self._enable()
        self.progress.setRange(0, 0)
        self.progress.show()
        self.close_button.setText(self.tr("Stop"))
        self._say(self.tr("Writing…"))
        self._bridge.export(request)

    def _may_overwrite(self, existing: list[Path]) -> bool:
        names = "\n".join(str(path) for path in existing)
        box = QMessageBox(
            QMessageBox.Icon.Warning,
            self.tr("Replace files?"),
            self.tr("There are files already:") + f"\n{names}",
            parent=self,
        )
        replace = box.addButton(self.tr("Replace"), QMessageBox.ButtonRole.DestructiveRole)
        keep = box.addButton(self.tr("Keep them"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.exec()
        return box.clickedButton() is replace

    def _on_progress(self, progress: ExportProgress) -> None:
        if not self._running:
            return
        self.progress.setRange(0, progress.total or 0)
        self.progress.setValue(progress.done)
        if not progress.finished:
            self._say(progress.text or self.tr("%1 frames written").replace("%1", f"{progress.done:,}"))
            return
        self._running = False
        self.progress.hide()
        if progress.ok:
            self.accept()
            return
        self._say(progress.text or self.tr("The export was stopped. Files written so far are complete."))
        self.close_button.setText(self.tr("Cancel"))
        self._enable()

    def _say(self, text: str) -> None:
        self.status.setText(text)

    def reject(self) -> None:
        """While it runs: stop the export and stay; else close."""
        if self._running:
            self._bridge.cancel_export()
            self._say(self.tr("Stopping…"))
            return
        super().reject()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        if self._running and event is not None:
            event.ignore()
            self.reject()
            return
        super().closeEvent(event)


def _home_of(info: SourceInfo) -> Path:
    """Beside the video when that is a place one can write to."""
    folder = Path(info.uri).parent
    return folder if folder.is_dir() else Path.home()


def _existing(request: ExportRequest) -> list[Path]:
    """Targets that are there already (of a folder: one that has PNGs in it)."""
    found = []
    if request.out_dir is not None and request.out_dir.is_dir() and any(request.out_dir.glob("*.png")):
        found.append(request.out_dir)
    if request.overlay is not None and request.overlay.exists():
        found.append(request.overlay)
    return found
