"""Instant replay from the window."""

from __future__ import annotations

from typing import Any

import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest

Key = Qt.Key
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def camera(shell: Any) -> Any:
    """A camera being tracked; the replay has frames 3, 5, 6 and 9."""
    shell.open("camera:0")
    canvas = shell.window.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(40, 30).toPoint())
    shell.pump()
    QTest.keyClick(canvas, Key.Key_Space)
    for index in range(1, 10):
        shell.session.live_frame(index)
        shell.pump()
    shell.session.calls.clear()
    return shell


def seeks(shell: Any) -> list[int]:
    return [call[1] for call in shell.session.calls if call[0] == "seek"]


def enter(shell: Any) -> None:
    QTest.keyClick(shell.window.canvas, Key.Key_Z, SHIFT)
    shell.pump()


def test_a_key_enters_and_arrows_step_over_the_gaps(camera: Any) -> None:
    canvas = camera.window.canvas
    QTest.keyClick(canvas, Key.Key_Left)
    assert seeks(camera) == []  # live, without a replay, there is nowhere to go
    enter(camera)
    assert ("replay",) in camera.session.calls
    assert camera.window.actions_table["replay"].isChecked()
    assert camera.window.transport.state.text() == "Instant replay"
    for key in (Key.Key_Left, Key.Key_Left, Key.Key_Right, Key.Key_Home, Key.Key_Left, Key.Key_End):
        QTest.keyClick(canvas, key)
    assert seeks(camera) == [6, 5, 6, 3, 3, 9]


def test_the_line_shows_the_last_seconds_and_takes_one_there(camera: Any) -> None:
    line = camera.window.timeline
    QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(line.width() // 2, 27))
    assert seeks(camera) == []
    enter(camera)
    strip = line.replay
    for index in (3, 6):
        place = QPoint(round(strip.x_of(index, line.width())), 27)
        QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=place)
    assert seeks(camera) == [3, 6]
    picture = line.grab().toImage()
    tracked = picture.pixelColor(round(strip.x_of(5, line.width())), 27)
    assert tracked.name() == camera.window.themes.theme.tracked
    assert strip.seconds_ago(6) == pytest.approx(0.1)


def test_painting_in_it_and_space_goes_on(camera: Any) -> None:
    enter(camera)
    canvas = camera.window.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(50, 30).toPoint())
    camera.pump()
    assert "set_mask" in camera.session.names()
    assert camera.window.actions_table["frame_previous"].isEnabled()  # still in the replay
    QTest.keyClick(canvas, Key.Key_Space)
    assert camera.session.names()[-1] == "track"


def test_the_key_leaves_it_again(camera: Any) -> None:
    enter(camera)
    enter(camera)
    assert camera.session.names()[-1] == "track"
    camera.session.replay_frames = ()
    camera.session.replay()
    camera.pump()
    assert not camera.window.actions_table["replay"].isChecked()
    assert not camera.window.actions_table["frame_previous"].isEnabled()


def test_files_have_none(shell: Any) -> None:
    shell.open()
    assert not shell.window.actions_table["replay"].isEnabled()
