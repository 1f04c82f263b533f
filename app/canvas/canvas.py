"""The canvas: shows a frame with its mask and lets the user paint on it with mouse, pen and touch."""

from __future__ import annotations

import math
from typing import cast

from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QEnterEvent,
    QFocusEvent,
    QInputDevice,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPointingDevice,
    QTabletEvent,
    QWheelEvent,
)
from PyQt6.QtWidgets import QGestureEvent, QPinchGesture, QWidget

from app.canvas.navigation import Navigation
from app.canvas.painting_view import PaintingView
from app.painting.tools import ToolEvent

ERASE_MODIFIERS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
LIGHTEST_TOUCH = 0.1  # share of the radius that the lightest touch of a pen paints with
TOOL_KEYS = (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Backspace)


class Canvas(PaintingView):
    """Shows a `DisplayItem` and lets the user paint on its very frame.

    Mouse: left paints, right (or Ctrl+left, Alt+left) erases the selected object; Shift while erasing takes every
    object that is neither locked nor hidden. A middle click shows or hides the object under it, Shift+middle click
    selects it. Middle-drag and hold-Space-drag pan, the wheel zooms at the pointer, Ctrl+wheel and [ ] size the brush;
    on a touchpad two fingers pan and a pinch zooms. Keys while a tool is busy: Enter, Esc, Backspace.

    Signals (and those of the base classes):
        stroke_started(): the user puts a tool down (live sources freeze on that).
        stroke_refused(str): a press does nothing; why, and what to do, in words for the status bar.
        space_tapped(): Space went down and up and nothing was dragged meanwhile.
        object_toggled(int): a middle click showed or hid this object (done already).
        object_picked(int): a Shift+middle click selected this object (done already).
        cursor_moved(int, int): frame pixel under the pointer; (-1, -1) outside the frame.
    """

    stroke_started = pyqtSignal()
    stroke_refused = pyqtSignal(str)
    space_tapped = pyqtSignal()
    object_toggled = pyqtSignal(int)
    object_picked = pyqtSignal(int)
    cursor_moved = pyqtSignal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._navigation = Navigation(self)
        self._button = Qt.MouseButton.NoButton  # that holds the tool down
        self._pressure: float | None = None
        self._pressure_sizes = True
        self.setMouseTracking(True)
        self.setTabletTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.grabGesture(Qt.GestureType.PinchGesture)
        self.setAccessibleName(self.tr("Canvas"))
        self.setAccessibleDescription(
            self.tr("The video frame with its masks. Paint with the left button, erase with the right button.")
        )
        self.refresh_cursor()

    def set_pressure_sizes_brush(self, enabled: bool) -> None:
        """Let the pressure of a pen scale the brush radius (on at first)."""
        self.update_ring()
        self._pressure_sizes = enabled
        self.update_ring()

    @property
    def effective_radius(self) -> float:
        share = 1.0 if self._pressure is None or not self._pressure_sizes else max(LIGHTEST_TOUCH, self._pressure)
        return max(0.5, self._radius * share)

    # -- tool in use -------------------------------------------------------------------------------------------
    def _tool_event(self, position: QPointF, modifiers: Qt.KeyboardModifier) -> ToolEvent:
        x, y = self.to_frame(position)
        return ToolEvent(
            x,
            y,
            object_id=self._objects.selected_id,
            radius=self.effective_radius,
            erase=self._erasing,
            shift=bool(modifiers & Qt.KeyboardModifier.ShiftModifier),
            scale=self._viewport.zoom / self.devicePixelRatioF(),
            tolerance=self._tolerance,
        )

    def _press_tool(
        self, position: QPointF, button: Qt.MouseButton, modifiers: Qt.KeyboardModifier, double: bool = False
    ) -> None:
        if self._button != Qt.MouseButton.NoButton:
            return  # another button while one holds the tool
        if self.busy and self._tool.signs_each_press:
            self._erasing = button == Qt.MouseButton.RightButton or bool(modifiers & ERASE_MODIFIERS)
        if not self.busy:
            self._erasing = button == Qt.MouseButton.RightButton or bool(modifiers & ERASE_MODIFIERS)
            if not self._may_edit(bool(modifiers & Qt.KeyboardModifier.ShiftModifier)):
                return
            self.stroke_started.emit()
            if not self.begin_edit():
                return  # whoever heard it has closed the source
        self._button = button
        event = self._tool_event(position, modifiers)
        if double:
            self._tool.double_click(event)
        else:
            self._tool.press(event)
        self.tool_used()

    def _move_tool(self, position: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        self._follow_pointer(position)
        if self.busy:
            self._tool.move(self._tool_event(position, modifiers))
            self.tool_used()

    def _release_tool(self, position: QPointF, button: Qt.MouseButton, modifiers: Qt.KeyboardModifier) -> None:
        if button != self._button:
            return
        self._button = Qt.MouseButton.NoButton
        self._tool.release(self._tool_event(position, modifiers))
        if not self.busy:
            self._erasing = False
        self.tool_used()
        self.update_ring()

    def _may_edit(self, shift: bool) -> bool:
        """Whether a press may edit; tells the user if not. Painting with an empty list adds the first object."""
        if not self._editable or self._item is None:
            return False
        erasing = self._erasing or self._tool.name == "erase"
        if not self._objects.selected_id and not len(self._objects) and not erasing:
            self._objects.add()
        selected = self._objects.get(self._objects.selected_id)
        if erasing and shift:
            return True
        if selected is None:
            self.stroke_refused.emit(
                self.tr("No object is selected. Choose one in the list, or press N for a new one.")
            )
        elif selected.locked:
            self.stroke_refused.emit(self.tr("“%1” is locked. Unlock it to change it.").replace("%1", selected.name))
        elif not self._objects.shows(selected):
            self.stroke_refused.emit(self.tr("“%1” is hidden. Show it to change it.").replace("%1", selected.name))
        else:
            return True
        return False

    def cancel_tool(self) -> None:
        super().cancel_tool()
        self._button = Qt.MouseButton.NoButton
        self._erasing = False

    # -- mouse -------------------------------------------------------------------------------------------------
    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        self._press(event, double=False)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        self._press(event, double=True)

    def _press(self, event: QMouseEvent | None, double: bool) -> None:
        if event is None or self._item is None:
            return
        self._follow_pointer(event.position())
        if self._button == Qt.MouseButton.NoButton and self._navigation.press(event):
            return
        if event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            self._press_tool(event.position(), event.button(), event.modifiers(), double)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is None:
            return
        if self._button != Qt.MouseButton.NoButton and event.buttons() == Qt.MouseButton.NoButton:
            # The release went elsewhere, to a dialog that opened in mid-stroke for example.
            self._release_tool(event.position(), self._button, event.modifiers())
        if self._navigation.move(event):
            self._follow_pointer(event.position())
        else:
            self._move_tool(event.position(), event.modifiers())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is not None and not self._navigation.release(event):
            self._release_tool(event.position(), event.button(), event.modifiers())

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        if event is not None and self._item is not None:
            self.update_ring()
            self._navigation.wheel(event)
            self.update_ring()
            event.accept()

    def enterEvent(self, event: QEnterEvent | None) -> None:  # noqa: N802
        if event is not None:
            self._follow_pointer(event.position())

    def leaveEvent(self, event: QEvent | None) -> None:  # noqa: N802
        self._follow_pointer(None)

    def _follow_pointer(self, position: QPointF | None) -> None:
        self.update_ring()
        self._pointer = position
        self.update_ring()
        x, y = (-1.0, -1.0) if position is None else self.to_frame(position)
        frame = None if self._item is None else self._item.frame
        inside = frame is not None and 0 <= x < frame.width and 0 <= y < frame.height
        self.cursor_moved.emit(*((math.floor(x), math.floor(y)) if inside else (-1, -1)))

    def middle_clicked(self, position: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Show or hide the object under the pointer; with Shift select it."""
        mask = self.displayed_mask
        x, y = (math.floor(value) for value in self.to_frame(position))
        if mask is None or not (0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]):
            return
        item = self._objects.get(int(mask[y, x]))
        if item is None:
            return
        if modifiers & Qt.KeyboardModifier.ShiftModifier:
            self._objects.select(item.id)
            self.object_picked.emit(item.id)
        else:
            self._objects.set_visible(item.id, not item.visible)
            self.object_toggled.emit(item.id)

    # -- pen ---------------------------------------------------------------------------------------------------
    def tabletEvent(self, event: QTabletEvent | None) -> None:  # noqa: N802
        """A pen paints at its own, finer positions. What is not painting is left to the mouse event Qt makes of it."""
        if event is None or self._item is None or self._navigation.ready_to_pan or self._navigation.panning:
            if event is not None:
                event.ignore()
            return
        position, modifiers = event.position(), event.modifiers()
        eraser = event.pointerType() == QPointingDevice.PointerType.Eraser
        button = Qt.MouseButton.RightButton if eraser else event.button()
        if event.type() == QEvent.Type.TabletMove:
            self._press_pen(_pressure(event) if event.buttons() != Qt.MouseButton.NoButton else None)
            self._move_tool(position, modifiers)
        elif button not in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            event.ignore()
            return
        elif event.type() == QEvent.Type.TabletPress:
            self.setFocus(Qt.FocusReason.MouseFocusReason)
            self._press_pen(_pressure(event))
            self._follow_pointer(position)
            self._press_tool(position, button, modifiers)
        else:
            self._release_tool(position, button, modifiers)
            self._press_pen(None)
        event.accept()

    def _press_pen(self, pressure: float | None) -> None:
        self.update_ring()  # the ring follows the pressure
        self._pressure = pressure
        self.update_ring()

    # -- touch -------------------------------------------------------------------------------------------------
    def event(self, event: QEvent | None) -> bool:
        if event is None:
            return False
        kind = event.type()
        if kind == QEvent.Type.ShortcutOverride and self._overrides_shortcut(cast(QKeyEvent, event)):
            event.accept()
            return True
        if kind == QEvent.Type.NativeGesture and self._item is not None:
            return self._navigation.native_gesture(cast(QNativeGestureEvent, event))
        if kind == QEvent.Type.Gesture:
            return self._gesture(cast(QGestureEvent, event))
        return super().event(event)

    def _gesture(self, event: QGestureEvent) -> bool:
        pinch = event.gesture(Qt.GestureType.PinchGesture)
        if not isinstance(pinch, QPinchGesture) or self._item is None:
            return False
        self.cancel_tool()  # the first of the two fingers had begun a stroke
        self._navigation.pinch(pinch, QPointF(self.mapFromGlobal(pinch.centerPoint())))
        event.accept(pinch)
        return True

    # -- keyboard ----------------------------------------------------------------------------------------------
    def _overrides_shortcut(self, event: QKeyEvent) -> bool:
        """Space while the canvas has the keyboard (it may become a drag), and the keys of a busy tool."""
        if event.key() == Qt.Key.Key_Space and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            return True
        return self.busy and event.key() in TOOL_KEYS

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        if event is None:
            return
        key = event.key()
        if key == Qt.Key.Key_Space and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            if not event.isAutoRepeat() and self._button == Qt.MouseButton.NoButton:
                self._navigation.space_pressed()
        elif self._key_for_tool(key):
            pass
        elif key == Qt.Key.Key_BracketLeft:
            self.brush_smaller()
        elif key == Qt.Key.Key_BracketRight:
            self.brush_larger()
        else:
            super().keyPressEvent(event)

    def _key_for_tool(self, key: int) -> bool:
        if not self.busy or not self._tool.key(key):
            return False
        if not self.busy:
            self._button, self._erasing = Qt.MouseButton.NoButton, False
        self.tool_used()
        return True

    def step_back(self) -> bool:
        """Take back the last corner or stroke of what the tool in hand has begun; False when it has begun nothing."""
        return self._key_for_tool(Qt.Key.Key_Backspace)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        if event is None:
            return
        if event.key() != Qt.Key.Key_Space:
            super().keyReleaseEvent(event)
        elif not event.isAutoRepeat() and self._navigation.space_released():
            self.space_tapped.emit()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:  # noqa: N802
        self._navigation.reset()
        super().focusOutEvent(event)

    def refresh_cursor(self) -> None:
        """Give the pointer the shape that tells what a press would do."""
        shape = Qt.CursorShape.CrossCursor
        if self._navigation.panning:
            shape = Qt.CursorShape.ClosedHandCursor
        elif self._navigation.ready_to_pan:
            shape = Qt.CursorShape.OpenHandCursor
        elif self._item is None or not self._editable:
            shape = Qt.CursorShape.ArrowCursor
        self.setCursor(shape)


def _pressure(event: QTabletEvent) -> float | None:
    """0..1; None from a pen that cannot tell."""
    device = event.pointingDevice()
    if device is None or not device.hasCapability(QInputDevice.Capability.Pressure):
        return None
    return event.pressure()
