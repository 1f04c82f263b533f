"""What the time line knows of a file's frames, boiled down to at most one span per pixel."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

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

    While an hour of video is tracked this is refreshed several times a second, so the work is done by numpy.

    Args:
        count: frames of the source, None when unknown; the line then grows with the frames seen.
    """

    def __init__(self, count: int | None = None) -> None:
        self._fixed = count
        self._seen = 0
        self._kinds: Mapping[int, MaskKind] = {}
        self._frames = np.zeros(0, np.int64)  # with a mask, ascending
        self._stale = np.zeros(0, np.bool_)
        self._confidence = np.zeros(0, np.float64)  # NaN where it is not known
        self._keyframes: list[int] = []
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
        return list(self._keyframes)

    def see(self, index: int) -> bool:
        """A frame is shown; True when the line grows by it."""
        grown = index >= self.count
        self._seen = max(self._seen, index + 1)
        return grown

    def set_kinds(self, kinds: Mapping[int, MaskKind], confidence: Mapping[int, float]) -> None:
        """Replace what is known of every mask."""
        self._kinds = kinds
        count = len(kinds)
        frames = np.fromiter(kinds.keys(), np.int64, count)
        order = np.argsort(frames)
        self._frames = frames[order]
        self._stale = np.fromiter((kind is MaskKind.STALE for kind in kinds.values()), np.bool_, count)[order]
        known = np.fromiter((confidence.get(index, np.nan) for index in kinds), np.float64, count)
        self._confidence = known[order]
        self._keyframes = sorted(index for index, kind in kinds.items() if kind is MaskKind.KEYFRAME)
        self._seen = max(self._seen, int(self._frames[-1]) + 1 if count else 0)

    def keyframe_beside(self, index: int, direction: int) -> int | None:
        """The next keyframe before (-1) or after (+1) a frame."""
        if direction > 0:
            at = bisect_right(self._keyframes, index)
            return self._keyframes[at] if at < len(self._keyframes) else None
        at = bisect_left(self._keyframes, index) - 1
        return self._keyframes[at] if at >= 0 else None

    def keyframes_within(self, first: int, last: int) -> list[int]:
        """The keyframes from `first` to `last`, both inclusive."""
        return self._keyframes[bisect_left(self._keyframes, first) : bisect_right(self._keyframes, last)]

    def spans(self, pixels: int, window: tuple[int, int] | None = None) -> list[Span]:
        """Runs of masks of one kind, cut where the confidence changes noticeably, not finer than `pixels` allows.

        Args:
            window: first and last frame to look at, None for all. What lies outside is not gone through.
        """
        window = window or (0, max(self.count - 1, 0))
        low_end, high_end = np.searchsorted(self._frames, [window[0], window[1] + 1])
        frames, stale = self._frames[low_end:high_end], self._stale[low_end:high_end]
        if not len(frames):
            return []
        per_pixel = max((window[1] - window[0] + 1) / max(pixels, 1), 1.0)
        reach = max(1, int(per_pixel))
        columns = (frames / per_pixel).astype(np.int64)
        cuts = (np.diff(columns) > 0) | (np.diff(frames) > reach) | (stale[1:] != stale[:-1])
        starts = np.concatenate([[0], np.flatnonzero(cuts) + 1])
        ends = np.concatenate([starts[1:], [len(frames)]]) - 1
        lowest = np.fmin.reduceat(self._confidence[low_end:high_end], starts)
        spans: list[Span] = []
        for start, end, low in zip(starts.tolist(), ends.tolist(), lowest.tolist(), strict=True):
            kind = MaskKind.STALE if stale[start] else MaskKind.TRACKED
            first, final = int(frames[start]), int(frames[end])
            confidence = None if math.isnan(low) else low
            last = spans[-1] if spans else None
            joins = last is not None and last.kind is kind and first - last.last <= reach
            if last is not None and joins and _band(last.confidence) == _band(confidence):
                known = [value for value in (last.confidence, confidence) if value is not None]
                spans[-1] = Span(last.first, final, kind, min(known, default=None))
            else:
                spans.append(Span(first, final, kind, confidence))
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
