"""What leaves the program: export, recording, and the question before unsaved masks are lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QWidget

from app.actions import Actions
from app.bridge import EngineBridge
from app.canvas.canvas import Canvas
from app.dialogs.export_dialog import ExportDialog
from app.settings import Settings
from app.window.asking import ask
from engine.runtime.messages import ExportProgress, Notice, Severity


class OutputController(QObject):
    """Signals: notice(Notice)."""

    notice = pyqtSignal(object)

    def __init__(
        self,
        bridge: EngineBridge,
        actions: Actions,
        settings: Settings,
        canvas: Canvas,
        window: QWidget,
        save_project: Callable[[], bool],
    ) -> None:
        """`save_project` asks for a name and saves; True when the work is kept there."""
        super().__init__(window)
        self._save_project = save_project
        self._bridge = bridge
        self._actions = actions
        self._settings = settings
        self._canvas = canvas
        self._window = window
        self._dialog: ExportDialog | None = None
        self._folder: Path | None = None
        actions.on("export", self.export)
        actions.on_switch("record", self.record)
        bridge.export_progress.connect(self._on_export)
        bridge.source_opened.connect(lambda _info: self._enable())
        bridge.source_closed.connect(self._enable)
        bridge.masks_changed.connect(lambda _first, _last: self._enable())
        bridge.project_changed.connect(lambda _project: self._enable())
        self._enable()

    def _enable(self) -> None:
        can = self._bridge.info is not None and not self._bridge.live
        self._actions["export"].setEnabled(can)
        self._window.setWindowModified(self._bridge.unsaved)

    # -- export ------------------------------------------------------------------------------------------------
    def export(self) -> None:
        """Show the export dialog beside the running window."""
        dialog = self._make_dialog()
        if dialog is not None:
            dialog.open()

    def _make_dialog(self) -> ExportDialog | None:
        info = self._bridge.info
        if info is None or info.live:
            return None
        if not self._bridge.mask_kinds():
            text = self.tr("There are no masks to export yet.")
            self.notice.emit(Notice(Severity.INFO, text, self.tr("Paint an object and track it first.")))
            return None
        self._dialog = ExportDialog(self._bridge, info, self._settings, self._canvas.overlay_opacity, self._window)
        return self._dialog

    def _on_export(self, progress: ExportProgress) -> None:
        if progress.finished and progress.ok:
            text = progress.text or self.tr("%n frames exported.", "", progress.done)
            self.notice.emit(Notice(Severity.INFO, text))
        self._enable()

    def may_discard(self) -> bool:
        """True when the present source may go: nothing is lost, the user says so, or has just saved or exported it."""
        if not self._bridge.unsaved:
            return True
        info = self._bridge.info
        name = info.name if info is not None else ""
        answer = ask(
            self._window,
            self.tr("The work is not saved"),
            self.tr("The work on %1 is in no project, and its masks are not exported.").replace("%1", name),
            self.tr("It is lost when it is closed."),
            [self.tr("&Save project…"), self.tr("&Export…"), self.tr("&Discard"), self.tr("Cancel")],
        )
        if answer == 0:
            return self._save_project()
        if answer == 1:
            dialog = self._make_dialog()
            return dialog is not None and dialog.exec() == ExportDialog.DialogCode.Accepted
        return answer == 2

    # -- recording ---------------------------------------------------------------------------------------------
    def record(self, wanted: bool) -> None:
        """Begin a recording in a new folder of the one the user chooses, or end it."""
        if not wanted:
            self._bridge.stop_recording()
            if self._folder is not None:
                text = self.tr("Recorded to %1.").replace("%1", str(self._folder))
                self.notice.emit(Notice(Severity.INFO, text))
            return
        parent = QFileDialog.getExistingDirectory(
            self._window, self.tr("Record into a folder"), self._settings.last_folder("record")
        )
        self._actions["record"].setChecked(bool(parent))
        if parent:
            self._settings.set_last_folder("record", parent)
            # A folder of its own each time: a recording never mixes with or replaces an earlier one.
            self._folder = Path(parent) / datetime.now().strftime("livemask-%Y%m%d-%H%M%S")
            self._bridge.start_recording(self._folder)
