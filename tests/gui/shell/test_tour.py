"""The first steps, and sets of keys of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from app.actions import ACTIONS, conflicts
from app.dialogs.key_editor import KeyEditor
from app.key_presets import PRESETS, preset_keys
from app.settings import Settings

DEFAULTS = {spec.id: spec.keys for spec in ACTIONS}


def test_the_tour_has_three_steps_and_is_over_for_good(make_shell: Any, tmp_path: Path) -> None:
    path = tmp_path / "kept.ini"
    shell = make_shell(settings=path)
    tour = shell.window.tour
    assert not tour.isVisibleTo(shell.window)
    shell.trigger("tour")
    assert tour.isVisibleTo(shell.window)
    shell.open()
    assert tour.step == 1
    QTest.mouseClick(tour.back_button, Qt.MouseButton.LeftButton)
    assert tour.step == 0
    for _ in range(3):
        QTest.mouseClick(tour.next_button, Qt.MouseButton.LeftButton)
    assert not tour.isVisibleTo(shell.window)
    shell.window.close_at_once()
    assert Settings(path).tour_seen


def test_the_tour_can_be_skipped_and_seen_again(shell: Any) -> None:
    shell.trigger("tour")
    QTest.mouseClick(shell.window.tour.skip_button, Qt.MouseButton.LeftButton)
    assert not shell.window.tour.isVisibleTo(shell.window)
    assert shell.window.settings.tour_seen
    shell.trigger("tour")
    assert shell.window.tour.isVisibleTo(shell.window)


@pytest.mark.parametrize("name", list(PRESETS))
def test_no_set_gives_a_key_twice(name: str) -> None:
    assert set(PRESETS[name]) <= set(DEFAULTS)
    assert conflicts(preset_keys(name, DEFAULTS)) == []  # type: ignore[arg-type]


def test_a_set_is_chosen_in_the_editor_and_kept(shell: Any) -> None:
    editor = KeyEditor(shell.window.actions_table, shell.window)
    editor.take_preset("CVAT")
    editor.accept()
    assert shell.window.actions_table.keys("frame_next") == ["F", "Right"]
    assert shell.window.actions_table.keys("track_forward") == ["Shift+F"]
    editor = KeyEditor(shell.window.actions_table, shell.window)
    editor.take_preset("LiveMask")
    editor.accept()
    assert shell.window.actions_table.keys("track_forward") == ["F"]
