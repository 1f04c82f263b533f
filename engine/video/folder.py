"""A folder of images, or one image, as a frame source."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import SourceError
from engine.types import Frame, Rgb
from engine.video.source import MAX_PIXELS, SourceInfo, SourceKind, check_regular, check_size

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
NOMINAL_FPS = 24.0  # images carry no time; the usual rate of film is their pace


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts numbers by value, so that frame9 comes before frame10; letter case is ignored."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in _parts(name))


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"([0-9]+)", name) if part]


def images_in(folder: Path) -> list[Path]:
    """The images of a folder (not of its subfolders) in natural order; hidden files are left out.

    Raises:
        SourceError: the folder cannot be listed.
    """
    try:
        files = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
        return sorted((p for p in files if p.is_file()), key=lambda p: (natural_key(p.name), p.name))
    except OSError as error:
        raise SourceError(f"The folder {folder} cannot be read: {error.strerror}.", "Check its permissions.") from error


def read_image(path: Path) -> Rgb:
    """H x W x 3 uint8 of an image file, upright by its EXIF orientation; alpha is dropped, 16 bits become 8.

    Raises:
        SourceError: the file is missing or no readable image.
    """
    try:
        check_regular(path)
        # Not cv2.imread: it cannot open names outside the code page on Windows.
        return decode_image(np.fromfile(path, dtype=np.uint8), path)
    except OSError as error:
        raise SourceError(f"The image {path} cannot be read: {error.strerror}.", "Check the file.") from error


def decode_image(data: NDArray[np.uint8], path: Path) -> Rgb:
    """As `read_image`, of the bytes of an image file; `path` is what messages call it.

    Raises:
        SourceError: it is damaged, no image, or too large.
    """
    _check_size(data, path.name)
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error as error:
        raise SourceError(f"The image {path} cannot be read: it is too large.", "Make it smaller.") from error
    if bgr is None:
        way_out = "Remove it or replace it with an intact one."
        raise SourceError(f"The image {path} is {'empty' if not data.size else 'damaged or no image'}.", way_out)
    return np.ascontiguousarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _check_size(data: NDArray[np.uint8], name: str) -> None:
    """Refuse a picture that would swell beyond the limits; what Pillow does not know is left to the decoder's own."""
    try:
        with Image.open(io.BytesIO(data.tobytes())) as image:  # reads no more than the header
            check_size(name, *image.size)
    except Image.DecompressionBombError:
        raise SourceError(
            f"{name} has too many pixels; the limit is {MAX_PIXELS // 10**6} million.", "Make it smaller."
        ) from None
    except (OSError, ValueError, SyntaxError):
        pass  # the decoder will say what is wrong with it


class PictureSequence:
    """Numbered pictures of one size as a frame source; each is read when it is its turn, none is kept.

    Those that derive from it say how one is read (`_picture`) and what messages call it (`_called`).

    Raises:
        SourceError: the first one is unreadable. `read` raises it for an unreadable one further on, and for one of
            another size, naming it.

    Attributes:
        warning, status: as `VideoFileSource` has them; always None and "".
    """

    def __init__(self, uri: str, name: str, count: int) -> None:
        self.warning: str | None = None
        self.status = ""
        self._next = 0
        self._closed = False
        height, width = self._picture(0).shape[:2]
        self._info = SourceInfo(
            SourceKind.FOLDER, uri, name, width, height, NOMINAL_FPS, count, duration_s=count / NOMINAL_FPS
        )

    def _picture(self, index: int) -> Rgb:
        raise NotImplementedError

    def _called(self, index: int) -> str:
        raise NotImplementedError

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def dropped(self) -> int:
        return 0

    def read(self) -> Frame | None:
        """The next picture, or None at the end and after `close`."""
        if self._closed or self._next >= (self._info.frame_count or 0):
            return None
        index, rgb = self._next, self._picture(self._next)
        if rgb.shape[:2] != (self._info.height, self._info.width):
            raise SourceError(
                f"The image {self._called(index)} is {rgb.shape[1]} x {rgb.shape[0]} but the first one is "
                f"{self._info.width} x {self._info.height}.",
                "Keep images of one size together.",
            )
        self._next += 1
        return Frame(index, index / NOMINAL_FPS, rgb)

    def seek(self, index: int) -> None:
        """Make picture `index` the next one read.

        Raises:
            ValueError: `index` is negative.
        """
        if index < 0:
            raise ValueError(f"frame {index} does not exist")
        self._next = index

    def close(self) -> None:
        self._closed = True


class ImageFolderSource(PictureSequence):
    """Images in natural order.

    Args:
        target: a folder, or one image file (a source of one frame).

    Raises:
        SourceError: no images; otherwise as `PictureSequence`.
    """

    def __init__(self, target: Path) -> None:
        target = target.absolute()
        self._files: Sequence[Path] = images_in(target) if target.is_dir() else [target]
        if not self._files:
            raise SourceError(
                f"There are no images in the folder {target.name}.", "Open a folder with PNG, JPEG, BMP, WebP or TIFF."
            )
        super().__init__(str(target), target.name, len(self._files))

    def file_of(self, index: int) -> Path:
        """The image file of a frame."""
        return self._files[index]

    def _picture(self, index: int) -> Rgb:
        return read_image(self._files[index])

    def _called(self, index: int) -> str:
        return self._files[index].name
