"""A widget that shows a frame with its mask over it, with zoom and pan. Knows nothing of editing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PyQt6.QtCore import QEvent, QPointF, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.canvas import compositor
from app.canvas.overlay_styles import STYLES, VIEWS
from app.canvas.view_buffer import ViewBuffer
from app.canvas.viewport import Viewport
from app.painting.raster import Rect
from app.state.objects import ObjectList
from app.state.palette import palette_array
from engine.types import Frame, Mask


class FrameView(QWidget):
    """Shows a picture; subclasses say which mask lies over it (`shown_mask`) and draw on top (`paint_over`).

    The pixels on the screen are kept in a buffer: a paint event copies them, and only what changed is computed anew.

    Signals:
        zoom_changed(float): device pixels per frame pixel, 1.0 is 100 %.
    """

    zoom_changed = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._objects = ObjectList(self)
        self._frame: Frame | None = None
        self._image: compositor.FrameImage | None = None
        self._viewport = Viewport()
        self._buffer = ViewBuffer()
        self._opacity = 0.5
        self._overlay_style, self._live_view = "fill", "overlay"
        self._overlay_visible = True
        self._background: QColor | None = None
        self._style = self._make_style()
        self._objects.changed.connect(self._on_objects_changed)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 120)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(960, 540)

    # -- for subclasses ----------------------------------------------------------------------------------------
    def shown_mask(self) -> Mask | None:
        """The H x W ids to lay over the frame now, None for none."""
        return None

    def shown_style(self) -> compositor.OverlayStyle:
        """How that mask is shown now."""
        return self._style

    def paint_over(self, painter: QPainter) -> None:
        """Draw on top of the picture, in widget coordinates."""

    def show_frame(self, frame: Frame | None) -> None:
        """Another picture, or none. A picture of another size is shown fitted."""
        if frame is not self._frame:
            self._frame = frame
            self._image = None if frame is None else compositor.FrameImage(frame.rgb)
        if frame is not None:
            self.set_viewport(self._viewport.with_frame(frame.width, frame.height))
        self.redraw()

    def redraw(self, rect: Rect | None = None) -> None:
        """Compute these frame pixels, or everything, anew at the next paint event."""
        if rect is None:
            self._buffer.invalidate()
            self.update()
            return
        block = compositor.view_block(self._viewport, rect, self._style.line + 2)
        if block is not None:
            self._buffer.invalidate(block)
            self.update(self._to_widget(block))

    # -- looks -------------------------------------------------------------------------------------------------
    @property
    def objects(self) -> ObjectList:
        return self._objects

    def set_objects(self, objects: ObjectList) -> None:
        """Use the colours and the visibility of this list."""
        self._objects.changed.disconnect(self._on_objects_changed)
        self._objects = objects
        objects.changed.connect(self._on_objects_changed)
        self._on_objects_changed()

    @property
    def overlay_opacity(self) -> float:
        return self._opacity

    def set_overlay_opacity(self, opacity: float) -> None:
        """0..1; the outline of a fill stays solid at any opacity."""
        self._opacity = min(max(float(opacity), 0.0), 1.0)
        self._on_objects_changed()

    @property
    def overlay_style(self) -> str:
        return self._overlay_style

    def set_overlay_style(self, style: str) -> None:
        """One of `overlay_styles.STYLES`: how the overlay marks objects.

        Raises:
            ValueError: there is no such style.
        """
        if style not in STYLES:
            raise ValueError(f"no overlay style {style!r}; there are {', '.join(STYLES)}")
        self._overlay_style = style
        self._on_objects_changed()

    @property
    def live_view(self) -> str:
        return self._live_view

    def set_live_view(self, view: str) -> None:
        """One of `overlay_styles.VIEWS`: the overlay, the matte or a cut-out. A frame without a mask shows as it is.

        Raises:
            ValueError: there is no such view.
        """
        if view not in VIEWS:
            raise ValueError(f"no view {view!r}; there are {', '.join(VIEWS)}")
        self._live_view = view
        self._on_objects_changed()

    @property
    def overlay_visible(self) -> bool:
        return self._overlay_visible

    def set_overlay_visible(self, visible: bool) -> None:
        """Show or hide masks and outlines."""
        self._overlay_visible = visible
        self.redraw()

    def set_background(self, color: QColor | None) -> None:
        """What surrounds the frame; None takes it from the palette."""
        self._background = color
        self.redraw()

    def _on_objects_changed(self) -> None:
        self._style = self._make_style()
        self.redraw()

    def _make_style(self) -> compositor.OverlayStyle:
        colors, shown = palette_array(), np.arange(256, dtype=np.uint8)
        for item in self._objects.items:
            colors[item.id] = item.color
            if not self._objects.shows(item):
                shown[item.id] = 0
        scale = max(1, round(self.devicePixelRatioF()))
        style = self._overlay_style
        line = 2 * scale if style == "outline" else scale
        return compositor.OverlayStyle(colors, shown, self._opacity, line, style, self._live_view, scale)

    # -- zoom --------------------------------------------------------------------------------------------------
    @property
    def viewport(self) -> Viewport:
        return self._viewport

    @property
    def zoom(self) -> float:
        """Device pixels per frame pixel; 1.0 is 100 %."""
        return self._viewport.zoom

    def zoom_fit(self) -> None:
        """The whole frame, as large as it goes, also after resizing."""
        self.set_viewport(self._viewport.fit())

    def zoom_100(self) -> None:
        """One frame pixel on one screen pixel."""
        self.set_viewport(self._viewport.zoomed(1.0, *self.zoom_center()))

    def zoom_in(self) -> None:
        self.set_viewport(self._viewport.stepped(+1, *self.zoom_center()))

    def zoom_out(self) -> None:
        self.set_viewport(self._viewport.stepped(-1, *self.zoom_center()))

    def zoom_center(self) -> tuple[float, float]:
        """The device pixel that stays in place when a command zooms: the middle of the view."""
        return self._viewport.view_width / 2, self._viewport.view_height / 2

    def set_viewport(self, viewport: Viewport) -> None:
        """Show the frame at this zoom and place."""
        former, self._viewport = self._viewport, viewport
        if viewport == former:
            return
        if replace(viewport, x=former.x, y=former.y, fitted=former.fitted) == former:
            self._buffer.scroll(viewport.left - former.left, viewport.top - former.top)
        else:
            self._buffer.invalidate()
        self.update()
        if viewport.zoom != former.zoom:
            self.zoom_changed.emit(viewport.zoom)

    # -- coordinates -------------------------------------------------------------------------------------------
    def to_device(self, position: QPointF) -> tuple[float, float]:
        """Widget position to device pixels. A mouse position names a pixel; its middle is meant, hence the half."""
        ratio = self.devicePixelRatioF()
        return position.x() * ratio + 0.5, position.y() * ratio + 0.5

    def to_frame(self, position: QPointF) -> tuple[float, float]:
        """Widget position to frame pixels (floats; may lie outside the frame)."""
        return self._viewport.to_frame(*self.to_device(position))

    def from_frame(self, x: float, y: float) -> QPointF:
        """Frame pixels to widget coordinates."""
        ratio = self.devicePixelRatioF()
        left, top = self._viewport.to_view(x, y)
        return QPointF(left / ratio, top / ratio)

    def _to_widget(self, block: Rect) -> QRect:
        """The widget pixels that show a block of device pixels."""
        ratio = self.devicePixelRatioF()
        x, y = math.floor(block.x / ratio), math.floor(block.y / ratio)
        right, bottom = math.ceil((block.x + block.width) / ratio), math.ceil((block.y + block.height) / ratio)
        return QRect(x, y, right - x, bottom - y)

    # -- painting ----------------------------------------------------------------------------------------------
    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        self._buffer.refresh(self._compose)
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.scale(1 / ratio, 1 / ratio)  # device pixels, one to one
        painter.drawImage(0, 0, self._buffer.image)
        painter.resetTransform()
        self.paint_over(painter)
        painter.end()

    def _compose(self, target: compositor.Pixels32, block: Rect) -> None:
        color = (self._background or self.palette().color(QPalette.ColorRole.Window).darker(115)).rgb()
        if self._image is None:
            target[block.slices] = color
        else:
            mask, style = self.shown_mask(), self.shown_style()
            compositor.compose(target, block, self._viewport, self._image, mask, style, color)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        self._fit_buffer()

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self.redraw()
        super().changeEvent(event)

    def event(self, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.DevicePixelRatioChange:
            self._fit_buffer()
            self._on_objects_changed()
        return super().event(event)

    def _fit_buffer(self) -> None:
        ratio = self.devicePixelRatioF()
        width, height = max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))
        self._buffer.resize(width, height)
        self.set_viewport(self._viewport.with_view(width, height))

    def grab_frame_pixel(self, x: int, y: int) -> QColor:
        """The colour on the screen in the middle of frame pixel (x, y), which must be in sight. For tests."""
        left, top = self._viewport.to_view(x + 0.5, y + 0.5)
        return self.grab().toImage().pixelColor(math.floor(left), math.floor(top))
