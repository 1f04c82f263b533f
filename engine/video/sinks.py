"""Where results go: an overlay video and a folder of masks."""

from __future__ import annotations

import contextlib
import errno
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from engine.errors import ExportError
from engine.types import Mask, Rgb
from engine.video.atomic import temporary_beside
from engine.video.decode import decode_threads
from engine.video.masks import write_mask

_MOST_TICKS = 90_000  # per second, the usual clock of video
_MOST_TICKS_MPEG4 = 65_535
_BT709 = 1  # AVCOL_PRI_BT709 = AVCOL_TRC_BT709 = AVCOL_SPC_BT709
_MPEG_RANGE = 1  # AVCOL_RANGE_MPEG
_ENCODERS = ("libx264", "libopenh264", "mpeg4")  # the first one that this FFmpeg has


class OverlayVideoWriter:
    """Writes an MP4 (H.264, yuv420p, BT.709) whose frames keep their own times.

    Odd sizes are padded by repeating the last column or row, as 4:2:0 video needs even ones. The file is written under
    a temporary name beside `path` and takes its place on `close`; leaving a `with` block by an exception, or `abort`,
    removes it.

    Args:
        path: the file to make, or to replace.
        width, height: of the frames to come.
        fps: average rate; how long the last frame lasts, and the fall-back where times do not rise.

    Raises:
        ExportError: the folder is missing or read-only, the disk is full, or there is no encoder.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float | None) -> None:
        if width < 1 or height < 1:
            raise ValueError(f"a video needs at least one pixel, got {width} x {height}")
        self._path = path
        self._size = (width, height)
        self._padded = (max(2, width + width % 2), max(2, height + height % 2))
        self._rate = Fraction(fps if fps is not None and 0 < fps <= 1000 else 25).limit_denominator(1001)
        self._reformatter = VideoReformatter()
        self._start_s: float | None = None
        self._pts = -1
        self._durations: dict[int, int] = {}
        self._container: Any = None
        self.frames_written = 0
        self._temporary = temporary_beside(path.with_suffix(".mp4"))
        try:
            self._temporary.touch(exist_ok=False)  # the encoder opens its file only with the first packet
            self._container = av.open(f"file:{self._temporary}", mode="w", format="mp4")
            self._stream = self._add_stream()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise export_error(path, error) from error
        except BaseException:
            self.abort()
            raise

    def _add_stream(self) -> Any:
        name = next((n for n in _ENCODERS if n in av.codecs_available and _can_encode(n)), None)
        if name is None:
            raise ExportError("There is no encoder for MP4 video in this installation.", "Reinstall the package 'av'.")
        stream = self._container.add_stream(name, rate=self._rate)
        context = stream.codec_context
        context.width, context.height = self._padded
        context.pix_fmt = "yuv420p"
        self._ticks = ticks_per_second(self._rate, _MOST_TICKS_MPEG4 if name == "mpeg4" else _MOST_TICKS)
        self._last_ticks = max(1, round(self._ticks / self._rate))
        context.time_base = Fraction(1, self._ticks)
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _MPEG_RANGE
        context.thread_count = decode_threads()
        if name == "libx264":
            # No B-frames: stored order = shown order, so that uneven times need no edit list.
            context.options = {"preset": "veryfast", "crf": "18", "bf": "0"}
        else:
            context.bit_rate = max(1_000_000, 6 * self._padded[0] * self._padded[1])
        return stream

    def write(self, rgb: Rgb, time_s: float) -> None:
        """Add a frame.

        Args:
            rgb: height x width x 3 uint8.
            time_s: its time; only differences count. One that does not rise is placed 1 / fps after the frame before.

        Raises:
            ExportError: the disk is full or the encoder failed; the partial file is removed.
        """
        if self._container is None:
            raise ValueError("the video is closed")
        if rgb.shape != (self._size[1], self._size[0], 3) or rgb.dtype != np.uint8:
            raise ValueError(f"frame {rgb.shape} {rgb.dtype} does not fit a video of {self._size[0]} x {self._size[1]}")
        if self._start_s is None:
            self._start_s = time_s
        pts = round((time_s - self._start_s) * self._ticks)
        if pts <= self._pts:
            pts = self._pts + self._last_ticks
        if self._pts >= 0:
            self._durations[self._pts] = pts - self._pts
        self._pts = pts
        picture = self._to_yuv(rgb)
        picture.pts = pts
        picture.time_base = Fraction(1, self._ticks)
        try:
            self._mux(self._stream.encode(picture))
        except (av.error.FFmpegError, OSError) as error:
            self.abort()
            raise export_error(self._path, error) from error
        self.frames_written += 1

    def _to_yuv(self, rgb: Rgb) -> Any:
        right, below = self._padded[0] - self._size[0], self._padded[1] - self._size[1]
        if right or below:
            rgb = cv2.copyMakeBorder(rgb, 0, below, 0, right, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        return self._reformatter.reformat(
            frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            # Without durations the last frame lasts no time at all and the average rate comes out wrong.
            packet.duration = self._durations.pop(packet.pts, self._last_ticks)
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the file and put it in its place. Idempotent. A video without frames leaves no file.

        Raises:
            ExportError: the disk is full; the partial file is removed.
        """
        if self._container is None:
            return
        if not self.frames_written:
            self.abort()
            return
        try:
            self._mux(self._stream.encode(None))
            container, self._container = self._container, None
            container.close()
            self._temporary.replace(self._path)
        except (av.error.FFmpegError, OSError) as error:
            self.abort()
            raise export_error(self._path, error) from error

    def abort(self) -> None:
        """Drop the unfinished file. Idempotent; nothing happens after `close`."""
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                container.close()
        with contextlib.suppress(FileNotFoundError):
            self._temporary.unlink()

    def __enter__(self) -> OverlayVideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


class MaskFolderWriter:
    """Writes masks as 8-bit palette PNGs named by frame index: 00000.png, 00001.png, ... (DAVIS).

    Args:
        folder: made when missing, parents too.
        overwrite: False refuses a folder that holds anything; True writes into it, replacing files of the same name
            and leaving all others.

    Raises:
        ExportError: the folder is refused or cannot be made.
    """

    def __init__(self, folder: Path, overwrite: bool = False) -> None:
        self._folder = folder
        self.frames_written = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            occupied = any(folder.iterdir())
        except (FileExistsError, NotADirectoryError):
            raise ExportError(f"{folder} is a file, not a folder.", "Choose another folder.") from None
        except OSError as error:
            raise export_error(folder, error) from error
        if occupied and not overwrite:
            raise ExportError(f"The folder {folder} is not empty.", "Choose another folder or allow overwriting.")

    def path_of(self, index: int) -> Path:
        """Where the mask of a frame goes."""
        return self._folder / f"{index:05d}.png"

    def write(self, index: int, mask: Mask) -> Path:
        """Write one mask (H x W uint8 ids).

        Raises:
            ExportError: the disk is full or the folder is gone.
        """
        path = self.path_of(index)
        try:
            write_mask(path, mask)
        except OSError as error:
            raise export_error(path, error) from error
        self.frames_written += 1
        return path


def ticks_per_second(rate: Fraction, most: int) -> int:
    """A clock of at most `most` ticks in which one frame at this rate lasts a whole number of them, if there is one."""
    return rate.numerator * (most // rate.numerator) or most


def _can_encode(name: str) -> bool:
    try:
        return bool(av.Codec(name, "w").is_encoder)
    except (av.error.FFmpegError, ValueError):
        return False


def export_error(path: Path, error: Exception) -> ExportError:
    """What the user is told when writing `path` failed."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ExportError(f"{path} could not be written: the disk is full.", "Make room or choose another disk.")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ExportError(f"You may not write to {path.parent}.", "Choose another folder.")
    if number in (errno.ENOENT, errno.ENOTDIR):
        return ExportError(f"The folder {path.parent} does not exist.", "Make it or choose another folder.")
    reason = getattr(error, "strerror", None) or error
    return ExportError(f"{path} could not be written: {reason}.", "Choose another place or format.")
