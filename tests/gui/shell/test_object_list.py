"""Solo, order, merging and going through the objects, with real keys and the real mouse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QContextMenuEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QMenu, QWidget

from app.canvas.compositor import OverlayStyle
from app.state.objects import ObjectItem
from engine.runtime.messages import MaskKind, MasksChanged, ObjectsChanged
from tests.gui.shell.conftest import HEIGHT, WIDTH

Key, Keys, Button = Qt.Key, Qt.KeyboardModifier, Qt.MouseButton
NAMES = ("Left", "Middle", "Right")


@pytest.fixture
def three(make_shell: Any) -> Any:
    """Three objects side by side in frames 0 (a keyframe) to 3, and a shell that shows frame 0."""
    shell = make_shell(frame_count=4)
    shell.open()
    for index in range(4):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for object_id in (1, 2, 3):
            mask[10 + index : 30 + index, 20 * object_id : 20 * object_id + 10] = object_id
        shell.session._masks[index] = (mask, MaskKind.TRACKED if index else MaskKind.KEYFRAME)
    shell.session.say(MasksChanged(0, 3))
    shell.session.say(ObjectsChanged((1, 2, 3)))
    colors = ((200, 0, 0), (0, 200, 0), (0, 0, 200))
    shell.window.objects.reset(tuple(ObjectItem(i + 1, name, colors[i]) for i, name in enumerate(NAMES)))
    shell.pump()
    shell.window.tracking.go_to(0)
    shell.pump()
    return shell


def press(shell: Any, key: Key, modifiers: Qt.KeyboardModifier = Keys.NoModifier) -> None:
    QTest.keyClick(shell.window.canvas, key, modifiers)
    shell.pump()


def shown(shell: Any) -> set[int]:
    style: OverlayStyle = shell.window.canvas._style
    return {object_id for object_id in shell.window.objects.ids if style.shown[object_id]}


def masks(shell: Any) -> dict[int, bytes]:
    return {index: shell.session.mask_at(index)[0].tobytes() for index in shell.session.mask_kinds()}


def menu(shell: Any) -> QMenu:
    open_menu = QApplication.activePopupWidget()
    assert isinstance(open_menu, QMenu)
    return open_menu


def open_context_menu(widget: QWidget) -> None:
    place = widget.rect().center()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, widget.mapToGlobal(place))
    QApplication.sendEvent(widget, event)


def test_solo_shows_the_selected_object_alone_until_it_is_pressed_again(three: Any) -> None:
    objects, action = three.window.objects, three.window.actions_table["solo"]
    objects.set_visible(3, False)
    press(three, Key.Key_S, Keys.ShiftModifier)
    assert shown(three) == {1}
    assert action.isChecked()
    assert set(objects.protected_ids) == {2, 3}  # what nobody sees no brush touches
    press(three, Key.Key_3)
    assert shown(three) == {3}, "it is alone because it was asked for, hidden or not"
    press(three, Key.Key_S, Keys.ShiftModifier)
    assert shown(three) == {1, 2}
    assert not action.isChecked()
    press(three, Key.Key_S, Keys.ShiftModifier)
    objects.reset(objects.items)  # another source
    assert not action.isChecked()


def test_every_object_can_be_reached_by_key(three: Any) -> None:
    objects = three.window.objects
    for _ in range(9):
        press(three, Key.Key_N)
    press(three, Key.Key_0)
    assert objects.selected_id == 10
    for wanted in (11, 12, 1):
        press(three, Key.Key_Down, Keys.ControlModifier)
        assert objects.selected_id == wanted
    for wanted in (12, 11):
        press(three, Key.Key_Up, Keys.ControlModifier)
        assert objects.selected_id == wanted


def test_keys_move_an_object_and_undo_moves_it_back(three: Any) -> None:
    objects, dock = three.window.objects, three.window.object_dock
    press(three, Key.Key_Down, Keys.AltModifier)
    assert objects.ids == (2, 1, 3)
    assert dock.row(2).y() < dock.row(1).y() < dock.row(3).y()
    assert [item.id for item in three.session.objects] == [2, 1, 3]  # what a project keeps
    press(three, Key.Key_1)
    assert objects.selected_id == 2, "number keys count in the list"
    assert not three.window.actions_table["object_up"].isEnabled()
    press(three, Key.Key_Z, Keys.ControlModifier)
    assert objects.ids == (1, 2, 3)


@pytest.mark.parametrize(("moved", "beside", "below", "order"), [(1, 3, True, (2, 3, 1)), (3, 1, False, (3, 1, 2)),
                                                                 (2, 3, False, (1, 2, 3))])  # fmt: skip
def test_a_row_is_dragged_by_its_name(three: Any, moved: int, beside: int, below: bool, order: Any) -> None:
    dock, objects = three.window.object_dock, three.window.objects
    name, other = dock.row(moved).name, dock.row(beside)
    target = name.mapFromGlobal(other.mapToGlobal(QPoint(30, other.height() - 2 if below else 2)))
    QTest.mousePress(name, Button.LeftButton, pos=QPoint(5, 5))
    QTest.mouseMove(name, (target + QPoint(5, 5)) / 2)
    QTest.mouseMove(name, target)
    assert dock._gap_line.isVisible()
    QTest.mouseRelease(name, Button.LeftButton, pos=target)
    assert objects.ids == order
    assert objects.selected_id == moved
    assert not dock._gap_line.isVisible()
    assert not name.hasFocus()


def test_merging_turns_the_pixels_of_every_frame_and_undo_brings_them_back(three: Any) -> None:
    objects, edit = three.window.objects, three.window.canvas.edit
    start = masks(three)
    press(three, Key.Key_2)
    press(three, Key.Key_M, Keys.ControlModifier)
    entries = [entry.text() for entry in menu(three).actions() if not entry.isSeparator()]
    assert entries == ["&1 Left", "&3 Right"]
    QTest.keyClick(menu(three), Key.Key_3)
    three.pump()
    assert three.session.last("merge_objects") == ("merge_objects", 2, 3)
    assert objects.ids == (1, 3)
    assert objects.selected_id == 3
    merged = {index: np.frombuffer(data, np.uint8) for index, data in start.items()}
    expected = {index: np.where(mask == 2, 3, mask).astype(np.uint8).tobytes() for index, mask in merged.items()}
    assert masks(three) == expected
    assert np.array_equal(np.unique(three.window.canvas.displayed_mask), [0, 1, 3])
    for _ in range(2):
        assert edit.undo_text == "Merge objects"
        press(three, Key.Key_Z, Keys.ControlModifier)
        assert masks(three) == start
        assert [item.name for item in objects.items] == list(NAMES)
        press(three, Key.Key_Z, Keys.ControlModifier | Keys.ShiftModifier)
        assert masks(three) == expected
        assert objects.ids == (1, 3)


def test_the_menu_of_a_row_is_about_that_object(three: Any) -> None:
    open_context_menu(three.window.object_dock.row(3).name)
    assert three.window.objects.selected_id == 3
    first = menu(three).actions()[0]
    assert first is three.window.actions_table["solo"]
    first.trigger()
    menu(three).close()
    assert shown(three) == {3}


def test_one_object_cannot_be_merged(shell: Any) -> None:
    shell.open()
    press(shell, Key.Key_N)
    assert not shell.window.actions_table["merge_object"].isEnabled()
    with pytest.raises(ValueError, match="into itself"):
        shell.window.objects.merge(1, 1)
