"""Undo and redo of everything a user does in the window, with real mouse and key events, to the byte."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest

from app.state.objects import ObjectItem
from engine.runtime.messages import MaskKind, MasksChanged, ObjectsChanged
from engine.types import Mask

Key, Keys, Button = Qt.Key, Qt.KeyboardModifier, Qt.MouseButton
FRAMES = 6
WIDTH, HEIGHT = 96, 64


class User:
    """Does one thing after the other, as the dice fall."""

    def __init__(self, shell: Any, seed: int) -> None:
        self.shell = shell
        self.canvas = shell.window.canvas
        self.objects = shell.window.objects
        self.dice = random.Random(seed)
        self.done: set[str] = set()

    # -- events --------------------------------------------------------------------------------------------------
    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Keys.NoModifier) -> None:
        QTest.keyClick(self.canvas, key, modifiers)
        self.shell.pump()

    def place(self) -> QPoint:
        """Somewhere on the frame, now and then beside it."""
        x, y = self.dice.uniform(-4, WIDTH + 4), self.dice.uniform(-4, HEIGHT + 4)
        return self.canvas.from_frame(x, y).toPoint()

    def drag(self, count: int, button: Qt.MouseButton, modifiers: Qt.KeyboardModifier = Keys.NoModifier) -> None:
        places = [self.place() for _ in range(count)]
        QTest.mousePress(self.canvas, button, modifiers, places[0])
        for place in places[1:]:
            QTest.mouseMove(self.canvas, place)
        QTest.mouseRelease(self.canvas, button, modifiers, places[-1])
        self.shell.pump()

    def either(self) -> Qt.MouseButton:
        return self.dice.choice((Button.LeftButton, Button.LeftButton, Button.RightButton))

    # -- what a user does ----------------------------------------------------------------------------------------
    def paint(self) -> None:
        self.key(Key.Key_P)
        self.canvas.set_brush_radius(self.dice.randint(1, 12))
        self.drag(self.dice.randint(1, 4), self.either(), self.dice.choice((Keys.NoModifier, Keys.ShiftModifier)))

    def erase(self) -> None:
        self.key(Key.Key_E)
        self.drag(3, Button.LeftButton)

    def polygon(self) -> None:
        self.key(Key.Key_G)
        button = self.either()
        for _ in range(4):
            QTest.mouseClick(self.canvas, button, Keys.NoModifier, self.place())
        self.key(self.dice.choice((Key.Key_Return, Key.Key_Return, Key.Key_Escape)))
        self.key(Key.Key_Escape)

    def lasso(self) -> None:
        self.key(Key.Key_G)
        self.drag(6, self.either())
        self.key(Key.Key_Escape)

    def box(self) -> None:
        self.key(Key.Key_R)
        self.drag(2, self.either())

    def fill(self) -> None:
        self.key(Key.Key_U)
        QTest.mouseClick(self.canvas, self.either(), Keys.NoModifier, self.place())
        self.shell.pump()

    def scribble(self) -> None:
        self.key(Key.Key_S)
        self.drag(3, Button.LeftButton)
        self.drag(2, self.either())
        self.key(self.dice.choice((Key.Key_Return, Key.Key_Return, Key.Key_Escape)))

    def clear(self) -> None:
        self.shell.trigger("clear_mask")

    def copy(self) -> None:
        self.shell.trigger("copy_previous")

    def load(self) -> None:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[self.dice.randrange(30) :, self.dice.randrange(60) :] = self.dice.choice(self.objects.ids or (1,))
        self.shell.window.editing.use_mask(mask, "Import mask")
        self.shell.pump()

    def go(self) -> None:
        self.shell.window.tracking.go_to(self.dice.randrange(FRAMES))
        self.shell.pump()

    def add(self) -> None:
        if len(self.objects) < 8:
            self.key(Key.Key_N)

    def delete(self) -> None:
        if len(self.objects) > 2:
            self.choose()
            self.key(Key.Key_Delete)

    def merge(self) -> None:
        if len(self.objects) > 2:
            self.objects.merge(*self.dice.sample(self.objects.ids, 2))

    def move(self) -> None:
        self.choose()
        self.key(self.dice.choice((Key.Key_Up, Key.Key_Down)), Keys.AltModifier)

    def choose(self) -> None:
        self.key(self.dice.choice((Key.Key_1, Key.Key_2, Key.Key_3, Key.Key_4)))

    def row(self) -> Any:
        return self.shell.window.object_dock.row(self.dice.choice(self.objects.ids))

    def hide(self) -> None:
        self.row().eye.click()

    def lock(self) -> None:
        self.row().lock.click()

    def rename(self) -> None:
        self.objects.rename(self.dice.choice(self.objects.ids), f"Name {self.dice.random():.3f}")

    def recolour(self) -> None:
        self.objects.recolor(self.dice.choice(self.objects.ids), (self.dice.randrange(256), 90, 0))

    def act(self) -> None:
        strokes = (self.paint, self.paint, self.erase, self.polygon, self.lasso, self.box, self.fill, self.scribble)
        others = (self.clear, self.copy, self.load, self.go, self.add, self.delete, self.merge, self.choose)
        looks = (self.hide, self.lock, self.rename, self.recolour, self.move)
        what = self.dice.choice((*strokes, *strokes, *others, *looks))
        if what in looks and not len(self.objects):
            what = self.add
        what()
        self.done.add(what.__name__)
        if len(self.objects.protected_ids) > 2:  # else hardly any stroke would do anything
            self.objects.set_locked(self.objects.ids[0], False)
            self.objects.set_visible(self.objects.ids[0], True)


def look(shell: Any) -> tuple[dict[int, bytes], Any]:
    """Every mask that is not empty, and every object with all it has."""
    masks = {index: shell.session.mask_at(index)[0] for index in shell.session.mask_kinds()}
    return {index: mask.tobytes() for index, mask in masks.items() if mask.any()}, shell.window.objects.snapshot()


def tracked_masks() -> dict[int, tuple[Mask, MaskKind]]:
    """Two objects in every frame, painted in the first one."""
    masks = {}
    for index in range(FRAMES):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[5 + index : 30 + index, 10:40] = 1
        mask[20:50, 50 + index : 70 + index] = 2
        masks[index] = (mask, MaskKind.TRACKED if index else MaskKind.KEYFRAME)
    return masks


@pytest.mark.parametrize("seed", [1, 2])
def test_200_random_edits_are_undone_and_done_again_to_the_byte(make_shell: Any, seed: int) -> None:
    shell = make_shell(frame_count=FRAMES)
    shell.open()
    shell.session._masks = tracked_masks()  # work of an earlier day: nothing of it can be undone
    shell.session.say(MasksChanged(0, FRAMES - 1))
    shell.session.say(ObjectsChanged((1, 2)))
    shell.window.objects.reset((ObjectItem(1, "Left", (200, 0, 0)), ObjectItem(2, "Right", (0, 0, 200))))
    shell.pump()
    shell.window.tracking.go_to(0)
    shell.pump()
    edit = shell.window.canvas.edit
    assert not edit.can_undo
    start = look(shell)
    user = User(shell, seed)
    for _ in range(200):
        user.act()
    assert len(user.done) >= 17, "the dice left something out"
    end = look(shell)
    assert end != start
    for _ in range(2):
        steps = 0
        while edit.can_undo:
            shell.trigger("undo")
            steps += 1
        assert look(shell) == start
        while edit.can_redo:
            shell.trigger("redo")
            steps -= 1
        assert look(shell) == end
        assert steps == 0


def test_a_deleted_object_comes_back_on_frames_nobody_looked_at(make_shell: Any) -> None:
    shell = make_shell(frame_count=FRAMES)
    shell.open()
    shell.session._masks = tracked_masks()
    shell.window.objects.reset((ObjectItem(1, "Left", (200, 0, 0)), ObjectItem(2, "Right", (0, 0, 200))))
    shell.pump()
    start = look(shell)
    shell.trigger("delete_object")
    assert look(shell) != start
    shell.trigger("undo")
    assert look(shell) == start
    shell.trigger("redo")
    assert shell.window.objects.ids == (2,)
    assert not any((shell.session.mask_at(index)[0] == 1).any() for index in range(FRAMES))
