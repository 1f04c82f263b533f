"""Everything that opens a source: dialogs, cameras, recent ones, drops, the demo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from PyQt6.QtCore import QMimeData, QObject, pyqtSignal
from PyQt6.QtGui import QImageReader
from PyQt6.QtWidgets import QFileDialog, QMenu, QWidget

from app.actions import Actions
from app.bridge import EngineBridge
from app.dialogs.stream_dialog import StreamDialog
from app.panels.welcome import short_name
from app.settings import Settings
from app.window.asking import ask
from app.window.cameras import CameraMenu
from app.window.drops import Drop, DropKind, interpret
from app.window.editing import EditingController
from engine.project.state import is_project
from engine.runtime.messages import DisplayItem, Notice, Severity
from engine.video.source import SourceInfo

_ASSETS = Path(__file__).resolve().parents[2] / "assets"
DEMO_CLIP = _ASSETS / "demo.mp4"
DEMO_MASK = _ASSETS / "demo_mask.png"
_VIDEO_PATTERNS = "*.mp4 *.mov *.mkv *.avi *.webm *.m4v *.mpg *.mpeg *.mts *.m2ts *.ts *.wmv *.flv *.mxf *.y4m *.gif"
_MOST_IDS = 100  # a grey picture with more values than this is a photograph or a soft mask


class OpeningController(QObject):
    """Signals: notice(Notice), recent_changed()."""

    notice = pyqtSignal(object)
    recent_changed = pyqtSignal()

    def __init__(
        self,
        bridge: EngineBridge,
        actions: Actions,
        settings: Settings,
        editing: EditingController,
        window: QWidget,
        may_discard: Callable[[], bool],
        open_project: Callable[[Path], bool],
    ) -> None:
        """
        Args:
            may_discard: asks the user, where there is something to lose, whether the present source may go.
            open_project: opens a project in the same manner.
        """
        super().__init__(window)
        self._bridge = bridge
        self._settings = settings
        self._editing = editing
        self._window = window
        self._may_discard = may_discard
        self._open_project = open_project
        self._demo_wanted = False
        on = actions.on
        on("open_video", self.ask_video)
        on("open_folder", self.ask_folder)
        on("open_stream", self.ask_stream)
        on("open_demo", self.open_demo)
        on("import_mask", self.ask_mask)
        on("close_source", self.close_source)
        self._close_action = actions["close_source"]
        self._close_action.setEnabled(False)
        bridge.source_opened.connect(self._on_opened)
        bridge.source_closed.connect(lambda: self._close_action.setEnabled(False))
        bridge.item_ready.connect(self._on_item)

    def fill_menus(self, cameras: QMenu, recent: QMenu) -> CameraMenu:
        camera_menu = CameraMenu(cameras)
        camera_menu.chosen.connect(lambda index: self.open(f"camera:{index}"))
        recent.aboutToShow.connect(lambda: self._fill_recent(recent))
        self._fill_recent(recent)
        return camera_menu

    # -- opening -----------------------------------------------------------------------------------------------
    def open(self, uri: str) -> bool:
        """Open a source or a project in place of the present one; False when the user keeps that."""
        self._demo_wanted = False
        if is_project(Path(uri)) and "://" not in uri:
            return self._open_project(Path(uri))
        if not self._may_discard():
            return False
        self._bridge.open(uri)
        return True

    def open_demo(self) -> None:
        """Open the bundled clip, give it its mask and track it."""
        if self.open(str(DEMO_CLIP)):
            self._demo_wanted = True

    def close_source(self) -> None:
        if self._may_discard():
            self._bridge.close_source()

    def ask_video(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self._window,
            self.tr("Open video"),
            self._settings.last_folder("open"),
            self.tr("Videos (%1);;All files (*)").replace("%1", _VIDEO_PATTERNS),
        )
        if path:
            self._settings.set_last_folder("open", Path(path).parent)
            self.open(path)

    def ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(
            self._window, self.tr("Open a folder of numbered pictures"), self._settings.last_folder("open")
        )
        if folder:
            self._settings.set_last_folder("open", Path(folder).parent)
            self.open(folder)

    def ask_stream(self) -> None:
        dialog = StreamDialog(self._window)
        if dialog.exec() == StreamDialog.DialogCode.Accepted:
            self.open(dialog.url)

    def ask_mask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self._window,
            self.tr("Import mask"),
            self._settings.last_folder("mask") or self._settings.last_folder("open"),
            self.tr("Masks (*.png);;Pictures (*.png *.bmp *.tif *.tiff *.webp);;All files (*)"),
        )
        if path:
            self._settings.set_last_folder("mask", Path(path).parent)
            self._editing.import_mask(Path(path), self._window)

    # -- drops -------------------------------------------------------------------------------------------------
    def drop(self, mime: QMimeData) -> bool:
        """Do what a drop asks for; False when it holds nothing of use."""
        what = interpret(mime, source_open=self._bridge.info is not None)
        if what.kind is DropKind.NONE:
            return False
        if what.ignored:
            text = self.tr("Only one source can be open: %1 was taken.").replace("%1", Path(what.uri).name)
            left = self.tr("Left out: %n.", "", what.ignored)
            self.notice.emit(Notice(Severity.INFO, text, left))
        if what.kind is DropKind.MASK:
            self._drop_png(what)
        else:
            self.open(what.uri)
        return True

    def _drop_png(self, drop: Drop) -> None:
        path = Path(drop.uri)
        if is_plain_mask(path):
            self._editing.import_mask(path, self._window)
            return
        answer = ask(
            self._window,
            self.tr("Picture or mask?"),
            self.tr("%1 can be read in two ways.").replace("%1", path.name),
            self.tr("As a mask, every colour becomes an object and black is background."),
            [self.tr("Use as &mask"), self.tr("&Open as picture"), self.tr("Cancel")],
        )
        if answer == 0:
            self._editing.import_mask(path, self._window)
        elif answer == 1:
            self.open(str(path))

    # -- recent ------------------------------------------------------------------------------------------------
    def _fill_recent(self, menu: QMenu) -> None:
        menu.clear()
        for number, uri in enumerate(self._settings.recent, start=1):
            action = menu.addAction(f"&{number % 10}  {short_name(uri)}")
            assert action is not None
            action.setToolTip(uri)
            action.triggered.connect(lambda _checked=False, uri=uri: self.open(uri))
        if not menu.isEmpty():
            menu.addSeparator()
        clear = menu.addAction(self.tr("&Clear this list"))
        assert clear is not None
        clear.setEnabled(bool(self._settings.recent))
        clear.triggered.connect(self._clear_recent)

    def _clear_recent(self) -> None:
        self._settings.clear_recent()
        self.recent_changed.emit()

    # -- what came of it ---------------------------------------------------------------------------------------
    def _on_opened(self, info: SourceInfo) -> None:
        self._close_action.setEnabled(True)
        if Path(info.uri) != DEMO_CLIP:
            self._demo_wanted = False
        # A password in an address is not for a settings file that anybody may read; a project that is its own source is
        # listed when it has a name.
        if not urlsplit(info.uri).password and Path(info.uri) != DEMO_CLIP and not is_project(Path(info.uri)):
            self._settings.add_recent(info.uri)
            self.recent_changed.emit()

    def _on_item(self, _item: DisplayItem) -> None:
        if self._demo_wanted:
            self._demo_wanted = False
            if self._editing.import_mask(DEMO_MASK, self._window):
                self._bridge.track(+1)


def is_plain_mask(path: Path) -> bool:
    """True when nothing but a mask looks like this PNG: a palette, few greys, or a cut-out with transparency."""
    image = QImageReader(str(path)).read()
    if image.isNull():
        return True  # reading it as a mask says what is wrong with it
    if image.format() in (image.Format.Format_Indexed8, image.Format.Format_Mono, image.Format.Format_MonoLSB):
        return True
    if image.isGrayscale():
        small = image.convertToFormat(image.Format.Format_Grayscale8)
        data = small.constBits()
        assert data is not None
        return len(set(data.asstring(small.sizeInBytes()))) <= _MOST_IDS
    if not image.hasAlphaChannel():
        return False
    alpha = image.convertToFormat(image.Format.Format_Alpha8)
    data = alpha.constBits()
    assert data is not None
    return min(data.asstring(alpha.sizeInBytes()), default=255) < 255
