"""The strip of a live time line in the replay: the last seconds, where they were corrected, and where we are."""

from __future__ import annotations

from bisect import bisect_left

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from app.i18n import translate
from app.theme import Theme

LEFT, RIGHT = 150.0, 14.0  # beside what a live line says
_TOP, _HEIGHT = 20.0, 14.0


class ReplayStrip:
    """Places and painting; `frames`: (index, second of its capture), ascending; empty when there is no replay."""

    def __init__(self) -> None:
        self.frames: tuple[tuple[int, float], ...] = ()
        self.keyframes: frozenset[int] = frozenset()

    @property
    def indices(self) -> list[int]:
        return [index for index, _ in self.frames]

    def beside(self, index: int, steps: int) -> int | None:
        """The frame so many steps from a frame, the ends hold; None without a replay. Frames have gaps."""
        indices = self.indices
        if not indices:
            return None
        at = min(bisect_left(indices, index), len(indices) - 1)
        return indices[min(max(at + steps, 0), len(indices) - 1)]

    def x_of(self, index: int, width: float) -> float:
        """Where a frame is on a line `width` pixels wide."""
        indices = self.indices
        at = bisect_left(indices, index) if indices else 0
        return LEFT + (width - LEFT - RIGHT) * at / max(len(indices) - 1, 1)

    def index_at(self, x: float, width: float) -> int | None:
        """The frame at a place, the ends hold; None without a replay."""
        indices = self.indices
        if not indices:
            return None
        share = (x - LEFT) / max(width - LEFT - RIGHT, 1.0)
        return indices[min(max(round(share * (len(indices) - 1)), 0), len(indices) - 1)]

    def seconds_ago(self, index: int) -> float:
        """How long before the newest frame a frame was captured."""
        times = dict(self.frames)
        return max(times.values(), default=0.0) - times.get(index, 0.0) if index in times else 0.0

    def paint(self, painter: QPainter, theme: Theme, width: float, current: int) -> None:
        bar = QRectF(LEFT, _TOP, width - LEFT - RIGHT, _HEIGHT)
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.setBrush(QColor(theme.surface))
        painter.drawRoundedRect(bar.adjusted(-5, 0, 5, 0), 4, 4)
        painter.fillRect(bar.adjusted(0, 3, 0, -3), QColor(theme.tracked))
        painter.setPen(QPen(QColor(theme.surface), 1.5))
        painter.setBrush(QColor(theme.keyframe))
        middle = bar.center().y()
        for index in self.indices:
            if index in self.keyframes:
                x = self.x_of(index, width)
                corners = ((0, -6), (6, 0), (0, 6), (-6, 0))
                painter.drawPolygon(QPolygonF([QPointF(x + right, middle + down) for right, down in corners]))
        x = round(self.x_of(current, width))
        color = QColor(theme.text)
        painter.setPen(QPen(color, 2))
        painter.drawLine(QPointF(x, 15), QPointF(x, bar.bottom() + 5))
        text = translate("ReplayStrip", "{seconds} s ago").format(seconds=f"{self.seconds_ago(current):.1f}")
        room = painter.fontMetrics().horizontalAdvance(text) + 12
        left = min(max(x - room / 2, LEFT - 5), width - RIGHT + 5 - room)
        painter.drawText(QRectF(left, 0, room, 15), Qt.AlignmentFlag.AlignCenter, text)
