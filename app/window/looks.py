"""The View menu: zoom, overlay, theme, full screen; and the icons, which change with the theme."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QColor, QIcon
from PyQt6.QtWidgets import QMainWindow

from app.actions import ACTIONS, Actions
from app.canvas.canvas import Canvas
from app.canvas.overlay_styles import STYLES, VIEWS
from app.i18n import LANGUAGES, translate
from app.icons import make_icon
from app.panels.object_dock import ObjectDock
from app.panels.tool_bars import ToolOptions
from app.settings import THEMES, Settings
from app.theme import Theme, ThemeManager
from engine.runtime.messages import Notice, Severity

_OPACITY_STEP = 0.1


def _after(name: str, names: tuple[str, ...]) -> str:
    """The next one, after the last one the first."""
    return names[(names.index(name) + 1) % len(names)]


class LooksController(QObject):
    """Applies and remembers how things look. Signals: notice(Notice)."""

    notice = pyqtSignal(object)

    def __init__(
        self,
        window: QMainWindow,
        actions: Actions,
        canvas: Canvas,
        options: ToolOptions,
        dock: ObjectDock,
        themes: ThemeManager,
        settings: Settings,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._actions = actions
        self._canvas = canvas
        self._options = options
        self._dock = dock
        self._themes = themes
        self._settings = settings
        self._connect_actions()
        canvas.zoom_changed.connect(lambda zoom: options.show_zoom(zoom if canvas.item is not None else None))
        canvas.brush_radius_changed.connect(self._on_brush_radius)
        options.brush_radius_changed.connect(canvas.set_brush_radius)
        options.opacity_changed.connect(self.set_opacity)
        canvas.set_brush_radius(settings.brush_radius)
        options.show_brush_radius(canvas.brush_radius)
        self.set_opacity(settings.overlay_opacity)
        canvas.set_overlay_style(settings.overlay_style)
        actions[f"style_{settings.overlay_style}"].setChecked(True)
        canvas.set_live_view(settings.live_view)
        actions[f"view_{settings.live_view}"].setChecked(True)
        canvas.tool_changed.connect(options.show_tool)
        options.show_tool(canvas.tool)
        canvas.set_fill_tolerance(settings.fill_tolerance)
        options.show_tolerance(canvas.fill_tolerance)
        canvas.fill_tolerance_changed.connect(self._on_tolerance)
        options.tolerance_changed.connect(canvas.set_fill_tolerance)
        actions["pen_pressure"].setChecked(settings.pen_pressure)
        self._size_by_pressure(settings.pen_pressure)
        themes.changed.connect(self._on_theme)

    def _connect_actions(self) -> None:
        on, canvas = self._actions.on, self._canvas
        on("zoom_in", canvas.zoom_in)
        on("zoom_out", canvas.zoom_out)
        on("zoom_fit", canvas.zoom_fit)
        on("zoom_100", canvas.zoom_100)
        self._actions.on_switch("hide_overlay", lambda hidden: canvas.set_overlay_visible(not hidden))
        self._actions.on_switch("pen_pressure", self._size_by_pressure)
        on("opacity_less", lambda: self.set_opacity(canvas.overlay_opacity - _OPACITY_STEP))
        on("opacity_more", lambda: self.set_opacity(canvas.overlay_opacity + _OPACITY_STEP))
        for percent in (25, 50, 75, 100):
            on(f"opacity_{percent}", partial(self.set_opacity, percent / 100))
        for style in STYLES:
            on(f"style_{style}", partial(self.choose_style, style))
        on("style_next", lambda: self.choose_style(_after(canvas.overlay_style, STYLES)))
        for view in VIEWS:
            on(f"view_{view}", partial(self.choose_view, view))
        on("view_next", lambda: self.choose_view(_after(canvas.live_view, VIEWS)))
        for choice in THEMES:
            on(f"theme_{choice}", partial(self.choose_theme, choice))
        self._actions.on_switch("show_objects", self._dock.setVisible)
        self._dock.visibilityChanged.connect(lambda _shown: self._show_dock_state())
        self._actions.on_switch("full_screen", self._full_screen)
        for language in LANGUAGES:
            on(f"language_{language}", partial(self.choose_language, language))
        self._actions[f"language_{self._settings.language}"].setChecked(True)
        self._actions[f"theme_{self._settings.theme}"].setChecked(True)

    def _on_tolerance(self, tolerance: int) -> None:
        self._settings.fill_tolerance = tolerance
        self._options.show_tolerance(tolerance)

    def _size_by_pressure(self, wanted: bool) -> None:
        self._settings.pen_pressure = wanted
        self._canvas.set_pressure_sizes_brush(wanted)

    def start(self) -> None:
        """Apply the remembered theme. Last, when everything that listens is there."""
        self._themes.choose(self._settings.theme)
        self._on_theme(self._themes.theme)
        self._show_dock_state()

    def choose_theme(self, choice: str) -> None:
        self._settings.theme = choice
        self._themes.choose(choice)

    def choose_language(self, choice: str) -> None:
        if choice == self._settings.language:
            return
        self._settings.language = choice
        text = translate("LooksController", "The language changes when LiveMask is started the next time.")
        self.notice.emit(Notice(Severity.INFO, text))

    def set_opacity(self, opacity: float) -> None:
        opacity = min(max(round(opacity, 2), 0.0), 1.0)
        self._settings.overlay_opacity = opacity
        self._canvas.set_overlay_opacity(opacity)
        self._options.show_opacity(opacity)

    def choose_style(self, style: str) -> None:
        """Show the overlay in this style, also where it was hidden or another view was on."""
        self._settings.overlay_style = style
        self._canvas.set_overlay_style(style)
        self._actions[f"style_{style}"].setChecked(True)
        self.choose_view("overlay")

    def choose_view(self, view: str) -> None:
        """Show the overlay, the matte or a cut-out, also where they were hidden."""
        self._settings.live_view = view
        self._canvas.set_live_view(view)
        self._actions[f"view_{view}"].setChecked(True)
        self._actions["hide_overlay"].setChecked(False)
        self._canvas.set_overlay_visible(True)

    def _on_brush_radius(self, radius: int) -> None:
        self._settings.brush_radius = radius
        self._options.show_brush_radius(radius)

    def _show_dock_state(self) -> None:
        self._actions["show_objects"].setChecked(not self._dock.isHidden())

    def _full_screen(self, full: bool) -> None:
        if full:
            self._was_maximized = self._window.isMaximized()
            self._window.showFullScreen()
        elif self._was_maximized:
            self._window.showMaximized()
        else:
            self._window.showNormal()

    _was_maximized = False

    def _on_theme(self, theme: Theme) -> None:
        self._canvas.set_background(QColor(theme.canvas))
        for spec in ACTIONS:
            if spec.icon:
                self._actions[spec.id].setIcon(self._icon(spec.id, spec.icon, theme))

    @staticmethod
    def _icon(action_id: str, name: str, theme: Theme) -> QIcon:
        # On the bright red of a running recording, the theme's darkest or lightest colour, whichever reads better.
        on_color = theme.surface if action_id == "record" else theme.on_accent
        on_name = "eye_off" if action_id == "hide_overlay" else ""
        return make_icon(name, theme.text, theme.disabled, on_name=on_name, on_color=on_color)
