"""Animated GIF through FFmpeg's palette filters: one palette for all frames, made in a first pass over them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from PIL import Image

from engine.errors import ExportError
from engine.export.writer import ExportContext, ExportItem, FormatWriter
from engine.video.atomic import replacing

_UNIT = Fraction(1, 100)  # the clock of GIF
_LIMIT = 3000  # frames; nothing can open more


class Gif(FormatWriter):
    """Times are rounded to hundredths of a second; frames closer than that keep one hundredth each."""

    def __init__(self, context: ExportContext) -> None:
        super().__init__(context)
        self._number = self._written = 0

    def begin_part(self, number: int) -> None:
        self._number, self._written = number, 0

    def write(self, item: ExportItem) -> None:
        if sum(map(len, self.context.part_ticks)) + self._written >= _LIMIT:
            raise ExportError(f"A GIF of more than {_LIMIT} frames opens nowhere.", "Choose a shorter range.")
        with replacing(self._picture(self._number, self._written)) as temporary:
            Image.fromarray(self.context.picture(item)).save(temporary, format="PNG", compress_level=1)
        self._written += 1

    def _picture(self, part: int, position: int) -> Any:
        return self.context.part_file(part, f"-{position:05d}.png")

    def finish(self) -> None:
        palette = self._make_palette()
        times = self._times()
        with av.open(f"file:{self.context.out}", mode="w", format="gif", options=self._looping) as out:
            stream = out.add_stream("gif", rate=100)
            first = next(self._frames())
            stream.width, stream.height, stream.pix_fmt = first.width, first.height, "pal8"
            stream.codec_context.time_base = _UNIT
            graph, picture_in, palette_in, sink = self._graph(first, palette)
            palette_in.push(palette)
            palette_in.push(None)
            waiting: list[tuple[int, int]] = []
            for position, frame in enumerate(self._frames()):
                self.context.check()
                frame.pts, frame.time_base = position, _UNIT
                waiting.append((times[position], times[position + 1] - times[position]))
                picture_in.push(frame)
                self._pull(sink, stream, out, times)
            picture_in.push(None)
            self._pull(sink, stream, out, times)
            self._mux(stream.encode(None), out, times)
            del graph

    @property
    def _looping(self) -> dict[str, str]:
        return {"loop": "0" if self.context.options["loop"] else "-1"}

    def _times(self) -> list[int]:
        """Hundredths of a second at which each frame begins, and one more: at which the last one ends."""
        clock = self.context.clock
        assert clock is not None
        ticks = [tick for part in self.context.part_ticks for tick in part]
        ends = [*ticks, ticks[-1] + clock.step]
        times: list[int] = []
        for tick in ends:
            exact = round((tick - ticks[0]) * clock.unit / _UNIT)
            times.append(max(exact, times[-1] + 1) if times else 0)
        return times

    def _frames(self) -> Iterator[Any]:
        for number, part in enumerate(self.context.part_ticks):
            for position in range(len(part)):
                with Image.open(self._picture(number, position)) as image:
                    rgba = np.asarray(image.convert("RGBA"))
                yield av.VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="rgba")

    def _make_palette(self) -> Any:
        """A frame of 16 x 16 pixels with the 256 colours that serve all frames best."""
        graph = Graph()
        first = next(self._frames())
        source = graph.add_buffer(width=first.width, height=first.height, format=VideoFormat("rgba"), time_base=_UNIT)
        maker = graph.add("palettegen", "stats_mode=full:reserve_transparent=1")
        sink = graph.add("buffersink")
        source.link_to(maker)
        maker.link_to(sink)
        graph.configure()
        for position, frame in enumerate(self._frames()):
            self.context.check()
            frame.pts, frame.time_base = position, _UNIT
            source.push(frame)
        source.push(None)
        return sink.pull()

    @staticmethod
    def _graph(first: Any, palette: Any) -> tuple[Any, Any, Any, Any]:
        graph = Graph()
        pictures = graph.add_buffer(width=first.width, height=first.height, format=VideoFormat("rgba"), time_base=_UNIT)
        colours = graph.add_buffer(width=palette.width, height=palette.height, format=palette.format, time_base=_UNIT)
        user = graph.add("paletteuse", "dither=sierra2_4a:diff_mode=rectangle:alpha_threshold=128")
        sink = graph.add("buffersink")
        pictures.link_to(user, 0, 0)
        colours.link_to(user, 0, 1)
        user.link_to(sink)
        graph.configure()
        return graph, pictures, colours, sink

    def _pull(self, sink: Any, stream: Any, out: Any, times: list[int]) -> None:
        while True:
            try:
                frame = sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            frame.time_base = _UNIT
            self._mux(stream.encode(frame), out, times)

    @staticmethod
    def _mux(packets: Any, out: Any, times: list[int]) -> None:
        for packet in packets:
            position = packet.pts
            packet.time_base = _UNIT
            packet.pts = packet.dts = times[position]
            packet.duration = times[position + 1] - times[position]
            out.mux(packet)
