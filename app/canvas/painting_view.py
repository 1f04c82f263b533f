"""Which item is shown, which mask lies over it, and which tool is in hand. The canvas without its mouse and keys."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

from PyQt6.QtCore import QPointF, QRect, Qt, pyqtSignal
from PyQt6.QtGui import QPainter
from PyQt6.QtWidgets import QWidget

from app.canvas import brush_ring
from app.canvas.compositor import OverlayStyle
from app.canvas.frame_view import FrameView
from app.painting.edit import EditModel
from app.painting.raster import Rect
from app.painting.scribble_tool import ScribbleTool
from app.painting.tools import Tool, make_tools
from app.state.objects import ObjectList
from engine.runtime.messages import DisplayItem, MaskKind
from engine.types import Mask

MIN_RADIUS = 1
MAX_RADIUS = 300
BRUSH_PER_NOTCH = 1.2


class PaintingView(FrameView):
    """A frame view that edits the frame it shows; `Canvas` adds mouse, pen and keyboard.

    Signals:
        brush_radius_changed(int): frame pixels.
        fill_tolerance_changed(int): levels per channel.
        tool_changed(str): another tool is in hand.
        hint_changed(str): what to do next with the tool in hand, "" when there is nothing to say.
    """

    brush_radius_changed = pyqtSignal(int)
    fill_tolerance_changed = pyqtSignal(int)
    tool_changed = pyqtSignal(str)
    hint_changed = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._edit = EditModel(self._objects, self)
        self._tools = make_tools(self._edit)
        self._tool: Tool = self._tools["paint"]
        self._scribble = cast(ScribbleTool, self._tools["scribble"])
        self._radius = 20
        self._tolerance = 16
        self._editable = True
        self._item: DisplayItem | None = None
        self._waiting: DisplayItem | None = None
        self._pointer: QPointF | None = None
        self._erasing = False
        self._was_busy = False
        self._nothing_yet = False  # on the frame when the tool was put down
        self._hint = ""
        self._edit.region_changed.connect(self._on_region_changed)
        self._edit.frame_changed.connect(self._on_edit_frame_changed)
        self._objects.removed.connect(self._on_object_removed)

    # -- what is shown -----------------------------------------------------------------------------------------
    @property
    def item(self) -> DisplayItem | None:
        """What is displayed; its mask may be older than what the user has painted since, see `displayed_mask`."""
        return self._item

    @property
    def displayed_mask(self) -> Mask | None:
        """The mask of the displayed frame: the edited one while this frame is edited, else the item's. Read-only."""
        if self._item is None:
            return None
        return self._edit.mask if self._edits_shown_frame else self._item.mask

    def set_item(self, item: DisplayItem) -> None:
        """Show this; while a tool is busy, as soon as it is done. Items of a former source are ignored."""
        newest = self._waiting or self._item
        if newest is not None and item.generation < newest.generation:
            return
        if self.busy and self._item is not None and item.generation == self._item.generation:
            self._waiting = item
        else:
            self._show(item)

    def clear(self) -> None:
        """Show nothing: no source is open. Forgets the edits and their history."""
        self._tool.cancel()
        self._item, self._waiting = None, None
        self._edit.reset()
        self._viewport = replace(self._viewport, frame_width=0, frame_height=0, fitted=True)
        self.show_frame(None)
        self.refresh_cursor()
        self._tell_hint()

    def shown_mask(self) -> Mask | None:
        # Nobody wants to paint blind: the overlay shows while a tool is at work even when it is switched off.
        return self.displayed_mask if self._overlay_visible or self.busy else None

    def shown_style(self) -> OverlayStyle:
        # Nor to paint the first mask of a frame into the dark: the matte and the cut-outs begin when it is there.
        if self.busy and (not self._overlay_visible or self._nothing_yet):
            return replace(self._style, view="overlay")
        return self._style

    def _show(self, item: DisplayItem) -> None:
        former = self._item
        new_source = former is None or former.generation != item.generation
        if new_source:
            self._tool.cancel()
            self._waiting = None
            self._edit.reset()
        edited = self._edits_shown_frame
        self._item = item
        index = item.frame.index
        if self._edit.wants(index) or (self._edit.frame is not None and self._edit.frame.index == index):
            self._edit.begin_frame(item.frame, item.mask)
        else:
            self._edit.leave_frame()
        if self._item is not item:
            return  # an undo that waited for this frame has led on to another one
        same_picture = former is not None and former.frame is item.frame
        if not (same_picture and edited and self._edits_shown_frame):  # else the edit model has told what changed
            self.show_frame(item.frame)
        if new_source:
            self.zoom_fit()
            self.refresh_cursor()
            self._tell_hint()

    @property
    def _edits_shown_frame(self) -> bool:
        frame = self._edit.frame
        return frame is not None and self._item is not None and frame.index == self._item.frame.index

    def _on_edit_frame_changed(self) -> None:
        frame = self._edit.frame
        if frame is not None and self._item is not None and not self._edits_shown_frame:
            # An undo on a live source went back to a frame that cannot be fetched: show the one the edit model kept.
            mask = self._edit.mask.copy()
            self._item = replace(self._item, frame=frame, mask=mask, kind=MaskKind.KEYFRAME, confidence={})
            self.show_frame(frame)

    def _on_region_changed(self, rect: QRect) -> None:
        if self._edits_shown_frame and self._item is not None:
            if self._item.mask is None and self._live_view != "overlay" and not self.busy:
                self.redraw()  # its first mask: what lies around it changes, too
                return
            self.redraw(Rect(rect.x(), rect.y(), rect.width(), rect.height()))

    def _on_object_removed(self) -> None:
        self.cancel_tool()  # what it has begun may be for an object that is no more

    # -- editing -----------------------------------------------------------------------------------------------
    @property
    def edit(self) -> EditModel:
        """The edited mask, its undo and redo."""
        return self._edit

    def set_objects(self, objects: ObjectList) -> None:
        """Use this object list: colours, visibility, locks, the selected object; its edits can be undone."""
        self._objects.removed.disconnect(self._on_object_removed)
        self._edit.set_objects(objects)
        super().set_objects(objects)
        objects.removed.connect(self._on_object_removed)

    def begin_edit(self) -> bool:
        """Make the displayed frame the edited one, so that `edit.clear` and the like concern it; False without one."""
        if self._item is None:
            return False
        if not self._edits_shown_frame:
            self._edit.begin_frame(self._item.frame, self._item.mask)
        self._nothing_yet = not self._edit.mask.any()
        return True

    @property
    def editable(self) -> bool:
        return self._editable

    def set_editable(self, editable: bool) -> None:
        """Allow or refuse painting; navigation always works."""
        self._editable = editable
        if not editable:
            self.cancel_tool()
        self.update_ring()
        self.refresh_cursor()

    @property
    def busy(self) -> bool:
        """A tool has begun something; the displayed frame is held."""
        return self._tool.busy

    @property
    def tool(self) -> str:
        """Name of the tool in hand."""
        return self._tool.name

    @property
    def tool_names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def set_tool(self, name: str) -> None:
        """Take another tool in hand (`tool_names` are all). What the former one has begun is cancelled.

        Raises:
            ValueError: there is no such tool.
        """
        if name not in self._tools:
            raise ValueError(f"no tool {name!r}; there are {', '.join(self._tools)}")
        if name != self._tool.name:
            self.cancel_tool()
            self.update_ring()
            self._tool = self._tools[name]
            self.update_ring()
            self.refresh_cursor()
            self.tool_changed.emit(name)
            self._tell_hint()

    @property
    def scribble(self) -> ScribbleTool:
        """The smart scribble, whether in hand or not."""
        return self._scribble

    def cancel_tool(self) -> None:
        """Take back what the tool in hand has begun."""
        if self.busy:
            self._tool.cancel()
            self.tool_used()

    def tool_used(self) -> None:
        """After anything a tool did: show the item that waited if the tool is done, and the preview as it is now."""
        waiting = self._waiting
        if not self.busy and waiting is not None:
            self._waiting = None
            self._show(waiting)
        if self.busy != self._was_busy:
            self._was_busy = self.busy
            self._tell_hint()
            if not self._overlay_visible or self._live_view != "overlay":
                self.redraw()
        if not self._tool.brush:
            self.update()

    def _tell_hint(self) -> None:
        hint = self._tool.hint if self._item is not None else ""
        if hint != self._hint:
            self._hint = hint
            self.hint_changed.emit(hint)

    # -- brush -------------------------------------------------------------------------------------------------
    @property
    def brush_radius(self) -> int:
        return self._radius

    def set_brush_radius(self, radius: int) -> None:
        """Frame pixels, limited to 1..300."""
        radius = min(max(int(radius), MIN_RADIUS), MAX_RADIUS)
        if radius != self._radius:
            self.update_ring()
            self._radius = radius
            self.update_ring()
            self.brush_radius_changed.emit(radius)

    def scale_brush(self, notches: float) -> None:
        """Larger (> 0) or smaller (< 0) by steps of a fifth, by one pixel at least; the tolerance of the fill tool."""
        if self._tool.name == "fill":
            self.set_fill_tolerance(self._tolerance + math.ceil(abs(2 * notches)) * (1 if notches > 0 else -1))
            return
        scaled = round(self._radius * BRUSH_PER_NOTCH**notches)
        if scaled == self._radius and notches:
            scaled += 1 if notches > 0 else -1
        self.set_brush_radius(scaled)

    def brush_larger(self) -> None:
        self.scale_brush(+1)

    def brush_smaller(self) -> None:
        self.scale_brush(-1)

    @property
    def fill_tolerance(self) -> int:
        return self._tolerance

    def set_fill_tolerance(self, tolerance: int) -> None:
        """Largest colour difference per channel (0..255) that the fill tool bridges."""
        tolerance = min(max(int(tolerance), 0), 255)
        if tolerance != self._tolerance:
            self._tolerance = tolerance
            self.fill_tolerance_changed.emit(tolerance)

    # -- over the picture --------------------------------------------------------------------------------------
    @property
    def ring(self) -> tuple[QPointF, float] | None:
        """Centre and radius of the brush ring in widget pixels, None when it does not show."""
        if self._pointer is None or self._item is None or not self._editable or not self._tool.brush:
            return None
        ratio = self.devicePixelRatioF()
        return self._pointer, brush_ring.ring_radius(self.effective_radius, self._viewport.zoom, ratio)

    @property
    def effective_radius(self) -> float:
        """Frame pixels the brush covers now, the pressure of a pen included."""
        return float(self._radius)

    def update_ring(self) -> None:
        """Repaint where the ring is; call before and after it changes."""
        ring = self.ring
        if ring is not None:
            self.update(brush_ring.ring_region(*ring))

    def paint_over(self, painter: QPainter) -> None:
        self._tool.paint_preview(painter, self.from_frame)
        ring = self.ring
        if ring is not None:
            brush_ring.draw_ring(painter, *ring, erasing=self._erasing or self._tool.name == "erase")

    def zoom_center(self) -> tuple[float, float]:
        """Commands zoom at the pointer while it is over the canvas."""
        return super().zoom_center() if self._pointer is None else self.to_device(self._pointer)

    def refresh_cursor(self) -> None:
        """Give the pointer the shape that tells what a press would do."""
        self.setCursor(Qt.CursorShape.ArrowCursor)
