"""Undo and redo: byte-exact over many random edits, frames, and changes of the object list."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.painting import edit as edit_module
from app.painting import raster
from app.painting.edit import EditModel
from app.painting.raster import Rect, Region
from engine.types import Frame, Mask

StoreMaker = Callable[[EditModel, dict[int, Frame]], Any]
SIZE = (64, 48)


@pytest.fixture
def frames(gui: Any) -> dict[int, Frame]:
    return {index: gui.frame(index, *SIZE) for index in (3, 10, 11)}


def stroke(
    edit: EditModel, object_id: int, *points: tuple[float, float], erase: bool = False, radius: float = 4
) -> bool:
    if not edit.begin_stroke("Paint", object_id, radius, erase, *points[0]):
        return False
    for point in points[1:]:
        edit.extend_stroke(*point)
    return edit.end_stroke()


def some_mask(first: int = 1, second: int = 2) -> Mask:
    mask = np.zeros(SIZE[::-1], dtype=np.uint8)
    mask[10:30, 10:30] = first
    mask[20:40, 25:50] = second
    return mask


def random_edit(edit: EditModel, store: Any, dice: random.Random) -> None:
    """One step of a user: mostly strokes, sometimes another frame, sometimes the object list."""
    objects = edit.objects
    width, height = SIZE
    if dice.random() < 0.2:
        store.show(dice.choice(list(store.frames)))
    kind = dice.random()
    if (kind < 0.06 and len(objects) < 12) or not len(objects):
        objects.add()
    elif kind < 0.10:
        objects.remove(dice.choice(objects.ids))
    elif kind < 0.14:
        objects.rename(dice.choice(objects.ids), f"Name {dice.random()}")
    elif kind < 0.18:
        objects.recolor(dice.choice(objects.ids), (dice.randrange(256), 0, 0))
    elif kind < 0.22:
        edit.clear([dice.choice(objects.ids)])
    elif kind < 0.32:
        corners = [(dice.uniform(-5, width + 5), dice.uniform(-5, height + 5)) for _ in range(4)]
        region = raster.polygon(corners, width, height)
        if region is not None:
            edit.apply_region("Polygon", region, dice.choice(objects.ids), erase=dice.random() < 0.3)
    else:
        points = [(dice.uniform(-5, width + 5), dice.uniform(-5, height + 5)) for _ in range(dice.randint(1, 4))]
        stroke(edit, dice.choice(objects.ids), *points, erase=dice.random() < 0.3, radius=dice.uniform(0.5, 15))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("frames_stay_alive", [True, False])
def test_200_random_edits_undo_to_the_start_and_redo_to_the_end(
    edit: EditModel, frames: dict[int, Frame], make_store: StoreMaker, seed: int, frames_stay_alive: bool
) -> None:
    """Whether the frames of removed objects' pixels are still in memory or come back on a later visit."""
    dice = random.Random(seed)
    store = make_store(edit, frames)
    alive: list[Frame] = []
    if frames_stay_alive:
        edit.stroke_committed.connect(lambda frame, _mask, _ids: alive.append(frame))
    store.masks[10] = some_mask(200, 201)  # tracked earlier; ids that no random edit removes from the list
    store.show(10)
    start, start_objects = store.snapshot(), edit.objects.snapshot()
    for _ in range(200):
        random_edit(edit, store, dice)
    for index in frames:
        store.show(index)
    end, end_objects = store.snapshot(), edit.objects.snapshot()
    assert store.masks.keys() == frames.keys()  # every frame was edited
    for _ in range(2):
        while edit.can_undo:
            edit.undo()
        for index in frames:
            store.show(index)
        assert (store.snapshot(), edit.objects.snapshot()) == (start, start_objects)
        while edit.can_redo:
            edit.redo()
        for index in frames:
            store.show(index)
        assert (store.snapshot(), edit.objects.snapshot()) == (end, end_objects)
    assert edit.history_bytes < 200 * 1500


def test_undo_goes_to_the_frame_of_the_edit(edit: EditModel, frames: dict[int, Frame], make_store: StoreMaker) -> None:
    store = make_store(edit, frames)
    store.show(3)
    stroke(edit, 1, (20, 20))
    store.show(10)
    stroke(edit, 1, (30, 30))
    store.show(11)
    store.visits.clear()
    edit.undo()
    assert store.visits == [10]
    assert edit.frame is not None
    assert edit.frame.index == 10
    assert not store.masks[10].any()
    assert store.masks[3].any()
    edit.undo()
    assert store.visits == [10, 3]
    assert not store.masks[3].any()


def test_undo_waits_for_a_frame_that_comes_later(edit: EditModel, frames: dict[int, Frame], qtbot: QtBot) -> None:
    edit.begin_frame(frames[3], None)
    stroke(edit, 1, (20, 20))
    stroke(edit, 1, (40, 20))
    painted = edit.mask.copy()
    edit.begin_frame(frames[10], None)
    with qtbot.waitSignal(edit.navigate_requested) as asked, qtbot.assertNotEmitted(edit.stroke_committed):
        edit.undo()
        edit.undo()  # the user is faster than the video
    assert asked.args == [3]
    edit.begin_frame(frames[11], None)  # a frame that was already under way
    edit.begin_frame(frames[3], painted)
    assert not edit.mask.any()
    assert not edit.can_undo


def test_a_frame_that_comes_much_later_is_not_changed(
    edit: EditModel, frames: dict[int, Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(edit_module.time, "monotonic", lambda: now[0])
    edit.begin_frame(frames[3], None)
    stroke(edit, 1, (20, 20))
    painted = edit.mask.copy()
    edit.begin_frame(frames[10], None)
    edit.undo()
    now[0] += edit_module.NAVIGATION_TIMEOUT_S + 1
    edit.begin_frame(frames[3], painted)
    np.testing.assert_array_equal(edit.mask, painted)
    assert edit.can_undo


def test_painting_gives_up_an_undo_that_waits(edit: EditModel, frames: dict[int, Frame], qtbot: QtBot) -> None:
    edit.begin_frame(frames[3], None)
    stroke(edit, 1, (20, 20))
    painted = edit.mask.copy()
    edit.begin_frame(frames[10], None)
    edit.undo()
    stroke(edit, 1, (5, 5))
    with qtbot.assertNotEmitted(edit.navigate_requested):
        edit.begin_frame(frames[3], painted)
    np.testing.assert_array_equal(edit.mask, painted)


def test_undo_on_a_live_source_goes_back_to_the_frame_itself(
    edit: EditModel, frames: dict[int, Frame], qtbot: QtBot
) -> None:
    edit.set_seekable(False)
    edit.begin_frame(frames[3], None)
    stroke(edit, 1, (20, 20))
    edit.begin_frame(frames[10], None)
    with qtbot.assertNotEmitted(edit.navigate_requested), qtbot.waitSignal(edit.stroke_committed) as committed:
        edit.undo()
    frame, mask, touched = committed.args
    assert frame is frames[3]
    assert edit.frame is frames[3]
    assert not mask.any()
    assert touched == frozenset({1})


def test_live_frames_are_kept_within_a_budget(edit: EditModel, gui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one_frame = gui.frame(0, *SIZE).rgb.nbytes
    monkeypatch.setattr(edit._shelf, "_kept_bytes", 3 * one_frame)
    edit.set_seekable(False)
    for index in range(10):
        edit.begin_frame(gui.frame(index, *SIZE), None)
        stroke(edit, 1, (20, 20))
    edit.leave_frame()
    undone = 0
    while edit.can_undo:
        edit.undo()
        undone += 1
    assert undone == 3


def test_the_history_of_a_file_keeps_no_frames_alive(edit: EditModel, gui: Any) -> None:
    alive = []
    for index in range(5):
        frame = gui.frame(index, *SIZE)
        alive.append(weakref.ref(frame))
        edit.begin_frame(frame, None)
        stroke(edit, 1, (20, 20))
    del frame
    edit.leave_frame()
    gc.collect()
    assert not [reference for reference in alive if reference() is not None]


def test_a_new_edit_ends_redo(edit: EditModel, frames: dict[int, Frame], qtbot: QtBot) -> None:
    edit.begin_frame(frames[3], None)
    stroke(edit, 1, (20, 20))
    with qtbot.waitSignal(edit.history_changed):
        edit.undo()
    assert (edit.can_undo, edit.can_redo, edit.redo_text) == (False, True, "Paint")
    stroke(edit, 1, (40, 40))
    assert (edit.can_undo, edit.can_redo, edit.undo_text) == (True, False, "Paint")


def test_undo_changes_only_its_own_pixels_of_a_mask_that_changed_from_outside(
    edit: EditModel, frames: dict[int, Frame]
) -> None:
    edit.begin_frame(frames[3], some_mask())
    stroke(edit, 2, (15, 15), radius=3)
    edit.leave_frame()
    other = np.full(SIZE[::-1], 5, dtype=np.uint8)
    edit.begin_frame(frames[3], other)
    edit.undo()
    changed = edit.mask != other
    assert changed.any()
    assert (edit.mask[changed] == 1).all()
    edit.redo()
    np.testing.assert_array_equal(edit.mask, other)


def test_removing_an_object_and_undoing_it_reports_no_pixels_twice(
    edit: EditModel, frames: dict[int, Frame], make_store: StoreMaker, qtbot: QtBot
) -> None:
    edit.objects.add()
    edit.objects.add()
    store = make_store(edit, frames)
    store.masks[3] = some_mask()
    store.show(3)
    stroke(edit, 1, (50, 10))
    before = edit.mask.copy()
    with qtbot.assertNotEmitted(edit.stroke_committed), qtbot.waitSignal(edit.objects.removed):
        edit.objects.remove(1)  # `removed` tells the session to delete it everywhere
    np.testing.assert_array_equal(edit.mask, np.where(before == 1, 0, before))
    with qtbot.waitSignal(edit.stroke_committed) as committed:
        edit.undo()
    np.testing.assert_array_equal(committed.args[1], before)
    assert committed.args[2] == frozenset({1})
    with qtbot.assertNotEmitted(edit.stroke_committed):
        edit.redo()
    np.testing.assert_array_equal(store.masks[3], np.where(before == 1, 0, before))


def test_reset_forgets_everything(edit: EditModel, frames: dict[int, Frame]) -> None:
    edit.begin_frame(frames[3], None)
    stroke(edit, 1, (20, 20))
    edit.reset()
    assert (edit.can_undo, edit.can_redo, edit.frame, edit.history_bytes) == (False, False, None, 0)


def test_forgetting_a_frame_leaves_the_history_of_the_others(edit: EditModel, frames: dict[int, Frame]) -> None:
    edit.begin_frame(frames[3], None)
    stroke(edit, 1, (20, 20))
    edit.begin_frame(frames[10], None)
    stroke(edit, 1, (20, 20))
    edit.forget_frame(3)
    edit.undo()
    assert not edit.mask.any()
    assert not edit.can_undo


def test_region_edits_are_one_step(edit: EditModel, frames: dict[int, Frame], qtbot: QtBot) -> None:
    edit.begin_frame(frames[3], some_mask())
    region = Region(Rect(5, 5, 10, 10), np.ones((10, 10), dtype=bool))
    with qtbot.waitSignal(edit.stroke_committed) as committed:
        assert edit.apply_region("Box", region, 3)
    assert committed.args[2] == frozenset({1, 3})
    assert not edit.apply_region("Box", region, 3)  # nothing left to change
    edit.undo()
    np.testing.assert_array_equal(edit.mask, some_mask())
    assert not edit.can_undo
