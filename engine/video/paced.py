"""A video file played as if it were a live camera: real time, frames that nobody reads are dropped."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from engine.types import Rgb
from engine.video.file import VideoFileSource
from engine.video.live import EndOfStreamError, LiveSource, Picture, RetryPolicy, Wait
from engine.video.source import SourceKind

PREFIX = "live:"


class _PacedGrabber:
    """Gives the frames of a file when they are due; see `engine.video.live.Grabber`."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._file = VideoFileSource(path)
        self._clock = clock
        self._started: float | None = None
        self.name = f"{path.name} (live)"
        self.fps = self._file.info.fps

    def open(self) -> None:
        """Nothing to do: the file was opened on the caller's thread, so that its errors come first."""

    def grab(self, wait: Wait) -> Picture:
        frame = self._file.read()
        if frame is None:
            raise EndOfStreamError
        now = self._clock()
        if self._started is None:
            self._started = now
        due = self._started + frame.time_s - now
        if due > 0:
            wait(due)
        rgb: Rgb = frame.rgb
        return lambda: rgb

    def close(self) -> None:
        self._file.close()


class PacedFileSource(LiveSource):
    """A stand-in for a camera, for trying out and for measuring: "live:PATH".

    The file plays once at its own pace. `Frame.index` is the frame's index in the file, `Frame.time_s` the moment of
    its capture. After the last frame `read` gives None.

    Raises:
        SourceError: see `VideoFileSource`.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic, wait: Wait | None = None) -> None:
        super().__init__(
            _PacedGrabber(path, clock),
            SourceKind.STREAM,
            f"{PREFIX}{path.absolute()}",
            policy=RetryPolicy(give_up_s=0.0),
            clock=clock,
            wait=wait,
        )
