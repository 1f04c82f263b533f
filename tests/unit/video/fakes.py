"""A grabber and a camera whose every step the test decides."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.video.live import GrabError, Picture, Wait

TIMEOUT_S = 20.0


def grey(value: int, width: int = 8, height: int = 6) -> np.ndarray:
    return np.full((height, width, 3), value % 256, np.uint8)


class FakeGrabber:
    """Gives what the test feeds, in order: arrays become pictures, exceptions are raised."""

    def __init__(self) -> None:
        self.name = "Fake"
        self.fps: float | None = None
        self.opened = 0
        self.closed = 0
        self.open_errors: list[Exception] = []
        self.converted = 0
        self._items: queue.Queue[Any] = queue.Queue()
        self._fed = 0
        self._taken = 0
        self._progress = threading.Condition()

    # -- for the test ------------------------------------------------------------------------------------------
    def feed(self, *items: Any) -> None:
        self._fed += len(items)
        for item in items:
            self._items.put(item)

    def feed_and_settle(self, *items: Any) -> None:
        """Feed, and wait until the reader has dealt with every item and asks for the next one."""
        self.feed(*items)
        with self._progress:
            assert self._progress.wait_for(lambda: self._taken > self._fed, TIMEOUT_S)

    # -- for the source ----------------------------------------------------------------------------------------
    def open(self) -> None:
        self.opened += 1
        if self.open_errors:
            raise self.open_errors.pop(0)

    def grab(self, wait: Wait) -> Picture:
        with self._progress:
            self._taken += 1
            self._progress.notify_all()
        while True:
            try:
                item = self._items.get(timeout=0.01)
                break
            except queue.Empty:
                if wait(0.0):
                    raise GrabError("it is being closed") from None
        if isinstance(item, Exception):
            raise item

        def pixels() -> np.ndarray:
            self.converted += 1
            return item

        return pixels

    def close(self) -> None:
        self.closed += 1


class FakeClock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.stopped: Callable[[], bool] = lambda: False

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        if seconds > 0:
            self.waits.append(seconds)
            self.now += seconds
        return self.stopped()


class FakeCapture:
    """Stands in for cv2.VideoCapture: `frames` BGR pictures, then failing reads."""

    def __init__(self, frames: int = 0, opened: bool = True) -> None:
        self.properties: dict[int, float] = {5: 30.0}  # CAP_PROP_FPS
        self.released = False
        self._frames = frames
        self._opened = opened
        self.reads = 0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self._opened

    def set(self, key: int, value: float) -> bool:
        self.properties[key] = value
        return True

    def get(self, key: int) -> float:
        return self.properties.get(key, 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.reads += 1
        if self.reads > self._frames:
            return False, None
        bgr = np.zeros((6, 8, 3), np.uint8)
        bgr[...] = (self.reads % 256, 0, 200)
        return True, bgr

    def getBackendName(self) -> str:  # noqa: N802 - OpenCV's name
        return "FAKE"

    def release(self) -> None:
        self.released = True
