"""What every source of frames offers.

Concrete sources live beside this file; `engine.video.open.open_source` picks one.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from engine.errors import SourceError
from engine.types import Frame

# Larger frames are refused before memory is taken for them: a file of some bytes can claim any size.
MAX_SIDE = 16_384  # pixels of a frame's width or height
MAX_PIXELS = 2**27


class SourceKind(Enum):
    FILE = "file"
    FOLDER = "folder"
    CAMERA = "camera"
    STREAM = "stream"


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source once it is open.

    Attributes:
        uri: what reopens it: absolute path, URL, or "camera:0".
        name: short text for a title bar.
        width, height: pixels of a frame as delivered (rotation metadata already applied).
        fps: average frames per second, None when unknown.
        frame_count: number of frames, None when unknown (live sources; files whose count needs a full scan).
        duration_s: seconds, None when unknown.
    """

    kind: SourceKind
    uri: str
    name: str
    width: int
    height: int
    fps: float | None = None
    frame_count: int | None = None
    duration_s: float | None = None

    @property
    def live(self) -> bool:
        """True for sources that run on whether anyone reads or not (camera, stream)."""
        return self.kind in (SourceKind.CAMERA, SourceKind.STREAM)


def check_size(name: str, width: int, height: int) -> None:
    """
    Raises:
        SourceError: frames of this size are refused; the message names the limit.
    """
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise SourceError(
            f"{name} is {width} x {height}; the limit is {MAX_SIDE} pixels a side and {MAX_PIXELS // 10**6} million "
            "in all.",
            "Make it smaller.",
        )


def check_regular(path: Path) -> None:
    """
    Raises:
        SourceError: it is a pipe, a device or a socket, which would keep a reader waiting for ever.
        OSError: it is not there.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise SourceError(f"{path.name} is no file but a pipe or a device.", "Save what comes out of it to a file.")


class FrameSource(Protocol):
    """An open source. Used by one thread at a time; `close` may be called from any thread and wakes a blocked read."""

    @property
    def info(self) -> SourceInfo: ...

    def read(self) -> Frame | None:
        """The next frame in presentation order, or None at the end.

        Live sources block until a frame newer than the last one returned is there (older ones are skipped; the skipped
        ones count in `dropped` and leave gaps in `Frame.index`).

        Raises:
            SourceError: the source broke in the middle; the message says where and what to do.
        """
        ...

    def seek(self, index: int) -> None:
        """Make frame `index` the next one `read` returns. Only for files and folders (others raise SourceError)."""
        ...

    @property
    def dropped(self) -> int:
        """Frames the source delivered that nobody read (0 for files and folders)."""
        ...

    def close(self) -> None:
        """Release the device or file. Idempotent."""
        ...
