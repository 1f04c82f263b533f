"""Projects: saving, opening, finding their videos again, and what an unexpected end left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QEventLoop, QObject, QTimer, pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QWidget

from app.actions import Actions
from app.bridge import EngineBridge
from app.dialogs.recovery_dialog import RecoveryDialog
from app.settings import Settings
from app.state.objects import ObjectItem, ObjectList
from app.window.asking import ask
from app.window.engine_menu import EngineMenu
from app.window.tracking import TrackingController
from engine.project.recovery import Leftover
from engine.project.state import SUFFIX, ProjectObject
from engine.runtime.messages import (
    Mode,
    Notice,
    ProjectChanged,
    ProjectOpened,
    ProjectSourceMissing,
    RecoveryFound,
    Severity,
)
from engine.video.source import SourceKind

_SAVE_TIMEOUT_MS = 60_000


class ProjectController(QObject):
    """Signals: notice(Notice), recent_changed(), title_changed()."""

    notice = pyqtSignal(object)
    recent_changed = pyqtSignal()
    title_changed = pyqtSignal()

    def __init__(
        self,
        bridge: EngineBridge,
        actions: Actions,
        settings: Settings,
        objects: ObjectList,
        tracking: TrackingController,
        engine_menu: EngineMenu,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._bridge = bridge
        self._actions = actions
        self._settings = settings
        self._objects = objects
        self._tracking = tracking
        self._engine_menu = engine_menu
        self._window = window
        self._may_discard: Callable[[], bool] = lambda: True
        self._leftovers: tuple[Leftover, ...] = ()
        self._push = QTimer(self)  # one word for a burst of changes, and none between a source and its project
        self._push.setSingleShot(True)
        self._push.setInterval(0)
        self._push.timeout.connect(self._push_objects)
        on = actions.on
        on("save_project", self.save)
        on("save_project_as", self.save_as)
        on("open_project", self.ask_open)
        on("recover", self.show_recovery)
        objects.changed.connect(self._push.start)
        tracking.marks_changed.connect(bridge.set_marks)
        bridge.source_opened.connect(lambda _info: self._enable())
        bridge.source_closed.connect(self._enable)
        bridge.project_opened.connect(self._on_opened)
        bridge.project_changed.connect(self._on_changed)
        bridge.project_source_missing.connect(self._on_source_missing)
        bridge.recovery_found.connect(self._on_recovery_found)
        actions["recover"].setEnabled(False)
        self._enable()

    def ask_before_opening(self, may_discard: Callable[[], bool]) -> None:
        """`may_discard` asks the user, where there is something to lose, whether the present source may go."""
        self._may_discard = may_discard

    def _enable(self) -> None:
        can = self._bridge.info is not None
        for action_id in ("save_project", "save_project_as"):
            self._actions[action_id].setEnabled(can)

    def _push_objects(self) -> None:
        if self._bridge.info is not None:
            self._bridge.set_objects(tuple(_as_project(item) for item in self._objects.items))

    # -- saving ------------------------------------------------------------------------------------------------
    def save(self) -> None:
        project = self._bridge.project
        if project.path is None or project.read_only:
            self.save_as()
        else:
            self._push_objects()
            self._bridge.save_project(None)

    def save_as(self) -> bool:
        """Ask for a name and save under it; False when the user gave none."""
        info = self._bridge.info
        if info is None:
            return False
        folder = self._settings.last_folder("project") or ("" if info.live else str(Path(info.uri).parent))
        path, _ = QFileDialog.getSaveFileName(
            self._window,
            self.tr("Save project"),
            str(Path(folder) / f"{Path(info.name).stem or 'live'}{SUFFIX}"),
            self.tr("LiveMask projects (*%1)").replace("%1", SUFFIX),
        )
        if not path:
            return False
        target = Path(path)
        asked = target.suffix.lower() == SUFFIX  # then the file dialog has asked whether to replace it
        self._settings.set_last_folder("project", target.parent)
        self._push_objects()
        self._bridge.save_project(target, overwrite=asked)
        return True

    def save_and_wait(self) -> bool:
        """Save under a name the user gives, and wait for it. True when the work is in that project."""
        loop = QEventLoop()

        def on_changed(project: ProjectChanged) -> None:
            if project.keeps:
                loop.quit()

        def on_notice(notice: Notice) -> None:
            if notice.severity is Severity.ERROR:
                loop.quit()

        self._bridge.project_changed.connect(on_changed)
        self._bridge.notice.connect(on_notice)
        try:
            if self.save_as():
                QTimer.singleShot(_SAVE_TIMEOUT_MS, loop.quit)
                loop.exec()
        finally:
            self._bridge.project_changed.disconnect(on_changed)
            self._bridge.notice.disconnect(on_notice)
        return self._bridge.project.keeps

    # -- opening -----------------------------------------------------------------------------------------------
    def ask_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self._window,
            self.tr("Open project"),
            self._settings.last_folder("project"),
            self.tr("LiveMask projects (*%1);;All files (*)").replace("%1", SUFFIX),
        )
        if path:
            self._settings.set_last_folder("project", Path(path).parent)
            self.open(Path(path))

    def open(self, path: Path) -> bool:
        """Open a project in place of what is open; False when the user keeps that."""
        if not self._may_discard():
            return False
        self._bridge.open_project(path.absolute())
        return True

    def _on_opened(self, opened: ProjectOpened) -> None:
        self._objects.reset(tuple(_as_item(item) for item in opened.objects))
        self._tracking.restore_marks(opened.view.mark_in, opened.view.mark_out)
        self._engine_menu.adopt(opened.engine)

    def _on_changed(self, project: ProjectChanged) -> None:
        if project.path is not None:
            self._settings.add_recent(str(project.path))
            self.recent_changed.emit()
        self.title_changed.emit()

    def _on_source_missing(self, missing: ProjectSourceMissing) -> None:
        name, found = missing.reference.name, missing.found
        if found is None:
            title = self.tr("The video is missing")
            text = self.tr("%1 belongs to %2, which is not where it was.")
            detail = self.tr("It was here: %1").replace("%1", missing.reference.path)
            answers = [self.tr("&Find it…"), self.tr("Cancel")]
        else:
            title = self.tr("The video has changed")
            text = self.tr("%1 was made with another version of %2.")
            detail = self.tr("%1 has another content, and masks may not fit its frames.").replace("%1", str(found))
            answers = [self.tr("&Find another…"), self.tr("&Use it"), self.tr("Cancel")]
        text = text.replace("%1", missing.project.name).replace("%2", name)
        answer = ask(self._window, title, text, detail, answers)
        if answer == 0:
            source = self._find(missing)
            if source is not None:
                self._bridge.open_project(missing.project, source)
        elif found is not None and answer == 1:
            self._bridge.open_project(missing.project, found, changed_ok=True)

    def _find(self, missing: ProjectSourceMissing) -> Path | None:
        title = self.tr("Find %1").replace("%1", missing.reference.name)
        if missing.reference.kind is SourceKind.FOLDER:
            path = QFileDialog.getExistingDirectory(self._window, title, str(missing.project.parent))
        else:
            path, _ = QFileDialog.getOpenFileName(self._window, title, str(missing.project.parent))
        return Path(path) if path else None

    # -- recovery ----------------------------------------------------------------------------------------------
    def _on_recovery_found(self, found: RecoveryFound) -> None:
        self._set_leftovers(found.leftovers)
        if self._bridge.mode is Mode.EMPTY and found.leftovers:
            self.show_recovery()
        elif found.leftovers:
            text = self.tr("Work on %1 was not closed last time; it is kept.").replace("%1", found.leftovers[0].name)
            self.notice.emit(Notice(Severity.INFO, text, self.tr("File, Recover unsaved work.")))

    def show_recovery(self) -> None:
        """Show what was left behind, beside the window."""
        if self._leftovers:
            dialog = RecoveryDialog(self._leftovers, self._window)
            dialog.recover.connect(self._recover)
            dialog.discard.connect(self._discard)
            dialog.finished.connect(dialog.deleteLater)
            dialog.open()

    def _recover(self, leftover: Leftover) -> None:
        if self.open(leftover.path):
            self._set_leftovers(tuple(one for one in self._leftovers if one != leftover))

    def _discard(self, leftover: Leftover) -> None:
        self._bridge.discard_leftover(leftover)
        self._set_leftovers(tuple(one for one in self._leftovers if one != leftover))

    def _set_leftovers(self, leftovers: tuple[Leftover, ...]) -> None:
        self._leftovers = leftovers
        self._actions["recover"].setEnabled(bool(leftovers))


def _as_project(item: ObjectItem) -> ProjectObject:
    return ProjectObject(item.id, item.name, item.color, item.visible, item.locked)


def _as_item(item: ProjectObject) -> ObjectItem:
    return ObjectItem(item.id, item.name, item.color, item.visible, item.locked)
