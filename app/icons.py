"""Icons: one-colour SVGs, drawn in the colour of the theme, sharp at every screen scale."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PyQt6.QtCore import QByteArray, QRectF, QSize, Qt
from PyQt6.QtGui import QIcon, QPainter, QPixmap
from PyQt6.QtSvg import QSvgRenderer

_FOLDER = Path(__file__).resolve().parents[1] / "assets" / "icons"
_SIZES = (16, 20, 24, 32, 40, 48, 64, 96)  # 16 to 32 points at scales of 1, 2 and 3


def icon_path(name: str) -> Path:
    return _FOLDER / f"{name}.svg"


def draw(name: str, color: str, size: int, ratio: float = 1.0) -> QPixmap:
    """One icon as a pixmap of `size` points at the given device pixel ratio."""
    renderer = QSvgRenderer(QByteArray(_svg(name).replace("currentColor", color).encode()))
    pixmap = QPixmap(QSize(round(size * ratio), round(size * ratio)))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(pixmap.rect()))
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


def make_icon(name: str, color: str, disabled: str, *, on_name: str = "", on_color: str = "") -> QIcon:
    """An icon for buttons and menus.

    Args:
        color, disabled: "#rrggbb" of the two states.
        on_name: another drawing for the checked state, "" for the same.
        on_color: its colour, "" for the same.
    """
    return _make_icon(name, color, disabled, on_name or name, on_color or color)


@lru_cache(maxsize=512)
def _make_icon(name: str, color: str, disabled: str, on_name: str, on_color: str) -> QIcon:
    icon = QIcon()
    for size in _SIZES:
        icon.addPixmap(draw(name, color, size), QIcon.Mode.Normal, QIcon.State.Off)
        icon.addPixmap(draw(name, disabled, size), QIcon.Mode.Disabled, QIcon.State.Off)
        if (on_name, on_color) != (name, color):
            icon.addPixmap(draw(on_name, on_color, size), QIcon.Mode.Normal, QIcon.State.On)
            icon.addPixmap(draw(on_name, disabled, size), QIcon.Mode.Disabled, QIcon.State.On)
    return icon


def application_icon() -> QIcon:
    return make_icon("livemask", "#ffffff", "#808080")


@lru_cache(maxsize=128)
def _svg(name: str) -> str:
    return icon_path(name).read_text(encoding="utf-8")
