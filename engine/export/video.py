"""Video files: every part is encoded on its own, at the end their packets are put one behind the other, with sound."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from engine.errors import ExportError
from engine.export.clock import SourceClock
from engine.export.looks import Picture
from engine.export.sound import SoundTracks
from engine.export.writer import ExportContext, ExportItem, FormatWriter
from engine.video.decode import decode_threads
from engine.video.source import SourceKind

_BT709 = 1  # AVCOL_PRI_BT709 = AVCOL_TRC_BT709 = AVCOL_SPC_BT709
_MPEG_RANGE = 1  # AVCOL_RANGE_MPEG
_UNREADABLE = (av.error.InvalidDataError, av.error.EOFError, IndexError)
_H264_CRF = {"high": "17", "medium": "22", "small": "28"}
_VP9_CRF = {"high": "20", "medium": "30", "small": "40"}


class VideoWriter(FormatWriter):
    """What all video formats share; a format says codec, pixel format and options.

    Frames keep their own times, also uneven ones. No frame is reordered by the encoder, so the n-th packet is the n-th
    frame and carries its exact time.
    """

    container = ""
    encoders: tuple[str, ...] = ()

    def __init__(self, context: ExportContext) -> None:
        super().__init__(context)
        assert context.clock is not None
        self._clock: SourceClock = context.clock
        self._reformatter = VideoReformatter()
        self._file: Any = None
        self._stream: Any = None
        self._first = 0
        self._last = -1
        size = context.source.width, context.source.height
        self.size = (size[0] + size[0] % 2, size[1] + size[1] % 2) if self.pads else size

    # -- what a format decides -----------------------------------------------------------------------------------
    @property
    def pads(self) -> bool:
        return False

    def pixel_format(self) -> str:
        raise NotImplementedError

    def encoder_options(self) -> dict[str, str]:
        raise NotImplementedError

    # -- parts ---------------------------------------------------------------------------------------------------
    def begin_part(self, number: int) -> None:
        self._file = av.open(
            f"file:{self.context.part_file(number, self.context.format.suffix)}", mode="w", format=self.container
        )
        self._stream = self._add_stream()
        self._last = -1

    def _add_stream(self) -> Any:
        name = next((n for n in self.encoders if _can_encode(n)), None)
        if name is None:
            raise ExportError(f"This installation cannot encode {self.context.format.title}.", "Reinstall av.")
        unit, step = self._clock.unit, self._clock.step
        stream = self._file.add_stream(name, rate=(1 / (step * unit)).limit_denominator(100_000))
        context = stream.codec_context
        context.width, context.height = self.size
        context.pix_fmt = self.pixel_format()
        context.time_base = unit
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _MPEG_RANGE
        context.sample_aspect_ratio = self._clock.aspect
        context.thread_count = decode_threads()
        context.options = self.encoder_options()
        return stream

    def write(self, item: ExportItem) -> None:
        if self._last < 0:
            self._first = item.ticks
        picture = self._to_frame(self.context.picture(item))
        picture.pts = self._last = item.ticks - self._first
        picture.time_base = self._clock.unit
        self._mux(self._stream.encode(picture))

    def _to_frame(self, picture: Picture) -> Any:
        height, width = picture.shape[:2]
        below, right = self.size[1] - height, self.size[0] - width
        if below or right:
            picture = np.asarray(cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        given = "rgba" if picture.shape[2] == 4 else "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=given)
        return self._reformatter.reformat(
            frame, format=self.pixel_format(), dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            packet.duration = self._clock.step
            self._file.mux(packet)

    def end_part(self) -> None:
        self._mux(self._stream.encode(None))
        file, self._file = self._file, None
        file.close()

    # -- the whole -----------------------------------------------------------------------------------------------
    def finish(self) -> None:
        with av.open(f"file:{self.context.out}", mode="w", format=self.container) as out:
            self._assemble(out)

    def _assemble(self, out: Any) -> None:
        parts = self.context.part_ticks
        ticks = [tick for part in parts for tick in part]
        try:
            with av.open(self._part(0)) as first:
                stream = out.add_stream_from_template(first.streams.video[0])
        except _UNREADABLE as error:
            raise self._damaged(0) from error
        stream.time_base = self._clock.unit
        self.describe(stream)
        sound = self._sound(out, ticks)
        position = 0
        try:
            for number, part in enumerate(parts):
                for here, packet in enumerate(self._packets(number, len(part)), start=position):
                    self.context.check()
                    following = ticks[here + 1] if here + 1 < len(ticks) else ticks[here] + self._clock.step
                    packet.time_base = self._clock.unit
                    packet.pts = packet.dts = ticks[here]
                    packet.duration = following - ticks[here]
                    packet.stream = stream
                    if sound is not None:
                        sound.feed(ticks[here] * self._clock.unit)
                    out.mux(packet)
                position += len(part)
            if sound is not None:
                sound.feed(None)
        finally:
            if sound is not None:
                sound.close()
        self._note(sound)

    def _packets(self, number: int, count: int) -> Iterator[Any]:
        """The packets of a part, which must be as many as it has frames."""
        position = 0
        try:
            with av.open(self._part(number)) as file:
                for packet in file.demux(file.streams.video[0]):
                    if packet.size:
                        position += 1
                        yield packet
        except _UNREADABLE as error:
            raise self._damaged(number) from error
        if position != count:
            raise self._damaged(number)

    def _damaged(self, number: int) -> ExportError:
        """The part counts as not finished from now on."""
        self.context.part_file(number, ".done").unlink(missing_ok=True)
        return ExportError(
            f"A part of {self.context.request.target} is damaged.", "Begin it once more: the same export mends it."
        )

    def describe(self, stream: Any) -> None:
        """Tags of the stream in the result."""

    def _sound(self, out: Any, ticks: list[int]) -> SoundTracks | None:
        info = self.context.source
        if not self.context.options.get("audio") or info.kind is not SourceKind.FILE or not Path(info.uri).is_file():
            return None
        end: Fraction | None = None
        if self.context.request.last is not None:
            end = self._clock.origin + (ticks[-1] + self._clock.step) * self._clock.unit
        return SoundTracks(Path(info.uri), out, self._clock, end, cut=bool(self.context.request.first))

    def _note(self, sound: SoundTracks | None) -> None:
        self.context.notes.extend(sound.notes if sound is not None else [])

    def _part(self, number: int) -> str:
        return f"file:{self.context.part_file(number, self.context.format.suffix)}"

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
                file.close()


class Mp4(VideoWriter):
    """H.264, BT.709. 4:2:0 where width and height are even; 4:4:4 for odd ones, which 4:2:0 cannot have."""

    container = "mp4"
    encoders = ("libx264", "libopenh264")

    @property
    def pads(self) -> bool:
        return bool(self.context.options.get("even"))

    @property
    def odd(self) -> bool:
        return bool(self.size[0] % 2 or self.size[1] % 2)

    def pixel_format(self) -> str:
        return "yuv444p" if self.odd else "yuv420p"

    def encoder_options(self) -> dict[str, str]:
        crf = _H264_CRF[str(self.context.options["quality"])]
        # No B-frames: stored order = shown order, so that uneven times need no edit list.
        return {"preset": "veryfast", "crf": crf, "bf": "0"}

    def _note(self, sound: SoundTracks | None) -> None:
        super()._note(sound)
        if self.odd:
            self.context.notes.append(
                f"The odd size {self.size[0]} x {self.size[1]} was kept exactly (H.264 4:4:4), which some players "
                "refuse; padding to even sizes plays everywhere."
            )


class ProRes(VideoWriter):
    """ProRes 4444 with 16 bits of alpha. Every frame stands alone."""

    container = "mov"
    encoders = ("prores_ks",)

    def pixel_format(self) -> str:
        return "yuva444p10le"

    def encoder_options(self) -> dict[str, str]:
        return {"profile": "4444", "alpha_bits": "16", "vendor": "apl0"}


class WebM(VideoWriter):
    """VP9 with alpha. Times are whole milliseconds, as the container has them."""

    container = "webm"
    encoders = ("libvpx-vp9",)

    def pixel_format(self) -> str:
        return "yuva420p"

    def encoder_options(self) -> dict[str, str]:
        crf = _VP9_CRF[str(self.context.options["quality"])]
        # Alpha goes frame by frame beside the picture: hidden reference frames would part the two.
        return {"crf": crf, "b": "0", "auto-alt-ref": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}

    def describe(self, stream: Any) -> None:
        stream.metadata["alpha_mode"] = "1"


def _can_encode(name: str) -> bool:
    try:
        return bool(av.Codec(name, "w").is_encoder)
    except (av.error.FFmpegError, ValueError):
        return False
