"""Cameras through OpenCV, by index or by name, newest frame only."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from engine.errors import SourceError
from engine.types import Rgb
from engine.video.live import GrabError, LiveSource, Picture, RetryPolicy, Wait
from engine.video.source import SourceKind

OpenCapture = Callable[[int], Any]  # index -> something like cv2.VideoCapture

_V4L_CLASS = Path("/sys/class/video4linux")
_PROBED = 6  # indices tried where the system offers no list
_UNPLUGGED = RetryPolicy(tolerate_s=0.8, give_up_s=0.0)


@dataclass(frozen=True)
class CameraDescription:
    """A camera that is there.

    Attributes:
        index: what `CameraSource` opens.
        name: as the system calls it; may occur twice.
    """

    index: int
    name: str


def _silence_opencv() -> None:
    """OpenCV prints warnings for every camera that is not there; they say nothing the SourceError does not."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _open_capture(index: int) -> Any:
    _silence_opencv()
    backend = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}.get(
        sys.platform, cv2.CAP_ANY
    )
    return cv2.VideoCapture(index, backend)


def list_cameras(timeout_s: float = 4.0) -> list[CameraDescription]:
    """The cameras of this machine. Never hangs and prints nothing.

    Linux: names from the kernel, no camera is opened. Elsewhere the first few indices are opened for a moment, for at
    most `timeout_s`; their names are made of the system's camera interface and the index.
    """
    if sys.platform.startswith("linux"):
        return cameras_in_sysfs(_V4L_CLASS)
    return probe_cameras(_open_capture, timeout_s)


def cameras_in_sysfs(root: Path) -> list[CameraDescription]:
    """Cameras below a video4linux class folder. Nodes that carry only metadata (index > 0 of a device) are left out."""
    found = []
    for node in root.glob("video*"):
        number = node.name.removeprefix("video")
        if number.isdecimal() and _first_line(node / "index") in ("0", None):
            found.append(CameraDescription(int(number), _first_line(node / "name") or f"Camera {number}"))
    return sorted(found, key=lambda camera: camera.index)


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def probe_cameras(open_capture: OpenCapture, timeout_s: float) -> list[CameraDescription]:
    """The indices below 6 that open, tried on a thread of its own that is left behind when it takes too long."""
    found: list[CameraDescription] = []

    def probe() -> None:
        for index in range(_PROBED):
            capture = open_capture(index)
            try:
                if not capture.isOpened():
                    return
                found.append(CameraDescription(index, f"Camera {index} ({capture.getBackendName()})"))
            finally:
                capture.release()

    thread = threading.Thread(target=probe, name="probe cameras", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return list(found)


def find_camera(name: str, cameras: list[CameraDescription]) -> CameraDescription | None:
    """The first camera of this name, letter case ignored; else the only one whose name contains it; else None."""
    wanted = name.casefold()
    for camera in cameras:
        if camera.name.casefold() == wanted:
            return camera
    partly = [camera for camera in cameras if wanted and wanted in camera.name.casefold()]
    return partly[0] if len(partly) == 1 else None


class _CameraGrabber:
    """Reads one camera; see `engine.video.live.Grabber`."""

    def __init__(self, index: int, name: str, size: tuple[int, int], open_capture: OpenCapture) -> None:
        self.name = name
        self.fps: float | None = None
        self._index = index
        self._size = size
        self._open_capture = open_capture
        self._capture: Any = None

    def open(self) -> None:
        capture = self._open_capture(self._index)
        if not capture.isOpened():
            capture.release()
            raise _cannot_open(self._index)
        # Compressed transfer first: uncompressed HD does not fit through USB 2 at full rate.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(rate) if 0 < rate <= 1000 else None
        self._capture = capture

    def grab(self, wait: Wait) -> Picture:
        try:
            ok, bgr = self._capture.read()
        except cv2.error as error:
            raise GrabError(f"its driver reports {error.err}") from error
        if not ok or bgr is None:
            raise GrabError("it was unplugged or taken by another program")
        return lambda: _to_rgb(bgr)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _to_rgb(bgr: Any) -> Rgb:
    code = cv2.COLOR_GRAY2RGB if bgr.ndim == 2 or bgr.shape[2] == 1 else cv2.COLOR_BGR2RGB
    return np.ascontiguousarray(cv2.cvtColor(bgr, code), dtype=np.uint8)


def _cannot_open(index: int) -> SourceError:
    node = Path(f"/dev/video{index}")
    if sys.platform.startswith("linux") and node.exists() and not os.access(node, os.R_OK | os.W_OK):
        return SourceError(
            f"You may not use camera {index} ({node}).", "Add yourself to the group 'video' and log in again."
        )
    there = ", ".join(f"{c.index} ({c.name})" for c in cameras_in_sysfs(_V4L_CLASS))
    if sys.platform.startswith("linux") and not node.exists():
        way_out = f"Cameras that are there: {there}." if there else "Plug one in; no camera was found."
        return SourceError(f"There is no camera {index}.", way_out)
    return SourceError(
        f"Camera {index} cannot be opened.",
        "Check that it is plugged in, allowed for this program, and not used by another one.",
    )


class CameraSource(LiveSource):
    """A camera; only the newest frame is delivered, older ones are dropped and counted.

    Args:
        index: which camera.
        name: shown to the user; None looks it up.
        size: (width, height) asked of the camera; it may deliver another one.
        reconnect_s: an unplugged camera is looked for again for so long, and `status` says so; 0 fails within a second.
        open_capture: replaced in tests.

    Raises:
        SourceError: the camera does not exist, may not be used, or sends no picture.
    """

    def __init__(
        self,
        index: int,
        *,
        name: str | None = None,
        size: tuple[int, int] = (1280, 720),
        reconnect_s: float = 60.0,
        open_capture: OpenCapture = _open_capture,
    ) -> None:
        if name is None:
            known = {c.index: c.name for c in cameras_in_sysfs(_V4L_CLASS)}
            name = known.get(index, f"Camera {index}")
        super().__init__(
            _CameraGrabber(index, name, size, open_capture),
            SourceKind.CAMERA,
            f"camera:{index}",
            policy=RetryPolicy(tolerate_s=_UNPLUGGED.tolerate_s, give_up_s=reconnect_s),
            stall_timeout_s=5.0 + reconnect_s,
        )
