"""The window as a user meets it: real files, real stream, real threads, the bundled network, mouse and key events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDropEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.bridge import EngineBridge
from app.settings import Settings
from app.state.palette import object_color
from app.window.main_window import MainWindow
from engine.runtime.config import EngineConfig
from engine.runtime.messages import MaskKind, Mode
from engine.runtime.session import Session
from tests.support.clips import Clip, disc_frames, iou
from tests.support.servers import MjpegServer

TIMEOUT_MS = 60_000


class User:
    """What a user does and sees. Waits for states, never for times."""

    def __init__(self, window: MainWindow, bot: QtBot) -> None:
        self.window, self.bot, self.canvas, self.bridge = window, bot, window.canvas, window.bridge

    def until(self, state: Callable[[], object]) -> None:
        self.bot.waitUntil(lambda: bool(state()), timeout=TIMEOUT_MS)

    def drop(self, path: Path) -> None:
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path))])
        arguments = (Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(self.window, QDragEnterEvent(QPoint(50, 50), *arguments))
        QApplication.sendEvent(self.window, QDropEvent(QPointF(50, 50), *arguments))

    def paint(self, mask: np.ndarray) -> None:
        """One dab in the middle of a round object, a little smaller than the object."""
        ys, xs = np.nonzero(mask)
        centre = self.canvas.from_frame(float(xs.mean()), float(ys.mean())).toPoint()
        self.canvas.set_brush_radius(round(0.45 * (int(ys.max()) - int(ys.min()))))
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=centre)
        QTest.mouseMove(self.canvas, centre + QPoint(2, 0))
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=centre + QPoint(2, 0))

    def space(self) -> None:
        QTest.keyClick(self.canvas, Qt.Key.Key_Space)

    @property
    def shown(self) -> int:
        assert self.canvas.item is not None
        return self.canvas.item.frame.index

    def check_overlay(self) -> None:
        """Inside the shown mask the picture is blended with the object's colour, outside it is the frame."""
        item, mask = self.canvas.item, self.canvas.displayed_mask
        assert item is not None
        assert mask is not None
        assert item.mask is not None
        assert np.array_equal(mask, item.mask)
        ys, xs = np.nonzero(mask == 1)
        y, x = int(np.median(ys)), int(np.median(xs[ys == int(np.median(ys))]))
        shown = np.array(self.canvas.grab_frame_pixel(x, y).getRgb()[:3])
        expected = 0.5 * item.frame.rgb[y, x] + 0.5 * np.array(object_color(1))
        assert np.abs(shown - expected).max() <= 3, (shown, expected)
        shown = np.array(self.canvas.grab_frame_pixel(1, 1).getRgb()[:3])
        assert mask[1, 1] == 0
        assert np.abs(shown - item.frame.rgb[1, 1].astype(int)).max() <= 3


@pytest.fixture
def user(qtbot: QtBot, tmp_path: Path) -> Iterator[User]:
    settings = Settings(tmp_path / "settings.ini")
    settings.overlay_opacity = 0.5
    window = MainWindow(EngineBridge(Session(EngineConfig(device="cpu"))), settings, EngineConfig(device="cpu"))
    qtbot.addWidget(window, before_close_func=lambda w: w.close_at_once())
    window.resize(900, 700)
    window.show()
    window.bridge.start()
    yield User(window, qtbot)
    window.close_at_once()
    assert window.stopped_in_time


def test_drop_a_file_paint_space_and_the_mask_follows(user: User, disc_clip: Clip) -> None:
    user.drop(disc_clip.path)
    user.until(lambda: user.bridge.mode is Mode.FROZEN and user.canvas.item is not None)
    user.paint(disc_clip.masks[0] == 1)
    user.until(lambda: user.bridge.painted_ids == {1})
    user.space()
    last = len(disc_clip.masks) - 1
    user.until(lambda: user.shown == last and user.bridge.mode is Mode.FROZEN)
    user.until(lambda: user.canvas.item is not None and user.canvas.item.mask is not None)
    user.check_overlay()
    scores = []
    for index in range(1, last + 1):
        mask, kind = user.bridge.mask_at(index)
        assert kind is MaskKind.TRACKED
        assert mask is not None
        scores.append(iou(mask == 1, disc_clip.masks[index] == 1))
    assert np.mean(scores) > 0.6, scores  # the dab covers about four fifths of the disc
    assert user.canvas.item is not None
    stored, _ = user.bridge.mask_at(last)
    assert stored is not None
    assert np.array_equal(user.canvas.item.mask, stored), "the mask on show is the mask of the frame on show"


def test_a_live_stream_is_frozen_painted_and_tracked(user: User) -> None:
    frames, masks = disc_frames(24, 160, 120)
    period = 2 * len(frames) - 2  # to and fro, without a jump
    bounce = [number if number < len(frames) else period - number for number in range(period)]

    def picture(number: int) -> np.ndarray:
        return frames[bounce[(number // 4) % period]]

    server = MjpegServer(picture=picture)
    try:
        user.window.opening.open(server.url())
        user.until(lambda: user.bridge.mode is Mode.PREVIEW and user.canvas.item is not None)
        user.space()
        user.until(lambda: user.bridge.mode is Mode.FROZEN)
        assert user.canvas.item is not None
        truth = _nearest(user.canvas.item.frame.rgb, frames, masks)
        user.paint(truth == 1)
        user.until(lambda: user.bridge.painted_ids == {1})
        user.space()
        scores = []
        for _ in range(8):
            before = user.shown
            user.until(lambda before=before: user.shown > before and user.bridge.mode is Mode.TRACKING)
            item = user.canvas.item
            assert item is not None
            assert item.mask is not None, "while tracking, every frame on show has its own mask"
            scores.append(iou(item.mask == 1, _nearest(item.frame.rgb, frames, masks) == 1))
        user.space()
        user.until(lambda: user.bridge.mode is Mode.FROZEN)
        user.check_overlay()
        assert np.mean(scores) > 0.6, scores
    finally:
        user.window.close_at_once()
        server.die()


def _nearest(rgb: np.ndarray, frames: list[np.ndarray], masks: list[np.ndarray]) -> np.ndarray:
    """The true mask of the scene picture that looks most like this (JPEG-coded) one."""
    differences = [np.abs(rgb.astype(np.int16) - frame).mean() for frame in frames]
    return masks[int(np.argmin(differences))]
