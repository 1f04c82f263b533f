"""The source's clock: exact times for what is written."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from engine.video.decode import open_video
from engine.video.source import SourceInfo, SourceKind

_PLAIN_UNIT = Fraction(1, 90_000)
_FOLDER_UNIT = Fraction(1, 12_288)  # holds 1/24 s, the pace of image folders, exactly


@dataclass(frozen=True)
class SourceClock:
    """How times of frames become time stamps of a result.

    Attributes:
        unit: seconds of a tick: the source's own, so that nothing is rounded.
        step: ticks a frame lasts where its successor does not tell.
        video_start: seconds of the file's clock at the first frame.
        origin: seconds of the file's clock that are 0 in the result: where picture or sound begins, whichever is first.
        aspect: width : height of a pixel.
    """

    unit: Fraction
    step: int
    video_start: Fraction = Fraction(0)
    origin: Fraction = Fraction(0)
    aspect: Fraction = Fraction(1)

    @staticmethod
    def plain_unit() -> Fraction:
        """For sources that have no clock of their own."""
        return _PLAIN_UNIT

    def ticks(self, time_s: float) -> int:
        """Of a frame `time_s` after the first one, on the clock of the result."""
        return round((Fraction(time_s) + self.video_start - self.origin) / self.unit)

    def starting_at(self, time_s: float) -> SourceClock:
        """The clock of a result whose first frame is at `time_s`."""
        origin = self.video_start + round(Fraction(time_s) / self.unit) * self.unit
        return SourceClock(self.unit, self.step, self.video_start, origin, self.aspect)


def clock_of(info: SourceInfo) -> SourceClock:
    """Read the clock of a video file; folders and anything that is no file run at their nominal pace."""
    rate = Fraction(info.fps or 25).limit_denominator(100_000)
    if info.kind is not SourceKind.FILE or not Path(info.uri).is_file():
        unit = _FOLDER_UNIT if info.kind is SourceKind.FOLDER else _PLAIN_UNIT
        return SourceClock(unit, max(1, round(1 / rate / unit)))
    container, stream = open_video(Path(info.uri))
    with container:
        unit = Fraction(stream.time_base or _PLAIN_UNIT)
        start = (stream.start_time or 0) * unit
        # Sound that begins a little early is the encoder's run-up, which an edit list hides; that is no beginning.
        sounds = [max(Fraction(0), s.start_time * s.time_base) for s in container.streams.audio if s.start_time]
        if any(s.start_time == 0 for s in container.streams.audio):
            sounds.append(Fraction(0))
        return SourceClock(
            unit,
            max(1, round(1 / rate / unit)),
            start,
            min([start, *sounds]),
            _aspect(stream, (info.width, info.height)),
        )


def _aspect(stream: Any, shown: tuple[int, int]) -> Fraction:
    context = stream.codec_context
    aspect = Fraction(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1)
    turned = (context.height, context.width) == shown != (context.width, context.height)
    return (1 / aspect if turned else aspect) if aspect > 0 else Fraction(1)
