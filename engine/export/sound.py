"""The sound of a video file on its way into another container: copied as it is, or made Opus where only that fits."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from engine.export.clock import SourceClock
from engine.video.decode import open_video

_OPUS_RATE, _OPUS_FRAME = 48_000, 960  # samples per second; samples of a packet (20 ms)
_OPUS_BITS = 128_000  # per second


class SoundTracks:
    """Every sound track of a file, written up to the time that the picture has reached.

    Args:
        path: the source; a file without sound gives no tracks.
        container: the result, open, its video stream added and nothing written yet.
        clock: whose `origin` becomes 0.
        end: second of the file's clock at which sound ends, None: where it ends itself.
        cut: the result begins in the middle of the source, so sound from before that is left out.

    Attributes:
        notes: what could not be kept as it was, one sentence each.
    """

    def __init__(self, path: Path, container: Any, clock: SourceClock, end: Fraction | None, cut: bool) -> None:
        self._clock, self._end, self._cut = clock, end, cut
        self.notes: list[str] = []
        self._tracks: dict[int, _Copy | _Opus] = {}
        self._waiting: Any = None
        self._packets: Any = iter(())
        self._input, _ = open_video(path)
        try:
            for stream in self._input.streams.audio:
                self._add(container, stream)
            if self._tracks:
                self._packets = self._input.demux([self._input.streams[index] for index in self._tracks])
        except BaseException:
            self.close()
            raise

    def _add(self, container: Any, stream: Any) -> None:
        kind = container.format.name.upper()
        if stream.codec_context is None:
            self.notes.append(f"A sound track of an unknown kind was left out of the {kind} file.")
            return
        names = {stream.codec_context.name, stream.codec_context.codec.canonical_name}
        name = stream.codec_context.codec.canonical_name
        if names & container.supported_codecs:
            self._tracks[stream.index] = _Copy(container, stream)
        elif "opus" in container.supported_codecs and "libopus" in av.codecs_available:
            self._tracks[stream.index] = _Opus(container, stream)
            self.notes.append(f"The sound ({name}) was converted to Opus, as a {kind} file holds it.")
        else:
            self.notes.append(f"The sound ({name}) was left out: {kind} files cannot hold its kind.")

    def feed(self, until: Fraction | None) -> None:
        """Write the sound up to a second of the result's clock; None: the rest."""
        while (packet := self._waiting or self._next()) is not None:
            self._waiting = None
            if until is not None and packet.dts * packet.time_base - self._clock.origin > until:
                self._waiting = packet
                return
            shift = round(self._clock.origin / packet.time_base)
            packet.dts -= shift
            packet.pts = packet.dts if packet.pts is None else packet.pts - shift
            self._tracks[packet.stream.index].write(packet)
        if until is None:
            for track in self._tracks.values():
                track.finish()

    def _next(self) -> Any:
        """The next packet that belongs into the result."""
        try:
            for packet in self._packets:
                if packet.dts is None or not packet.size:
                    continue
                time = packet.dts * packet.time_base
                if self._cut and time < self._clock.origin:
                    continue
                if self._end is None or time < self._end:
                    return packet
        except av.error.InvalidDataError:  # the end of a file that was cut off
            pass
        return None

    def close(self) -> None:
        self._input.close()


class _Copy:
    def __init__(self, container: Any, source: Any) -> None:
        self._to = container
        self._stream = container.add_stream_from_template(source)

    def write(self, packet: Any) -> None:
        packet.stream = self._stream
        self._to.mux(packet)

    def finish(self) -> None: ...


class _Opus:
    def __init__(self, container: Any, source: Any) -> None:
        self._to = container
        layout = "mono" if source.codec_context.channels == 1 else "stereo"
        self._stream = container.add_stream("libopus", rate=_OPUS_RATE, layout=layout, bit_rate=_OPUS_BITS)
        self._resampler = av.AudioResampler("flt", layout, _OPUS_RATE, frame_size=_OPUS_FRAME)

    def write(self, packet: Any) -> None:
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:  # a damaged packet is a moment of silence
            return
        for frame in frames:
            self._encode(self._resampler.resample(frame))

    def _encode(self, frames: Any) -> None:
        for frame in frames:
            self._to.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._encode(self._resampler.resample(None))
        self._to.mux(self._stream.encode(None))
