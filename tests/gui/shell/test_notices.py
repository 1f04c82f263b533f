"""Notices stack, repeat, copy, close and fade."""

from __future__ import annotations

from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from app.panels import notice_stack
from app.panels.notice_stack import MAX_SHOWN
from engine.runtime.messages import Notice, Severity


def error(number: int) -> Notice:
    return Notice(Severity.ERROR, f"Thing {number} broke.", "Mend it.")


def test_errors_stay_until_dismissed(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice_stack, "_LIFE_MS", {Severity.INFO: 20})
    monkeypatch.setattr(notice_stack, "_FADE_MS", 20)
    shell.session.say(error(1))
    shell.session.say(Notice(Severity.INFO, "All is well."))
    shell.pump()
    stack = shell.window.notices
    assert len(stack.items) == 2
    shell.bot.waitUntil(lambda: len(stack.items) == 1, timeout=5000)  # the other one fades
    (item,) = stack.items
    assert item.notice == error(1)
    assert item.isVisible()
    QTest.mouseClick(item._close, Qt.MouseButton.LeftButton)
    assert stack.items == []
    assert not stack.isVisible()


def test_the_same_thing_again_is_counted(shell: Any) -> None:
    for _ in range(3):
        shell.session.say(error(1))
    shell.pump()
    (item,) = shell.window.notices.items
    assert item.count == 3
    assert "×3" in item._message.text()


def test_more_than_fit_are_kept(shell: Any) -> None:
    for number in range(MAX_SHOWN + 2):
        shell.session.say(error(number))
    shell.pump()
    stack = shell.window.notices
    assert sum(item.isVisible() for item in stack.items) == MAX_SHOWN
    assert "2" in stack._more.text()
    QTest.mouseClick(stack.items[0]._close, Qt.MouseButton.LeftButton)
    QApplication.processEvents()
    assert sum(item.isVisible() for item in stack.items) == MAX_SHOWN


def test_copy_takes_message_and_way_out(shell: Any) -> None:
    shell.session.say(error(1))
    shell.pump()
    QTest.mouseClick(shell.window.notices.items[0]._copy, Qt.MouseButton.LeftButton)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == "Thing 1 broke. Mend it."


def test_a_notice_does_not_take_the_keyboard(shell: Any) -> None:
    shell.open()
    shell.session.say(error(1))
    shell.pump()
    assert shell.window.focusWidget() is shell.window.canvas


def test_long_text_wraps_inside_the_picture(shell: Any) -> None:
    shell.window.resize(760, 480)
    shell.session.say(Notice(Severity.ERROR, "A rather long sentence about what went wrong. " * 5, "Way out. " * 20))
    shell.pump()
    stack = shell.window.notices
    assert stack.geometry().right() <= shell.window.stage.width()
    item = stack.items[0]
    assert item.height() >= item.heightForWidth(item.width())


def test_markup_in_a_message_is_shown_as_it_is(shell: Any) -> None:
    shell.session.say(Notice(Severity.ERROR, "<b>file</b>.mp4 is missing."))
    shell.pump()
    assert shell.window.notices.items[0]._message.textFormat() is Qt.TextFormat.PlainText


def test_a_notice_leaves_the_keyboard_where_it_is(shell: Any) -> None:
    shell.open()
    shell.window.canvas.setFocus()
    shell.window.show_notice(Notice(Severity.INFO, "Something.", "A way out."))
    QApplication.processEvents()
    assert shell.window.isActiveWindow()
    assert shell.window.canvas.hasFocus()
