"""The tools: what a press, a move and a release on the frame do to the mask. One class each.

A tool knows frame coordinates and the edit model, never widgets; the canvas turns mouse, pen and touch into
`ToolEvent`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from app.i18n import translate
from app.painting import raster
from app.painting.edit import EditModel

Point = tuple[float, float]
ToView = Callable[[float, float], QPointF]

CLOSE_DISTANCE = 8.0  # screen pixels around the first corner of a polygon in which a click closes it
LASSO_DISTANCE = 6.0  # screen pixels of a drag from which on it draws the outline instead of setting a corner
LASSO_STEP = 2.0  # screen pixels between the points of a drawn outline


@dataclass(frozen=True)
class ToolEvent:
    """A pointer event on the frame.

    Attributes:
        x, y: frame pixels, (0, 0) the top left corner of the frame; may lie outside the frame.
        object_id: the selected object.
        radius: brush radius in frame pixels, pen pressure already in it.
        erase: right button, or left with Ctrl or Alt, or the pen's eraser end.
        shift: Shift is held.
        scale: screen pixels per frame pixel, for distances the user judges by eye.
        tolerance: largest colour difference per channel a fill bridges.
    """

    x: float
    y: float
    object_id: int
    radius: float
    erase: bool = False
    shift: bool = False
    scale: float = 1.0
    tolerance: int = 16


class Tool(Protocol):
    """What the canvas asks of a tool.

    Attributes:
        name: the name `Canvas.set_tool` knows it by.
        brush: True when the pointer shows the brush ring.
        busy: something is begun and not finished; the canvas holds the frame meanwhile.
        hint: what to do next with it, for the status bar; "" when there is nothing to say.
        signs_each_press: while busy, each press says anew whether it erases.
    """

    name: str
    brush: bool
    signs_each_press: bool

    @property
    def busy(self) -> bool: ...

    @property
    def hint(self) -> str: ...

    def press(self, event: ToolEvent) -> None: ...

    def move(self, event: ToolEvent) -> None: ...

    def release(self, event: ToolEvent) -> None: ...

    def double_click(self, event: ToolEvent) -> None: ...

    def key(self, key: int) -> bool:
        """A key (`Qt.Key`) while busy; True when the tool used it."""
        ...

    def cancel(self) -> None:
        """Take back what is begun."""
        ...

    def paint_preview(self, painter: QPainter, to_view: ToView) -> None:
        """Draw what is begun, in widget coordinates."""
        ...


class _Base:
    """What tools share: an edit model, and doing nothing."""

    name = ""
    brush = False
    signs_each_press = False

    def __init__(self, edit: EditModel) -> None:
        self._edit = edit

    @property
    def busy(self) -> bool:
        return False

    @property
    def hint(self) -> str:
        return ""

    def press(self, event: ToolEvent) -> None: ...

    def move(self, event: ToolEvent) -> None: ...

    def release(self, event: ToolEvent) -> None: ...

    def double_click(self, event: ToolEvent) -> None:
        self.press(event)

    def key(self, key: int) -> bool:
        if self.busy and key == Qt.Key.Key_Escape:
            self.cancel()
            return True
        return False

    def cancel(self) -> None: ...

    def paint_preview(self, painter: QPainter, to_view: ToView) -> None: ...

    @property
    def _size(self) -> tuple[int, int]:
        height, width = self._edit.mask.shape
        return width, height


class BrushTool(_Base):
    """Paints the selected object; erases it with the right button, with Shift from every unlocked, visible object."""

    name = "paint"
    brush = True
    always_erases = False

    @property
    def busy(self) -> bool:
        return self._edit.stroking

    def press(self, event: ToolEvent) -> None:
        erase = event.erase or self.always_erases
        text = translate("Tools", "Erase") if erase else translate("Tools", "Paint")
        self._edit.begin_stroke(
            text, event.object_id, event.radius, erase, event.x, event.y, everything=erase and event.shift
        )

    def move(self, event: ToolEvent) -> None:
        self._edit.extend_stroke(event.x, event.y, event.radius)

    def release(self, event: ToolEvent) -> None:
        self._edit.extend_stroke(event.x, event.y)
        self._edit.end_stroke()

    def cancel(self) -> None:
        self._edit.cancel_stroke()


class EraserTool(BrushTool):
    """Erases the selected object with either button, with Shift every unlocked, visible object."""

    name = "erase"
    always_erases = True


class BoxTool(_Base):
    """Drags a rectangle of the selected object; the right button erases one."""

    name = "box"

    def __init__(self, edit: EditModel) -> None:
        super().__init__(edit)
        self._first: ToolEvent | None = None
        self._last: Point = (0.0, 0.0)

    @property
    def busy(self) -> bool:
        return self._first is not None

    @property
    def hint(self) -> str:
        return translate("BoxTool", "Drag a rectangle; the right button erases one")

    def press(self, event: ToolEvent) -> None:
        self._first, self._last = event, (event.x, event.y)

    def move(self, event: ToolEvent) -> None:
        self._last = (event.x, event.y)

    def release(self, event: ToolEvent) -> None:
        first, self._first = self._first, None
        if first is None:
            return
        region = raster.box((first.x, first.y), (event.x, event.y), *self._size)
        if region is not None:
            text = translate("Tools", "Erase box") if first.erase else translate("Tools", "Box")
            self._edit.apply_region(text, region, first.object_id, first.erase, first.erase and first.shift)

    def cancel(self) -> None:
        self._first = None

    def paint_preview(self, painter: QPainter, to_view: ToView) -> None:
        if self._first is not None:
            area = QRectF(to_view(self._first.x, self._first.y), to_view(*self._last)).normalized()
            _two_tone(painter, QPolygonF(area), self._first.erase)


class PolygonTool(_Base):
    """Click corner after corner; Enter, a double click or a click on the first corner fills the outline.

    Or draw it like a lasso: an outline that is drawn in one drag is filled on release, a drag between clicks is a part
    of the outline. Backspace takes the last corner or drag back, Esc the whole outline. An outline begun with the right
    button erases.
    """

    name = "polygon"

    def __init__(self, edit: EditModel) -> None:
        super().__init__(edit)
        self._points: list[Point] = []
        self._steps: list[int] = []  # how many points there were before each press
        self._first: ToolEvent | None = None
        self._pointer: Point = (0.0, 0.0)
        self._down = self._drawing = False

    @property
    def busy(self) -> bool:
        return self._first is not None

    @property
    def hint(self) -> str:
        if not self.busy:
            return translate("PolygonTool", "Click corners around the object, or draw around it with the button held")
        return translate(
            "PolygonTool", "Enter or the first corner closes the outline, Backspace takes a corner back, Esc gives up"
        )

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(self._points)

    def press(self, event: ToolEvent) -> None:
        if self._first is None:
            self._first = event
        elif len(self._points) >= 3 and self._near_first(event):
            self._finish()
            return
        self._steps.append(len(self._points))
        self._points.append((event.x, event.y))
        self._pointer = (event.x, event.y)
        self._down, self._drawing = True, False

    def move(self, event: ToolEvent) -> None:
        self._pointer = (event.x, event.y)
        if self._down and self._points:
            far = _distance(self._points[-1], self._pointer) * event.scale
            if far >= (LASSO_STEP if self._drawing else LASSO_DISTANCE):
                self._drawing = True
                self._points.append(self._pointer)

    def release(self, event: ToolEvent) -> None:
        drawn, self._down, self._drawing = self._drawing, False, False
        if drawn and len(self._steps) == 1 and len(self._points) >= 3:
            self._finish()

    def double_click(self, event: ToolEvent) -> None:
        """The first click of the pair has set its corner already, or closed the outline."""
        if len(self._points) >= 3:
            self._finish()
        elif self.busy:
            self.press(event)

    def key(self, key: int) -> bool:
        if self.busy and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._finish()
            return True
        if self.busy and key == Qt.Key.Key_Backspace:
            del self._points[self._steps.pop() :]
            self._down = self._drawing = False
            if not self._points:
                self.cancel()
            return True
        return super().key(key)

    def cancel(self) -> None:
        self._points.clear()
        self._steps.clear()
        self._first = None
        self._down = self._drawing = False

    def _near_first(self, event: ToolEvent) -> bool:
        return _distance(self._points[0], (event.x, event.y)) * event.scale <= CLOSE_DISTANCE

    def _finish(self) -> None:
        first, points = self._first, self._points[:]
        self.cancel()
        if first is None or len(points) < 3:
            return
        region = raster.polygon(points, *self._size)
        if region is not None:
            text = translate("Tools", "Erase polygon") if first.erase else translate("Tools", "Polygon")
            self._edit.apply_region(text, region, first.object_id, first.erase, first.erase and first.shift)

    def paint_preview(self, painter: QPainter, to_view: ToView) -> None:
        if self._first is None:
            return
        corners = [to_view(*point) for point in self._points]
        _two_tone(painter, QPolygonF([*corners, to_view(*self._pointer), corners[0]]), self._first.erase)
        painter.setPen(QPen(QColor(0, 0, 0), 1))
        painter.setBrush(QColor(255, 255, 255))
        for number in self._steps:  # the points of a drag are a line, not corners
            corner, half = corners[number], 4.0 if number == 0 else 2.5
            painter.drawRect(QRectF(corner.x() - half, corner.y() - half, 2 * half, 2 * half))


class FillTool(_Base):
    """Fills the connected area of similar colour around the click, within the label that is there.

    With Shift the whole connected area of that label whatever its colours: the inside of a painted outline. The right
    button erases the connected piece of the selected object under the pointer, a speck for example.
    """

    name = "fill"

    @property
    def hint(self) -> str:
        return translate(
            "FillTool", "Click an area of one colour; Shift fills a painted outline, the right button erases"
        )

    def press(self, event: ToolEvent) -> None:
        width, height = self._size
        x, y = int(event.x // 1), int(event.y // 1)
        frame = self._edit.frame
        if frame is None or not (0 <= x < width and 0 <= y < height):
            return
        mask = self._edit.mask
        if event.erase:
            if mask[y, x] == event.object_id or (event.shift and mask[y, x]):
                piece = raster.same_label(mask, x, y)
                self._edit.apply_region(translate("Tools", "Erase piece"), piece, event.object_id, True, event.shift)
            return
        region = (
            raster.same_label(mask, x, y)
            if event.shift
            else raster.similar_colour(frame.rgb, mask, x, y, event.tolerance)
        )
        self._edit.apply_region(translate("Tools", "Fill"), region, event.object_id)


TOOLS: tuple[type[BrushTool] | type[BoxTool] | type[PolygonTool] | type[FillTool], ...] = (
    BrushTool,
    EraserTool,
    PolygonTool,
    BoxTool,
    FillTool,
)


def make_tools(edit: EditModel) -> dict[str, Tool]:
    """One of each tool, by name: paint, erase, polygon, box, fill, scribble."""
    from app.painting.scribble_tool import ScribbleTool  # it is made of what is here

    tools: list[Tool] = [kind(edit) for kind in TOOLS]
    return {tool.name: tool for tool in (*tools, ScribbleTool(edit))}


def _distance(a: Point, b: Point) -> float:
    return math.hypot(a[0] - b[0], a[1] - b[1])


def _two_tone(painter: QPainter, shape: QPolygonF, dashed: bool) -> None:
    """An outline that shows on every background: a wide black line under a narrow white one."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(0, 0, 0, 160), 3))
    painter.drawPolyline(shape)
    painter.setPen(QPen(QColor(255, 255, 255), 1, Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine))
    painter.drawPolyline(shape)
