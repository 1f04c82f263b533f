"""The main window: puts the parts together and connects them. What they do is in their own files."""

from __future__ import annotations

import logging
from pathlib import Path

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PyQt6.QtWidgets import QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from app.actions import Actions
from app.bridge import EngineBridge
from app.canvas.canvas import Canvas
from app.dialogs.key_editor import KeyEditor
from app.dialogs.shortcut_sheet import ShortcutSheet
from app.dialogs.text_dialogs import AboutDialog, DiagnosticsDialog
from app.icons import application_icon
from app.panels.drop_hint import DropHint
from app.panels.notice_stack import NoticeStack
from app.panels.object_dock import ObjectDock
from app.panels.status_bar import StatusBar
from app.panels.timeline import Timeline
from app.panels.tool_bars import ToolBar, ToolOptions
from app.panels.tour import Tour
from app.panels.transport_bar import TransportBar
from app.panels.welcome import Welcome
from app.settings import Settings
from app.state.objects import ObjectList
from app.theme import Theme, ThemeManager
from app.window.drops import accepts
from app.window.editing import EditingController
from app.window.engine_menu import EngineMenu
from app.window.explaining import ExplainController
from app.window.looks import LooksController
from app.window.menus import MenuBuilder
from app.window.motion import MotionController
from app.window.objects import ObjectsController
from app.window.opening import OpeningController
from app.window.output import OutputController
from app.window.projects import ProjectController
from app.window.replaying import ReplayController
from app.window.retracking import RetrackController
from app.window.scribbling import ScribbleController
from app.window.states import StatesController
from app.window.timeline_control import TimelineController
from app.window.tracking import TrackingController
from app.window.virtual_camera import VirtualCameraController
from engine.runtime.config import EngineConfig
from engine.runtime.messages import Notice
from engine.video.source import SourceInfo

_LOG = logging.getLogger(__name__)

SHUTDOWN_S = 5.0


class MainWindow(QMainWindow):
    """One window, one session."""

    def __init__(
        self, bridge: EngineBridge, settings: Settings, config: EngineConfig, log_file: Path | None = None
    ) -> None:
        super().__init__()
        self.bridge = bridge
        self.settings = settings
        self._log_file = log_file
        self._asks_before_closing = True
        self.stopped_in_time = True
        self.setObjectName("mainWindow")
        self.setWindowIcon(application_icon())
        self.setMinimumSize(QSize(760, 480))
        self.setAcceptDrops(True)
        self.themes = ThemeManager(self)
        self.actions_table = Actions(self, settings)
        self.objects = ObjectList(self)
        self._make_panels(self.themes.theme)
        self._make_controllers(config)
        self._connect()
        self._show_title(None)
        self._restore()
        self.looks.start()
        self._apply_theme(self.themes.theme)

    # -- parts -------------------------------------------------------------------------------------------------
    def _make_panels(self, theme: Theme) -> None:
        actions = self.actions_table
        bar = self.menuBar()
        assert bar is not None
        self.menus = MenuBuilder(bar, actions).slots
        self.canvas = Canvas()
        self.canvas.set_objects(self.objects)
        self.welcome = Welcome(self.menus["cameras"])
        self.stage = QStackedWidget()
        self.stage.addWidget(self.welcome)
        self.stage.addWidget(self.canvas)
        self.transport = TransportBar(actions, theme)
        self.timeline = Timeline(theme)
        self.timeline.set_objects(self.objects)
        central = QWidget()
        column = QVBoxLayout(central)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.stage, 1)
        column.addWidget(self.transport)
        column.addWidget(self.timeline)
        self.setCentralWidget(central)
        self.notices = NoticeStack(self.stage, theme)
        self.tour = Tour(self.stage)
        self.drop_hint = DropHint(central, theme)
        self.tool_options = ToolOptions(actions)
        self.tool_bar = ToolBar(actions, self.canvas.tool_names)
        self.addToolBar(Qt.ToolBarArea.TopToolBarArea, self.tool_options)
        self.addToolBar(Qt.ToolBarArea.LeftToolBarArea, self.tool_bar)
        self.object_dock = ObjectDock(self.objects, actions, theme)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.object_dock)
        self.status = StatusBar()
        self.setStatusBar(self.status)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)  # no menu to lose the tool bars with

    def _make_controllers(self, config: EngineConfig) -> None:
        bridge, actions, settings, canvas = self.bridge, self.actions_table, self.settings, self.canvas
        self.object_list = ObjectsController(actions, self.objects, self.object_dock)
        self.editing = EditingController(bridge, actions, canvas, self.objects)
        self.scribbling = ScribbleController(bridge, canvas)
        self.tracking = TrackingController(bridge, actions, canvas, self.transport, self.timeline)
        self.replaying = ReplayController(bridge, actions, self.timeline)
        self.timeline_control = TimelineController(bridge, actions, self.timeline, settings)
        self.retracking = RetrackController(bridge, actions, canvas, self.timeline, self.tracking, settings)
        self.states = StatesController(bridge, actions, self.object_dock, self.timeline, settings, self.tracking.go_to)
        self.engine_menu = EngineMenu(self.menus, bridge, settings, config, self)
        self.projects = ProjectController(
            bridge, actions, settings, self.objects, self.tracking, self.engine_menu, self
        )
        self.output = OutputController(
            bridge, actions, settings, canvas, lambda: self.tracking.marks, self.projects.save_and_wait, self
        )
        self.virtual_camera = VirtualCameraController(bridge, actions, canvas)
        may_discard = self.output.may_discard
        self.projects.ask_before_opening(may_discard)
        self.opening = OpeningController(bridge, actions, settings, self.editing, self, may_discard, self.projects.open)
        self.camera_menu = self.opening.fill_menus(self.menus["cameras"], self.menus["recent"])
        self.explaining = ExplainController(bridge, actions, canvas, self.tracking.go_to, self)
        self.motion = MotionController(bridge, actions, self)
        self.looks = LooksController(self, actions, canvas, self.tool_options, self.object_dock, self.themes, settings)

    def _connect(self) -> None:
        bridge = self.bridge
        bridge.notice.connect(self.notices.show_notice)
        for controller in (
            self.editing,
            self.tracking,
            self.retracking,
            self.states,
            self.projects,
            self.output,
            self.virtual_camera,
            self.opening,
            self.explaining,
            self.scribbling,
            self.looks,
        ):
            controller.notice.connect(self.notices.show_notice)
        self.canvas.hint_changed.connect(self.status.show_hint)
        bridge.source_opened.connect(self._on_source_opened)
        bridge.source_closed.connect(lambda: self._on_source_closed())
        bridge.progress.connect(self.status.show_progress)
        bridge.stats_changed.connect(self.status.show_stats)
        self.themes.changed.connect(self._apply_theme)
        self.welcome.open_file.connect(self.opening.ask_video)
        self.welcome.open_demo.connect(self.opening.open_demo)
        self.welcome.open_recent.connect(self.opening.open)
        for controller in (self.opening, self.projects):
            controller.recent_changed.connect(lambda: self.welcome.set_recent(self.settings.recent))
        self.projects.title_changed.connect(lambda: self._show_title(bridge.info))
        self.welcome.set_recent(self.settings.recent)
        on = self.actions_table.on
        on("quit", self.close)
        on("keys", self._show_keys)
        on("remap_keys", lambda: KeyEditor(self.actions_table, self).exec())
        on("tour", self.tour.begin)
        self.tour.finished.connect(lambda: setattr(self.settings, "tour_seen", True))
        bridge.source_opened.connect(lambda _info: self.tour.opened())
        on("diagnostics", self._show_diagnostics)
        on("about", lambda: AboutDialog(self).exec())

    # -- source ------------------------------------------------------------------------------------------------
    def _on_source_opened(self, info: SourceInfo) -> None:
        self._show_title(info)
        self.status.show_source(info)
        self.stage.setCurrentWidget(self.canvas)
        self.canvas.setFocus()

    def _on_source_closed(self) -> None:
        self._show_title(None)
        self.status.show_source(None)
        self.tool_options.show_zoom(None)
        self.stage.setCurrentWidget(self.welcome)

    def _show_title(self, info: SourceInfo | None) -> None:
        project = self.bridge.project
        if info is None:
            self.setWindowTitle("LiveMask")
        elif project.path is None:
            self.setWindowTitle(f"{info.name}[*] - LiveMask")
        else:
            note = self.tr(" (read only)") if project.read_only else ""
            self.setWindowTitle(f"{project.path.stem}{note}[*] - {info.name} - LiveMask")

    def show_notice(self, notice: Notice) -> None:
        """Show a notice that does not come from the session."""
        self.notices.show_notice(notice)

    # -- looks -------------------------------------------------------------------------------------------------
    def _apply_theme(self, theme: Theme) -> None:
        for part in (self.welcome, self.transport, self.timeline, self.tool_options, self.object_dock):
            part.apply_theme(theme)
        self.notices.apply_theme(theme)
        self.drop_hint.apply_theme(theme)

    def _restore(self) -> None:
        geometry, state = self.settings.geometry, self.settings.window_state
        if geometry is None or not self.restoreGeometry(geometry):
            screen = self.screen()
            room = screen.availableSize() if screen is not None else QSize(1280, 800)
            self.resize(min(1280, room.width() - 20), min(800, room.height() - 60))  # less the frame and title bar
        if state is not None:
            self.restoreState(state)

    # -- help --------------------------------------------------------------------------------------------------
    def _show_keys(self) -> None:
        sheet = ShortcutSheet(self.actions_table, self.themes.theme, self)
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.show()

    def _show_diagnostics(self) -> None:
        files = [(self.tr("Settings"), self.settings.path)]
        if self._log_file is not None:
            files.append((self.tr("Log"), self._log_file))
        dialog = DiagnosticsDialog(files, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.WindowStateChange:
            self.actions_table["full_screen"].setChecked(self.isFullScreen())

    # -- drag and drop -----------------------------------------------------------------------------------------
    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:  # noqa: N802
        if event is not None and accepts(event.mimeData()):
            event.acceptProposedAction()
            self.drop_hint.appear(self.tr("Drop to open"))

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:  # noqa: N802
        self.drop_hint.hide()

    def dropEvent(self, event: QDropEvent | None) -> None:  # noqa: N802
        self.drop_hint.hide()
        mime = event.mimeData() if event is not None else None
        if event is not None and mime is not None and self.opening.drop(mime):
            event.acceptProposedAction()

    # -- the end -----------------------------------------------------------------------------------------------
    def close_at_once(self) -> None:
        """Close without asking (the process is told to end)."""
        self._asks_before_closing = False
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        if event is None:
            return
        if self._asks_before_closing and not self.output.may_discard():
            event.ignore()
            return
        self.settings.geometry = self.saveGeometry()
        self.settings.window_state = self.saveState()
        self.settings.sync()
        self.hide()  # what follows may take a moment
        self.timeline.thumbnails.reader.close()
        self.virtual_camera.close()
        # Who was not asked has not let go of the work.
        self.stopped_in_time = self.bridge.shutdown(SHUTDOWN_S, keep_unsaved=not self._asks_before_closing)
        if not self.stopped_in_time:
            _LOG.warning("a worker did not stop within %s s", SHUTDOWN_S)
        super().closeEvent(event)
