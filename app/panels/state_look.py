"""How the states of objects look: a colour, and always a second cue (pattern on the time line, icon in the list)."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QBrush, QColor, QPainter, QPen

from app.i18n import translate
from app.theme import Theme
from engine.object_state import ObjectState

ICONS = {
    ObjectState.SURE: "check",
    ObjectState.UNSURE: "question",
    ObjectState.LOST: "lost",
    ObjectState.FOUND_AGAIN: "found",
}


def state_color(theme: Theme, state: ObjectState) -> str:
    """The "#rrggbb" of a state."""
    return {
        ObjectState.SURE: theme.tracked,
        ObjectState.UNSURE: theme.unsure,
        ObjectState.LOST: theme.lost,
        ObjectState.FOUND_AGAIN: theme.found,
    }[state]


def state_word(state: ObjectState) -> str:
    """The word for a state, as the user reads it."""
    words = {
        ObjectState.SURE: translate("ObjectState", "sure"),
        ObjectState.UNSURE: translate("ObjectState", "unsure"),
        ObjectState.LOST: translate("ObjectState", "lost"),
        ObjectState.FOUND_AGAIN: translate("ObjectState", "found again"),
    }
    return words[state]


def paint_state(painter: QPainter, box: QRectF, state: ObjectState, theme: Theme) -> None:
    """Sure is plain, unsure striped, lost hollow with a line through it, found again barred."""
    color, ink = QColor(state_color(theme, state)), QColor(theme.surface)
    if state is ObjectState.LOST:
        painter.setPen(QPen(color, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawLine(box.topLeft(), box.topRight())
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        painter.drawLine(box.topLeft(), box.bottomLeft())
        painter.drawLine(box.topRight(), box.bottomRight())
        middle = box.center().y()
        painter.fillRect(QRectF(box.left(), middle - 0.75, box.width(), 1.5), color)
        return
    painter.fillRect(box, color)
    if state is ObjectState.UNSURE:
        painter.fillRect(box, QBrush(ink, Qt.BrushStyle.BDiagPattern))
    elif state is ObjectState.FOUND_AGAIN:
        painter.fillRect(box, QBrush(ink, Qt.BrushStyle.VerPattern))
