"""The switches of the virtual camera: which picture goes out, and when it stops."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from app.actions import Actions
from app.bridge import EngineBridge
from app.canvas.canvas import Canvas
from engine.runtime.virtual_camera import Content, Shown, VirtualCamera
from engine.types import Mask
from engine.video.source import SourceInfo

AT_REST_MS = 100  # a picture at rest may be painted on, and its overlay may change
_CLOSE_S = 2.0
_ACTIONS = {"virtual_overlay": Content.OVERLAY, "virtual_green": Content.GREEN}

MakeCamera = Callable[..., VirtualCamera]  # as the class itself


class VirtualCameraController(QObject):
    """Signals: notice(Notice)."""

    notice = pyqtSignal(object)
    _told = pyqtSignal(object)  # from the camera's thread to this one
    _ended = pyqtSignal(object)

    def __init__(
        self, bridge: EngineBridge, actions: Actions, canvas: Canvas, make: MakeCamera = VirtualCamera
    ) -> None:
        """`make` is replaced by tests."""
        super().__init__(canvas)
        self._bridge, self._actions, self._canvas = bridge, actions, canvas
        self.make_camera = make
        self._camera: VirtualCamera | None = None
        self._former: VirtualCamera | None = None
        self._content = Content.OVERLAY
        self._timer = QTimer(self)
        self._timer.setInterval(AT_REST_MS)
        self._timer.timeout.connect(self._offer)
        for action_id, content in _ACTIONS.items():
            actions.on_switch(action_id, partial(self._choose, content))
        self._told.connect(self.notice)
        self._ended.connect(self._on_ended)
        bridge.item_ready.connect(lambda _item: self._offer())  # the canvas has heard of it before
        bridge.source_opened.connect(self._on_source)
        bridge.source_closed.connect(lambda: self._on_source(None))
        self._on_source(None)

    @property
    def running(self) -> bool:
        return self._camera is not None

    def stop(self) -> None:
        """Send no more. The device is closed soon after."""
        if self._camera is not None:
            self._camera.stop()
            self._former, self._camera = self._camera, None
        self._timer.stop()
        self._show()

    def close(self) -> bool:
        """Stop and wait until the device is closed; False when it hangs."""
        self.stop()
        return self._former is None or self._former.join(_CLOSE_S)

    def _choose(self, content: Content, wanted: bool) -> None:
        info = self._bridge.info
        if not wanted or info is None:
            self.stop()
            return
        self._content = content
        if self._camera is None:
            self._camera = self.make_camera(info, self._told.emit, self._ended.emit, former=self._former)
            self._former = None
            self._camera.start()
        self._show()
        self._offer()

    def _show(self) -> None:
        for action_id, content in _ACTIONS.items():
            self._actions[action_id].setChecked(self.running and content is self._content)

    def _on_source(self, info: SourceInfo | None) -> None:
        self.stop()  # the next source has another size
        for action_id in _ACTIONS:
            self._actions[action_id].setEnabled(info is not None)

    def _on_ended(self, camera: VirtualCamera) -> None:
        if camera is self._camera:
            self.stop()

    def _offer(self) -> None:
        item = self._canvas.item
        if self._camera is None or item is None:
            return
        canvas, style = self._canvas, self._canvas.shown_style()
        mask = canvas.shown_mask() if self._content is Content.OVERLAY else canvas.displayed_mask
        self._camera.offer(Shown(self._content, item.frame.rgb, _shown(mask, style.shown), style.colors, style.opacity))
        self._timer.start()  # anew: it comes only while no frames do


def _shown(mask: Mask | None, shown: Mask) -> Mask | None:
    """A copy, for the brush goes on changing the mask; without the hidden objects."""
    return None if mask is None else np.asarray(cv2.LUT(mask, shown), np.uint8)
