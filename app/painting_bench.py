"""``main.py bench --painting``: from an event of the pointer to the painted pixel, without a screen."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from PyQt6.QtCore import QEvent, QObject, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication, QWidget

from app.canvas.canvas import Canvas
from app.qt_environment import start_without_screen
from engine.commands.arguments import check_folder
from engine.runtime.messages import DisplayItem
from engine.types import Frame, Mask, Rgb

EXIT_DONE = 0
BUDGET_MS = 16.0  # one frame of a screen of 60 Hz
WARM_UP = 10
_NO_KEY = Qt.KeyboardModifier.NoModifier
_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


@dataclass(frozen=True)
class Case:
    """What is painted on.

    Attributes:
        width, height: of the frame and of the view, pixels.
        zoom: device pixels per frame pixel.
        radius: of the brush, frame pixels.
        tool: a brush ("paint", "erase"), one with a preview, or "pan" to move the picture.
    """

    name: str
    width: int
    height: int
    zoom: float = 1.0
    radius: int = 20
    tool: str = "paint"


CASES = (
    Case("1080p", 1920, 1080),
    Case("1080p, largest brush", 1920, 1080, radius=300),
    Case("1080p at 16 x", 1920, 1080, zoom=16.0, radius=4),
    Case("1080p, lasso", 1920, 1080, tool="polygon"),
    Case("1080p, smart scribble", 1920, 1080, tool="scribble"),
    Case("4K", 3840, 2160),
    Case("4K, moving the picture", 3840, 2160, tool="pan"),
    Case("4K in a 1080p view", 3840, 2160, zoom=0.5, radius=40),
)


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the event to the pixel in the window's backing store, over the moves of one stroke."""

    case: Case
    p50: float
    p95: float
    most: float
    events: int

    def __str__(self) -> str:
        return f"{self.case.name:<24}{self.p50:8.1f}{self.p95:8.1f}{self.most:8.1f}"


class _Painted(QObject):
    """Counts the paint events of a widget."""

    count = 0

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is not None and event.type() == QEvent.Type.Paint:
            self.count += 1
        return super().eventFilter(watched, event)


def measure(case: Case, events: int) -> Latency:
    """Replay a stroke of `events` moves over a frame that has a mask already. Needs a QApplication."""
    canvas = Canvas()
    screen = canvas.devicePixelRatioF()
    canvas.resize(round(min(case.width, case.width * case.zoom) / screen),
                  round(min(case.height, case.height * case.zoom) / screen))  # fmt: skip
    canvas.show()
    QApplication.processEvents()
    for _ in range(3):
        canvas.objects.add()
    canvas.set_item(DisplayItem(Frame(0, 0.0, _picture(case)), _mask(case), generation=1))
    button = _LEFT
    if case.tool == "pan":
        button = Qt.MouseButton.MiddleButton
    else:
        canvas.set_tool(case.tool)
    canvas.set_brush_radius(case.radius)
    view = canvas.viewport
    canvas.set_viewport(view.zoomed(case.zoom, view.view_width / 2, view.view_height / 2))
    QApplication.processEvents()
    painted = _Painted()
    canvas.installEventFilter(painted)
    path = list(_path(canvas, events + WARM_UP))
    _send(canvas, QEvent.Type.MouseButtonPress, path[0], button, button)
    taken = []
    for position in path[1:]:
        before = painted.count
        started = time.perf_counter()
        _send(canvas, QEvent.Type.MouseMove, position, _NONE, button)
        while painted.count == before:
            QApplication.processEvents()
        taken.append((time.perf_counter() - started) * 1000)
    _send(canvas, QEvent.Type.MouseButtonRelease, path[-1], button, _NONE)
    canvas.close()
    canvas.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    times = np.array(taken[WARM_UP:])
    p50, p95 = np.percentile(times, (50, 95))
    return Latency(case, float(p50), float(p95), float(times.max()), len(times))


def run(options: argparse.Namespace) -> int:
    """Measure every case and print it; `options` as ``bench`` parses them.

    Raises:
        UserError: Qt cannot start, or the file for the figures cannot be written.
    """
    check_folder(options.json)
    start_without_screen()
    application = QApplication.instance() or QApplication(["livemask"])
    print(f"{'milliseconds to the pixel':<24}{'p50':>7}{'p95':>8}{'most':>8}")
    found = []
    for case in CASES:
        found.append(measure(case, options.frames or 300))
        print(found[-1], flush=True)
    within = "within" if found[0].p95 <= BUDGET_MS else "beyond"
    print(f"A stroke at 1080p is {within} {BUDGET_MS:.0f} ms for 95 of 100 events.")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(latency) for latency in found], indent=1) + "\n")
    del application
    return EXIT_DONE


def _send(canvas: QWidget, kind: QEvent.Type, position: QPointF, button: Qt.MouseButton, held: Qt.MouseButton) -> None:
    QApplication.sendEvent(canvas, QMouseEvent(kind, position, canvas.mapToGlobal(position), button, held, _NO_KEY))


def _path(canvas: Canvas, count: int) -> Iterator[QPointF]:
    """Some eight pixels of the widget from point to point, as a quick hand moves, over most of the view."""
    width, height = canvas.width(), canvas.height()
    step = 8 / (0.4 * math.hypot(width, height))
    for number in range(count + 1):
        yield QPointF(
            width * (0.5 + 0.4 * math.sin(step * number)), height * (0.5 + 0.4 * math.sin(1.7 * step * number))
        )


def _picture(case: Case) -> Rgb:
    return np.random.default_rng(0).integers(0, 256, (case.height, case.width, 3), dtype=np.uint8)


def _mask(case: Case) -> Mask:
    """Two objects that cover a third of the frame; the third one is painted."""
    mask = np.zeros((case.height, case.width), np.uint8)
    mask[case.height // 8 : case.height // 2, case.width // 8 : case.width // 2] = 1
    mask[case.height // 2 : -case.height // 8, case.width // 2 : -case.width // 4] = 2
    return mask
