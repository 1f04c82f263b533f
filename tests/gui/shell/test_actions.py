"""The table of actions: complete, reachable, without clashes, remappable."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QDialogButtonBox, QMenu

from app.actions import ACTIONS, conflicts
from app.dialogs.key_editor import KeyEditor
from app.dialogs.shortcut_sheet import ShortcutSheet, sheet_rows
from app.icons import icon_path


def menu_actions(menu: QMenu) -> list[Any]:
    found = []
    for action in menu.actions():
        sub = action.menu()
        found += menu_actions(sub) if sub is not None else [action]
    return found


def test_every_action_is_in_a_menu(shell: Any) -> None:
    reachable = {action.objectName() for top in shell.window.menuBar().actions() for action in menu_actions(top.menu())}
    assert {spec.id for spec in ACTIONS} <= reachable


def test_every_action_does_something(shell: Any) -> None:
    for spec in ACTIONS:
        action = shell.window.actions_table[spec.id]
        assert action.receivers(action.triggered) > 0, spec.id


def test_no_key_is_claimed_twice() -> None:
    assert conflicts({spec.id: spec.keys for spec in ACTIONS}) == []


def test_no_menu_has_one_mnemonic_twice(shell: Any) -> None:
    def check(menu: QMenu) -> None:
        letters = [a.text().replace("&&", "").partition("&")[2][:1].lower() for a in menu.actions() if "&" in a.text()]
        twice = [letter for letter, count in Counter(letters).items() if count > 1 and letter]
        assert not twice, (menu.title(), twice)
        for action in menu.actions():
            if action.menu() is not None:
                check(action.menu())

    bar = shell.window.menuBar()
    for top in bar.actions():
        check(top.menu())


@pytest.mark.parametrize("spec", ACTIONS, ids=lambda spec: spec.id)
def test_keys_are_keys_and_icons_are_there(spec: Any) -> None:
    for key in spec.keys:
        assert not QKeySequence(key).isEmpty()
        assert QKeySequence(key).toString() != ""
    assert not spec.icon or icon_path(spec.icon).is_file()
    assert spec.tip


def test_tool_tips_tell_the_key(shell: Any) -> None:
    for spec in ACTIONS:
        if spec.keys:
            tip = shell.window.actions_table[spec.id].toolTip()
            assert QKeySequence(spec.keys[0]).toString(QKeySequence.SequenceFormat.NativeText) in tip


def test_the_sheet_lists_every_key(shell: Any) -> None:
    text = str(sheet_rows(shell.window.actions_table))
    for spec in ACTIONS:
        if spec.keys and not spec.id.startswith("object_"):
            assert spec.plain_text in text
            for key in spec.keys:
                assert QKeySequence(key).toString() in text
    assert "1 … 9, 0" in text


def test_f1_opens_the_sheet_and_its_filter_finds(shell: Any) -> None:
    QTest.keyClick(shell.window, Qt.Key.Key_F1)
    (sheet,) = shell.window.findChildren(ShortcutSheet)
    assert sheet.isVisible()
    assert "Track backward" in sheet.text.toPlainText()
    QTest.keyClicks(sheet.filter, "eras")
    assert "Erase" in sheet.text.toPlainText()
    assert "Track backward" not in sheet.text.toPlainText()
    QTest.keyClicks(sheet.filter, "zzz")
    assert sheet.text.toPlainText().strip() == "Nothing found."
    sheet.close()


def test_keys_can_be_changed_and_are_remembered(shell: Any, make_shell: Any) -> None:
    editor = KeyEditor(shell.window.actions_table, shell.window)
    editor.choose("track_forward")
    QTest.keyClick(editor.edit, Qt.Key.Key_T)
    shell.bot.waitUntil(lambda: editor._keys["track_forward"] == ["T"], timeout=3000)
    editor.accept()
    assert shell.window.actions_table["track_forward"].shortcut().toString() == "T"
    assert "(T)" in shell.window.actions_table["track_forward"].toolTip()
    again = make_shell(settings=shell.settings_path)
    assert again.window.actions_table["track_forward"].shortcut().toString() == "T"
    editor = KeyEditor(again.window.actions_table, again.window)
    editor._restore_all()
    editor.accept()
    assert again.window.actions_table["track_forward"].shortcut().toString() == "F"


def test_a_key_that_is_taken_cannot_be_saved(shell: Any) -> None:
    editor = KeyEditor(shell.window.actions_table, shell.window)
    ok = editor.buttons.button(QDialogButtonBox.StandardButton.Ok)
    assert ok is not None
    editor.choose("track_forward")
    QTest.keyClick(editor.edit, Qt.Key.Key_B)
    shell.bot.waitUntil(lambda: not ok.isEnabled(), timeout=3000)
    assert "Track backward" in editor.problem.text()
    assert "Track forward" in editor.problem.text()
    editor.choose("track_backward")
    QTest.mouseClick(editor._clear, Qt.MouseButton.LeftButton)
    assert ok.isEnabled()
