"""The camera menu. Asking for cameras can take seconds on some systems, so a thread does it when the menu is opened."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QMenu

Camera = tuple[int, str]  # index, name


def find_cameras() -> list[Camera]:
    """Every camera of this machine. Slow: call it from a thread."""
    from engine.video.camera import list_cameras

    return [(camera.index, camera.name) for camera in list_cameras()]


class CameraMenu(QObject):
    """Fills a menu when it is about to show.

    Args:
        find: what lists the cameras; replaced by tests.

    Signals:
        chosen(int): index of the camera to open.
    """

    chosen = pyqtSignal(int)
    _found = pyqtSignal(int, list)

    def __init__(self, menu: QMenu, find: Callable[[], list[Camera]] = find_cameras) -> None:
        super().__init__(menu)
        self._menu = menu
        self._find = find
        self._round = 0
        self._cameras: list[Camera] | None = None
        self._found.connect(self._on_found)
        menu.aboutToShow.connect(self._on_about_to_show)
        self._fill()

    def refresh(self) -> None:
        """Look again."""
        self._round += 1
        self._cameras = None
        self._fill()
        threading.Thread(target=self._look, args=(self._round,), name="list cameras", daemon=True).start()

    def _look(self, number: int) -> None:
        try:
            cameras = self._find()
        except Exception:  # whatever a camera driver does, the menu must not wait for ever; opening one says why
            cameras = []
        with contextlib.suppress(RuntimeError):  # the window has been closed meanwhile
            self._found.emit(number, cameras)  # queued: this is not the GUI thread

    def _on_about_to_show(self) -> None:
        if self._cameras is None:
            self.refresh()

    def _on_found(self, number: int, cameras: list[Camera]) -> None:
        if number == self._round:
            self._cameras = cameras
            self._fill()

    def _fill(self) -> None:
        self._menu.clear()
        if self._cameras is None:
            self._add(self.tr("Looking for cameras…"))
            return
        for index, name in self._cameras:
            text = f"{name} ({index})".replace("&", "&&")
            self._add(text, partial(self.chosen.emit, index))
        if not self._cameras:
            self._add(self.tr("No camera found"))
        self._menu.addSeparator()
        self._add(self.tr("Look again"), self._look_again)

    def _add(self, text: str, slot: Callable[[], object] | None = None) -> None:
        action = self._menu.addAction(text)
        assert action is not None
        if slot is None:
            action.setEnabled(False)
        else:
            action.triggered.connect(lambda _checked=False: slot())

    def _look_again(self) -> None:
        self.refresh()
