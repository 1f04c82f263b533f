"""How the time line is drawn but for what moves: ruler, masks by kind and confidence, states, marks, keyframes."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from app.panels.state_look import paint_state
from app.panels.state_strips import StateStrips
from app.panels.timeline_model import Span, TimelineModel, tick_step
from app.panels.timeline_view import TimelineView
from app.panels.transport_bar import clock
from app.state.objects import ObjectItem
from app.theme import Theme
from engine.runtime.messages import MaskKind

SIDE = 14.0
RULER = 15.0
BAR_TOP = 20.0
BAR_HEIGHT = 14.0
ROW_TOP, ROW, ROW_GAP = 39.0, 6.0, 2.0  # the strips of the objects, below the bar
_LOST, _UNSURE, _SURE = 0.2, 0.55, 0.8  # confidences with colours of their own


def row_box(position: int, width: int) -> QRectF:
    """The place of an object's strip on a line of this width, in pixels."""
    top = ROW_TOP + position * (ROW + ROW_GAP)
    return QRectF(SIDE, top, width - 2 * SIDE, ROW)


class TrackArtist:
    """Draws on `painter`, for a line `width` pixels wide; `x_of` is the place of a frame."""

    def __init__(
        self,
        painter: QPainter,
        theme: Theme,
        view: TimelineView,
        model: TimelineModel,
        strips: StateStrips,
        *,
        fps: float | None,
        width: int,
        x_of: Callable[[int], float],
    ) -> None:
        self._painter = painter
        self._theme = theme
        self._view = view
        self._model = model
        self._strips = strips
        self._fps = fps
        self._width = width
        self._room = max(width - 2 * SIDE, 1.0)
        self._x_of = x_of

    def draw(self, rows: list[ObjectItem], height: int) -> None:
        """Everything; `rows`: the objects with a strip."""
        painter, bar = self._painter, QRectF(SIDE, BAR_TOP, self._width - 2 * SIDE, BAR_HEIGHT)
        self._draw_ruler()
        window = self._view.window
        painter.setClipRect(QRectF(bar.left() - 6, 0, bar.width() + 12, height))
        for span in self._model.spans(int(bar.width()), window):
            self._draw_span(span)
        painter.setClipping(False)
        for position, item in enumerate(rows):
            self._draw_strip(position, item)
        self._draw_marks(bar)
        for index in self._model.keyframes_within(*window):
            if 0 <= self._view.share_of(index) <= 1:
                self._draw_diamond(self._x_of(index))
        if not self._view.is_whole:
            self._draw_scroll(bar)

    def _draw_ruler(self) -> None:
        fps = self._fps
        first, last = self._view.window
        step = tick_step(int(self._view.span) + 1, self._room, fps)
        self._painter.setPen(QColor(self._theme.muted))
        for index in range(-(-first // step) * step, min(last + 1, self._model.count), step):
            x = self._x_of(index)
            if not SIDE - 1 <= x <= self._width - SIDE + 1:
                continue
            self._painter.drawLine(QPointF(x, RULER - 1), QPointF(x, RULER + 3))
            text = clock(index / fps) if fps and step >= fps else str(index)
            width = self._painter.fontMetrics().horizontalAdvance(text)
            left = min(max(x - width / 2, 2.0), self._width - width - 2.0)
            self._painter.drawText(QPointF(left, RULER - 4), text)

    def _draw_span(self, span: Span) -> None:
        color = QColor(self._theme.stale if span.kind is MaskKind.STALE else self._theme.tracked)
        if span.confidence is not None and span.kind is MaskKind.TRACKED:
            color = self._sureness(span.confidence)
        left, right = self._x_of(span.first), self._x_of(span.last)
        cell = max(self._room / self._view.span, 1.0)
        box = QRectF(left - cell / 2, BAR_TOP + 3, right - left + cell, BAR_HEIGHT - 6)
        self._painter.fillRect(box, color)
        if span.kind is MaskKind.STALE:  # told apart without colour, too
            self._painter.fillRect(box, Qt.BrushStyle.BDiagPattern)

    def _draw_strip(self, position: int, item: ObjectItem) -> None:
        """One object's states, behind a dot of its colour."""
        box = row_box(position, self._width)
        self._painter.save()
        self._painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        cell = max(box.width() / self._view.span, 1.0)
        first, last = self._view.window
        self._painter.setClipRect(box.adjusted(-2, 0, 2, 0))
        for span in self._strips.spans(item.id, last - first + 1, int(box.width()), first):
            left, right = self._x_of(span.first) - cell / 2, self._x_of(span.last) + cell / 2
            paint_state(self._painter, QRectF(left, box.top(), right - left, box.height()), span.state, self._theme)
        self._painter.restore()
        self._painter.setPen(Qt.PenStyle.NoPen)
        self._painter.setBrush(QColor(*item.color))
        self._painter.drawEllipse(QPointF(SIDE / 2 - 1, box.center().y()), ROW / 2, ROW / 2)

    def _sureness(self, confidence: float) -> QColor:
        """From the tracked colour (sure) over amber to red (lost)."""
        sure, unsure, lost = (QColor(c) for c in (self._theme.tracked, self._theme.unsure, self._theme.lost))
        if confidence >= _UNSURE:
            return _mix(unsure, sure, min((confidence - _UNSURE) / (_SURE - _UNSURE), 1.0))
        return _mix(lost, unsure, max((confidence - _LOST) / (_UNSURE - _LOST), 0.0))

    def _draw_marks(self, bar: QRectF) -> None:
        shade = QColor(self._theme.canvas)
        shade.setAlpha(170)
        pen = QPen(QColor(self._theme.text), 2)
        left_end, right_end = bar.left() - 5, bar.right() + 5
        if (first := self._model.mark_in) is not None and self._x_of(first) > left_end:
            x = min(self._x_of(first), right_end)
            self._painter.fillRect(QRectF(bar.left() - 5, bar.top(), x - bar.left() + 5, bar.height()), shade)
            self._painter.setPen(pen)
            self._painter.drawPolyline(
                QPolygonF(
                    [
                        QPointF(x + 4, bar.top() - 2),
                        QPointF(x, bar.top() - 2),
                        QPointF(x, bar.bottom() + 2),
                        QPointF(x + 4, bar.bottom() + 2),
                    ]
                )
            )
        if (last := self._model.mark_out) is not None and self._x_of(last) < right_end:
            x = max(self._x_of(last), left_end)
            self._painter.fillRect(QRectF(x, bar.top(), bar.right() + 5 - x, bar.height()), shade)
            self._painter.setPen(pen)
            self._painter.drawPolyline(
                QPolygonF(
                    [
                        QPointF(x - 4, bar.top() - 2),
                        QPointF(x, bar.top() - 2),
                        QPointF(x, bar.bottom() + 2),
                        QPointF(x - 4, bar.bottom() + 2),
                    ]
                )
            )

    def _draw_diamond(self, x: float) -> None:
        middle, size = BAR_TOP + BAR_HEIGHT / 2, 6.0
        shape = [
            QPointF(x, middle - size),
            QPointF(x + size, middle),
            QPointF(x, middle + size),
            QPointF(x - size, middle),
        ]
        self._painter.setPen(QPen(QColor(self._theme.surface), 1.5))
        self._painter.setBrush(QColor(self._theme.keyframe))
        self._painter.drawPolygon(QPolygonF(shape))

    def _draw_scroll(self, bar: QRectF) -> None:
        """Which part of the whole is on show, below the bar."""
        whole = max(self._model.count - 1, 1)
        left = bar.left() + bar.width() * self._view.first / whole
        width = max(bar.width() * self._view.span / whole, 8.0)
        self._painter.setPen(Qt.PenStyle.NoPen)
        self._painter.setBrush(QColor(self._theme.border))
        self._painter.drawRect(QRectF(bar.left(), bar.bottom() + 1.5, bar.width(), 2))
        self._painter.setBrush(QColor(self._theme.link))
        self._painter.drawRect(QRectF(min(left, bar.right() - width), bar.bottom() + 1, width, 3))


def _mix(low: QColor, high: QColor, share: float) -> QColor:
    def blend(a: int, b: int) -> int:
        return round(a + (b - a) * share)

    return QColor(blend(low.red(), high.red()), blend(low.green(), high.green()), blend(low.blue(), high.blue()))
