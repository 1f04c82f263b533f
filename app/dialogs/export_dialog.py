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
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.bridge import EngineBridge
from app.dialogs.export_options import ObjectChooser, OptionForm, RangeChooser
from app.dialogs.export_preview import ExportPreview
from app.settings import Settings
from engine.export.formats import FORMATS, ExportFormat
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
        self._folder = Path(settings.last_folder("export") or _home_of(info))
        self._suggested = ""
        self._make_parts()
        self._lay_out()
        self._preview_timer = QTimer(self)
        self._preview_timer.setSingleShot(True)
        self._preview_timer.setInterval(_PREVIEW_MS)
        self._preview_timer.timeout.connect(self._show_preview)
        self._connect()
        self._select(settings.export_format)
        self._fit_to_screen()

    # -- parts -------------------------------------------------------------------------------------------------
    def _make_parts(self) -> None:
        self.formats = QListWidget()
        self.formats.setAccessibleName(self.tr("Format"))
        self.formats.setMinimumWidth(150)
        self.formats.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fill_formats()
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.preview = ExportPreview()
        self.options = OptionForm()
        self.range = RangeChooser(self._info.frame_count, self._start.marks)
        self.objects = ObjectChooser(self._start.objects)
        self.target = QLineEdit()
        self.target.setAccessibleName(self.tr("Target"))
        self.browse = QPushButton(self.tr("C&hoose…"))
        self.browse.setAccessibleName(self.tr("Choose the target"))
        self.browse.setAutoDefault(False)
        self.notice = QFrame()  # what went wrong, or how it ended; never a box that has to be clicked away
        self.notice.setObjectName("notice")
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.progress = QProgressBar()
        self.progress.setAccessibleName(self.tr("Export progress"))
        self.progress.hide()
        self.buttons = QDialogButtonBox()
        self.start_button = QPushButton(self.tr("&Export"))
        self.start_button.setDefault(True)
        self.buttons.addButton(self.start_button, QDialogButtonBox.ButtonRole.ActionRole)
        self.close_button = QPushButton(self.tr("Cancel"))
        self.close_button.setAutoDefault(False)
        self.buttons.addButton(self.close_button, QDialogButtonBox.ButtonRole.RejectRole)

    def _fill_formats(self) -> None:
        family = ""
        for format_ in FORMATS.values():
            if format_.family != family:
                family = format_.family
                heading = QListWidgetItem(self.tr(family))
                heading.setFlags(Qt.ItemFlag.NoItemFlags)
                font = heading.font()
                font.setBold(True)
                heading.setFont(font)
                self.formats.addItem(heading)
            entry = QListWidgetItem("  " + self.tr(format_.title))
            entry.setData(Qt.ItemDataRole.UserRole, format_.key)
            entry.setData(Qt.ItemDataRole.AccessibleTextRole, f"{self.tr(format_.title)}: {self.tr(format_.summary)}")
            entry.setToolTip(self.tr(format_.summary))
            self.formats.addItem(entry)

    def _lay_out(self) -> None:
        self._form = form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        frames = QLabel(self.tr("&Frames"))
        frames.setBuddy(self.range.which)
        form.addRow(frames, self.range)
        form.addRow(self.tr("&Objects"), self.objects)
        form.setRowVisible(self.objects, len(self._start.objects) > 1)
        self._target_label = QLabel()
        self._target_label.setBuddy(self.target)
        where = QHBoxLayout()
        where.setSpacing(6)
        where.addWidget(self.target, 1)
        where.addWidget(self.browse)
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
        told = QVBoxLayout(self.notice)
        told.setContentsMargins(10, 6, 10, 6)
        told.addWidget(self.status)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(14, 12, 14, 12)
        whole.setSpacing(8)
        whole.addLayout(upper, 1)
        whole.addWidget(self._target_label)
        whole.addLayout(where)
        whole.addWidget(self.notice)
        whole.addWidget(self.progress)
        whole.addWidget(self.buttons)
        self._say("")

    def _connect(self) -> None:
        self.formats.currentItemChanged.connect(lambda _new, _old: self._on_format())
        self.options.changed.connect(self._on_changed)
        self.range.changed.connect(self._on_changed)
        self.objects.changed.connect(self._on_changed)
        self.target.textChanged.connect(lambda _text: self._on_changed())
        self.browse.clicked.connect(self._choose_target)
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
    @property
    def format(self) -> ExportFormat:
        item = self.formats.currentItem()
        assert item is not None
        return FORMATS[str(item.data(Qt.ItemDataRole.UserRole))]

    def _select(self, key: str) -> None:
        for row in range(self.formats.count()):
            item = self.formats.item(row)
            if item is not None and item.data(Qt.ItemDataRole.UserRole) == key:
                self.formats.setCurrentItem(item)
                self.formats.scrollToItem(item)

    def _on_format(self) -> None:
        item = self.formats.currentItem()
        if item is None or item.data(Qt.ItemDataRole.UserRole) is None:
            return
        format_ = self.format
        self.summary.setText(self.tr(format_.summary))
        self.options.show_format(format_, self._values.get(format_.key, {}), self._pointless)
        order = [self.formats, *self.options.fields.values(), self.range.which]
        for before, after in pairwise(order):
            QWidget.setTabOrder(before, after)
        self._target_label.setText(self.tr("&Target folder") if format_.makes_folder else self.tr("&Target file"))
        self.target.setAccessibleName(self.tr("Target folder") if format_.makes_folder else self.tr("Target file"))
        current = self.target.text().strip()
        if current and current != self._suggested:
            self._folder = Path(current).expanduser().parent
        self._suggested = str(self._suggestion(format_))
        self.target.setText(self._suggested)
        if format_.needs_range and self.range.frames == (None, None):
            self.range.choose(RangeChooser.MARKS)
        self._on_changed()

    @property
    def _pointless(self) -> frozenset[str]:
        """Options that would change nothing for this source."""
        odd = self._info.width % 2 or self._info.height % 2
        silent = self._info.kind is not SourceKind.FILE
        return frozenset((() if odd else ("even",)) + (("audio",) if silent else ()))

    def _suggestion(self, format_: ExportFormat) -> Path:
        return self._folder / f"{Path(self._info.name).stem or 'video'}{format_.tail}{format_.suffix}"

    def _on_changed(self) -> None:
        if not self._running:
            self._values[self.format.key] = self.options.values()
            if self._unfinished is None:
                self.start_button.setText(self.tr("&Export"))
        self._enable()
        if not self._preview_timer.isActive():
            self._preview_timer.start()

    def _enable(self) -> None:
        for part in (self.formats, self.options, self.range, self.objects, self.target, self.browse):
            part.setEnabled(not self._running)
        self.start_button.setEnabled(not self._running and self._request() is not None)

    def _request(self, overwrite: bool = False) -> ExportRequest | None:
        """What the fields ask for, None when they are incomplete."""
        target = self.target.text().strip()
        if not target or not self.range.valid or self.objects.chosen == frozenset():
            return None
        format_ = self.format
        path = Path(target).expanduser()
        if format_.suffix and path.suffix.lower() != format_.suffix:
            path = path.with_name(path.name + format_.suffix)
        first, last = self.range.frames
        return ExportRequest(
            format_.key,
            path,
            self.options.values(),
            first,
            last,
            self.objects.chosen,
            self._start.objects,
            overwrite,
            self._start.palette,
        )

    def _choose_target(self) -> None:
        current = self.target.text().strip()
        if self.format.makes_folder:
            chosen = QFileDialog.getExistingDirectory(self, self.tr("Target folder"), str(Path(current).parent))
            # Others may have put things there, so what is made gets a folder of its own.
            chosen = str(Path(chosen) / Path(current).name) if chosen and Path(current).name else chosen
        else:
            chosen, _ = QFileDialog.getSaveFileName(
                self,
                self.tr("Target file"),
                current,
                f"{self.tr(self.format.title)} (*{self.format.suffix})",
                options=QFileDialog.Option.DontConfirmOverwrite,  # asked once, on Export
            )
        if chosen:
            self.target.setText(chosen)

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
        if _occupied(request.target):
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
        self.progress.setRange(0, 0)
        self.progress.show()
        self.close_button.setText(self.tr("Stop"))
        self.close_button.setFocus()
        self._say(self.tr("Writing…"))
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
            self.progress.setRange(0, progress.total or 0)
            self.progress.setValue(progress.done)
            text = self.tr("%1 of %2 frames") if progress.total else self.tr("%1 frames")
            self._say(text.replace("%1", f"{progress.done:,}").replace("%2", f"{progress.total or 0:,}"))
            return
        self._running = False
        self.progress.hide()
        if progress.ok:
            self._unfinished = None
            self.accept()
            return
        self._say(f"{progress.text} {progress.way_out}".strip(), "info" if progress.cancelled else "error")
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

    def _say(self, text: str, severity: str = "info") -> None:
        self.status.setText(text)
        self.status.setAccessibleName(text)
        self.notice.setVisible(bool(text))
        if self.notice.property("severity") != severity:
            self.notice.setProperty("severity", severity)
            style = self.notice.style()
            if style is not None:
                style.polish(self.notice)

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


def _occupied(target: Path) -> bool:
    """Whether something would be replaced."""
    return any(target.iterdir()) if target.is_dir() else target.exists()
