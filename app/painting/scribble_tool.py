"""Smart scribble: a few strokes inside and outside an object; the engine says what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from app.i18n import translate
from app.painting import raster
from app.painting.edit import EditModel
from app.painting.raster import Pixels
from app.painting.tools import Point, ToolEvent, ToView
from engine.scribble_marks import INSIDE, OUTSIDE, PROBABLY_INSIDE, UNKNOWN, Marks
from engine.types import Frame

ASK_EVERY = 12.0  # screen pixels of pointer travel after which the preview is asked for again in mid-stroke
_COLOURS = {INSIDE: QColor(64, 224, 96), OUTSIDE: QColor(255, 72, 72)}

Ask = Callable[[Frame, Marks], None]


@dataclass
class _Line:
    """One stroke: its points in frame pixels. A box has two, opposite corners."""

    mark: int
    radius: float
    points: list[Point] = field(default_factory=list)
    box: bool = False


class ScribbleTool:
    """Strokes inside (left button) and outside (right button, Ctrl, Alt) of the selected object; Shift drags a box.

    Each stroke, and the pointer now and then, asks for a preview, which shows as the mask itself. Enter keeps it as one
    step of history, Esc drops it, Backspace takes the last stroke back. The mask the object has on this frame counts as
    what it probably is, so that a stroke can also correct it.

    Attributes:
        ask: called with the frame and its marks when the preview is to be made anew; `answer` brings it.
    """

    name = "scribble"
    brush = False
    signs_each_press = True  # a later stroke may be of the other kind, although the tool is busy all the time

    def __init__(self, edit: EditModel) -> None:
        self._edit = edit
        self._lines: list[_Line] = []
        self._drawing = False
        self._object_id = 0
        self._travelled = 0.0
        self._marks: Marks = np.zeros((0, 0), np.uint8)  # grows with each stroke, which is not drawn again and again
        self.ask: Ask | None = None

    @property
    def busy(self) -> bool:
        return bool(self._lines) and self._edit.proposing

    @property
    def hint(self) -> str:
        if not self.busy:
            return translate(
                "ScribbleTool",
                "Stroke inside the object; the right button marks outside, Shift+drag draws a box around it",
            )
        return translate("ScribbleTool", "Enter keeps this mask, Esc drops it, Backspace takes the last stroke back")

    @property
    def strokes(self) -> int:
        """How many strokes there are."""
        return len(self._lines) if self.busy else 0

    # -- pointer -----------------------------------------------------------------------------------------------
    def press(self, event: ToolEvent) -> None:
        if not self.busy:
            self._lines.clear()
            if not self._edit.begin_proposal(translate("ScribbleTool", "Scribble"), event.object_id):
                return
            self._object_id = event.object_id
            self._mark_all()
        mark = OUTSIDE if event.erase else INSIDE
        radius = max(1.0, 3.0 / event.scale)
        box = event.shift and mark == INSIDE
        points = [(event.x, event.y)] * (2 if box else 1)
        self._lines.append(_Line(mark, radius, points, box))
        if not box:  # a box counts from its release on
            self._mark(self._lines[-1], points)
        self._drawing, self._travelled = True, 0.0

    def move(self, event: ToolEvent) -> None:
        if not self._drawing or not self.busy:
            return
        line, point = self._lines[-1], (event.x, event.y)
        if line.box:
            line.points[1] = point
            return
        x, y = line.points[-1]
        line.points.append(point)
        self._mark(line, line.points[-2:])
        self._travelled += float(np.hypot(event.x - x, event.y - y)) * event.scale
        if self._travelled > ASK_EVERY:
            self._travelled = 0.0
            self._ask()

    def release(self, event: ToolEvent) -> None:
        if self._drawing and self.busy:
            self.move(event)
            self._drawing = False
            if self._lines[-1].box:
                self._mark(self._lines[-1], [])
            self._ask()

    def double_click(self, event: ToolEvent) -> None:
        self.press(event)

    def key(self, key: int) -> bool:
        if not self.busy:
            return False
        if key == Qt.Key.Key_Escape:
            self.cancel()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._lines.clear()
            self._drawing = False
            self._edit.end_stroke()
        elif key == Qt.Key.Key_Backspace:
            self._lines.pop()
            self._drawing = False
            self._mark_all()
            if self._lines:
                self._ask()
            else:
                self.cancel()
        else:
            return False
        return True

    def cancel(self) -> None:
        self._lines.clear()
        self._drawing = False
        if self._edit.proposing:
            self._edit.cancel_stroke()

    # -- preview -----------------------------------------------------------------------------------------------
    def marks(self) -> Marks:
        """H x W, what the strokes say; a box says "outside" around it, and "probably inside" within."""
        return self._marks.copy()  # it goes to another thread while ours is drawn on

    def _mark_all(self) -> None:
        before = self._edit.mask_before
        self._marks = np.where(before == self._object_id, PROBABLY_INSIDE, UNKNOWN).astype(np.uint8)
        for line in self._lines:
            self._mark(line, line.points)

    def _mark(self, line: _Line, points: list[Point]) -> None:
        """Put a box, or these points of a stroke, into the marks."""
        height, width = self._marks.shape
        if line.box:
            region = raster.box(line.points[0], line.points[1], width, height)
            if region is not None:
                self._marks[...] = OUTSIDE
                self._marks[region.rect.slices] = PROBABLY_INSIDE
            return
        for start, end in zip(points, points[1:] or points, strict=False):
            region = raster.capsule(start, end, line.radius, width, height)
            if region is not None:
                self._marks[region.rect.slices][region.pixels] = line.mark

    def _ask(self) -> None:
        frame = self._edit.frame
        if self.ask is not None and frame is not None:
            self.ask(frame, self.marks())

    def answer(self, frame_index: int, pixels: Pixels) -> None:
        """Show H x W pixels as the object; ignored when the strokes are gone or of another frame."""
        frame = self._edit.frame
        if self.busy and frame is not None and frame.index == frame_index and pixels.shape == self._edit.mask.shape:
            self._edit.propose(pixels)

    def ask_again(self) -> None:
        """The answer to come may be a better one."""
        if self.busy:
            self._ask()

    def paint_preview(self, painter: QPainter, to_view: ToView) -> None:
        if not self.busy:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for line in self._lines:
            points = [to_view(*point) for point in line.points]
            for colour, width in ((QColor(0, 0, 0, 160), 5.0), (_COLOURS[line.mark], 3.0)):
                style = Qt.PenStyle.DashLine if line.mark == OUTSIDE else Qt.PenStyle.SolidLine
                painter.setPen(QPen(colour, width, style, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
                _draw_line(painter, points, line.box)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _draw_line(painter: QPainter, points: list[QPointF], box: bool) -> None:
    if box:
        painter.drawRect(QRectF(points[0], points[1]).normalized())
    elif len(points) == 1:
        painter.drawPoint(points[0])
    else:
        painter.drawPolyline(QPolygonF(points))
