"""The tools on the left, and their options (brush size, opacity, zoom) on top."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolBar, QWidget

from app.actions import ACTIONS, Actions
from app.i18n import translate
from app.icons import draw
from app.panels.controls import Slider, action_button
from app.theme import Theme

MIN_RADIUS = 1
MAX_RADIUS = 300
_RADIUS_STEPS = 100
_MAX_TOLERANCE = 255


class ToolBar(QToolBar):
    """One button per tool; which is chosen lives in the actions."""

    def __init__(self, actions: Actions, tools: tuple[str, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Tools"))
        self.setObjectName("tools")
        self.setMovable(False)
        self.setOrientation(Qt.Orientation.Vertical)
        self.setIconSize(QSize(20, 20))
        for spec in ACTIONS:
            if spec.exclusive == "tool" and spec.id.removeprefix("tool_") in tools:
                self.addWidget(action_button(actions[spec.id]))
        self.addSeparator()
        for action_id in ("undo", "redo"):
            self.addWidget(action_button(actions[action_id]))


class ToolOptions(QToolBar):
    """Brush size (with the fill tool its tolerance in its place), opacity and zoom.

    Signals:
        brush_radius_changed(int): pixels of the frame. opacity_changed(float): 0..1.
        tolerance_changed(int): largest colour difference that a fill bridges.
    """

    brush_radius_changed = pyqtSignal(int)
    opacity_changed = pyqtSignal(float)
    tolerance_changed = pyqtSignal(int)

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Tool options"))
        self.setObjectName("toolOptions")
        self.setMovable(False)
        self.setIconSize(QSize(20, 20))
        for action_id in ("open_video", "import_mask", "export"):
            self.addWidget(action_button(actions[action_id]))
        self.addSeparator()
        # Small sizes matter most, so the slider is quadratic.
        self.brush = Slider(self.tr("Brush size"), 0, _RADIUS_STEPS)
        self.brush.setToolTip(self.tr("Brush size: [ and ], or Ctrl + wheel on the picture"))
        self.brush.valueChanged.connect(self._on_brush)
        self.brush_value = self._value(self.tr("Brush size"), "400 px")
        self._brush_icon = QLabel()
        self._brush_group = self.addWidget(self._group(self._brush_icon, self.brush, self.brush_value))
        name = translate("ToolOptions", "Fill tolerance")
        self.tolerance = Slider(name, 0, _MAX_TOLERANCE)
        self.tolerance.setToolTip(
            translate("ToolOptions", "How different colours may be that a fill bridges: [ and ], or Ctrl + wheel")
        )
        self.tolerance.valueChanged.connect(self._on_tolerance)
        self.tolerance_value = self._value(name, "± 255")
        self._tolerance_icon = QLabel()
        self._tolerance_group = self.addWidget(self._group(self._tolerance_icon, self.tolerance, self.tolerance_value))
        self.show_tool("")
        self.addSeparator()
        self.opacity = Slider(self.tr("Overlay opacity"), 0, 100)
        self.opacity.setToolTip(self.tr("How strong the mask shows: Shift+[ and Shift+], H hides it"))
        self.opacity.valueChanged.connect(self._on_opacity)
        self.opacity_value = self._value(self.tr("Overlay opacity"), "100 %")
        self._opacity_icon = QLabel()
        self.addWidget(self._group(self._opacity_icon, self.opacity, self.opacity_value))
        self.addWidget(action_button(actions["hide_overlay"]))
        spacer = QWidget()
        spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.addWidget(spacer)
        self.addWidget(action_button(actions["zoom_out"]))
        self.zoom_value = self._value(self.tr("Zoom"), "1600 %")
        self.zoom_value.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.addWidget(self.zoom_value)
        for action_id in ("zoom_in", "zoom_fit", "zoom_100"):
            self.addWidget(action_button(actions[action_id]))
        self.show_zoom(None)

    def _value(self, name: str, widest: str) -> QLabel:
        label = QLabel()
        label.setProperty("role", "muted")
        label.setAccessibleName(name)
        label.setMinimumWidth(label.fontMetrics().horizontalAdvance(widest) + 4)
        return label

    def _group(self, icon: QLabel, slider: Slider, value: QLabel) -> QWidget:
        slider.setMinimumWidth(60)
        slider.setMaximumWidth(150)
        group = QWidget()
        row = QHBoxLayout(group)
        row.setContentsMargins(4, 0, 2, 0)
        row.setSpacing(6)
        row.addWidget(icon)
        row.addWidget(slider)
        row.addWidget(value)
        group.setMaximumWidth(250)
        return group

    # -- values ------------------------------------------------------------------------------------------------
    def show_brush_radius(self, radius: int) -> None:
        """Show a radius that was set elsewhere; does not signal."""
        self.brush.blockSignals(True)
        self.brush.setValue(_step_of(radius))
        self.brush.blockSignals(False)
        self.brush_value.setText(self.tr("%1 px").replace("%1", str(2 * radius)))

    def show_tolerance(self, tolerance: int) -> None:
        """Show a tolerance that was set elsewhere; does not signal."""
        self.tolerance.blockSignals(True)
        self.tolerance.setValue(tolerance)
        self.tolerance.blockSignals(False)
        self.tolerance_value.setText(f"± {tolerance}")

    def show_tool(self, name: str) -> None:
        """The options of this tool."""
        for group, shown in ((self._brush_group, name != "fill"), (self._tolerance_group, name == "fill")):
            if group is not None:
                group.setVisible(shown)

    def show_opacity(self, opacity: float) -> None:
        self.opacity.blockSignals(True)
        self.opacity.setValue(round(opacity * 100))
        self.opacity.blockSignals(False)
        self.opacity_value.setText(f"{round(opacity * 100)} %")

    def show_zoom(self, zoom: float | None) -> None:
        """`zoom` is screen pixels per frame pixel, None without a picture."""
        self.zoom_value.setText("–" if zoom is None else f"{zoom * 100:.0f} %")

    def _on_brush(self, step: int) -> None:
        radius = _radius_of(step)
        self.brush_value.setText(self.tr("%1 px").replace("%1", str(2 * radius)))
        self.brush_radius_changed.emit(radius)

    def _on_tolerance(self, tolerance: int) -> None:
        self.tolerance_value.setText(f"± {tolerance}")
        self.tolerance_changed.emit(tolerance)

    def _on_opacity(self, percent: int) -> None:
        self.opacity_value.setText(f"{percent} %")
        self.opacity_changed.emit(percent / 100)

    def apply_theme(self, theme: Theme) -> None:
        ratio = self.devicePixelRatioF()
        self._brush_icon.setPixmap(draw("brush_size", theme.muted, 18, ratio))
        self._tolerance_icon.setPixmap(draw("fill", theme.muted, 18, ratio))
        self._opacity_icon.setPixmap(draw("opacity", theme.muted, 18, ratio))


def _radius_of(step: int) -> int:
    return round(MIN_RADIUS + (MAX_RADIUS - MIN_RADIUS) * (step / _RADIUS_STEPS) ** 2)


def _step_of(radius: int) -> int:
    share = (min(max(radius, MIN_RADIUS), MAX_RADIUS) - MIN_RADIUS) / (MAX_RADIUS - MIN_RADIUS)
    return round(_RADIUS_STEPS * float(share**0.5))
