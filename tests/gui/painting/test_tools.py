"""Polygon, box and fill with real mouse and key events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.canvas.canvas import Canvas
from engine.runtime.messages import DisplayItem
from engine.types import Frame, Mask

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
SHIFT, NO_KEY = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.NoModifier
CORNERS = ((100, 60), (300, 80), (260, 240), (120, 200))  # widget pixels, at 200 %


def click(canvas: Canvas, *points: tuple[int, int], button: Qt.MouseButton = LEFT) -> None:
    for point in points:
        QTest.mouseMove(canvas, QPoint(*point))
        QTest.mouseClick(canvas, button, NO_KEY, QPoint(*point))


def inside_corners() -> Mask:
    """Even-odd rule on the centre of every pixel."""
    corners = [((x + 0.5) / 2, (y + 0.5) / 2) for x, y in CORNERS]
    x, y = np.meshgrid(np.arange(200) + 0.5, np.arange(150) + 0.5)
    inside = np.zeros((150, 200), dtype=bool)
    for (xa, ya), (xb, yb) in zip(corners, corners[1:] + corners[:1], strict=True):
        inside ^= ((ya > y) != (yb > y)) & (x < (xb - xa) * (y - ya) / (yb - ya) + xa)
    return inside.astype(np.uint8)


@pytest.mark.parametrize("finish", ["enter", "first corner", "double click"])
def test_a_polygon_fills_its_outline(painting: Canvas, finish: str) -> None:
    painting.set_tool("polygon")
    click(painting, *CORNERS)
    assert painting.busy
    assert not painting.edit.mask.any()
    if finish == "enter":
        QTest.keyClick(painting, Qt.Key.Key_Return)
    elif finish == "first corner":
        click(painting, (103, 62))
    else:
        QTest.mouseDClick(painting, LEFT, NO_KEY, QPoint(*CORNERS[-1]))
    assert not painting.busy
    np.testing.assert_array_equal(painting.edit.mask, inside_corners())
    painting.edit.undo()
    assert not painting.edit.mask.any()


def test_a_polygon_of_the_right_button_erases(painting: Canvas, gui: Any) -> None:
    painting.set_item(gui.item(1, np.ones((150, 200), dtype=np.uint8)))
    painting.set_tool("polygon")
    click(painting, *CORNERS, button=RIGHT)
    QTest.keyClick(painting, Qt.Key.Key_Enter)
    np.testing.assert_array_equal(painting.edit.mask, 1 - inside_corners())


def test_backspace_takes_the_last_corner_back_and_escape_the_outline(painting: Canvas) -> None:
    painting.set_tool("polygon")
    click(painting, *CORNERS[:2], (20, 20), (390, 290))
    QTest.keyClick(painting, Qt.Key.Key_Backspace)
    QTest.keyClick(painting, Qt.Key.Key_Backspace)
    click(painting, *CORNERS[2:])
    QTest.keyClick(painting, Qt.Key.Key_Return)
    np.testing.assert_array_equal(painting.edit.mask, inside_corners())
    click(painting, *CORNERS)
    QTest.keyClick(painting, Qt.Key.Key_Escape)
    assert not painting.busy
    np.testing.assert_array_equal(painting.edit.mask, inside_corners())
    click(painting, CORNERS[0])
    QTest.keyClick(painting, Qt.Key.Key_Backspace)
    assert not painting.busy


def test_a_lasso_is_filled_on_release(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    painting.set_tool("polygon")
    with qtbot.waitSignal(painting.edit.stroke_committed):
        gui.drag(painting, *CORNERS)
    assert not painting.busy
    np.testing.assert_array_equal(painting.edit.mask, inside_corners())
    gui.drag(painting, *CORNERS, button=RIGHT)
    assert not painting.edit.mask.any()
    painting.edit.undo()
    painting.edit.undo()
    assert not painting.edit.can_undo or painting.edit.undo_text == "Add object"


def test_a_drag_between_clicks_is_a_part_of_the_outline(painting: Canvas, gui: Any) -> None:
    painting.set_tool("polygon")
    click(painting, CORNERS[0])
    gui.drag(painting, *CORNERS[1:3])
    assert painting.busy
    gui.drag(painting, (200, 100), (210, 220), (10, 10))
    QTest.keyClick(painting, Qt.Key.Key_Backspace)  # the whole drag
    click(painting, CORNERS[3])
    QTest.keyClick(painting, Qt.Key.Key_Return)
    np.testing.assert_array_equal(painting.edit.mask, inside_corners())


def test_a_hand_that_trembles_in_a_click_sets_a_corner_only(painting: Canvas, gui: Any) -> None:
    painting.set_tool("polygon")
    for x, y in CORNERS:
        gui.drag(painting, (x, y), (x + 3, y + 2))
    assert painting._tools["polygon"].points == tuple(((x + 0.5) / 2, (y + 0.5) / 2) for x, y in CORNERS)  # type: ignore[attr-defined]
    gui.drag(painting, CORNERS[0], CORNERS[0])
    np.testing.assert_array_equal(painting.edit.mask, inside_corners())


def test_tools_say_what_to_do_next(painting: Canvas, gui: Any) -> None:
    told: list[str] = []
    painting.hint_changed.connect(told.append)
    painting.set_tool("polygon")
    click(painting, *CORNERS)
    QTest.keyClick(painting, Qt.Key.Key_Return)
    assert "Click corners" in told[0]
    assert "Enter" in told[1]
    assert told[2] == told[0]
    painting.set_tool("scribble")
    gui.drag(painting, (100, 100), (200, 150))
    assert "Stroke inside" in told[3]
    assert "Enter keeps" in told[4]
    QTest.keyClick(painting, Qt.Key.Key_Escape)
    assert told[5] == told[3]
    painting.clear()
    assert told[-1] == ""


def test_a_polygon_with_two_corners_is_nothing(painting: Canvas, qtbot: QtBot) -> None:
    painting.set_tool("polygon")
    click(painting, *CORNERS[:2])
    with qtbot.assertNotEmitted(painting.edit.stroke_committed):
        QTest.keyClick(painting, Qt.Key.Key_Return)
    assert not painting.busy


def test_a_polygon_holds_its_frame_and_can_be_panned_meanwhile(painting: Canvas, gui: Any) -> None:
    painting.set_tool("polygon")
    click(painting, *CORNERS[:2])
    painting.set_item(gui.item(1))
    gui.drag(painting, (200, 150), (220, 140), button=Qt.MouseButton.MiddleButton)
    click(painting, *((x + 20, y - 10) for x, y in CORNERS[2:]))
    told: list[tuple[Any, ...]] = []
    painting.edit.stroke_committed.connect(lambda *what: told.append(what))
    QTest.keyClick(painting, Qt.Key.Key_Return)
    ((frame, mask, _),) = told
    assert frame.index == 0
    np.testing.assert_array_equal(mask, inside_corners())
    assert painting.item is not None
    assert painting.item.frame.index == 1


def test_another_tool_gives_the_begun_polygon_up(painting: Canvas) -> None:
    painting.set_tool("polygon")
    click(painting, *CORNERS)
    painting.set_tool("paint")
    assert not painting.busy
    painting.set_tool("polygon")
    assert not painting.busy


def test_removing_its_object_gives_the_begun_polygon_up(painting: Canvas) -> None:
    painting.set_tool("polygon")
    click(painting, *CORNERS)
    painting.objects.remove(1)
    assert not painting.busy
    QTest.keyClick(painting, Qt.Key.Key_Return)
    assert not painting.edit.mask.any()


def test_the_begun_polygon_shows(painting: Canvas) -> None:
    painting.set_tool("polygon")
    before = painting.grab().toImage()
    click(painting, *CORNERS[:2])
    after = painting.grab().toImage()
    assert any(after.pixel(x, 70) != before.pixel(x, 70) for x in range(150, 250))


def test_a_box_covers_the_pixels_it_touches(painting: Canvas, gui: Any) -> None:
    painting.set_tool("box")
    gui.drag(painting, (300, 200), (250, 150), (101, 61), release=False)
    assert painting.busy
    assert not painting.edit.mask.any()
    QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(101, 61))
    expected = np.zeros((150, 200), dtype=np.uint8)
    expected[30:101, 50:151] = 1
    np.testing.assert_array_equal(painting.edit.mask, expected)
    gui.drag(painting, (1, 1), (399, 121), button=RIGHT)  # QTest takes (0, 0) for the middle
    expected[:61] = 0
    np.testing.assert_array_equal(painting.edit.mask, expected)


def test_escape_gives_a_box_up(painting: Canvas, gui: Any) -> None:
    painting.set_tool("box")
    gui.drag(painting, (100, 60), (300, 200), release=False)
    QTest.keyClick(painting, Qt.Key.Key_Escape)
    QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(300, 200))
    assert not painting.edit.mask.any()


@pytest.fixture
def two_tone(painting: Canvas) -> Canvas:
    rgb = np.full((150, 200, 3), 60, dtype=np.uint8)
    rgb[40:110, 50:150] = (180, 90, 30)
    painting.set_item(DisplayItem(Frame(5, 0.2, rgb), None, generation=1))
    painting.set_tool("fill")
    return painting


def test_fill_takes_the_area_of_one_colour(two_tone: Canvas) -> None:
    click(two_tone, (200, 150))
    expected = np.zeros((150, 200), dtype=np.uint8)
    expected[40:110, 50:150] = 1
    np.testing.assert_array_equal(two_tone.edit.mask, expected)


def test_fill_bridges_differences_up_to_its_tolerance(two_tone: Canvas) -> None:
    two_tone.set_fill_tolerance(130)
    click(two_tone, (200, 150))
    assert two_tone.edit.mask.all()


def test_fill_with_shift_fills_a_painted_outline_and_right_erases_the_piece(two_tone: Canvas, gui: Any) -> None:
    ring = np.zeros((150, 200), dtype=np.uint8)
    ring[20:130, 20:180] = 1
    ring[25:125, 25:175] = 0
    ring[2:4, 2:4] = 1
    frame = two_tone.item
    assert frame is not None
    two_tone.set_item(DisplayItem(frame.frame, ring, generation=1))
    QTest.mouseClick(two_tone, LEFT, SHIFT, QPoint(60, 60))
    expected = ring.copy()
    expected[25:125, 25:175] = 1
    np.testing.assert_array_equal(two_tone.edit.mask, expected)
    click(two_tone, (200, 150), button=RIGHT)
    expected[20:130, 20:180] = 0
    np.testing.assert_array_equal(two_tone.edit.mask, expected)
    click(two_tone, (300, 280), button=RIGHT)  # background: nothing to erase
    np.testing.assert_array_equal(two_tone.edit.mask, expected)


def test_fill_outside_the_frame_is_nothing(two_tone: Canvas, gui: Any, qtbot: QtBot) -> None:
    gui.wheel(two_tone, (200, 150), -8)
    with qtbot.assertNotEmitted(two_tone.edit.stroke_committed):
        click(two_tone, (5, 5))


def test_an_unknown_tool_is_a_mistake_of_the_caller(canvas: Canvas) -> None:
    with pytest.raises(ValueError, match="no tool"):
        canvas.set_tool("lasso")
    assert canvas.tool_names == ("paint", "erase", "polygon", "box", "fill", "scribble")
