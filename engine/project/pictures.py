"""The pictures a project brings along: painted frames of a camera or stream, which cannot be read anywhere else.

They are numbered as they were painted; the project's masks lie on these numbers. To everybody else they are a source
like a folder of pictures.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from engine.errors import SourceError
from engine.project.project_file import open_project
from engine.project.state import ProjectError
from engine.types import Rgb
from engine.video.folder import PictureSequence, decode_image
from engine.video.source import MAX_PIXELS

MAX_PICTURE_BYTES = 4 * MAX_PIXELS  # compressed; what cannot be compressed is a little larger than its pixels


def encode_picture(rgb: Rgb) -> bytes:
    """A PNG from which the very pixels come back."""
    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError("a picture that cannot be compressed")
    return data.tobytes()


class ProjectPictures(PictureSequence):
    """The pictures of a project as a `FrameSource`.

    They are copied to a temporary file, compressed as they are: the project may be saved under another name, and the
    file they came from deleted, while they are open.

    Raises:
        SourceError: the project has none, or cannot be read; otherwise as `PictureSequence`.
    """

    def __init__(self, path: Path) -> None:
        path = path.absolute()
        self._project = path.name
        self._places: list[tuple[int, int]] = []  # (offset, length) in the file
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="livemask-")  # noqa: SIM115 - see `close`
        try:
            name = self._copy(path)
            super().__init__(str(path), name, len(self._places))
        except BaseException:
            self._file.close()
            raise

    def _copy(self, path: Path) -> str:
        """The name of the source they were painted on."""
        try:
            project = open_project(path, read_only=True)
            with contextlib.closing(project):
                for data in project.pictures(MAX_PICTURE_BYTES):
                    self._places.append((self._file.tell(), len(data)))
                    self._file.write(data)
                name = project.summary()[0]
        except ProjectError as error:
            raise SourceError(error.message, error.way_out) from error
        except (OSError, sqlite3.Error) as error:
            raise SourceError(f"The pictures in {path.name} cannot be read: {error}.", "Use a copy of it.") from error
        if not self._places:
            raise SourceError(f"{path.name} is a project without pictures of its own.", "Name its video instead.")
        return name

    def _picture(self, index: int) -> Rgb:
        offset, length = self._places[index]
        self._file.seek(offset)
        return decode_image(np.frombuffer(self._file.read(length), np.uint8), Path(self._called(index)))

    def _called(self, index: int) -> str:
        return f"{self._project} #{index}"

    def close(self) -> None:
        super().close()
        self._file.close()
