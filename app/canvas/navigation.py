"""Zoom and pan: wheel, middle-drag, hold-Space-drag, touchpad scroll and pinch; and the brush size by Ctrl+wheel."""

from __future__ import annotations

from typing import Protocol

from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QMouseEvent, QNativeGestureEvent, QWheelEvent
from PyQt6.QtWidgets import QPinchGesture

from app.canvas.viewport import Viewport

CLICK_DISTANCE = 3.0  # a middle press that moves no further is a click
NOTCH = 120.0  # wheel degrees in eighths of a degree, one click of an ordinary wheel
ZOOM_PER_NOTCH = 2**0.25
SNAP_TO_100 = 0.06


class Navigable(Protocol):
    """What navigation asks of the canvas. Positions are widget coordinates."""

    @property
    def viewport(self) -> Viewport: ...

    def set_viewport(self, viewport: Viewport) -> None: ...

    def to_device(self, position: QPointF) -> tuple[float, float]: ...

    def scale_brush(self, notches: float) -> None: ...

    def middle_clicked(self, position: QPointF, modifiers: Qt.KeyboardModifier) -> None: ...

    def refresh_cursor(self) -> None: ...


class Navigation:
    """Turns events into viewports. Methods return True when the event was theirs."""

    def __init__(self, canvas: Navigable) -> None:
        self._canvas = canvas
        self._space = False
        self._space_used = False
        self._grabbed: QPointF | None = None
        self._button = Qt.MouseButton.NoButton
        self._travelled = 0.0

    @property
    def ready_to_pan(self) -> bool:
        """Space is held: a drag would pan."""
        return self._space

    @property
    def panning(self) -> bool:
        return self._grabbed is not None

    # -- Space -------------------------------------------------------------------------------------------------
    def space_pressed(self) -> None:
        self._space, self._space_used = True, self.panning
        self._canvas.refresh_cursor()

    def space_released(self) -> bool:
        """True when Space was only tapped: nothing was dragged while it was down."""
        tapped = self._space and not self._space_used
        self._space = False
        self._canvas.refresh_cursor()
        return tapped

    def reset(self) -> None:
        """The keyboard went elsewhere: the release of Space may never come."""
        self._space = False
        self._canvas.refresh_cursor()

    # -- dragging ----------------------------------------------------------------------------------------------
    def press(self, event: QMouseEvent) -> bool:
        if self.panning:
            return True
        middle = event.button() == Qt.MouseButton.MiddleButton
        if not middle and not (self._space and event.button() == Qt.MouseButton.LeftButton):
            return False
        self._grabbed, self._button, self._travelled = event.position(), event.button(), 0.0
        self._space_used = self._space_used or self._space
        self._canvas.refresh_cursor()
        return True

    def move(self, event: QMouseEvent) -> bool:
        if self._grabbed is None:
            return False
        (x0, y0), (x1, y1) = self._canvas.to_device(self._grabbed), self._canvas.to_device(event.position())
        self._travelled += (event.position() - self._grabbed).manhattanLength()
        self._grabbed = event.position()
        self._canvas.set_viewport(self._canvas.viewport.panned(x1 - x0, y1 - y0))
        return True

    def release(self, event: QMouseEvent) -> bool:
        if self._grabbed is None:
            return False
        if event.button() == self._button:
            self._grabbed = None
            if self._button == Qt.MouseButton.MiddleButton and self._travelled <= CLICK_DISTANCE:
                self._canvas.middle_clicked(event.position(), event.modifiers())
            self._canvas.refresh_cursor()
        return True

    # -- wheel and touchpad ------------------------------------------------------------------------------------
    def wheel(self, event: QWheelEvent) -> None:
        notches = event.angleDelta().y() / NOTCH
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._canvas.scale_brush(notches)
        elif event.phase() != Qt.ScrollPhase.NoScrollPhase and not event.pixelDelta().isNull():
            # Two fingers on a touchpad: the picture follows the fingers.
            origin, moved = self._canvas.to_device(QPointF()), self._canvas.to_device(QPointF(event.pixelDelta()))
            self._pan(moved[0] - origin[0], moved[1] - origin[1])
        elif notches == 0:
            self._pan(event.angleDelta().x() / 2, 0)
        else:
            self._zoom(ZOOM_PER_NOTCH**notches, event.position())

    def native_gesture(self, event: QNativeGestureEvent) -> bool:
        """Pinch and smart zoom on touchpads (macOS, Wayland)."""
        kind = event.gestureType()
        if kind == Qt.NativeGestureType.ZoomNativeGesture:
            self._zoom(max(0.1, 1 + event.value()), event.position(), snap=False)
        elif kind == Qt.NativeGestureType.SmartZoomNativeGesture:
            viewport = self._canvas.viewport
            x, y = self._canvas.to_device(event.position())
            self._canvas.set_viewport(viewport.zoomed(1.0, x, y) if viewport.fitted else viewport.fit())
        else:
            return False
        return True

    def pinch(self, gesture: QPinchGesture, position: QPointF) -> None:
        """Two fingers on a touch screen."""
        self._zoom(max(0.1, gesture.scaleFactor()), position, snap=False)

    def _zoom(self, factor: float, position: QPointF, snap: bool = True) -> None:
        viewport = self._canvas.viewport
        zoom = viewport.zoom * factor
        if snap and abs(zoom - 1) < min(SNAP_TO_100, abs(viewport.zoom - 1)):  # near 100 % and getting nearer
            zoom = 1.0
        self._canvas.set_viewport(viewport.zoomed(zoom, *self._canvas.to_device(position)))

    def _pan(self, dx: float, dy: float) -> None:
        self._canvas.set_viewport(self._canvas.viewport.panned(dx, dy))
