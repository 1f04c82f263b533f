"""What the time line knows of a file's frames, boiled down to at most one span per pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.runtime.messages import MaskKind

_TICK_PIXELS = 70.0


@dataclass(frozen=True)
class Span:
    """Neighbouring frames (both ends inclusive) with masks of one kind; the lowest confidence known among them."""

    first: int
    last: int
    kind: MaskKind
    confidence: float | None = None


class TimelineModel:
    """Mask kinds and confidences by frame.

    Args:
        count: frames of the source, None when unknown; the line then grows with the frames seen.
    """

    def __init__(self, count: int | None = None) -> None:
        self._fixed = count
        self._seen = 0
        self._kinds: dict[int, MaskKind] = {}
        self._confidence: dict[int, float] = {}
        self.mark_in: int | None = None
        self.mark_out: int | None = None

    @property
    def count(self) -> int:
        return max(self._fixed or 0, self._seen)

    @property
    def kinds(self) -> Mapping[int, MaskKind]:
        return self._kinds

    @property
    def keyframes(self) -> list[int]:
        return sorted(index for index, kind in self._kinds.items() if kind is MaskKind.KEYFRAME)

    def see(self, index: int) -> bool:
        """A frame is shown; True when the line grows by it."""
        grown = index >= self.count
        self._seen = max(self._seen, index + 1)
        return grown

    def set_kinds(self, kinds: Mapping[int, MaskKind], confidence: Mapping[int, float]) -> bool:
        """Replace what is known of every mask; True when that is a change."""
        kept: dict[int, MaskKind] = {index: kind for index, kind in kinds.items() if kind is not MaskKind.NONE}
        if kept == self._kinds and confidence == self._confidence:
            return False
        self._kinds, self._confidence = kept, dict(confidence)
        self._seen = max(self._seen, max(kept, default=-1) + 1)
        return True

    def keyframe_beside(self, index: int, direction: int) -> int | None:
        """The next keyframe before (-1) or after (+1) a frame."""
        beside = [k for k in self.keyframes if (k - index) * direction > 0]
        return (min(beside) if direction > 0 else max(beside)) if beside else None

    def spans(self, pixels: int) -> list[Span]:
        """Runs of masks of one kind, cut where the confidence changes noticeably, not finer than `pixels` allows."""
        per_pixel = max(self.count / max(pixels, 1), 1.0)
        spans: list[Span] = []
        for index in sorted(self._kinds):
            kind = MaskKind.STALE if self._kinds[index] is MaskKind.STALE else MaskKind.TRACKED
            confidence = self._confidence.get(index)
            last = spans[-1] if spans else None
            if last is None or last.kind is not kind or index > last.last + max(1, int(per_pixel)):
                spans.append(Span(index, index, kind, confidence))
                continue
            same = _band(confidence) == _band(last.confidence)
            if same or last.last - last.first + 1 < per_pixel:
                known = [value for value in (last.confidence, confidence) if value is not None]
                spans[-1] = Span(last.first, index, kind, min(known) if known else None)
            else:
                spans.append(Span(index, index, kind, confidence))
        return spans


def _band(confidence: float | None) -> int:
    return -1 if confidence is None else round(confidence * 10)


def tick_step(count: int, width: float, fps: float | None) -> int:
    """Frames between two labels of the ruler: a round number of seconds where the rate is known, else of frames."""
    wanted = count * _TICK_PIXELS / max(width, 1.0)
    frames = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000]
    if fps:
        seconds = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
        frames = [f for f in frames if f < fps / 2] + [max(round(s * fps), 1) for s in seconds]
    for step in frames:
        if step >= wanted:
            return step
    return frames[-1]
