"""Zoom, pan, brush size and Space by real wheel, mouse, touchpad and key events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QAction, QKeyEvent, QNativeGestureEvent, QPointingDevice
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QMainWindow
from pytestqt.qtbot import QtBot

from app.canvas.canvas import Canvas

LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton
CTRL, NO_KEY = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier


@pytest.mark.parametrize("notches", [1, 4, 12, -1, -3])
def test_the_wheel_keeps_the_point_under_the_pointer(painting: Canvas, gui: Any, notches: int) -> None:
    before = gui.frame_point(painting, (260, 110))
    for _ in range(abs(notches)):
        gui.wheel(painting, (260, 110), np.sign(notches))
    after = gui.frame_point(painting, (260, 110))
    pixel = 1 / min(painting.zoom, 2.0)  # half a device pixel before and after
    assert after == pytest.approx(before, abs=pixel)
    assert painting.zoom == pytest.approx(2.0 * 2 ** (notches / 4), rel=0.07)


def test_zooming_in_and_out_comes_back(painting: Canvas, gui: Any) -> None:
    for notches in [1] * 7 + [-1] * 7:
        gui.wheel(painting, (133, 77), notches)
    assert painting.zoom == pytest.approx(2.0)
    assert gui.frame_point(painting, (133, 77)) == pytest.approx((133.5 / 2, 77.5 / 2), abs=0.5)


def test_the_wheel_stops_at_100_percent_and_goes_on(painting: Canvas, gui: Any) -> None:
    gui.wheel(painting, (200, 150), -3.9)
    assert painting.zoom == 1.0
    for _ in range(20):
        gui.wheel(painting, (200, 150), 0.1)  # a wheel without notches is not caught there
    assert painting.zoom == pytest.approx(2 ** (2 / 4))


def test_zoom_is_told_and_commands_go_through_round_zooms(painting: Canvas, qtbot: QtBot) -> None:
    with qtbot.waitSignal(painting.zoom_changed) as changed:
        painting.zoom_in()
    assert changed.args == [3.0]
    painting.zoom_out()
    painting.zoom_out()
    assert painting.zoom == 1.5
    painting.zoom_100()
    assert painting.zoom == 1.0
    painting.zoom_fit()
    assert painting.zoom == 2.0


def test_middle_drag_pans_by_as_much_as_the_pointer_moved(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    before = gui.frame_point(painting, (200, 150))
    with qtbot.assertNotEmitted(painting.object_toggled), qtbot.assertNotEmitted(painting.stroke_started):
        gui.drag(painting, (200, 150), (230, 160), (251, 117), button=MIDDLE)
    assert gui.frame_point(painting, (251, 117)) == pytest.approx(before)
    assert painting.zoom == 2.0


def test_a_fitted_view_follows_the_window_and_a_panned_one_does_not(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    painting.resize(800, 600)
    qtbot.waitUntil(lambda: painting.zoom == 4.0)
    gui.drag(painting, (200, 150), (230, 160), button=MIDDLE)
    painting.resize(400, 300)
    qtbot.waitUntil(lambda: painting.viewport.view_width == 400)
    assert painting.zoom == 4.0


def test_a_tap_on_space_is_told_on_release(painting: Canvas, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(painting.space_tapped):
        QTest.keyPress(painting, Qt.Key.Key_Space)
    with qtbot.waitSignal(painting.space_tapped):
        QTest.keyRelease(painting, Qt.Key.Key_Space)


def test_space_and_drag_pans_and_is_no_tap(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    before = gui.frame_point(painting, (200, 150))
    with qtbot.assertNotEmitted(painting.space_tapped), qtbot.assertNotEmitted(painting.stroke_started):
        QTest.keyPress(painting, Qt.Key.Key_Space)
        assert painting.cursor().shape() == Qt.CursorShape.OpenHandCursor
        QTest.mousePress(painting, LEFT, NO_KEY, QPoint(200, 150))
        assert painting.cursor().shape() == Qt.CursorShape.ClosedHandCursor
        QTest.mouseMove(painting, QPoint(240, 130))
        QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(240, 130))
        QTest.keyRelease(painting, Qt.Key.Key_Space)
    assert gui.frame_point(painting, (240, 130)) == pytest.approx(before)
    assert painting.cursor().shape() == Qt.CursorShape.CrossCursor
    gui.drag(painting, (150, 150), (250, 150))
    assert painting.edit.mask.any()


def test_a_held_space_that_repeats_is_one_tap(painting: Canvas, qtbot: QtBot) -> None:
    taps: list[None] = []
    painting.space_tapped.connect(lambda: taps.append(None))
    QTest.keyPress(painting, Qt.Key.Key_Space)
    for kind in (QEvent.Type.KeyRelease, QEvent.Type.KeyPress) * 3:
        QApplication.sendEvent(painting, QKeyEvent(kind, Qt.Key.Key_Space, NO_KEY, " ", True))
    QTest.keyRelease(painting, Qt.Key.Key_Space)
    assert len(taps) == 1


def test_space_in_mid_stroke_neither_pans_nor_taps(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(painting.space_tapped):
        gui.drag(painting, (150, 150), (200, 150), release=False)
        QTest.keyClick(painting, Qt.Key.Key_Space)
        QTest.mouseMove(painting, QPoint(250, 150))
        QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(250, 150))
    assert painting.edit.mask[75, 120] == 1
    assert painting.viewport.fitted


@pytest.mark.parametrize("key", [Qt.Key.Key_Space, Qt.Key.Key_Escape])
def test_the_canvas_keeps_its_keys_from_the_shortcuts_of_the_window(qtbot: QtBot, gui: Any, key: Qt.Key) -> None:
    window, canvas = QMainWindow(), Canvas()
    qtbot.addWidget(window)
    window.setCentralWidget(canvas)
    window.resize(400, 300)
    fired: list[None] = []
    action = QAction(window)
    action.setShortcut(key)
    action.triggered.connect(lambda: fired.append(None))
    window.addAction(action)
    with qtbot.waitActive(window):
        window.show()
    canvas.objects.add()
    canvas.set_item(gui.item())
    canvas.setFocus()
    gui.drag(canvas, (150, 150), (200, 150), release=False)
    QTest.keyClick(canvas, key)
    assert fired == []
    QTest.mouseRelease(canvas, LEFT, NO_KEY, QPoint(200, 150))
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert len(fired) == (key == Qt.Key.Key_Escape)  # no tool is busy: Esc belongs to the window again


def test_ctrl_wheel_and_brackets_size_the_brush_within_limits(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    zoom = painting.zoom
    with qtbot.waitSignal(painting.brush_radius_changed) as changed:
        gui.wheel(painting, (200, 150), 1, CTRL)
    assert changed.args == [12]
    QTest.keyClick(painting, Qt.Key.Key_BracketLeft)
    assert painting.brush_radius == 10
    for _ in range(30):
        QTest.keyClick(painting, Qt.Key.Key_BracketLeft)
    assert painting.brush_radius == 1
    for _ in range(40):
        QTest.keyClick(painting, Qt.Key.Key_BracketRight)
    assert painting.brush_radius == 300
    assert painting.zoom == zoom


def test_two_fingers_on_a_touchpad_pan(painting: Canvas, gui: Any) -> None:
    before = gui.frame_point(painting, (200, 150))
    gui.wheel(painting, (200, 150), 0.5, pixels=(13, -9), phase=Qt.ScrollPhase.ScrollUpdate)
    assert gui.frame_point(painting, (213, 141)) == pytest.approx(before)
    assert painting.zoom == 2.0


def test_a_pinch_on_a_touchpad_zooms_at_the_pointer(painting: Canvas, gui: Any) -> None:
    position = QPointF(260, 110)
    before = gui.frame_point(painting, (260, 110))
    event = QNativeGestureEvent(
        Qt.NativeGestureType.ZoomNativeGesture,
        QPointingDevice.primaryPointingDevice(),
        2,
        position,
        position,
        painting.mapToGlobal(position),
        0.5,
        QPointF(),
    )
    QApplication.sendEvent(painting, event)
    assert painting.zoom == pytest.approx(3.0)
    assert gui.frame_point(painting, (260, 110)) == pytest.approx(before, abs=0.5)


def test_a_double_tap_on_a_touchpad_goes_to_100_percent_and_back(painting: Canvas) -> None:
    position = QPointF(200, 150)
    fitted = painting.viewport
    event = QNativeGestureEvent(
        Qt.NativeGestureType.SmartZoomNativeGesture,
        QPointingDevice.primaryPointingDevice(),
        2,
        position,
        position,
        painting.mapToGlobal(position),
        0.0,
        QPointF(),
    )
    QApplication.sendEvent(painting, event)
    assert painting.zoom == 1.0
    QApplication.sendEvent(painting, event)
    assert painting.viewport == fitted


def test_a_two_finger_scroll_moves_sideways_as_well_and_keeps_the_zoom(painting: Canvas, gui: Any) -> None:
    painting.zoom_in()
    before, zoom = gui.frame_point(painting, (200, 150)), painting.zoom
    for _ in range(3):
        gui.wheel(painting, (200, 150), 0, pixels=(-20, 5), phase=Qt.ScrollPhase.ScrollUpdate)
    assert gui.frame_point(painting, (140, 165)) == pytest.approx(before)
    assert painting.zoom == zoom


def test_pixels_are_squares_at_high_zoom_and_averages_at_low_zoom(canvas: Canvas, gui: Any) -> None:
    canvas.set_item(gui.item(3))
    item = canvas.item
    assert item is not None
    gui.wheel(canvas, (200, 150), 8)
    x, y = (int(value) for value in gui.frame_point(canvas, (200, 150)))
    for column, row in ((x, y), (x + 1, y), (x, y + 1), (x - 3, y + 2)):
        assert canvas.grab_frame_pixel(column, row).getRgb()[:3] == tuple(item.frame.rgb[row, column].tolist())
    gui.wheel(canvas, (200, 150), -20)
    picture = canvas.grab().toImage()
    assert canvas.zoom == pytest.approx(0.25)
    middle = np.array([picture.pixelColor(c, r).red() for c in range(185, 215) for r in range(140, 160)])
    assert 115 < middle.mean() < 140
    assert middle.std() < 40  # of noise that has 74: sixteen pixels were averaged, not one taken
