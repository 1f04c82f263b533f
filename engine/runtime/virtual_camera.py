"""A virtual camera: what is shown, as the picture of a camera that other programs can open. Through pyvirtualcam."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import ExportError
from engine.export.looks import background
from engine.runtime.mailbox import Mailbox, MailboxClosed, Policy
from engine.runtime.messages import Notice, Severity
from engine.runtime.worker import Worker
from engine.types import Mask, Rgb
from engine.video.overlay import compose_overlay
from engine.video.source import SourceInfo

log = logging.getLogger(__name__)

FPS = 30.0  # of a source that does not know its rate
_MOST_FPS = 120.0
_FORMER_S = 5.0  # how long a device that is being closed is waited for


class Device(Protocol):
    """What `pyvirtualcam.Camera` offers."""

    @property
    def device(self) -> str: ...

    def send(self, frame: NDArray[np.uint8]) -> None: ...

    def close(self) -> None: ...


OpenDevice = Callable[[int, int, float], Device]  # width, height, frames per second
Wait = Callable[[float], object]  # seconds


class Content(Enum):
    """What the camera shows: the frame with its overlay, or the objects before green."""

    OVERLAY = "overlay"
    GREEN = "green"


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame and how it is shown. Nobody writes to the arrays any more.

    Attributes:
        rgb: H x W x 3 uint8.
        mask: H x W uint8 object ids, hidden objects left out; None: no overlay, and nothing before the green.
        palette: 256 x 3 uint8 RGB, row = object id.
        opacity: 0..1 of the overlay.
    """

    content: Content
    rgb: Rgb
    mask: Mask | None
    palette: NDArray[np.uint8]
    opacity: float

    def picture(self) -> Rgb:
        """H x W x 3 uint8."""
        if self.content is Content.GREEN:
            mask = np.zeros(self.rgb.shape[:2], np.uint8) if self.mask is None else self.mask
            return background(self.rgb, mask, {"background": "green"}, self.palette)
        return self.rgb if self.mask is None else compose_overlay(self.rgb, self.mask, self.palette, self.opacity)


def open_device(width: int, height: int, fps: float) -> Device:
    """The first virtual camera that is free.

    Raises:
        ExportError: pyvirtualcam is not installed, or no device is there or free.
    """
    try:
        import pyvirtualcam
    except ImportError as error:
        raise ExportError(
            "A virtual camera needs the package pyvirtualcam.", "Run: pip install pyvirtualcam"
        ) from error
    try:
        camera: Any = pyvirtualcam.Camera(width, height, fps)
    except Exception as error:  # RuntimeError, and what the native parts raise
        log.warning("no virtual camera of %s x %s: %s", width, height, error)
        raise ExportError("No virtual camera is there, or another program sends to it.", _way_out()) from error
    return camera  # type: ignore[no-any-return]


def _way_out() -> str:
    if sys.platform.startswith("linux"):
        return "Install v4l2loopback (Debian: v4l2loopback-dkms), then run: sudo modprobe v4l2loopback"
    return "Install OBS Studio and start its virtual camera once; then stop it there and try again."


class VirtualCamera(Worker):
    """Sends the newest picture at the rate of the source, and again while there is no newer one. Never a queue.

    Odd sizes are padded by repeating the last column or row, as most programs take only even ones. The device is
    opened, fed and closed by the thread; failures come as a Notice, after which the thread has ended.
    """

    def __init__(
        self,
        info: SourceInfo,
        notify: Callable[[Notice], None],
        on_end: Callable[[VirtualCamera], None] = lambda _camera: None,
        *,
        former: VirtualCamera | None = None,
        open_device: OpenDevice = open_device,
        clock: Callable[[], float] = time.monotonic,
        wait: Wait | None = None,
    ) -> None:
        """
        Args:
            notify: takes what the user is told; called in the thread, as `on_end` is when it ends by itself.
            former: the one before, whose device must be closed first.

        `open_device`, `clock` and `wait` (until the next picture is due) are replaced by tests.
        """
        super().__init__("camera", notify)
        self._size = (max(2, info.width + info.width % 2), max(2, info.height + info.height % 2))
        fps = info.fps if info.fps is not None and info.fps > 0 else FPS
        self.fps = min(fps, _MOST_FPS)
        self._on_end = on_end
        self._former = former
        self._open_device = open_device
        self._asked_to_stop = threading.Event()
        self._wait = wait or self._asked_to_stop.wait
        self._clock = clock
        self._due = clock()
        self._newest: Mailbox[Shown] = Mailbox(1, Policy.NEWEST)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures sent."""
        return self._size

    @property
    def dropped(self) -> int:
        """Pictures that a newer one replaced before they were sent."""
        return self._newest.dropped

    def offer(self, shown: Shown) -> None:
        """Show this from now on. Returns at once."""
        self._newest.put(shown)

    def wake(self) -> None:
        self._asked_to_stop.set()
        self._newest.close()

    def faulted(self, error: BaseException) -> None:
        self._on_end(self)

    def run(self) -> None:
        """Raises ExportError: there is no device, or it failed on the way."""
        if self._former is not None:
            self._former.join(_FORMER_S)
            self._former = None
        if self.stopping:
            return
        device = self._open_device(*self._size, self.fps)
        try:
            self._notify(Notice(Severity.INFO, f"Other programs see the picture as the camera {device.device}."))
            self._send(device)
        finally:
            try:
                device.close()
            except Exception as error:  # nobody can do anything about it
                log.warning("the virtual camera did not close: %s", error)

    def _send(self, device: Device) -> None:
        picture: Rgb | None = None
        while True:
            try:
                shown = self._newest.get(None if picture is None else 0)
            except MailboxClosed:
                return
            if self.stopping:
                return
            if shown is not None:
                picture = self._fitted(shown.picture())
            if picture is not None:
                try:
                    device.send(picture)
                except Exception as error:  # the drivers have errors of their own
                    log.warning("the virtual camera failed: %s", error)
                    raise ExportError(
                        "The virtual camera takes no pictures any more.",
                        "Choose it again in menu File, Virtual camera.",
                    ) from error
            self._wait_for_next()

    def _wait_for_next(self) -> None:
        """Keep the pace; after a delay, begin a new one rather than catch up."""
        now = self._clock()
        self._due = max(self._due + 1 / self.fps, now)
        if self._due > now:
            self._wait(self._due - now)

    def _fitted(self, picture: Rgb) -> Rgb:
        """In the size of the device, which stays when a camera comes back with another one."""
        width, height = self._size
        right, below = width - picture.shape[1], height - picture.shape[0]
        if right in (0, 1) and below in (0, 1):
            picture = np.asarray(cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        else:
            picture = np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.ascontiguousarray(picture)
