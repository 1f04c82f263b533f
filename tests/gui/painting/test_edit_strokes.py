"""What strokes may change, what is told, and how masks from outside are reconciled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QRect
from pytestqt.qtbot import QtBot

from app.painting.edit import EditModel
from engine.types import Frame, Mask

WIDTH, HEIGHT = 60, 40


@pytest.fixture
def frame(gui: Any) -> Frame:
    made: Frame = gui.frame(4, WIDTH, HEIGHT)
    return made


@pytest.fixture
def thirds() -> Mask:
    """Background, object 1, object 2, object 3, side by side, 15 columns each."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for object_id in (1, 2, 3):
        mask[:, 15 * object_id : 15 * (object_id + 1)] = object_id
    return mask


@pytest.fixture
def across(edit: EditModel, frame: Frame, thirds: Mask) -> EditModel:
    for _ in range(3):
        edit.objects.add()
    edit.begin_frame(frame, thirds)
    return edit


def sweep(edit: EditModel, object_id: int, erase: bool = False, everything: bool = False) -> bool:
    """A stroke that covers the whole frame."""
    if not edit.begin_stroke("Sweep", object_id, 50, erase, 0, 20, everything):
        return False
    edit.extend_stroke(60, 20)
    return edit.end_stroke()


def test_painting_covers_everything_but_locked_and_hidden_objects(across: EditModel, thirds: Mask) -> None:
    across.objects.set_locked(2, True)
    across.objects.set_visible(3, False)
    assert sweep(across, 1)
    np.testing.assert_array_equal(across.mask, np.where(thirds >= 2, thirds, 1))


def test_erasing_takes_only_the_object(across: EditModel, thirds: Mask) -> None:
    assert sweep(across, 2, erase=True)
    np.testing.assert_array_equal(across.mask, np.where(thirds == 2, 0, thirds))


def test_erasing_everything_spares_locked_and_hidden_objects(across: EditModel, thirds: Mask) -> None:
    across.objects.set_locked(2, True)
    across.objects.set_visible(3, False)
    assert sweep(across, 1, erase=True, everything=True)
    np.testing.assert_array_equal(across.mask, np.where(thirds == 1, 0, thirds))


@pytest.mark.parametrize("erase", [False, True])
@pytest.mark.parametrize("protect", ["locked", "hidden"])
def test_a_protected_object_refuses_its_own_brush(across: EditModel, thirds: Mask, erase: bool, protect: str) -> None:
    if protect == "locked":
        across.objects.set_locked(1, True)
    else:
        across.objects.set_visible(1, False)
    assert not sweep(across, 1, erase)
    np.testing.assert_array_equal(across.mask, thirds)
    assert not across.can_undo or across.undo_text != "Sweep"


def test_committed_masks_are_read_only_copies(across: EditModel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(across.stroke_committed) as committed:
        sweep(across, 1)
    _, mask, touched = committed.args
    assert touched == frozenset({1, 2, 3})
    assert not mask.flags.writeable
    sweep(across, 2)
    assert (mask == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        across.mask[0, 0] = 9


def test_a_stroke_that_changes_nothing_is_not_recorded(edit: EditModel, frame: Frame, qtbot: QtBot) -> None:
    edit.begin_frame(frame, None)
    with qtbot.assertNotEmitted(edit.stroke_committed):
        assert edit.begin_stroke("Paint", 1, 5, False, -100, -100)
        assert not edit.end_stroke()
        assert not sweep(edit, 1, erase=True)
    assert not edit.can_undo


def test_only_the_touched_block_is_announced(edit: EditModel, frame: Frame) -> None:
    edit.begin_frame(frame, None)
    blocks: list[QRect] = []
    edit.region_changed.connect(blocks.append)
    edit.begin_stroke("Paint", 1, 3, False, 10.0, 10.0)
    edit.extend_stroke(20.0, 10.0)
    assert blocks == [QRect(7, 7, 6, 6), QRect(7, 7, 16, 6)]


def test_cancel_takes_the_stroke_back(across: EditModel, thirds: Mask, qtbot: QtBot) -> None:
    depth = across.undo_text
    with qtbot.assertNotEmitted(across.stroke_committed):
        across.begin_stroke("Sweep", 1, 50, False, 30, 20)
        assert across.stroking
        across.cancel_stroke()
    np.testing.assert_array_equal(across.mask, thirds)
    assert across.undo_text == depth


def test_undo_waits_until_the_brush_is_lifted(across: EditModel) -> None:
    sweep(across, 1)
    across.begin_stroke("Paint", 2, 5, False, 30, 20)
    across.undo()
    assert across.stroking
    assert (across.mask == 1).sum() > 2000
    across.end_stroke()
    assert across.undo_text == "Paint"


def test_pressure_changes_the_width_along_the_stroke(edit: EditModel, frame: Frame) -> None:
    edit.begin_frame(frame, None)
    edit.begin_stroke("Paint", 1, 2, False, 10, 20)
    edit.extend_stroke(20, 20)
    edit.extend_stroke(40, 20, 8)
    columns = edit.mask.any(axis=0)
    heights = edit.mask.sum(axis=0)
    assert columns[8:48].all()
    assert heights[11] == 4
    assert heights[40] == 16


def test_clear_empties_what_is_unlocked_or_what_is_named(across: EditModel, thirds: Mask) -> None:
    across.objects.set_locked(2, True)
    assert across.clear()
    np.testing.assert_array_equal(across.mask, np.where(thirds == 2, 2, 0))
    assert across.clear([2])
    assert not across.mask.any()
    across.undo()
    across.undo()
    np.testing.assert_array_equal(across.mask, thirds)


def test_a_mask_of_another_size_is_refused(edit: EditModel, frame: Frame) -> None:
    small = np.zeros((3, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="does not fit"):
        edit.begin_frame(frame, small)
    edit.begin_frame(frame, None)
    with pytest.raises(ValueError, match="does not fit"):
        edit.replace_mask(small, "Import")


def test_editing_without_a_frame_is_a_mistake_of_the_caller(edit: EditModel) -> None:
    with pytest.raises(RuntimeError, match="begin_frame"):
        edit.begin_stroke("Paint", 1, 5, False, 1, 1)


def test_the_handed_over_mask_is_copied(edit: EditModel, frame: Frame, thirds: Mask) -> None:
    original = thirds.copy()
    edit.begin_frame(frame, thirds)
    sweep(edit, 1)
    np.testing.assert_array_equal(thirds, original)


def test_an_echo_from_before_the_last_stroke_does_not_take_it_away(edit: EditModel, frame: Frame, thirds: Mask) -> None:
    edit.begin_frame(frame, None)
    sweep(edit, 1)
    edit.begin_frame(frame, None)  # under way before the session heard of the stroke
    assert (edit.mask == 1).all()
    edit.begin_frame(frame, np.ones((HEIGHT, WIDTH), dtype=np.uint8))  # the session's answer
    edit.begin_frame(frame, thirds)  # changed by somebody else since
    np.testing.assert_array_equal(edit.mask, thirds)


def test_a_frame_begun_again_takes_the_mask_it_comes_with(
    edit: EditModel, frame: Frame, gui: Any, thirds: Mask
) -> None:
    edit.begin_frame(frame, None)
    sweep(edit, 1)
    edit.begin_frame(gui.frame(5, WIDTH, HEIGHT), None)
    assert not edit.mask.any()
    edit.begin_frame(frame, thirds)
    np.testing.assert_array_equal(edit.mask, thirds)
