"""Why this label: the pixel under the pointer, the frames that decided it, and the way to them."""

from __future__ import annotations

from typing import Any

from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest


def point_at(shell: Any, x: float, y: float) -> QPoint:
    place = shell.window.canvas.from_frame(x, y).toPoint()
    QTest.mouseMove(shell.window.canvas, place + QPoint(3, 3))
    QTest.mouseMove(shell.window.canvas, place)
    shell.pump()
    return place


def paint(shell: Any) -> None:
    canvas = shell.window.canvas
    start, end = point_at(shell, 20, 20), canvas.from_frame(30, 25).toPoint()
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(canvas, end)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=end)
    shell.pump()


def test_the_answer_shows_the_frames_and_leads_to_them(shell: Any) -> None:
    shell.open()
    paint(shell)
    shell.window.tracking.go_to(7)
    shell.pump()
    point_at(shell, 40.5, 30.5)
    QTest.keyClick(shell.window.canvas, Qt.Key.Key_W)
    shell.pump()
    assert shell.session.last("explain") == ("explain", 7, 40, 30)
    dialog = shell.window.explaining.dialog
    assert dialog.isVisible()
    assert "Pixel 40, 30 of frame 7" in dialog.headline.text()
    assert shell.window.objects.items[0].name in dialog.headline.text()
    assert [button.text() for button in dialog.pictures] == [
        "Frame 3: 75.0 % of the vote",
        "Keyframe 0: 25.0 % of the vote",
    ]
    colour = dialog.pictures[0].icon().pixmap(48, 32).toImage().pixelColor(10, 10)
    assert (colour.red(), colour.green(), colour.blue()) == (40, 40, 40)

    QTest.mouseClick(dialog.pictures[0], Qt.MouseButton.LeftButton)
    shell.pump()
    assert shell.session.last("seek") == ("seek", 3)
    assert shell.window.canvas.item.frame.index == 3
    shell.window.activateWindow()
    point_at(shell, 10.5, 10.5)
    shell.trigger("explain")
    assert "Pixel 10, 10 of frame 3" in dialog.headline.text()
    assert len(dialog.pictures) == 2

    shell.window.bridge._unsaved = False  # the question before masks are lost has its own tests
    shell.open("/videos/other.mp4")
    assert not dialog.isVisible()


def test_without_a_pixel_or_paint_it_says_what_to_do(shell: Any) -> None:
    shell.trigger("explain")
    assert "Point at one" in shell.window.notices.items[-1].text
    shell.open()
    point_at(shell, 40, 30)
    shell.trigger("explain")
    assert any("Paint an object" in item.text for item in shell.window.notices.items)
    assert "explain" not in shell.session.names()
