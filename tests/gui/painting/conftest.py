"""Helpers for the canvas: frames, items, a shown canvas, a stand-in for the session's mask store, pointer gestures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.canvas.canvas import Canvas
from app.painting.edit import EditModel
from engine.runtime.messages import DisplayItem
from engine.types import Frame, Mask

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
NO_KEY = Qt.KeyboardModifier.NoModifier


class Helpers:
    """Functions the tests share; a fixture hands out the class, because this folder is no package."""

    @staticmethod
    def frame(index: int = 0, width: int = 200, height: int = 150, value: int | None = None) -> Frame:
        if value is not None:
            return Frame(index, index / 25, np.full((height, width, 3), value, dtype=np.uint8))
        noise = np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)
        return Frame(index, index / 25, noise)

    @classmethod
    def item(
        cls, index: int = 0, mask: Mask | None = None, generation: int = 1, value: int | None = None
    ) -> DisplayItem:
        return DisplayItem(cls.frame(index, value=value), mask, generation=generation)

    @staticmethod
    def near_path(points: Iterable[tuple[float, float]], radius: float, width: int, height: int) -> NDArray[np.bool_]:
        """Every pixel whose centre is within `radius` of the polyline, by measuring every distance."""
        path = list(points)
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        near = np.hypot(x - path[0][0], y - path[0][1]) <= radius
        for (x0, y0), (x1, y1) in itertools.pairwise(path):
            length = (x1 - x0) ** 2 + (y1 - y0) ** 2
            along = np.zeros_like(x) if length == 0 else ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length
            along = np.clip(along, 0, 1)
            near |= np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)) <= radius
        return near

    @staticmethod
    def drag(
        canvas: Canvas,
        *points: tuple[int, int],
        button: Qt.MouseButton = LEFT,
        keys: Qt.KeyboardModifier = NO_KEY,
        release: bool = True,
    ) -> None:
        """Press at the first point, move over the others, release at the last; widget pixels."""
        QTest.mousePress(canvas, button, keys, QPoint(*points[0]))
        for point in points[1:]:
            QTest.mouseMove(canvas, QPoint(*point))
        if release:
            QTest.mouseRelease(canvas, button, keys, QPoint(*points[-1]))

    @staticmethod
    def wheel(
        canvas: Canvas,
        position: tuple[int, int],
        notches: float = 1,
        keys: Qt.KeyboardModifier = NO_KEY,
        pixels: tuple[int, int] = (0, 0),
        phase: Qt.ScrollPhase = Qt.ScrollPhase.NoScrollPhase,
    ) -> None:
        point = QPointF(*position)
        angle = QPoint(0, round(120 * notches))
        event = QWheelEvent(
            point, canvas.mapToGlobal(point), QPoint(*pixels), angle, Qt.MouseButton.NoButton, keys, phase, False
        )
        QApplication.sendEvent(canvas, event)

    @staticmethod
    def frame_point(canvas: Canvas, position: tuple[int, int]) -> tuple[float, float]:
        """The frame point in the middle of a widget pixel (device pixel ratio 1)."""
        view = canvas.viewport
        return (position[0] + 0.5 - round(view.x)) / view.zoom, (position[1] + 0.5 - round(view.y)) / view.zoom


class MaskStore:
    """Does with masks what the session does: takes what was committed, deletes objects, hands frames back."""

    def __init__(self, edit: EditModel, frames: dict[int, Frame]) -> None:
        self.masks: dict[int, Mask] = {}
        self.frames = frames
        self.visits: list[int] = []
        self._edit = edit
        edit.stroke_committed.connect(self._commit)
        edit.navigate_requested.connect(self.show)
        edit.objects.removed.connect(self._delete)

    def show(self, index: int) -> None:
        """The user, or an undo, goes to a frame: a fresh decode of it arrives with its stored mask."""
        self.visits.append(index)
        frame = self.frames[index]
        self._edit.begin_frame(Frame(index, frame.time_s, frame.rgb), self.masks.get(index))

    def snapshot(self) -> dict[int, bytes]:
        """Every mask that is not empty."""
        return {index: mask.tobytes() for index, mask in self.masks.items() if mask.any()}

    def _commit(self, frame: Frame, mask: Mask, touched: frozenset[int]) -> None:
        before = self.masks.get(frame.index, np.zeros_like(mask))
        changed = before != mask
        assert touched == frozenset(np.unique([before[changed], mask[changed]]).tolist()) - {0}
        self.masks[frame.index] = mask

    def _delete(self, object_id: int) -> None:
        self.masks = {index: np.where(mask == object_id, 0, mask) for index, mask in self.masks.items()}


@pytest.fixture
def gui(qapp: QApplication) -> type[Helpers]:
    return Helpers


@pytest.fixture
def edit(qapp: QApplication) -> EditModel:
    return EditModel()


@pytest.fixture
def make_store(qapp: QApplication) -> Callable[[EditModel, dict[int, Frame]], MaskStore]:
    return MaskStore


@pytest.fixture
def canvas(qtbot: QtBot) -> Canvas:
    """A shown canvas of 400 x 300 without an item: a 200 x 150 frame is fitted at 200 %."""
    widget = Canvas()
    qtbot.addWidget(widget)
    widget.resize(400, 300)
    widget.set_background(None)
    with qtbot.waitExposed(widget):
        widget.show()
    return widget


@pytest.fixture
def painting(canvas: Canvas) -> Canvas:
    """A canvas with a grey frame (index 0), an object 1 that is selected, and a brush of radius 10."""
    canvas.objects.add()
    canvas.set_item(Helpers.item(0, value=100))
    canvas.set_brush_radius(10)
    return canvas
