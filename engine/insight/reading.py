"""Single frames of sources that stand still, and files that appear whole."""

from __future__ import annotations

from pathlib import Path

from engine.errors import ExportError, SourceError
from engine.types import Frame
from engine.video.atomic import replacing
from engine.video.open import open_source


def read_frames(spec: str | Path, first: int, count: int) -> list[Frame]:
    """`count` frames of a file or folder from number `first` on.

    Raises:
        SourceError: it cannot be opened, is live, or has fewer frames.
    """
    source = open_source(spec)
    try:
        if source.info.live:
            raise SourceError(f"{source.info.name} is live; its frames cannot be named.", "Choose a file or a folder.")
        if first:
            source.seek(first)
        frames: list[Frame] = []
        while len(frames) < count and (frame := source.read()) is not None:
            frames.append(frame)
        if first < 0 or len(frames) < count or frames[0].index != first:
            raise SourceError(f"{source.info.name} has no frame {first + count - 1}.", "Choose an earlier one.")
        return frames
    finally:
        source.close()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, replacing one of that name.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise ExportError(f"{path} could not be written: {error.strerror}.", "Choose another place.") from error
