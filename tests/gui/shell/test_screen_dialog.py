"""Choosing a part of the screen with the mouse."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.dialogs.screen_dialog import PICTURE, ScreenDialog
from engine.errors import SourceError

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def dialog(qtbot: QtBot) -> ScreenDialog:
    shown = ScreenDialog(look=lambda number: np.full((1000, 2000, 3), 40 * (number + 1), np.uint8), count=lambda: 2)
    qtbot.addWidget(shown)
    shown.picture.setFixedSize(PICTURE)
    shown.show()
    return shown


def drag(dialog: ScreenDialog, start: tuple[int, int], end: tuple[int, int]) -> None:
    QTest.mousePress(dialog.picture, LEFT, pos=QPoint(*start))
    QTest.mouseMove(dialog.picture, QPoint(*end))
    QTest.mouseRelease(dialog.picture, LEFT, pos=QPoint(*end))


def test_the_whole_screen_unless_a_part_is_dragged(dialog: ScreenDialog) -> None:
    assert dialog.uri == "screen:0"
    assert "whole screen" in dialog.hint.text()
    # 2000 x 1000 in 720 x 420: a scale of 0.36, 30 pixels free above and below.
    drag(dialog, (360, 210), (180, 120))
    assert dialog.uri == "screen:0:500,250,500,250"
    assert "500 x 250" in dialog.hint.text()
    drag(dialog, (10, 50), (11, 51))
    assert dialog.uri == "screen:0", "a click takes the mark away"


def test_a_part_ends_at_the_edge_of_the_screen(dialog: ScreenDialog) -> None:
    drag(dialog, (360, 210), (719, 419))
    assert dialog.uri.startswith("screen:0:1000,500,")
    assert dialog.picture.region is not None
    assert dialog.picture.region.left + dialog.picture.region.width <= 2000
    assert dialog.picture.region.top + dialog.picture.region.height == 1000


def test_another_screen_shows_its_own_picture(dialog: ScreenDialog) -> None:
    drag(dialog, (360, 210), (180, 120))
    dialog.screens.setCurrentIndex(1)
    assert dialog.uri == "screen:1"
    middle = dialog.picture.grab().toImage().pixelColor(360, 210)
    assert middle.red() == 80


def test_without_a_screen_it_says_so(qtbot: QtBot) -> None:
    def none() -> int:
        raise SourceError("The screen cannot be read (no display).", "")

    with pytest.raises(SourceError, match="no display"):
        ScreenDialog(count=none)
