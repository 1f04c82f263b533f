"""What leaves the program: export, recording, and the question before unsaved masks are lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QWidget

from app.actions import Actions
from app.bridge import EngineBridge
from app.canvas.canvas import Canvas
from app.dialogs.export_dialog import ExportDialog, ExportStart
from app.i18n import translate
from app.settings import Settings
from app.state.palette import palette_array
from app.window.asking import ask
from engine.export.request import ExportObject
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
        marks: Callable[[], tuple[int | None, int | None]],
        save_project: Callable[[], bool],
        window: QWidget,
    ) -> None:
        """
        Args:
            marks: gives the in and out mark of the time line.
            save_project: asks for a name and saves; True when the work is kept there.
        """
        super().__init__(window)
        self._marks = marks
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
        """Show the export dialog beside the running window, which stays usable."""
        if self._dialog is None or not self._dialog.isVisible():
            if self._dialog is not None:
                self._dialog.deleteLater()
            self._dialog = self._make_dialog()
        if self._dialog is not None:
            self._dialog.show()
            self._dialog.activateWindow()

    def _make_dialog(self) -> ExportDialog | None:
        info = self._bridge.info
        if info is None or info.live:
            return None
        if not self._bridge.mask_kinds():
            text = self.tr("There are no masks to export yet.")
            self.notice.emit(Notice(Severity.INFO, text, self.tr("Paint an object and track it first.")))
            return None
        item = self._canvas.item
        objects = self._canvas.objects.items
        palette = palette_array()
        for known in objects:
            palette[known.id] = known.color
        start = ExportStart(
            opacity=self._canvas.overlay_opacity,
            palette=palette,
            objects=tuple(ExportObject(known.id, known.name) for known in objects),
            marks=self._marks(),
            item=None if item is None else replace(item, mask=self._canvas.displayed_mask),
        )
        return ExportDialog(self._bridge, info, self._settings, start, self._window)

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
        if self._bridge.live:
            return self._may_discard_painted(name)
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
            if self._dialog is not None and self._dialog.running:
                self.export()  # shows how far it is; close again when it is done
                return False
            dialog = self._make_dialog()
            if dialog is None:
                return False
            accepted = dialog.exec() == ExportDialog.DialogCode.Accepted
            dialog.deleteLater()
            return bool(accepted)
        return answer == 2

    def _may_discard_painted(self, name: str) -> bool:
        """The same for a live source, of which a project keeps the painted frames with their pictures."""
        answer = ask(
            self._window,
            translate("OutputController", "The painted frames are not saved"),
            translate("OutputController", "What you painted on {name} is in no project.").format(name=name),
            translate("OutputController", "A project keeps the frames you painted and their pictures."),
            [
                translate("OutputController", "&Save project…"),
                translate("OutputController", "&Discard"),
                translate("OutputController", "Cancel"),
            ],
        )
        return self._save_project() if answer == 0 else answer == 1

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
