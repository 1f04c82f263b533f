"""Painting with real mouse, pen and key events: exact pixels, what is refused, what is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QImage, QInputDevice, QMouseEvent, QPointingDevice, QTabletEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.canvas.canvas import Canvas
from engine.types import Mask

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
CTRL, ALT, SHIFT = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.ShiftModifier,
)
NO_KEY = Qt.KeyboardModifier.NoModifier


def two_objects() -> Mask:
    mask = np.zeros((150, 200), dtype=np.uint8)
    mask[:, :100], mask[:, 100:] = 1, 2
    return mask


def strip(mask: Mask, gui: Any, radius: float, *path: tuple[float, float]) -> Any:
    return gui.near_path(path, radius, mask.shape[1], mask.shape[0])


@pytest.mark.parametrize("notches", [0, 3, 9, -5])
@pytest.mark.parametrize("shift", [(0, 0), (37, -23)])
def test_a_stroke_covers_exactly_the_pixels_near_its_path(
    painting: Canvas, gui: Any, notches: int, shift: tuple[int, int]
) -> None:
    for _ in range(abs(notches)):
        gui.wheel(painting, (180, 140), 1 if notches > 0 else -1)
    gui.drag(painting, (200, 150), (200 + shift[0], 150 + shift[1]), button=MIDDLE)
    points = ((150, 120), (230, 170), (260, 130))
    path = [gui.frame_point(painting, point) for point in points]
    gui.drag(painting, *points)
    expected = gui.near_path(path, 10, 200, 150)
    assert expected.sum() > 300
    np.testing.assert_array_equal(painting.edit.mask, expected.astype(np.uint8))


def test_the_finished_stroke_is_told_once_with_its_very_frame(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    item = painting.item
    assert item is not None
    told: list[tuple[Any, ...]] = []
    painting.edit.stroke_committed.connect(lambda *what: told.append(what))
    with qtbot.waitSignal(painting.stroke_started):
        gui.drag(painting, (100, 100), (150, 100), release=False)
    assert told == []
    QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(150, 100))
    ((frame, mask, touched),) = told
    assert frame is item.frame
    np.testing.assert_array_equal(mask, painting.displayed_mask)
    assert touched == frozenset({1})


@pytest.mark.parametrize(
    ("button", "keys", "tool"),
    [
        (RIGHT, NO_KEY, "paint"),
        (LEFT, CTRL, "paint"),
        (LEFT, ALT, "paint"),
        (LEFT, NO_KEY, "erase"),
        (RIGHT, NO_KEY, "erase"),
    ],
)
def test_every_way_to_erase_takes_the_selected_object_only(
    painting: Canvas, gui: Any, button: Qt.MouseButton, keys: Qt.KeyboardModifier, tool: str
) -> None:
    painting.objects.add()
    painting.objects.select(1)
    painting.set_item(gui.item(1, two_objects()))
    painting.set_tool(tool)
    gui.drag(painting, (100, 150), (300, 150), button=button, keys=keys)
    near = strip(painting.edit.mask, gui, 10, (50.25, 75.25), (150.25, 75.25))
    np.testing.assert_array_equal(painting.edit.mask, np.where(near & (two_objects() == 1), 0, two_objects()))


def test_shift_erases_every_object_that_is_not_locked(painting: Canvas, gui: Any) -> None:
    painting.objects.add()
    painting.set_item(gui.item(1, two_objects()))
    painting.objects.set_locked(1, True)
    gui.drag(painting, (100, 150), (300, 150), button=RIGHT, keys=SHIFT)
    near = strip(painting.edit.mask, gui, 10, (50.25, 75.25), (150.25, 75.25))
    np.testing.assert_array_equal(painting.edit.mask, np.where(near & (two_objects() == 2), 0, two_objects()))


def test_a_locked_object_is_not_painted_over(painting: Canvas, gui: Any) -> None:
    painting.objects.add()
    painting.objects.select(1)
    painting.objects.set_locked(2, True)
    painting.set_item(gui.item(1, two_objects()))
    gui.drag(painting, (150, 150), (300, 150))
    np.testing.assert_array_equal(painting.displayed_mask, two_objects())


@pytest.mark.parametrize("state", ["locked", "hidden", "none selected"])
def test_a_refused_stroke_says_why(painting: Canvas, gui: Any, qtbot: QtBot, state: str) -> None:
    if state == "locked":
        painting.objects.set_locked(1, True)
    elif state == "hidden":
        painting.objects.set_visible(1, False)
    else:
        painting.objects.select(0)
    with qtbot.waitSignal(painting.stroke_refused) as refused, qtbot.assertNotEmitted(painting.stroke_started):
        gui.drag(painting, (150, 150), (300, 150))
    assert refused.args[0].count(".") == 2  # what is wrong, and the way out
    assert painting.displayed_mask is None


def test_the_first_stroke_makes_the_first_object(canvas: Canvas, gui: Any) -> None:
    canvas.set_item(gui.item())
    gui.drag(canvas, (150, 150), (300, 150), button=RIGHT)
    assert canvas.objects.ids == ()
    gui.drag(canvas, (150, 150), (300, 150))
    assert canvas.objects.ids == (1,)
    assert canvas.displayed_mask is not None
    assert (canvas.displayed_mask == 1).any()


def test_nothing_can_be_painted_when_it_is_not_editable(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    painting.set_editable(False)
    with qtbot.assertNotEmitted(painting.stroke_started):
        gui.drag(painting, (150, 150), (300, 150))
    assert painting.ring is None
    gui.wheel(painting, (200, 150))
    assert painting.zoom > 2  # looking around still works


def test_becoming_not_editable_takes_the_stroke_back(painting: Canvas, gui: Any) -> None:
    gui.drag(painting, (150, 150), (300, 150), release=False)
    painting.set_editable(False)
    assert not painting.busy
    assert not painting.edit.mask.any()


def test_escape_takes_the_stroke_back(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    gui.drag(painting, (150, 150), (300, 150), release=False)
    with qtbot.assertNotEmitted(painting.edit.stroke_committed):
        QTest.keyClick(painting, Qt.Key.Key_Escape)
        QTest.mouseMove(painting, QPoint(310, 160))
        QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(310, 160))
    assert not painting.edit.mask.any()
    gui.drag(painting, (150, 150), (300, 150))
    assert painting.edit.mask.any()


def test_a_second_button_does_not_disturb_the_stroke(painting: Canvas, gui: Any) -> None:
    gui.drag(painting, (150, 150), (200, 150), release=False)
    QTest.mousePress(painting, RIGHT, NO_KEY, QPoint(200, 150))
    QTest.mouseRelease(painting, RIGHT, NO_KEY, QPoint(200, 150))
    assert painting.busy
    QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(200, 150))
    assert not painting.busy
    assert painting.edit.mask.any()


def test_strokes_may_leave_the_frame_and_come_back(painting: Canvas, gui: Any) -> None:
    gui.wheel(painting, (200, 150), -4)
    points = ((200, 150), (2, 2), (398, 298))
    path = [gui.frame_point(painting, point) for point in points]
    gui.drag(painting, *points)
    np.testing.assert_array_equal(painting.edit.mask, gui.near_path(path, 10, 200, 150).astype(np.uint8))


# -- looks -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("opacity", [0.0, 0.25, 0.5, 1.0])
def test_the_overlay_is_the_blend_of_frame_and_object_colour(painting: Canvas, gui: Any, opacity: float) -> None:
    painting.set_overlay_opacity(opacity)
    gui.drag(painting, (150, 150), (250, 150))
    painting._follow_pointer(None)
    red, green, blue = painting.objects.items[0].color
    shown = painting.grab_frame_pixel(100, 75)
    for got, color in ((shown.red(), red), (shown.green(), green), (shown.blue(), blue)):
        assert abs(got - (100 * (1 - opacity) + color * opacity)) <= 0.51
    background = painting.grab_frame_pixel(10, 10)
    assert (background.red(), background.green(), background.blue()) == (100, 100, 100)


def test_the_overlay_can_be_hidden_but_shows_while_painting(painting: Canvas, gui: Any) -> None:
    painting.set_overlay_visible(False)
    gui.drag(painting, (150, 150), (250, 150), release=False)
    assert painting.grab_frame_pixel(100, 75).red() != 100
    QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(250, 150))
    assert painting.grab_frame_pixel(100, 75).red() == 100


def test_colour_and_visibility_of_objects_show_at_once(painting: Canvas, gui: Any) -> None:
    gui.drag(painting, (150, 150), (250, 150))
    painting.set_overlay_opacity(1.0)
    painting.objects.recolor(1, (1, 2, 3))
    assert painting.grab_frame_pixel(100, 75).getRgb()[:3] == (1, 2, 3)
    painting.objects.set_visible(1, False)
    assert painting.grab_frame_pixel(100, 75).getRgb()[:3] == (100, 100, 100)


def test_a_release_that_went_elsewhere_ends_the_stroke(painting: Canvas, gui: Any) -> None:
    gui.drag(painting, (150, 150), (200, 150), release=False)
    position = QPointF(210, 150)
    nothing = Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        position,
        painting.mapToGlobal(position),
        nothing,
        nothing,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(painting, event)
    assert not painting.busy
    assert painting.edit.can_undo


def test_the_screen_shows_at_once_what_a_full_repaint_would(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    """Only parts of the widget are repainted; none may be forgotten (a ring left behind, a stroke not shown)."""

    def on_screen() -> QImage:
        screen = painting.screen()
        assert screen is not None
        QApplication.processEvents()
        return screen.grabWindow(painting.winId()).toImage().convertToFormat(QImage.Format.Format_RGB32)

    def repainted() -> QImage:
        return painting.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)

    for radius in (3, 10, 60):
        painting.set_brush_radius(radius)
        for point in ((200, 150), (260, 190), (90, 40)):
            QTest.mouseMove(painting, QPoint(*point))
            assert on_screen() == repainted()
    gui.drag(painting, (120, 120), (260, 150), release=False)
    assert on_screen() == repainted()
    QTest.mouseRelease(painting, LEFT, NO_KEY, QPoint(260, 150))
    painting.set_tool("erase")
    assert on_screen() == repainted()
    painting.set_brush_radius(20)
    assert on_screen() == repainted()
    painting.edit.undo()
    assert on_screen() == repainted()
    QApplication.sendEvent(painting, QEvent(QEvent.Type.Leave))
    assert on_screen() == repainted()


def test_what_is_shown_after_incremental_updates_is_what_a_full_redraw_shows(painting: Canvas, gui: Any) -> None:
    """Strokes, undo, pan and zoom update parts of the buffer; the picture must not depend on that."""
    painting.objects.add()
    for step in range(6):
        painting.objects.select(1 + step % 2)
        gui.wheel(painting, (100 + 40 * step, 120), 1 if step % 3 else -2)
        gui.drag(painting, (90, 90 + 10 * step), (300, 200 - 20 * step), button=RIGHT if step == 4 else LEFT)
        painting.grab()
        gui.drag(painting, (200, 150), (211, 143), button=MIDDLE)
        painting.grab()
    painting.edit.undo()
    painting._follow_pointer(None)
    parts = painting.grab().toImage()
    painting.redraw()
    assert parts == painting.grab().toImage()


def test_the_ring_has_the_size_of_the_brush_and_shows_on_black_and_white(painting: Canvas, gui: Any) -> None:
    for value in (0, 255):
        painting.set_item(gui.item(int(value / 255) + 1, value=value))
        painting.set_brush_radius(20)
        QTest.mouseMove(painting, QPoint(200, 150))
        without_ring = QImage(painting._buffer.image)
        shown = painting.grab().toImage()
        differing = [x for x in range(400) if shown.pixel(x, 150) != without_ring.pixel(x, 150)]
        left, right = min(differing), max(differing)
        assert abs((right - left) / 2 - 40) <= 2.5  # radius 20 at 200 %
        assert abs((right + left) / 2 - 200) <= 1


def test_the_ring_goes_when_the_pointer_leaves(painting: Canvas) -> None:
    QTest.mouseMove(painting, QPoint(200, 150))
    assert painting.ring is not None
    QApplication.sendEvent(painting, QEvent(QEvent.Type.Leave))
    assert painting.ring is None


# -- picking ---------------------------------------------------------------------------------------------------
def test_a_middle_click_hides_and_shows_the_object_under_it(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    painting.objects.add()
    painting.set_item(gui.item(1, two_objects()))
    for visible in (False, True):
        with qtbot.waitSignal(painting.object_toggled) as toggled:
            QTest.mouseClick(painting, MIDDLE, NO_KEY, QPoint(300, 150))
        item = painting.objects.get(2)
        assert toggled.args == [2]
        assert item is not None
        assert item.visible is visible


def test_shift_middle_click_selects_the_object_under_it(painting: Canvas, gui: Any, qtbot: QtBot) -> None:
    painting.objects.add()
    painting.set_item(gui.item(1, two_objects()))
    with qtbot.waitSignal(painting.object_picked) as picked:
        QTest.mouseClick(painting, MIDDLE, SHIFT, QPoint(100, 150))
    assert picked.args == [1]
    assert painting.objects.selected_id == 1


def test_the_frame_pixel_under_the_pointer_is_told(painting: Canvas, qtbot: QtBot) -> None:
    with qtbot.waitSignal(painting.cursor_moved) as moved:
        QTest.mouseMove(painting, QPoint(101, 51))
    assert moved.args == [50, 25]


# -- pen -------------------------------------------------------------------------------------------------------
@pytest.fixture
def pen(qapp: QApplication) -> QPointingDevice:
    return QPointingDevice(
        "pen",
        1,
        QInputDevice.DeviceType.Stylus,
        QPointingDevice.PointerType.Pen,
        QInputDevice.Capability.Position | QInputDevice.Capability.Pressure,
        1,
        2,
    )


def send_pen(canvas: Canvas, device: QPointingDevice, kind: QEvent.Type, x: float, y: float, pressure: float) -> None:
    position = QPointF(x, y)
    down = LEFT if kind != QEvent.Type.TabletRelease else Qt.MouseButton.NoButton
    button = LEFT if kind != QEvent.Type.TabletMove else Qt.MouseButton.NoButton
    event = QTabletEvent(
        kind, device, position, canvas.mapToGlobal(position), pressure, 0, 0, 0.0, 0.0, 0.0, NO_KEY, button, down
    )
    QApplication.sendEvent(canvas, event)
    assert event.isAccepted()


@pytest.mark.parametrize("sized", [False, True])
def test_a_pen_paints_between_pixels_and_its_pressure_may_size_the_brush(
    painting: Canvas, gui: Any, pen: QPointingDevice, sized: bool
) -> None:
    painting.set_pressure_sizes_brush(sized)
    send_pen(painting, pen, QEvent.Type.TabletPress, 150.4, 120.8, 0.5)
    send_pen(painting, pen, QEvent.Type.TabletMove, 230.6, 121.2, 0.5)
    send_pen(painting, pen, QEvent.Type.TabletRelease, 230.6, 121.2, 0.0)
    path = [((150.4 + 0.5) / 2, (120.8 + 0.5) / 2), ((230.6 + 0.5) / 2, (121.2 + 0.5) / 2)]
    expected = gui.near_path(path, 5 if sized else 10, 200, 150)
    np.testing.assert_array_equal(painting.edit.mask, expected.astype(np.uint8))


def test_the_ring_follows_the_pressure_of_a_pen(painting: Canvas, pen: QPointingDevice) -> None:
    send_pen(painting, pen, QEvent.Type.TabletPress, 150, 120, 0.25)
    assert painting.ring is not None
    light = painting.ring[1]
    send_pen(painting, pen, QEvent.Type.TabletMove, 160, 120, 1.0)
    assert painting.ring[1] == pytest.approx(4 * light)
    send_pen(painting, pen, QEvent.Type.TabletRelease, 160, 120, 0.0)
    assert painting.ring[1] == pytest.approx(4 * light)  # the size that a mouse would paint with
    width = painting.edit.mask.any(axis=0).nonzero()[0]
    assert width.max() - width.min() > 2 * 10


def test_a_pen_that_feels_no_pressure_paints_at_full_size(painting: Canvas, gui: Any) -> None:
    plain = QPointingDevice(
        "plain", 2, QInputDevice.DeviceType.Stylus, QPointingDevice.PointerType.Pen,
        QInputDevice.Capability.Position, 1, 2,
    )  # fmt: skip
    send_pen(painting, plain, QEvent.Type.TabletPress, 150, 120, 0.0)
    send_pen(painting, plain, QEvent.Type.TabletRelease, 150, 120, 0.0)
    expected = gui.near_path([((150 + 0.5) / 2, (120 + 0.5) / 2)], 10, 200, 150)
    np.testing.assert_array_equal(painting.edit.mask, expected.astype(np.uint8))
