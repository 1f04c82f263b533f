"""Opening video files with PyAV, and turning decoded pictures into upright RGB frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from engine.errors import SourceError
from engine.types import Rgb
from engine.video.source import MAX_PIXELS, MAX_SIDE, check_regular, check_size

# Local files may name other resources (playlists, concat scripts); only other local files are followed, never the net.
_LOCAL_ONLY = {"protocol_whitelist": "file,crypto,data"}
# Demuxers that render any text file as a "video" of a terminal.
_TEXT_DEMUXERS = frozenset({"tty", "bin", "xbin", "adf", "idf"})
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_ATTACHED_PIC = 0x400  # AV_DISPOSITION_ATTACHED_PIC
# A stream may say at any frame that its pictures are huge from now on: the decoder then refuses before it takes memory.
# A little more than what is allowed, for sizes that are rounded up.
DECODER_OPTIONS = {"max_pixels": str(MAX_PIXELS + 64 * MAX_SIDE)}


def decode_threads() -> int:
    """Threads one decoder may use: half the machine, 2 to 4, so that inference keeps the rest."""
    return min(4, max(2, (os.cpu_count() or 2) // 2))


def check_readable(path: Path) -> int:
    """Size of the file in bytes.

    Raises:
        SourceError: it is missing, not a file, empty or may not be read.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise SourceError(f"There is no file {path}.", "Check the name and the folder.") from None
    except IsADirectoryError:
        raise SourceError(f"{path} is a folder, not a file.", "Open it as an image folder.") from None
    except PermissionError:
        raise SourceError(
            f"You may not read {path}.", "Change its permissions or copy it to a folder of your own."
        ) from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.", "Check the disk or the connection.") from error
    if size == 0:
        raise SourceError(f"{path.name} is empty (0 bytes).", "Copy or record it again.")
    return size


def open_video(path: Path) -> tuple[Any, Any]:
    """The container of a video file and its video stream, decoder threads bounded.

    Raises:
        SourceError: the file is missing, unreadable, no video, sound only, or of an unknown codec.
    """
    check_readable(path)
    try:
        # "file:" keeps a name such as "a:b.mp4" from being read as a protocol; broken metadata must not stop a video.
        container = av.open(f"file:{path}", mode="r", options=_LOCAL_ONLY, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise SourceError(*_why_not_video(path, error)) from error
    try:
        return container, _pick_stream(container, path)
    except BaseException:
        container.close()
        raise


def _why_not_video(path: Path, error: Exception) -> tuple[str, str]:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return (
            f"{path.name} is incomplete: it was cut off before its index was written.",
            "Copy or download it again, or let the camera that recorded it repair it.",
        )
    if isinstance(error, av.error.InvalidDataError):
        return f"{path.name} is not a video that can be read.", "Open a video file such as MP4, MOV, MKV or AVI."
    return f"{path.name} cannot be opened: {getattr(error, 'strerror', error)}.", "Convert it to MP4 (H.264)."


def _pick_stream(container: Any, path: Path) -> Any:
    if container.format.name in _TEXT_DEMUXERS:
        raise SourceError(f"{path.name} is a text file, not a video.", "Open a video file such as MP4, MOV or MKV.")
    streams = [s for s in container.streams.video if not _is_cover_art(s)]
    if not streams:
        has_sound = len(container.streams.audio) > 0
        raise SourceError(
            f"{path.name} has {'sound but no picture' if has_sound else 'no video in it'}.",
            "Open a file with a video track.",
        )
    known = [s for s in streams if s.codec_context is not None]
    if not known:
        raise SourceError(
            f"The video in {path.name} uses a codec that is not supported.", "Convert it to MP4 (H.264) and open that."
        )
    stream = max(known, key=lambda s: s.codec_context.width * s.codec_context.height)
    check_size(path.name, stream.codec_context.width, stream.codec_context.height)
    stream.codec_context.options = DECODER_OPTIONS
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.thread_count = decode_threads()
    return stream


def _is_cover_art(stream: Any) -> bool:
    return bool(int(stream.disposition) & _ATTACHED_PIC)


class RgbConverter:
    """Turns decoded pictures into upright H x W x 3 RGB, all of the size of the first one.

    Colour: the YUV matrix and range that the stream is tagged with; without a tag BT.709 for HD and BT.601 below, as
    players do. HDR is converted with its own matrix but not tone-mapped (it looks flat, never fails). Orientation:
    the display matrix (quarter turns and mirroring). Pixels of a non-square aspect ratio are delivered as stored, so
    that masks fit the stored pixels. Alpha is ignored. More than 8 bits are reduced to 8.

    Args:
        first: the first picture of the source; fixes size and orientation.
    """

    def __init__(self, first: Any) -> None:
        self._reformatter = VideoReformatter()
        self._stored_size = (first.width, first.height)
        self._swap, self._mirror_x, self._mirror_y = _orientation(first)
        self.width, self.height = (first.height, first.width) if self._swap else (first.width, first.height)

    def __call__(self, picture: Any) -> Rgb:
        """H x W x 3 uint8 of one picture; a picture of another size is scaled to the first one's."""
        rgb = self._to_rgb(picture)
        if self._swap:
            rgb = cv2.transpose(rgb)
        if self._mirror_x or self._mirror_y:
            rgb = cv2.flip(rgb, -1 if self._mirror_x and self._mirror_y else 1 if self._mirror_x else 0)
        return np.ascontiguousarray(rgb, dtype=np.uint8)

    def _to_rgb(self, picture: Any) -> Any:
        width, height = self._stored_size
        options: dict[str, Any] = {"format": "rgb24", "width": width, "height": height, "threads": 1}
        if picture.colorspace == _UNSPECIFIED and not picture.format.is_rgb:
            options["src_colorspace"] = _usual_matrix(picture.width, picture.height)
        try:
            return self._reformatter.reformat(picture, **options).to_ndarray()
        except (av.error.FFmpegError, KeyError):
            # The scaler refuses a reserved or exotic tag: use the usual matrix rather than lose the frame.
            picture.colorspace = _UNSPECIFIED
            options["src_colorspace"] = _usual_matrix(picture.width, picture.height)
            return self._reformatter.reformat(picture, **options).to_ndarray()


def _usual_matrix(width: int, height: int) -> Colorspace:
    return Colorspace.ITU709 if width >= 1280 or height > 576 else Colorspace.ITU601


def _orientation(picture: Any) -> tuple[bool, bool, bool]:
    """(transpose, mirror left-right, mirror top-bottom), to be applied in this order.

    The display matrix [a b u; c d v; x y w] maps a stored point to x' = a x + c y, y' = b x + d y.
    """
    for data in picture.side_data:
        if getattr(data.type, "name", "") == "DISPLAYMATRIX" and len(bytes(data)) >= 36:
            a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(data)[:20], dtype="<i4"))
            if abs(b) + abs(c) > abs(a) + abs(d):
                return True, c < 0, b < 0
            return False, a < 0, d < 0
    return False, False, False
