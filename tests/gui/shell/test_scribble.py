"""The smart scribble in the window, and masks from the clipboard and from the frame before. Real mouse and keys."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PyQt6.QtCore import QMimeData, QPoint, Qt, QUrl
from PyQt6.QtGui import QGuiApplication, QImage
from PyQt6.QtTest import QTest

from app.actions import ACTIONS
from app.window import editing
from engine.runtime.messages import EngineProgress
from engine.scribble_marks import INSIDE, OUTSIDE, PROBABLY_INSIDE
from engine.video.masks import davis_palette, write_mask

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
SHIFT, NO_KEY = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.NoModifier


def draw(
    shell: Any,
    *points: tuple[float, float],
    button: Qt.MouseButton = LEFT,
    keys: Qt.KeyboardModifier = NO_KEY,
    release: bool = True,
) -> None:
    canvas = shell.window.canvas
    places = [canvas.from_frame(*point).toPoint() for point in points]
    QTest.mousePress(canvas, button, keys, places[0])
    for place in places[1:]:
        QTest.mouseMove(canvas, place + QPoint(1, 0))
        QTest.mouseMove(canvas, place)
    if release:
        QTest.mouseRelease(canvas, button, keys, places[-1])
    shell.pump()


def key(shell: Any, which: Qt.Key) -> None:
    QTest.keyClick(shell.window.canvas, which)
    shell.pump()


@pytest.fixture
def scribbling(shell: Any) -> Any:
    shell.open()
    key(shell, Qt.Key.Key_S)
    assert shell.window.canvas.tool == "scribble"
    return shell


def test_strokes_show_a_preview_that_enter_keeps_as_one_step(scribbling: Any) -> None:
    shell, canvas = scribbling, scribbling.window.canvas
    draw(shell, (20, 20), (60, 40), release=False)
    assert canvas.edit.mask[30, 40] == 1  # while the button is still down
    QTest.mouseRelease(canvas, LEFT, NO_KEY, canvas.from_frame(60, 40).toPoint())
    shell.pump()
    preview = canvas.edit.mask.copy()
    assert preview[30, 40] == 1
    assert not preview[55, 80]
    assert canvas.displayed_mask[30, 40] == 1
    assert canvas.grab_frame_pixel(40, 25) != canvas.grab_frame_pixel(40, 55)
    assert "set_mask" not in shell.session.names()  # nothing is kept yet
    assert canvas.edit.undo_text != "Scribble"
    draw(shell, (35, 25), (45, 25), button=RIGHT)  # a stroke outside corrects
    corrected = canvas.edit.mask.copy()
    assert not corrected[25, 40]
    assert canvas.scribble.strokes == 2
    key(shell, Qt.Key.Key_Return)
    assert not canvas.busy
    np.testing.assert_array_equal(canvas.edit.mask, corrected)
    assert shell.session.last("set_mask")[1].index == 0
    assert canvas.edit.undo_text == "Scribble"
    shell.trigger("undo")
    assert not canvas.edit.mask.any()
    shell.trigger("redo")
    np.testing.assert_array_equal(canvas.edit.mask, corrected)


def test_escape_leaves_nothing_and_backspace_takes_one_stroke_back(scribbling: Any) -> None:
    shell, canvas = scribbling, scribbling.window.canvas
    draw(shell, (20, 20), (40, 30))
    one = canvas.edit.mask.copy()
    draw(shell, (60, 40), (70, 50))
    assert (canvas.edit.mask != one).any()
    key(shell, Qt.Key.Key_Backspace)
    np.testing.assert_array_equal(canvas.edit.mask, one)
    key(shell, Qt.Key.Key_Escape)
    assert not canvas.busy
    assert not canvas.edit.mask.any()
    assert canvas.edit.undo_text != "Scribble"
    assert "set_mask" not in shell.session.names()
    draw(shell, (20, 20), (40, 30))
    key(shell, Qt.Key.Key_Backspace)
    assert not canvas.busy
    assert not canvas.edit.mask.any()


def test_undo_takes_strokes_back_before_edits(scribbling: Any) -> None:
    shell, canvas = scribbling, scribbling.window.canvas
    draw(shell, (20, 20), (40, 30))
    one = canvas.edit.mask.copy()
    draw(shell, (60, 40), (70, 50))
    shell.trigger("undo")
    np.testing.assert_array_equal(canvas.edit.mask, one)
    shell.trigger("undo")
    assert not canvas.busy
    assert not canvas.edit.mask.any()
    assert shell.window.objects.ids == (1,)
    shell.trigger("undo")
    assert shell.window.objects.ids == ()


def test_other_objects_give_way_unless_locked_and_the_own_former_mask_is_replaced(scribbling: Any) -> None:
    shell, canvas, objects = scribbling, scribbling.window.canvas, scribbling.window.objects
    draw(shell, (20, 20), (40, 30))
    key(shell, Qt.Key.Key_Return)
    first = canvas.edit.mask.copy()
    objects.set_locked(1, True)
    shell.window.editing.new_object()
    draw(shell, (30, 10), (60, 40))
    key(shell, Qt.Key.Key_Return)
    both = canvas.edit.mask.copy()
    np.testing.assert_array_equal(both == 1, first == 1)
    assert (both == 2).sum() > 300
    draw(shell, (70, 50), (80, 55))
    marks = canvas.scribble.marks()
    assert (marks[both == 2] == PROBABLY_INSIDE).all()  # a correction starts from what is there
    key(shell, Qt.Key.Key_Return)
    now = canvas.edit.mask
    np.testing.assert_array_equal(now == 1, first == 1)
    assert not now[both == 2].any()
    shell.trigger("undo")
    np.testing.assert_array_equal(canvas.edit.mask, both)


def test_a_box_marks_what_is_around_it_as_outside(scribbling: Any) -> None:
    canvas = scribbling.window.canvas
    draw(scribbling, (20, 10), (60, 50), keys=SHIFT)
    marks = canvas.scribble.marks()
    assert (marks[12:48, 22:58] == PROBABLY_INSIDE).all()
    assert (marks[:9] == OUTSIDE).all()
    draw(scribbling, (30, 20), (40, 20))
    assert canvas.scribble.marks()[20, 35] == INSIDE
    key(scribbling, Qt.Key.Key_Escape)


def test_colours_stand_in_until_the_engine_is_there(scribbling: Any) -> None:
    shell, canvas = scribbling, scribbling.window.canvas
    shell.session.engine_ready = False
    draw(shell, (20, 20), (60, 40))
    assert any("colour alone" in item.text for item in shell.window.notices.items)
    shell.bot.waitUntil(lambda: canvas.edit.mask.any(), timeout=10_000)
    asked = shell.session.names().count("scribble")
    shell.session.engine_ready = True
    shell.session.say(EngineProgress("Ready", True, "cpu", "resnet50-half", "robust"))
    shell.pump()
    shell.pump()
    assert shell.session.names().count("scribble") > asked
    rows, columns = np.nonzero(canvas.scribble.marks() == INSIDE)
    box = np.zeros(canvas.edit.mask.shape, np.uint8)
    box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
    np.testing.assert_array_equal(canvas.edit.mask, box)
    key(shell, Qt.Key.Key_Escape)
    assert not canvas.edit.mask.any()


def test_the_tool_is_in_the_menu_the_bar_and_the_sheet(scribbling: Any) -> None:
    spec = next(spec for spec in ACTIONS if spec.id == "tool_scribble")
    action = scribbling.window.actions_table["tool_scribble"]
    assert spec.keys == ("S",)
    assert "(S)" in action.toolTip()
    buttons = [b for b in scribbling.window.tool_bar.findChildren(object) if getattr(b, "defaultAction", None)]
    names = [b.accessibleName() for b in buttons if b.defaultAction() is action]
    assert names == ["Smart scribble"]


# -- masks from elsewhere ------------------------------------------------------------------------------------------
@pytest.fixture
def board(qapp: Any) -> Any:
    board = QGuiApplication.clipboard()
    yield board
    board.clear()


def test_a_picture_on_the_clipboard_becomes_the_mask(shell: Any, board: Any) -> None:
    shell.open()
    board.clear()
    shell.trigger("paste_mask")
    assert any("no picture on the clipboard" in item.text for item in shell.window.notices.items)
    ids = np.zeros((64, 96), np.uint8)
    ids[10:30, 20:50], ids[40:50, 60:80] = 1, 2
    colours = np.ascontiguousarray(davis_palette()[ids])
    board.setImage(QImage(colours.data, 96, 64, 3 * 96, QImage.Format.Format_RGB888).copy())
    shell.trigger("paste_mask")
    canvas = shell.window.canvas
    np.testing.assert_array_equal(canvas.edit.mask, ids)
    assert shell.window.objects.ids == (1, 2)
    assert canvas.edit.undo_text == "Paste mask"
    shell.trigger("undo")
    assert not canvas.edit.mask.any()


def test_a_palette_png_and_a_copied_file_keep_their_ids(shell: Any, board: Any, tmp_path: Path) -> None:
    shell.open()
    ids = np.zeros((64, 96), np.uint8)
    ids[5:20, 5:30] = 3
    image = Image.fromarray(ids)
    image.putpalette([value for i in range(256) for value in (i, 255 - i, 7)])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    data = QMimeData()
    data.setData("image/png", stream.getvalue())
    board.setMimeData(data)
    shell.trigger("paste_mask")
    np.testing.assert_array_equal(shell.window.canvas.edit.mask, ids)
    ids[40:60, 40:60] = 4
    write_mask(tmp_path / "four.png", ids)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "four.png"))])
    board.setMimeData(data)
    shell.trigger("paste_mask")
    np.testing.assert_array_equal(shell.window.canvas.edit.mask, ids)


def test_a_pasted_mask_of_another_size_is_resized_after_asking(
    shell: Any, board: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.open()
    large = QImage(192, 128, QImage.Format.Format_ARGB32)
    large.fill(Qt.GlobalColor.transparent)
    for y in range(20, 60):
        for x in range(40, 100):
            large.setPixelColor(x, y, Qt.GlobalColor.magenta)
    board.setImage(large)
    answers = [1, 0]
    monkeypatch.setattr(editing, "ask", lambda *_, **__: answers.pop(0))
    shell.trigger("paste_mask")
    assert not shell.window.canvas.edit.mask.any()
    shell.trigger("paste_mask")
    truth = np.zeros((64, 96), np.uint8)
    truth[10:30, 20:50] = 1
    np.testing.assert_array_equal(shell.window.canvas.edit.mask, truth)


def test_the_mask_before_is_copied_and_locked_objects_stay(shell: Any) -> None:
    shell.open()
    canvas = shell.window.canvas
    shell.trigger("copy_previous")
    assert any("No earlier frame" in item.text for item in shell.window.notices.items)
    draw(shell, (20, 20), (60, 40))
    first = canvas.edit.mask.copy()
    assert first.any()
    shell.window.tracking.go_to(6)
    shell.pump()
    shell.window.editing.new_object()
    draw(shell, (60, 40), (80, 50))
    second = canvas.edit.mask.copy()
    assert set(np.unique(second)) == {0, 2}
    shell.window.objects.set_locked(2, True)
    shell.trigger("copy_previous")
    np.testing.assert_array_equal(canvas.edit.mask, np.where(second == 2, 2, first))
    assert shell.session.last("set_mask")[1].index == 6
    shell.trigger("undo")
    np.testing.assert_array_equal(canvas.edit.mask, second)
