"""The time line: which frames have masks, how sure they are, and where we are. Painted by hand."""

from __future__ import annotations

import time
from collections.abc import Mapping

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFont,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.panels.state_look import paint_state, state_word
from app.panels.state_strips import StateStrips
from app.panels.timeline_model import Span, TimelineModel, tick_step
from app.panels.transport_bar import clock, timecode
from app.state.objects import ObjectItem, ObjectList
from app.theme import Theme
from engine.object_state import ObjectState
from engine.runtime.messages import MaskKind
from engine.video.source import SourceInfo

_SIDE = 14.0
_RULER = 15.0
_BAR_TOP = 20.0
_BAR_HEIGHT = 14.0
_HEIGHT = 44
_ROW_TOP, _ROW, _ROW_GAP = 39.0, 6.0, 2.0  # the strips of the objects, below the bar
_MOST_ROWS = 6
_LOST, _UNSURE, _SURE = 0.2, 0.55, 0.8  # confidences with colours of their own


class Timeline(QWidget):
    """Signals: seek_requested(int), while the pointer is pressed or dragged."""

    seek_requested = pyqtSignal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("timeline")
        self.setAccessibleName(self.tr("Time line"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._theme = theme
        self._info: SourceInfo | None = None
        self._model = TimelineModel()
        self.strips = StateStrips()
        self._objects: ObjectList | None = None
        self._current = 0
        self._hover: int | None = None
        self._live_since = 0.0
        self._recording_since: float | None = None
        self._tracks: QPixmap | None = None
        font = QFont(self.font())
        font.setPixelSize(10)
        self._small = font

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(400, _HEIGHT + round(len(self._rows()) * (_ROW + _ROW_GAP)))

    def set_objects(self, objects: ObjectList) -> None:
        """Whose strips are shown, in which order and under which names."""
        self._objects = objects
        objects.changed.connect(self._rows_changed)
        objects.selection_changed.connect(lambda _id: self._rows_changed())

    def _rows_changed(self) -> None:
        self.updateGeometry()
        self._redraw()

    def _rows(self) -> list[ObjectItem]:
        """The objects with a strip: the first of the list, the selected one always among them."""
        if self._objects is None or (self._info is not None and self._info.live):
            return []
        known = set(self.strips.object_ids)
        items = [item for item in self._objects.items if item.id in known]
        rows = items[:_MOST_ROWS]
        selected = next((item for item in items if item.id == self._objects.selected_id), None)
        if selected is not None and selected not in rows:
            rows[-1] = selected
        return rows

    def row_box(self, position: int) -> QRectF:
        """The place of a strip, in widget pixels."""
        top = _ROW_TOP + position * (_ROW + _ROW_GAP)
        return QRectF(_SIDE, top, self.width() - 2 * _SIDE, _ROW)

    # -- what is shown -----------------------------------------------------------------------------------------
    @property
    def model(self) -> TimelineModel:
        return self._model

    @property
    def current(self) -> int:
        return self._current

    def show_source(self, info: SourceInfo | None) -> None:
        self._info = info
        self._model = TimelineModel(info.frame_count if info is not None else None)
        self.strips = StateStrips()
        self._current, self._hover = 0, None
        self._live_since = time.monotonic()
        self._recording_since = None
        self._rows_changed()

    def show_frame(self, index: int) -> None:
        """Move the playhead."""
        if self._model.see(index):
            self._tracks = None
        self._current = index
        self.update()

    def show_kinds(
        self,
        kinds: Mapping[int, MaskKind],
        confidence: Mapping[int, float],
        states: Mapping[int, Mapping[int, ObjectState]] | None = None,
    ) -> None:
        """`confidence`: tracked frame -> 0..1 of its least sure object; `states`: frame -> object id -> state."""
        self._model.set_kinds(kinds, confidence)
        self.strips.set_states(states or {}, self._model.keyframes)
        self._rows_changed()

    def show_marks(self, mark_in: int | None, mark_out: int | None) -> None:
        self._model.mark_in, self._model.mark_out = mark_in, mark_out
        self._redraw()

    def show_recording(self, recording: bool) -> None:
        self._recording_since = time.monotonic() if recording else None
        self.update()

    def apply_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._redraw()

    def _redraw(self) -> None:
        self._tracks = None
        self.update()

    # -- places ------------------------------------------------------------------------------------------------
    def x_of(self, index: int) -> float:
        """The place of a frame, in widget pixels."""
        last = max(self._model.count - 1, 1)
        return _SIDE + (self.width() - 2 * _SIDE) * index / last

    def index_at(self, x: float) -> int:
        """The frame at a place, clamped to the ends."""
        last = max(self._model.count - 1, 0)
        share = (x - _SIDE) / max(self.width() - 2 * _SIDE, 1.0)
        return min(max(round(share * last), 0), last)

    # -- events ------------------------------------------------------------------------------------------------
    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._seek(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is None or not self._seekable:
            return
        self._hover = self.index_at(event.position().x())
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._seek(event.position().x())
        self.update()

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tip_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def tip_at(self, place: QPointF) -> str:
        """Which object's strip is there, and how the object fares in that frame; "" elsewhere."""
        for position, item in enumerate(self._rows()):
            if self.row_box(position).adjusted(-_SIDE, -1, _SIDE, 1).contains(place):
                state = self.strips.state(self.index_at(place.x()), item.id)
                return f"{item.name}: {state_word(state)}" if state is not None else item.name
        return ""

    def leaveEvent(self, event: QEvent | None) -> None:  # noqa: N802
        self._hover = None
        self.update()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        self._tracks = None

    @property
    def _seekable(self) -> bool:
        return self._info is not None and not self._info.live and self._model.count > 0

    def _seek(self, x: float) -> None:
        if self._seekable:
            index = self.index_at(x)
            # The playhead follows the hand; the picture comes when it is ready.
            self._current = index
            self.update()
            self.seek_requested.emit(index)

    # -- painting ----------------------------------------------------------------------------------------------
    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._small)
        painter.fillRect(self.rect(), QColor(self._theme.window))
        if self._info is not None and self._info.live:
            self._paint_live(painter)
        else:
            if self._tracks is None:
                self._tracks = self._draw_tracks()
            painter.drawPixmap(0, 0, self._tracks)
            if self._seekable:
                self._paint_hover(painter)
                self._paint_playhead(painter)
        if self.hasFocus():
            painter.setPen(QPen(QColor(self._theme.link), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(2, 1, -2, -1), 4, 4)

    def _draw_tracks(self) -> QPixmap:
        """Everything that does not move with the playhead, kept until it changes."""
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._small)
        bar = QRectF(_SIDE, _BAR_TOP, self.width() - 2 * _SIDE, _BAR_HEIGHT)
        painter.setPen(QPen(QColor(self._theme.border), 1))
        painter.setBrush(QColor(self._theme.surface))
        painter.drawRoundedRect(bar.adjusted(-5, 0, 5, 0), 4, 4)
        if self._seekable:
            self._draw_ruler(painter)
            for span in self._model.spans(int(bar.width())):
                self._draw_span(painter, span)
            for position, item in enumerate(self._rows()):
                self._draw_strip(painter, position, item)
            self._draw_marks(painter, bar)
            for index in self._model.keyframes:
                self._draw_diamond(painter, self.x_of(index))
        painter.end()
        return pixmap

    def _draw_ruler(self, painter: QPainter) -> None:
        fps = self._info.fps if self._info is not None else None
        step = tick_step(self._model.count, self.width() - 2 * _SIDE, fps)
        painter.setPen(QColor(self._theme.muted))
        for index in range(0, self._model.count, step):
            x = self.x_of(index)
            painter.drawLine(QPointF(x, _RULER - 1), QPointF(x, _RULER + 3))
            text = clock(index / fps) if fps and step >= fps else str(index)
            width = painter.fontMetrics().horizontalAdvance(text)
            left = min(max(x - width / 2, 2.0), self.width() - width - 2.0)
            painter.drawText(QPointF(left, _RULER - 4), text)

    def _draw_span(self, painter: QPainter, span: Span) -> None:
        color = QColor(self._theme.stale if span.kind is MaskKind.STALE else self._theme.tracked)
        if span.confidence is not None and span.kind is MaskKind.TRACKED:
            color = self._sureness(span.confidence)
        left, right = self.x_of(span.first), self.x_of(span.last)
        cell = max((self.width() - 2 * _SIDE) / max(self._model.count - 1, 1), 1.0)
        box = QRectF(left - cell / 2, _BAR_TOP + 3, right - left + cell, _BAR_HEIGHT - 6)
        painter.fillRect(box, color)
        if span.kind is MaskKind.STALE:  # told apart without colour, too
            painter.fillRect(box, Qt.BrushStyle.BDiagPattern)

    def _draw_strip(self, painter: QPainter, position: int, item: ObjectItem) -> None:
        """One object's states, behind a dot of its colour."""
        box = self.row_box(position)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        cell = max(box.width() / max(self._model.count - 1, 1), 1.0)
        for span in self.strips.spans(item.id, self._model.count, int(box.width())):
            left, right = self.x_of(span.first) - cell / 2, self.x_of(span.last) + cell / 2
            paint_state(painter, QRectF(left, box.top(), right - left, box.height()), span.state, self._theme)
        painter.restore()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*item.color))
        painter.drawEllipse(QPointF(_SIDE / 2 - 1, box.center().y()), _ROW / 2, _ROW / 2)

    def _sureness(self, confidence: float) -> QColor:
        """From the tracked colour (sure) over amber to red (lost)."""
        sure, unsure, lost = (QColor(c) for c in (self._theme.tracked, self._theme.unsure, self._theme.lost))
        if confidence >= _UNSURE:
            return _mix(unsure, sure, min((confidence - _UNSURE) / (_SURE - _UNSURE), 1.0))
        return _mix(lost, unsure, max((confidence - _LOST) / (_UNSURE - _LOST), 0.0))

    def _draw_marks(self, painter: QPainter, bar: QRectF) -> None:
        shade = QColor(self._theme.canvas)
        shade.setAlpha(170)
        pen = QPen(QColor(self._theme.text), 2)
        if (first := self._model.mark_in) is not None:
            x = self.x_of(first)
            painter.fillRect(QRectF(bar.left() - 5, bar.top(), x - bar.left() + 5, bar.height()), shade)
            painter.setPen(pen)
            painter.drawPolyline(
                QPolygonF(
                    [
                        QPointF(x + 4, bar.top() - 2),
                        QPointF(x, bar.top() - 2),
                        QPointF(x, bar.bottom() + 2),
                        QPointF(x + 4, bar.bottom() + 2),
                    ]
                )
            )
        if (last := self._model.mark_out) is not None:
            x = self.x_of(last)
            painter.fillRect(QRectF(x, bar.top(), bar.right() + 5 - x, bar.height()), shade)
            painter.setPen(pen)
            painter.drawPolyline(
                QPolygonF(
                    [
                        QPointF(x - 4, bar.top() - 2),
                        QPointF(x, bar.top() - 2),
                        QPointF(x, bar.bottom() + 2),
                        QPointF(x - 4, bar.bottom() + 2),
                    ]
                )
            )

    def _draw_diamond(self, painter: QPainter, x: float) -> None:
        middle, size = _BAR_TOP + _BAR_HEIGHT / 2, 6.0
        shape = [
            QPointF(x, middle - size),
            QPointF(x + size, middle),
            QPointF(x, middle + size),
            QPointF(x - size, middle),
        ]
        painter.setPen(QPen(QColor(self._theme.surface), 1.5))
        painter.setBrush(QColor(self._theme.keyframe))
        painter.drawPolygon(QPolygonF(shape))

    def _paint_playhead(self, painter: QPainter) -> None:
        x = round(self.x_of(self._current))  # a line of two whole pixels is crisp, wherever it stands
        color = QColor(self._theme.text)
        painter.setPen(QPen(color, 2))
        painter.drawLine(QPointF(x, _RULER), QPointF(x, self.height() - 5.0))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawPolygon(QPolygonF([QPointF(x - 5, _RULER - 3), QPointF(x + 5, _RULER - 3), QPointF(x, _RULER + 5)]))

    def _paint_hover(self, painter: QPainter) -> None:
        if self._hover is None:
            return
        x = self.x_of(self._hover)
        fps = self._info.fps if self._info is not None else None
        text = f"{self._hover:,}" + (f"   {timecode(self._hover / fps, fps)}" if fps else "")
        width = painter.fontMetrics().horizontalAdvance(text) + 12
        left = min(max(x - width / 2, 2.0), self.width() - width - 2.0)
        painter.setPen(QPen(QColor(self._theme.muted), 1))
        painter.drawLine(QPointF(x, _BAR_TOP), QPointF(x, _BAR_TOP + _BAR_HEIGHT))
        label = QRectF(left, 0, width, _RULER)
        painter.setPen(QPen(QColor(self._theme.border), 1))
        painter.setBrush(QColor(self._theme.raised))
        painter.drawRoundedRect(label, 3, 3)
        painter.setPen(QColor(self._theme.text))
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_live(self, painter: QPainter) -> None:
        now = time.monotonic()
        middle = self.height() / 2
        font = QFont(self._small)
        font.setPixelSize(12)
        font.setBold(True)
        painter.setFont(font)
        texts = [(self.tr("LIVE"), now - self._live_since)]
        if self._recording_since is not None:
            texts.append((self.tr("REC"), now - self._recording_since))
        x = _SIDE
        for word, elapsed in texts:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(self._theme.live))
            painter.drawEllipse(QPointF(x + 5, middle), 5, 5)
            text = f"{word}  {clock(elapsed)}"
            painter.setPen(QColor(self._theme.text))
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.drawText(QRectF(x + 17, 0, width + 4, self.height()), Qt.AlignmentFlag.AlignVCenter, text)
            x += width + 46


def _mix(low: QColor, high: QColor, share: float) -> QColor:
    def blend(a: int, b: int) -> int:
        return round(a + (b - a) * share)

    return QColor(blend(low.red(), high.red()), blend(low.green(), high.green()), blend(low.blue(), high.blue()))
