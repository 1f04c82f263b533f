"""A screen, or a part of it, as a live source: "screen:0", "screen:0:LEFT,TOP,WIDTH,HEIGHT". Through mss."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from engine.errors import SourceError
from engine.types import Rgb
from engine.video.live import GrabError, LiveSource, Picture, RetryPolicy, Wait
from engine.video.source import SourceKind

PREFIX = "screen:"
FPS = 30.0  # a screen has no frames of its own; it is looked at so often
SMALLEST = 16  # pixels per side; the engine takes no less
_SPEC = re.compile(r"screen:(\d+)(?::(-?\d+),(-?\d+),(\d+),(\d+))?")
_TROUBLES = RetryPolicy(tolerate_s=1.0, give_up_s=10.0)  # a locked screen, a monitor that wakes up

OpenScreens = Callable[[], Any]  # -> what `mss.mss()` gives


@dataclass(frozen=True)
class Region:
    """A part of a screen in its pixels, counted from its top left corner."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class ScreenSpec:
    """Which screen (from 0), and which part of it; None: all of it."""

    screen: int
    region: Region | None = None

    @staticmethod
    def parse(text: str) -> ScreenSpec:
        """Raises SourceError: `text` is not as in the description of this module."""
        match = _SPEC.fullmatch(text.strip())
        if match is None:
            raise SourceError(
                f"{text} does not name a screen.", "Write screen:0, or screen:0:LEFT,TOP,WIDTH,HEIGHT in pixels."
            )
        number, *region = match.groups()
        return ScreenSpec(int(number), Region(*map(int, region)) if region[0] is not None else None)

    def __str__(self) -> str:
        part = (
            ""
            if self.region is None
            else f":{self.region.left},{self.region.top},{self.region.width},{self.region.height}"
        )
        return f"{PREFIX}{self.screen}{part}"


def screen_picture(screen: int, open_screens: OpenScreens | None = None) -> Rgb:
    """What a screen shows now, H x W x 3 uint8, in its own pixels.

    Raises:
        SourceError: there is no such screen, or it cannot be read.
    """
    screens = (open_screens or _open_screens)()
    try:
        return _rgb(_grab(screens, _place(screens, ScreenSpec(screen))))
    except GrabError as error:
        raise _unreadable(str(error)) from error
    finally:
        screens.close()


def screen_count(open_screens: OpenScreens | None = None) -> int:
    """How many screens there are. Raises SourceError: they cannot be read."""
    screens = (open_screens or _open_screens)()
    try:
        return len(screens.monitors) - 1  # the first one stands for all of them together
    finally:
        screens.close()


def _open_screens() -> Any:
    try:
        import mss
        import mss.exception
    except ImportError as error:
        raise SourceError("Reading the screen needs the package mss.", "Run: pip install mss") from error
    try:
        return mss.MSS() if hasattr(mss, "MSS") else mss.mss()
    except (mss.exception.ScreenShotError, OSError) as error:
        raise _unreadable(str(error)) from error


def _unreadable(reason: str) -> SourceError:
    reason = reason.strip().rstrip(".") or "no reason given"
    return SourceError(
        f"The screen cannot be read ({reason}).",
        "It takes a screen of X11, Windows or macOS, and the permission to record it; Wayland has none to give.",
    )


def _place(screens: Any, spec: ScreenSpec) -> dict[str, int]:
    """Where the region lies among all screens, as mss wants it."""
    monitors = screens.monitors[1:]
    if spec.screen >= len(monitors):
        raise SourceError(
            f"There is no screen {spec.screen}.", f"There is: {', '.join(map(str, range(len(monitors))))}."
        )
    whole = monitors[spec.screen]
    region = spec.region or Region(0, 0, whole["width"], whole["height"])
    inside = (
        region.left >= 0 and region.top >= 0
        and region.left + region.width <= whole["width"] and region.top + region.height <= whole["height"]
    )  # fmt: skip
    if not inside or min(region.width, region.height) < SMALLEST:
        raise SourceError(
            f"{spec} is no part of the screen, which has {whole['width']} x {whole['height']} pixels.",
            f"Choose one inside it, of at least {SMALLEST} x {SMALLEST} pixels.",
        )
    return {
        "left": whole["left"] + region.left, "top": whole["top"] + region.top,
        "width": region.width, "height": region.height,
    }  # fmt: skip


def _grab(screens: Any, place: dict[str, int]) -> Any:
    try:
        return screens.grab(place)
    except Exception as error:  # each platform's part of mss raises its own
        raise GrabError(f"the screen cannot be read: {error}") from error


def _rgb(shot: Any) -> Rgb:
    bgra = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
    return np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB), np.uint8)


class _ScreenGrabber:
    """Looks at a screen at an even pace; see `engine.video.live.Grabber`."""

    fps: float | None = FPS

    def __init__(self, spec: ScreenSpec, open_screens: OpenScreens, clock: Callable[[], float]) -> None:
        self.name = f"Screen {spec.screen}"
        self._spec, self._open_screens, self._clock = spec, open_screens, clock
        self._screens: Any = None
        self._place: dict[str, int] = {}
        self._due = 0.0

    def open(self) -> None:
        self.close()
        self._screens = self._open_screens()
        self._place = _place(self._screens, self._spec)
        self._due = self._clock()

    def grab(self, wait: Wait) -> Picture:
        now = self._clock()
        if self._due > now:
            wait(self._due - now)
        self._due = max(self._due, now) + 1 / FPS
        shot = _grab(self._screens, self._place)
        return lambda: _rgb(shot)

    def close(self) -> None:
        if self._screens is not None:
            self._screens.close()
            self._screens = None


class ScreenSource(LiveSource):
    """A screen, or a part of it.

    Raises:
        SourceError: no such screen or part, or it cannot be read.
    """

    def __init__(
        self,
        spec: ScreenSpec,
        *,
        open_screens: OpenScreens = _open_screens,
        clock: Callable[[], float] = time.monotonic,
        wait: Wait | None = None,
    ) -> None:
        grabber = _ScreenGrabber(spec, open_screens, clock)
        super().__init__(grabber, SourceKind.CAMERA, str(spec), policy=_TROUBLES, clock=clock, wait=wait)
