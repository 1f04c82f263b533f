"""Which frame and which mask the canvas shows while items come in and the user paints."""

from __future__ import annotations

from typing import Any

import numpy as np
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QColor
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.canvas.canvas import Canvas
from app.state.objects import ObjectList
from engine.runtime.messages import DisplayItem
from engine.types import Mask

LEFT, NO_KEY = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def square(object_id: int = 1) -> Mask:
    mask = np.zeros((150, 200), dtype=np.uint8)
    mask[50:100, 60:140] = object_id
    return mask


def test_without_an_item_there_is_only_background(canvas: Canvas, gui: Any, qtbot: QtBot) -> None:
    canvas.set_background(QColor(12, 34, 56))
    with qtbot.assertNotEmitted(canvas.stroke_started):
        gui.drag(canvas, (100, 100), (200, 200))
        gui.wheel(canvas, (100, 100))
    picture = canvas.grab().toImage()
    assert {picture.pixel(x, y) for x in range(0, 400, 7) for y in range(0, 300, 7)} == {QColor(12, 34, 56).rgb()}
    assert (canvas.item, canvas.displayed_mask) == (None, None)


def test_clear_goes_back_to_nothing_and_forgets_the_history(painting: Canvas, gui: Any) -> None:
    gui.drag(painting, (150, 150), (250, 150))
    painting.clear()
    assert (painting.item, painting.displayed_mask, painting.edit.can_undo) == (None, None, False)


def test_the_shown_mask_belongs_to_the_shown_frame(painting: Canvas, gui: Any) -> None:
    gui.drag(painting, (150, 150), (250, 150))
    painted = painting.edit.mask.copy()
    painting.set_item(gui.item(1, square()))
    np.testing.assert_array_equal(painting.displayed_mask, square())
    painting.set_item(gui.item(2, None))
    assert painting.displayed_mask is None
    painting.set_item(gui.item(0, painted))
    np.testing.assert_array_equal(painting.displayed_mask, painted)


def test_a_stroke_holds_its_frame_while_newer_ones_arrive(painting: Canvas, gui: Any) -> None:
    first = painting.item
    assert first is not None
    told: list[int] = []
    painting.edit.stroke_committed.connect(lambda frame, _mask, _ids: told.append(frame.index))
    QTest.mousePress(painting, LEFT, NO_KEY, QPoint(150, 150))
    for index in range(1, 6):
        painting.set_item(gui.item(index, square(2), value=200))
        QTest.mouseMove(painting, QPoint(150 + 20 * index, 150))
        assert painting.item is first
        assert painting.grab_frame_pixel(5, 5).red() == 100
    QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(250, 150))
    assert told == [0]
    assert painting.item is not None
    assert painting.item.frame.index == 5  # the newest of those that waited
    assert painting.grab_frame_pixel(5, 5).red() == 200
    np.testing.assert_array_equal(painting.displayed_mask, square(2))


def test_a_cancelled_stroke_lets_the_waiting_item_in(painting: Canvas, gui: Any) -> None:
    QTest.mousePress(painting, LEFT, NO_KEY, QPoint(150, 150))
    painting.set_item(gui.item(1))
    QTest.keyClick(painting, Qt.Key.Key_Escape)
    assert painting.item is not None
    assert painting.item.frame.index == 1


def test_the_answer_of_the_session_changes_nothing_on_the_screen(painting: Canvas, gui: Any) -> None:
    item = painting.item
    assert item is not None
    gui.drag(painting, (150, 150), (250, 150))
    painted = painting.edit.mask.copy()
    painting._follow_pointer(None)
    before = painting.grab().toImage()
    painting.set_item(DisplayItem(item.frame, None, generation=1))  # was under way before the stroke
    painting.set_item(DisplayItem(item.frame, painted, generation=1))
    assert painting.grab().toImage() == before
    assert painting.edit.can_undo


def test_a_mask_tracked_anew_replaces_the_painted_one(painting: Canvas, gui: Any) -> None:
    item = painting.item
    assert item is not None
    gui.drag(painting, (150, 150), (250, 150))
    painting.set_item(DisplayItem(item.frame, painting.edit.mask.copy(), generation=1))
    painting.set_item(DisplayItem(item.frame, square(1), generation=1))
    np.testing.assert_array_equal(painting.displayed_mask, square(1))
    painting.set_overlay_opacity(1.0)
    assert painting.grab_frame_pixel(70, 55).getRgb()[:3] == painting.objects.items[0].color


def test_items_of_a_former_source_are_ignored(painting: Canvas, gui: Any) -> None:
    painting.set_item(gui.item(0, generation=3, value=50))
    painting.set_item(gui.item(9, generation=2, value=90))
    assert painting.grab_frame_pixel(5, 5).red() == 50


def test_a_new_source_ends_the_stroke_and_the_history_and_is_fitted(painting: Canvas, gui: Any) -> None:
    gui.wheel(painting, (200, 150), 5)
    gui.drag(painting, (150, 150), (250, 150))
    gui.drag(painting, (150, 150), (250, 160), release=False)
    small = DisplayItem(gui.frame(0, 100, 75), None, generation=2)
    painting.set_item(small)
    assert painting.item is small
    assert not painting.busy
    assert not painting.edit.can_undo
    assert painting.zoom == 4


def test_undo_of_another_frame_is_shown_when_that_frame_comes(painting: Canvas, gui: Any) -> None:
    gui.drag(painting, (150, 150), (250, 150))
    painted = painting.edit.mask.copy()
    asked: list[int] = []
    painting.edit.navigate_requested.connect(asked.append)
    painting.set_item(gui.item(7))
    painting.edit.undo()
    assert asked == [0]
    painting.set_item(gui.item(0, painted, value=100))
    assert not painting.edit.mask.any()
    assert painting.grab_frame_pixel(100, 75).getRgb()[:3] == (100, 100, 100)


def test_undo_across_frames_with_an_answer_at_once(painting: Canvas, gui: Any) -> None:
    """The window may answer `navigate_requested` before it returns; several steps may then follow one another."""
    masks: dict[int, Mask] = {}
    painting.edit.stroke_committed.connect(lambda frame, mask, _ids: masks.__setitem__(frame.index, mask))
    painting.edit.navigate_requested.connect(
        lambda index: painting.set_item(gui.item(index, masks.get(index), value=100))
    )
    for index in (0, 1, 2):
        painting.set_item(gui.item(index, value=100))
        gui.drag(painting, (150, 150), (250, 150))
    for _ in range(3):
        painting.edit.undo()
    assert painting.item is not None
    assert painting.item.frame.index == 0
    assert not any(mask.any() for mask in masks.values())
    for _ in range(3):
        painting.edit.redo()
    assert painting.item.frame.index == 2
    assert all(mask.any() for mask in masks.values())


def test_undo_on_a_live_source_shows_the_frame_that_was_painted(painting: Canvas, gui: Any) -> None:
    painting.edit.set_seekable(False)
    painted_on = painting.item
    assert painted_on is not None
    gui.drag(painting, (150, 150), (250, 150))
    painting.set_item(gui.item(40, square(), value=222))
    painting.edit.undo()
    assert painting.item is not None
    assert painting.item.frame is painted_on.frame
    assert painting.grab_frame_pixel(5, 5).red() == 100
    painting.set_item(gui.item(41, square(), value=223))
    assert painting.grab_frame_pixel(5, 5).red() == 223


def test_clearing_the_shown_frame_works_without_a_stroke_before(painting: Canvas, gui: Any) -> None:
    painting.set_item(gui.item(1, square()))
    assert painting.begin_edit()
    assert painting.edit.clear()
    assert painting.displayed_mask is not None
    assert not painting.displayed_mask.any()


def test_another_object_list_can_be_used(painting: Canvas, gui: Any) -> None:
    objects = ObjectList()
    painting.set_objects(objects)
    objects.add(object_id=7)
    gui.drag(painting, (150, 150), (250, 150))
    assert set(np.unique(painting.edit.mask).tolist()) == {0, 7}
    painting.edit.undo()
    painting.edit.undo()
    assert objects.ids == ()
