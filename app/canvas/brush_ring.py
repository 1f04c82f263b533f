"""The ring that shows what the brush will cover."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QRegion

MARGIN = 4  # widget pixels the lines reach beyond the ring
SMALLEST = 2.5  # widget pixels: a smaller ring would not be seen


def ring_radius(radius: float, zoom: float, pixel_ratio: float) -> float:
    """Widget pixels of a brush of `radius` frame pixels at `zoom` device pixels per frame pixel."""
    return max(SMALLEST, radius * zoom / pixel_ratio)


def ring_region(center: QPointF, radius: float) -> QRegion:
    """What a ring covers of the widget, its inside left out, so that large rings are cheap to move."""
    outer, inner = radius + MARGIN, (radius - MARGIN) * 0.7
    region = QRegion(_square(center, outer))
    if inner > MARGIN:
        region = region.subtracted(QRegion(_square(center, inner)))
        region = region.united(QRegion(_square(center, MARGIN)))
    return region


def draw_ring(painter: QPainter, center: QPointF, radius: float, erasing: bool) -> None:
    """Black outside, white inside: one of them shows on any background. Dashed while erasing."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(0, 0, 0, 220), 1.5))
    painter.drawEllipse(center, radius + 0.75, radius + 0.75)
    white = QPen(QColor(255, 255, 255), 1.25)
    if erasing:
        white.setDashPattern([4, 3])
    painter.setPen(white)
    painter.drawEllipse(center, max(0.5, radius - 0.5), max(0.5, radius - 0.5))
    painter.restore()


def _square(center: QPointF, half: float) -> QRect:
    return QRectF(center.x() - half, center.y() - half, 2 * half, 2 * half).toAlignedRect()
