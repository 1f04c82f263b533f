"""Styles of the overlay, the matte and the cut-outs in the window: keys, menus, tracking, the next start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QSettings, Qt
from PyQt6.QtTest import QTest

from app.canvas.overlay_styles import STYLES, VIEWS
from app.settings import Settings
from engine.export.looks import PLAIN

Key = Qt.Key
ALT, NO_KEY = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.NoModifier


def press(shell: Any, key: Qt.Key, modifiers: Qt.KeyboardModifier = NO_KEY) -> None:
    QTest.keyClick(shell.window.canvas, key, modifiers)
    shell.pump()


def pixel(shell: Any, x: int, y: int) -> tuple[int, int, int]:
    color = shell.window.canvas.grab_frame_pixel(x, y)
    return color.red(), color.green(), color.blue()


def chosen(shell: Any, kind: str, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if shell.window.actions_table[f"{kind}_{name}"].isChecked()]


@pytest.fixture
def painted(shell: Any) -> Any:
    """Frame 0 has one object, 20 x 20 pixels from (30, 20)."""
    shell.open()
    shell.window.objects.add()
    item = shell.window.canvas.item
    mask = np.zeros(item.frame.rgb.shape[:2], np.uint8)
    mask[20:40, 30:50] = 1
    shell.session.set_mask(item.frame, mask, (1,))
    shell.session.seek(0)
    shell.pump()
    return shell


def test_keys_choose_each_view_and_the_menu_ticks_it(painted: Any) -> None:
    """In sight is what each view promises."""
    rgb = painted.window.canvas.item.frame.rgb
    inside, outside = tuple(rgb[30, 40].tolist()), (70, 50)
    expected = {"matte": ((255,) * 3, (0,) * 3), "checker": (inside, None), "blur": (inside, None)}
    expected |= {name: (inside, PLAIN[name]) for name in ("black", "white", "green")}
    for number, view in enumerate(VIEWS):
        press(painted, Key(Key.Key_1 + number), ALT)
        assert chosen(painted, "view", VIEWS) == [view]
        assert painted.window.canvas.live_view == view
        if view in expected:
            kept, behind = expected[view]
            assert pixel(painted, 40, 30) == kept, view
            assert behind is None or pixel(painted, *outside) == behind, view
    press(painted, Key.Key_V)
    assert chosen(painted, "view", VIEWS) == ["overlay"]  # after the last one the first
    assert pixel(painted, *outside) == tuple(rgb[50, 70].tolist())


def test_a_key_goes_through_the_styles(painted: Any) -> None:
    rgb = painted.window.canvas.item.frame.rgb
    filled = pixel(painted, 40, 30)
    assert filled != tuple(rgb[30, 40].tolist())
    press(painted, Key.Key_L)
    assert chosen(painted, "style", STYLES) == ["outline"]
    assert pixel(painted, 40, 30) == tuple(rgb[30, 40].tolist())
    press(painted, Key.Key_L)
    assert chosen(painted, "style", STYLES) == ["pattern"]
    press(painted, Key.Key_L)
    assert chosen(painted, "style", STYLES) == ["fill"]
    assert pixel(painted, 40, 30) == filled


def test_the_cut_out_is_live_while_tracking(painted: Any) -> None:
    painted.trigger("view_green")
    painted.trigger("toggle_track")
    for _ in range(3):
        painted.session.advance()
        painted.pump()
        frame = painted.window.canvas.item.frame
        assert pixel(painted, 40, 30) == tuple(frame.rgb[30, 40].tolist())
        assert pixel(painted, 70, 50) == PLAIN["green"]
    assert painted.window.canvas.item.frame.index == 3


def test_what_is_chosen_shows_even_if_the_overlay_was_hidden(painted: Any) -> None:
    rgb = painted.window.canvas.item.frame.rgb
    painted.trigger("view_black")
    press(painted, Key.Key_H)
    assert pixel(painted, 70, 50) == tuple(rgb[50, 70].tolist())
    painted.trigger("view_matte")
    assert not painted.window.actions_table["hide_overlay"].isChecked()
    assert pixel(painted, 40, 30) == (255, 255, 255)
    painted.trigger("style_pattern")  # styles belong to the overlay
    assert chosen(painted, "view", VIEWS) == ["overlay"]


def test_style_and_view_survive_a_restart(make_shell: Any, tmp_path: Any) -> None:
    path = tmp_path / "kept.ini"
    first = make_shell(settings=path)
    first.trigger("style_outline")
    first.trigger("view_checker")
    first.window.close_at_once()
    second = make_shell(settings=path)
    canvas = second.window.canvas
    assert (canvas.overlay_style, canvas.live_view) == ("outline", "checker")
    assert (chosen(second, "style", STYLES), chosen(second, "view", VIEWS)) == (["outline"], ["checker"])


def test_a_damaged_choice_is_the_default(tmp_path: Any) -> None:
    store = QSettings(str(tmp_path / "s.ini"), QSettings.Format.IniFormat)
    store.setValue("view/overlay_style", "sepia")
    store.setValue("view/live_view", 7)
    store.sync()
    read = Settings(tmp_path / "s.ini")
    assert (read.overlay_style, read.live_view) == ("fill", "overlay")
