"""Names for screen readers, contrast, focus, both themes."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent, QPalette
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QApplication,
    QDialog,
    QLineEdit,
    QMenu,
    QScrollBar,
    QTextEdit,
    QToolButton,
    QWidget,
)

from app.dialogs.export_dialog import ExportDialog, ExportStart
from app.dialogs.key_editor import KeyEditor
from app.dialogs.shortcut_sheet import ShortcutSheet
from app.dialogs.stream_dialog import StreamDialog
from app.dialogs.text_dialogs import AboutDialog
from app.theme import DARK, LIGHT, THEMES, Theme, contrast
from engine.runtime.messages import Notice, Severity

INTERACTIVE = (QAbstractButton, QAbstractSlider, QLineEdit, QTextEdit)


def unnamed(root: QWidget) -> list[str]:
    found = []
    for widget in root.findChildren(QWidget):
        internal = widget.objectName().startswith("qt_") or isinstance(widget, QScrollBar)
        if isinstance(widget, INTERACTIVE) and not internal:
            parent = widget.parent()
            inside_another = isinstance(parent, (QLineEdit, QMenu)) or type(parent).__name__ in (
                "QTableWidget",
                "QKeySequenceEdit",
                "QToolBar",
                "QTableView",
            )
            name = widget.accessibleName() or (widget.text() if isinstance(widget, QAbstractButton) else "")
            if not name and not inside_another:
                found.append(f"{type(widget).__name__} {widget.objectName()} in {type(parent).__name__}")
    return found


def test_every_control_of_the_window_has_a_name(shell: Any) -> None:
    shell.open()
    shell.window.objects.add()
    shell.window.show_notice(Notice(Severity.ERROR, "Something.", "A way out."))
    assert unnamed(shell.window) == []
    assert shell.window.canvas.accessibleName()
    assert shell.window.timeline.accessibleName()


def test_every_control_of_the_dialogs_has_a_name(shell: Any) -> None:
    shell.open()
    window = shell.window
    dialogs: list[QDialog] = [
        ExportDialog(window.bridge, window.bridge.info, window.settings, ExportStart(), window),
        KeyEditor(window.actions_table, window),
        ShortcutSheet(window.actions_table, window.themes.theme, window),
        StreamDialog(window),
        AboutDialog(window),
    ]
    for dialog in dialogs:
        assert unnamed(dialog) == [], type(dialog).__name__


# Writing on the grounds it appears on. WCAG 2.2: 4.5 for text (1.4.3), 3 for meaningful marks and edges (1.4.11).
TEXT_ON_GROUND = [
    *product(("text", "muted"), ("window", "surface")),
    ("text", "raised"),
    *product(("link",), ("window", "surface")),
    ("on_accent", "accent"),
]
MARK_ON_GROUND = [
    *product(("info", "warning", "error"), ("surface",)),
    *product(("strong_border", "link"), ("window",)),
    *product(("tracked",), ("surface",)),
    ("text", "canvas"),
    ("live", "window"),
]


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
@pytest.mark.parametrize(("ink", "ground"), TEXT_ON_GROUND)
def test_text_can_be_read(theme: Theme, ink: str, ground: str) -> None:
    assert contrast(getattr(theme, ink), getattr(theme, ground)) >= 4.5


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
@pytest.mark.parametrize(("ink", "ground"), MARK_ON_GROUND)
def test_marks_can_be_seen(theme: Theme, ink: str, ground: str) -> None:
    assert contrast(getattr(theme, ink), getattr(theme, ground)) >= 3.0


def test_the_contrast_formula_agrees_with_known_values() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the classic near miss
    assert contrast("#123456", "#123456") == 1.0


@pytest.mark.parametrize("choice", ["light", "dark"])
def test_choosing_a_theme_changes_palette_icons_and_memory(shell: Any, choice: str) -> None:
    other = "dark" if choice == "light" else "light"
    shell.trigger(f"theme_{other}")
    before = shell.window.actions_table["export"].icon().cacheKey()
    shell.trigger(f"theme_{choice}")
    palette = QApplication.palette()
    assert palette.color(QPalette.ColorRole.Window).name() == THEMES[choice].window
    assert shell.window.actions_table["export"].icon().cacheKey() != before
    assert shell.window.settings.theme == choice
    assert shell.window.actions_table[f"theme_{choice}"].isChecked()


def test_focus_can_be_seen(shell: Any) -> None:
    """A focused button looks different from an unfocused one."""
    shell.open()
    button = shell.window.transport.big
    shell.window.canvas.setFocus()
    plain = button.grab().toImage()
    button.setFocus(Qt.FocusReason.TabFocusReason)
    QApplication.processEvents()
    assert button.grab().toImage() != plain


def test_the_keyboard_reaches_every_button_of_the_transport(shell: Any) -> None:
    shell.open()
    shell.window.canvas.setFocus()
    reached = set()
    for _ in range(60):
        QTest.keyClick(QApplication.focusWidget() or shell.window, Qt.Key.Key_Tab)
        focus = QApplication.focusWidget()
        if isinstance(focus, QToolButton):
            reached.add(focus.accessibleName())
    enabled = {b.accessibleName() for b in (*shell.window.transport._file_buttons, shell.window.transport.big)}
    assert enabled <= reached


def test_a_slider_that_was_tabbed_to_keeps_its_arrow_keys(shell: Any) -> None:
    shell.open()
    slider = shell.window.tool_options.opacity
    slider.setFocus(Qt.FocusReason.TabFocusReason)
    before = slider.value()
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert slider.value() == before + 1
    assert "seek" not in shell.session.names()


def test_letters_stay_commands_on_a_slider(shell: Any) -> None:
    slider = shell.window.tool_options.opacity
    event = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_P, Qt.KeyboardModifier.NoModifier)
    event.ignore()
    QApplication.sendEvent(slider, event)
    assert not event.isAccepted()


def test_icons_have_no_colour_of_their_own() -> None:
    folder = Path(__file__).resolve().parents[3] / "assets" / "icons"
    fixed = {"livemask.svg", "check_white.svg"}
    drawings = sorted(folder.glob("*.svg"))
    assert len(drawings) > 30
    for file in drawings:
        text = file.read_text(encoding="utf-8")
        assert ("currentColor" in text) != (file.name in fixed), file.name
        assert "<script" not in text
        assert "href" not in text


def focusable(root: QWidget) -> set[QWidget]:
    """What Tab shall reach now."""
    return {
        widget
        for widget in root.findChildren(QWidget)
        if widget.isVisible() and widget.isEnabled() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.window() is root and widget.focusProxy() is None
    }  # fmt: skip


def tab_walk(root: QWidget, steps: int) -> list[QWidget]:
    """Where the keyboard goes with Tab, until it comes round."""
    reached: list[QWidget] = []
    for _ in range(steps):
        focus = root.focusWidget()
        if focus is None or focus in reached:
            break
        reached.append(focus)
        QTest.keyClick(focus, Qt.Key.Key_Tab)
    return reached


def test_tab_reaches_every_control_of_the_window(shell: Any) -> None:
    shell.open()
    shell.window.objects.add()
    shell.window.show_notice(Notice(Severity.ERROR, "Something.", "A way out."))
    shell.trigger("tour")
    shell.pump()  # rows appear when the loop runs
    shell.window.canvas.setFocus()
    wanted = focusable(shell.window)
    assert len(wanted) > 10
    reached = tab_walk(shell.window, 3 * len(wanted))
    assert {f"{type(w).__name__} {w.accessibleName()}" for w in wanted - set(reached)} == set()


def test_tab_goes_through_the_objects_from_top_to_bottom(shell: Any) -> None:
    shell.open()
    for _ in range(3):
        shell.window.objects.add()
    shell.pump()  # rows appear when the loop runs
    shell.window.canvas.setFocus()
    names = [w for w in tab_walk(shell.window, 200) if isinstance(w, QLineEdit)]
    heights = [w.mapTo(shell.window, w.rect().topLeft()).y() for w in names]
    assert len(heights) == 3
    assert heights == sorted(heights)
