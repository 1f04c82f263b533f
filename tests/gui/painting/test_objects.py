"""The object list: ids, selection, undoable and not undoable changes."""

from __future__ import annotations

import pytest
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.painting.edit import EditModel
from app.state.objects import ObjectList
from app.state.palette import object_color


@pytest.fixture
def objects(qapp: QApplication) -> ObjectList:
    return ObjectList()


def test_new_objects_take_the_lowest_free_id_their_colour_and_the_selection(objects: ObjectList) -> None:
    assert [objects.add() for _ in range(3)] == [1, 2, 3]
    objects.remove(2)
    assert objects.add("Ball") == 2
    assert objects.ids == (1, 3, 2)
    assert objects.selected_id == 2
    item = objects.get(2)
    assert item is not None
    assert (item.name, item.color) == ("Ball", object_color(2))


def test_all_ids_can_be_used_and_then_adding_fails(objects: ObjectList) -> None:
    for _ in range(255):
        objects.add()
    assert objects.full
    assert sorted(objects.ids) == list(range(1, 256))
    with pytest.raises(ValueError, match="255"):
        objects.add()


def test_a_given_id_must_be_free(objects: ObjectList) -> None:
    assert objects.add(object_id=9) == 9
    for taken in (9, 0, 256):
        with pytest.raises(ValueError, match="taken"):
            objects.add(object_id=taken)


@pytest.mark.parametrize(("slot", "expected"), [(1, 1), (9, 9), (0, 10)])
def test_number_keys_select_by_place(objects: ObjectList, slot: int, expected: int) -> None:
    for _ in range(11):
        objects.add()
    assert objects.select_by_slot(slot)
    assert objects.selected_id == expected


def test_a_number_key_without_an_object_does_nothing(objects: ObjectList) -> None:
    objects.add()
    assert not objects.select_by_slot(2)
    assert not objects.select_by_slot(0)
    assert objects.selected_id == 1


@pytest.mark.parametrize(("removed", "selected"), [(1, 2), (2, 3), (3, 2)])
def test_removing_the_selected_object_selects_its_neighbour(objects: ObjectList, removed: int, selected: int) -> None:
    for _ in range(3):
        objects.add()
    objects.select(removed)
    objects.remove(removed)
    assert objects.selected_id == selected


def test_removing_the_last_object_selects_none_and_says_so(objects: ObjectList, qtbot: QtBot) -> None:
    objects.add()
    with qtbot.waitSignals([objects.selection_changed, objects.removed, objects.changed]) as signals:
        objects.remove(1)
    assert signals.all_signals_and_args[0].args == (0,)
    assert objects.ids == ()


def test_unknown_ids_raise(objects: ObjectList) -> None:
    for call in (objects.remove, objects.select):
        with pytest.raises(KeyError):
            call(5)
    with pytest.raises(KeyError):
        objects.rename(5, "x")


def test_only_real_changes_are_announced(objects: ObjectList, qtbot: QtBot) -> None:
    objects.add("Ball")
    with qtbot.assertNotEmitted(objects.changed), qtbot.assertNotEmitted(objects.edited):
        objects.rename(1, "Ball")
        objects.rename(1, "   ")
        objects.set_locked(1, False)
        objects.select(1)
    with qtbot.waitSignal(objects.edited) as edited:
        objects.rename(1, " Dog ")
    before, after, _ = edited.args
    assert (before[0].name, after[0].name) == ("Ball", "Dog")


def test_hiding_and_locking_protect_and_can_be_undone(edit: EditModel, qtbot: QtBot) -> None:
    objects = edit.objects
    for _ in range(3):
        objects.add()
    start = objects.snapshot()
    objects.set_visible(1, False)
    objects.set_locked(3, True)
    assert objects.protected_ids == (1, 3)
    assert edit.undo_text == "Lock object"
    edit.undo()
    assert objects.protected_ids == (1,)
    edit.undo()
    assert objects.snapshot() == start
    edit.redo()
    edit.redo()
    assert objects.protected_ids == (1, 3)


def test_restore_puts_everything_back_and_tells_what_came(objects: ObjectList, qtbot: QtBot) -> None:
    objects.add("A")
    objects.add("B")
    snapshot = objects.snapshot()
    objects.rename(1, "C")
    objects.set_locked(1, True)
    objects.remove(2)
    with qtbot.waitSignal(objects.returned) as returned:
        objects.restore(snapshot)
    assert returned.args == [2]
    assert objects.snapshot() == snapshot
    assert objects.selected_id == 2


def test_reset_starts_over_silently(objects: ObjectList, qtbot: QtBot) -> None:
    objects.add("A")
    saved = objects.snapshot()
    objects.add("B")
    with qtbot.assertNotEmitted(objects.edited), qtbot.assertNotEmitted(objects.removed):
        objects.reset(saved)
    assert objects.ids == (1,)
    assert objects.selected_id == 1
    objects.reset()
    assert objects.selected_id == 0


def test_ids_that_undo_can_bring_back_are_not_reused(edit: EditModel) -> None:
    objects = edit.objects
    objects.add()
    objects.add()
    objects.remove(1)
    assert objects.add() == 3
    edit.undo()  # 3 goes
    edit.undo()  # 1 comes back
    assert sorted(objects.ids) == [1, 2]
