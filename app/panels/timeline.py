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
    QWheelEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.panels.replay_strip import ReplayStrip
from app.panels.state_look import state_word
from app.panels.state_strips import StateStrips
from app.panels.thumbnails import ThumbnailRow
from app.panels.timeline_model import TimelineModel
from app.panels.timeline_tracks import BAR_HEIGHT, BAR_TOP, ROW, ROW_GAP, RULER, SIDE, TrackArtist, row_box
from app.panels.timeline_view import TimelineView
from app.panels.transport_bar import clock, timecode
from app.state.objects import ObjectItem, ObjectList
from app.theme import Theme
from engine.object_state import ObjectState
from engine.runtime.messages import MaskKind
from engine.video.source import SourceInfo

_HEIGHT = 44
_MOST_ROWS = 6
ZOOM_STEP = 1.25  # of a notch of the wheel


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
        self.view = TimelineView()
        self._panned_from: float | None = None
        self.thumbnails = ThumbnailRow()
        self.thumbnails.changed.connect(self.update)
        self.replay = ReplayStrip()
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
        return QSize(400, round(self._rows_end() + (self.thumbnails.height if self._has_thumbnails else 0)))

    def _rows_end(self) -> float:
        return _HEIGHT + len(self._rows()) * (ROW + ROW_GAP)

    @property
    def _has_thumbnails(self) -> bool:
        return self.thumbnails.shown and self._seekable

    def show_thumbnails(self, shown: bool) -> None:
        """Show small pictures of the frames below the line, or do not."""
        self.thumbnails.shown = shown
        self._rows_changed()

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
        return row_box(position, self.width())

    # -- what is shown -----------------------------------------------------------------------------------------
    @property
    def model(self) -> TimelineModel:
        return self._model

    @property
    def current(self) -> int:
        return self._current

    def show_source(self, info: SourceInfo | None) -> None:
        self._info = info
        self.replay.frames = ()
        self._model = TimelineModel(info.frame_count if info is not None else None)
        self.view = TimelineView(self._model.count)
        self.thumbnails.open(info if info is not None and not info.live else None)
        self.strips = StateStrips()
        self._current, self._hover = 0, None
        self._live_since = time.monotonic()
        self._recording_since = None
        self._rows_changed()

    def show_frame(self, index: int) -> None:
        """Move the playhead."""
        if self._model.see(index):
            self._grown()
        self._current = index
        if self._panned_from is None and self.view.reveal(index):
            self._tracks = None
        self.update()

    def _grown(self) -> None:
        self.view.set_count(self._model.count)
        self._tracks = None

    def show_kinds(
        self,
        kinds: Mapping[int, MaskKind],
        confidence: Mapping[int, float],
        states: Mapping[int, Mapping[int, ObjectState]] | None = None,
    ) -> None:
        """`confidence`: tracked frame -> 0..1 of its least sure object; `states`: frame -> object id -> state."""
        self._model.set_kinds(kinds, confidence)
        self.view.set_count(self._model.count)
        self.strips.set_states(states or {}, self._model.keyframes)
        self._rows_changed()

    def show_marks(self, mark_in: int | None, mark_out: int | None) -> None:
        self._model.mark_in, self._model.mark_out = mark_in, mark_out
        self._redraw()

    def show_replay(self, frames: tuple[tuple[int, float], ...]) -> None:
        """The last seconds of a live source as (index, second of its capture), ascending; empty: no replay."""
        self.replay.frames = frames
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
        return SIDE + self._room * self.view.share_of(index)

    @property
    def _room(self) -> float:
        return max(self.width() - 2 * SIDE, 1.0)

    def index_at(self, x: float) -> int:
        """The frame at a place, clamped to the ends."""
        last = max(self._model.count - 1, 0)
        return min(max(round(self.view.frame_at((x - SIDE) / self._room)), 0), last)

    # -- zoom --------------------------------------------------------------------------------------------------
    def zoom(self, factor: float, around: float | None = None) -> None:
        """Magnify by `factor` around a frame, by default the one shown."""
        if self._seekable:
            self.view.zoom(factor, self._current if around is None else around)
            self._redraw()

    def fit(self) -> None:
        """Show every frame."""
        self.view.fit()
        self._redraw()

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        if event is None or not self._seekable:
            return
        turn = event.angleDelta()
        notches = (turn.y() or turn.x()) / 120
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(ZOOM_STEP**notches, self.view.frame_at((event.position().x() - SIDE) / self._room))
        else:
            self.view.scroll(-notches * self.view.span / 10)
            self._redraw()
        event.accept()

    # -- events ------------------------------------------------------------------------------------------------
    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is None:
            return
        if event.button() == Qt.MouseButton.LeftButton:
            self._seek(event.position().x())
        elif event.button() == Qt.MouseButton.MiddleButton:
            self._panned_from = event.position().x()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is not None and event.button() == Qt.MouseButton.MiddleButton:
            self._panned_from = None

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is not None and self.replay.frames and event.buttons() & Qt.MouseButton.LeftButton:
            self._seek(event.position().x())
        if event is None or not self._seekable:
            return
        self._hover = self.index_at(event.position().x())
        if self._panned_from is not None:
            self.view.scroll((self._panned_from - event.position().x()) / self._room * self.view.span)
            self._panned_from = event.position().x()
            self._redraw()
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
            if self.row_box(position).adjusted(-SIDE, -1, SIDE, 1).contains(place):
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
        replayed = self.replay.index_at(x, self.width())
        if replayed is not None:
            self._current = replayed
            self.update()
            self.seek_requested.emit(replayed)
        elif self._seekable:
            index = self.index_at(x)
            # The playhead follows the hand; the picture comes when it is ready.
            self._current = index
            if self.view.reveal(index):  # dragged beyond an end
                self._tracks = None
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
            if self._has_thumbnails:
                self.thumbnails.paint(
                    painter, QRectF(SIDE, self._rows_end() - 3, self._room, 0), self.view, self._current
                )
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
        bar = QRectF(SIDE, BAR_TOP, self.width() - 2 * SIDE, BAR_HEIGHT)
        painter.setPen(QPen(QColor(self._theme.border), 1))
        painter.setBrush(QColor(self._theme.surface))
        painter.drawRoundedRect(bar.adjusted(-5, 0, 5, 0), 4, 4)
        if self._seekable:
            fps = self._info.fps if self._info is not None else None
            TrackArtist(
                painter, self._theme, self.view, self._model, self.strips, fps=fps, width=self.width(), x_of=self.x_of
            ).draw(self._rows(), self.height())
        painter.end()
        return pixmap

    def _paint_playhead(self, painter: QPainter) -> None:
        if not -0.001 <= self.view.share_of(self._current) <= 1.001:
            return
        x = round(self.x_of(self._current))  # a line of two whole pixels is crisp, wherever it stands
        color = QColor(self._theme.text)
        painter.setPen(QPen(color, 2))
        painter.drawLine(QPointF(x, RULER), QPointF(x, self._rows_end() - 5.0))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawPolygon(QPolygonF([QPointF(x - 5, RULER - 3), QPointF(x + 5, RULER - 3), QPointF(x, RULER + 5)]))

    def _paint_hover(self, painter: QPainter) -> None:
        if self._hover is None:
            return
        x = self.x_of(self._hover)
        fps = self._info.fps if self._info is not None else None
        text = f"{self._hover:,}" + (f"   {timecode(self._hover / fps, fps)}" if fps else "")
        width = painter.fontMetrics().horizontalAdvance(text) + 12
        left = min(max(x - width / 2, 2.0), self.width() - width - 2.0)
        painter.setPen(QPen(QColor(self._theme.muted), 1))
        painter.drawLine(QPointF(x, BAR_TOP), QPointF(x, BAR_TOP + BAR_HEIGHT))
        label = QRectF(left, 0, width, RULER)
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
        x = SIDE
        for word, elapsed in texts:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(self._theme.live))
            painter.drawEllipse(QPointF(x + 5, middle), 5, 5)
            text = f"{word}  {clock(elapsed)}"
            painter.setPen(QColor(self._theme.text))
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.drawText(QRectF(x + 17, 0, width + 4, self.height()), Qt.AlignmentFlag.AlignVCenter, text)
            x += width + 46
        if self.replay.frames:
            painter.setFont(self._small)
            self.replay.paint(painter, self._theme, self.width(), self._current)
