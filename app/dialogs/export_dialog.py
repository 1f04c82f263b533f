"""Export: which format, how, what of the video and where to; then how far it is. One window from question to result."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QSize, Qt, QTimer
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.bridge import EngineBridge
from app.dialogs.export_options import ObjectChooser, OptionForm, RangeChooser
from app.dialogs.export_parts import FormatList, ProgressStrip
from app.dialogs.export_preview import ExportPreview
from app.dialogs.export_target import TargetRow, is_occupied
from app.i18n import told
from app.settings import Settings
from engine.export.request import ExportObject, ExportRequest, Value
from engine.runtime.messages import DisplayItem, ExportProgress
from engine.video.source import SourceInfo, SourceKind

_PREVIEW_MS = 60
_PREVIEW_SHARE = 0.2  # of the GUI thread, at most, while frames run by


@dataclass(frozen=True, eq=False)
class ExportStart:
    """What the window knows when the dialog opens.

    Attributes:
        opacity: 0..1 of the overlay on screen.
        palette: 256 x 3 uint8 colours of the objects.
        marks: in and out mark, None where there is none.
        item: the frame on screen.
    """

    opacity: float = 0.5
    palette: NDArray[np.uint8] | None = None
    objects: tuple[ExportObject, ...] = ()
    marks: tuple[int | None, int | None] = (None, None)
    item: DisplayItem | None = field(default=None)


class ExportDialog(QDialog):
    """Beside the window, which stays usable. Accepted once an export has ended well."""

    def __init__(
        self,
        bridge: EngineBridge,
        info: SourceInfo,
        settings: Settings,
        start: ExportStart,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Export"))
        self.setMinimumSize(QSize(460, 340))
        self._bridge, self._info, self._settings, self._start = bridge, info, settings, start
        self._running = False
        self._unfinished: Path | None = None  # a target beside which finished parts wait
        opacity = round(100 * start.opacity)
        self._values: dict[str, dict[str, Value]] = {"overlay": {"opacity": opacity}, "gif": {"opacity": opacity}}
        self._item = start.item
        self._make_parts()
        self._lay_out()
        self._preview_timer = QTimer(self)
        self._preview_timer.setSingleShot(True)
        self._preview_timer.setInterval(_PREVIEW_MS)
        self._preview_timer.timeout.connect(self._show_preview)
        self._connect()
        self.formats.choose(settings.export_format)
        self._fit_to_screen()

    # -- parts -------------------------------------------------------------------------------------------------
    def _make_parts(self) -> None:
        self.formats = FormatList()
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.preview = ExportPreview()
        self.options = OptionForm()
        self.range = RangeChooser(self._info.frame_count, self._start.marks)
        self.objects = ObjectChooser(self._start.objects)
        folder = self._settings.last_folder("export") or _home_of(self._info)
        self.where = TargetRow(Path(folder), Path(self._info.name).stem or "video")
        self.strip = ProgressStrip()
        self.buttons = QDialogButtonBox()
        self.start_button = QPushButton(self.tr("&Export"))
        self.start_button.setDefault(True)
        self.buttons.addButton(self.start_button, QDialogButtonBox.ButtonRole.ActionRole)
        self.close_button = QPushButton(self.tr("Cancel"))
        self.close_button.setAutoDefault(False)
        self.buttons.addButton(self.close_button, QDialogButtonBox.ButtonRole.RejectRole)

    def _lay_out(self) -> None:
        self._form = form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        frames = QLabel(self.tr("&Frames"))
        frames.setBuddy(self.range.which)
        form.addRow(frames, self.range)
        form.addRow(self.tr("&Objects"), self.objects)
        form.setRowVisible(self.objects, len(self._start.objects) > 1)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(2, 2, 8, 2)
        column.setSpacing(8)
        column.addWidget(self.summary)
        column.addWidget(self.preview, 1)
        column.addWidget(self.options)
        column.addLayout(form)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(inside)
        upper = QHBoxLayout()
        upper.setSpacing(12)
        upper.addWidget(self.formats, 2)
        upper.addWidget(self._area, 5)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(14, 12, 14, 12)
        whole.setSpacing(8)
        whole.addLayout(upper, 1)
        whole.addWidget(self.where)
        whole.addWidget(self.strip)
        whole.addWidget(self.buttons)

    def _connect(self) -> None:
        self.formats.chosen.connect(self._on_format)
        self.options.changed.connect(self._on_changed)
        self.range.changed.connect(self._on_changed)
        self.objects.changed.connect(self._on_changed)
        self.where.changed.connect(self._on_changed)
        self.start_button.clicked.connect(self.start)
        self.close_button.clicked.connect(self.reject)
        self._bridge.export_progress.connect(self._on_progress)
        self._bridge.item_ready.connect(self._on_item)
        self._bridge.source_opened.connect(self._on_source_gone)
        self._bridge.source_closed.connect(self._on_source_gone)

    def _fit_to_screen(self) -> None:
        screen = self.screen()
        room = screen.availableSize() if screen is not None else QSize(1280, 800)
        self.resize(min(860, room.width() - 20), min(680, room.height() - 60))

    @property
    def running(self) -> bool:
        """True while an export of this dialog is being written."""
        return self._running

    # -- the question ------------------------------------------------------------------------------------------
    def _on_format(self) -> None:
        format_ = self.formats.format
        self.summary.setText(told(format_.summary))
        self.options.show_format(format_, self._values.get(format_.key, {}), self._pointless)
        order = [self.formats, *self.options.fields.values(), self.range.which]
        for before, after in pairwise(order):
            QWidget.setTabOrder(before, after)
        self.where.show_format(format_)
        if format_.needs_range and self.range.frames == (None, None):
            self.range.choose(RangeChooser.MARKS)
        self._on_changed()

    @property
    def _pointless(self) -> frozenset[str]:
        """Options that would change nothing for this source."""
        odd = self._info.width % 2 or self._info.height % 2
        silent = self._info.kind is not SourceKind.FILE
        return frozenset((() if odd else ("even",)) + (("audio",) if silent else ()))

    def _on_changed(self) -> None:
        if not self._running:
            self._values[self.formats.format.key] = self.options.values()
            if self._unfinished is None:
                self.start_button.setText(self.tr("&Export"))
        self._enable()
        if not self._preview_timer.isActive():
            self._preview_timer.start()

    def _enable(self) -> None:
        for part in (self.formats, self.options, self.range, self.objects, self.where):
            part.setEnabled(not self._running)
        self.start_button.setEnabled(not self._running and self._request() is not None)

    def _request(self, overwrite: bool = False) -> ExportRequest | None:
        """What the fields ask for, None when they are incomplete."""
        target = self.where.target
        if target is None or not self.range.valid or self.objects.chosen == frozenset():
            return None
        first, last = self.range.frames
        return ExportRequest(
            self.formats.format.key,
            target,
            self.options.values(),
            first,
            last,
            self.objects.chosen,
            self._start.objects,
            overwrite,
            self._start.palette,
        )

    # -- the preview -------------------------------------------------------------------------------------------
    def _on_item(self, item: DisplayItem) -> None:
        self._item = item
        if self.isVisible() and not self._preview_timer.isActive():
            self._preview_timer.start()

    def _show_preview(self) -> None:
        from engine.export.preview import preview_picture, preview_text

        request, item = self._request(), self._item
        if item is None or item.frame is None:
            self.preview.show_nothing(self.tr("No frame is shown yet."))
            return
        if request is None:
            return
        began = time.monotonic()
        picture = preview_picture(request, item.frame, item.mask)
        text = preview_text(request, self._info, item.frame, item.mask, item.confidence)
        height, width = picture.shape[:2]
        note = self.tr("Frame %1, %2 x %3 pixels").replace("%1", str(item.frame.index))
        self.preview.show_frame(picture, text, note.replace("%2", str(width)).replace("%3", str(height)))
        cost_ms = 1000 * (time.monotonic() - began)
        self._preview_timer.setInterval(max(_PREVIEW_MS, round(cost_ms / _PREVIEW_SHARE)))

    # -- the work ----------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Ask where something would be replaced, then write."""
        request = self._request()
        if request is None or self._running:
            return
        if is_occupied(request.target):
            if not self._may_overwrite(request.target):
                return
            request = self._request(overwrite=True)
            assert request is not None
        if self._unfinished is not None and self._unfinished != request.target:
            self._discard()
        self._unfinished = request.target
        self._settings.set_last_folder("export", request.target.parent)
        self._settings.export_format = request.format
        self._running = True
        self._enable()
        self.strip.begin(self.tr("Writing…"))
        self.close_button.setText(self.tr("Stop"))
        self.close_button.setFocus()
        self._bridge.export(request)

    def _may_overwrite(self, target: Path) -> bool:
        text = self.tr("There are files already:") if target.is_dir() else self.tr("There is a file already:")
        box = QMessageBox(QMessageBox.Icon.Warning, self.tr("Replace files?"), f"{text}\n{target}", parent=self)
        if target.is_dir():
            box.setInformativeText(self.tr("Files of the same names are replaced, all others stay."))
        replace = box.addButton(self.tr("Replace"), QMessageBox.ButtonRole.DestructiveRole)
        keep = box.addButton(self.tr("Keep them"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.exec()
        return box.clickedButton() is replace

    def _on_progress(self, progress: ExportProgress) -> None:
        if not self._running:
            return
        if not progress.finished:
            self.strip.advance(progress.done, progress.total)
            return
        self._running = False
        if progress.ok:
            self._unfinished = None
            self.accept()
            return
        self.strip.end(
            f"{told(progress.text)} {told(progress.way_out)}".strip(), "info" if progress.cancelled else "error"
        )
        self.start_button.setText(self.tr("&Continue") if self._has_parts() else self.tr("&Export"))
        self.close_button.setText(self.tr("Cancel"))
        self._enable()
        self.start_button.setFocus()

    def _has_parts(self) -> bool:
        from engine.export.staging import unfinished_beside

        return self._unfinished is not None and unfinished_beside(self._unfinished).is_dir()

    def _discard(self) -> None:
        """Finished parts of an export that nobody wants to continue."""
        from engine.export.staging import discard_unfinished

        if self._unfinished is not None:
            discard_unfinished(self._unfinished)
            self._unfinished = None

    # -- the end -----------------------------------------------------------------------------------------------
    def _on_source_gone(self, _info: SourceInfo | None = None) -> None:
        """Another source is open. An export that runs has its own copy of everything and goes on."""
        if not self._running:
            self.done(QDialog.DialogCode.Rejected)

    def done(self, result: int) -> None:
        self._preview_timer.stop()
        if not self._running:
            self._discard()
        super().done(result)

    def reject(self) -> None:
        """While it runs: stop the export and stay; else close."""
        if self._running:
            self._bridge.cancel_export()
            self.strip.say(self.tr("Stopping…"))
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
