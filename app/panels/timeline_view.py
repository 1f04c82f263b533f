"""Which frames of the time line are to be seen, and where. Pure arithmetic: no widgets, no frames."""

from __future__ import annotations

FEWEST = 8  # frames the line shows when magnified most


class TimelineView:
    """The stretch of frames on show. Frames are places: frame `first` is at the left end, `first + span` at the right.

    Args:
        count: frames there are.
    """

    def __init__(self, count: int = 0) -> None:
        self._count = count
        self.first = 0.0
        self.span = float(self._whole)

    @property
    def _whole(self) -> int:
        return max(self._count - 1, 1)

    @property
    def is_whole(self) -> bool:
        """Whether every frame is on show."""
        return self.span >= self._whole

    @property
    def window(self) -> tuple[int, int]:
        """First and last frame on show, inclusive."""
        return max(int(self.first), 0), min(int(self.first + self.span) + 1, max(self._count - 1, 0))

    def set_count(self, count: int) -> None:
        """The number of frames has become known or grown; a line that shows all goes on to."""
        whole, self._count = self.is_whole, count
        if whole:
            self.fit()
        else:
            self._settle(self.first, self.span)

    def fit(self) -> None:
        """Show every frame."""
        self.first, self.span = 0.0, float(self._whole)

    def zoom(self, factor: float, around: float) -> None:
        """Magnify by `factor` (below 1: make smaller); the frame `around` stays where it is.

        Raises:
            ValueError: the factor is not positive.
        """
        if factor <= 0:
            raise ValueError("a factor is positive")
        around = min(max(around, self.first), self.first + self.span)
        share = (around - self.first) / self.span
        span = min(max(self.span / factor, float(FEWEST)), float(self._whole))
        self._settle(around - share * span, span)

    def scroll(self, frames: float) -> None:
        """Move along by so many frames; the ends hold."""
        self._settle(self.first + frames, self.span)

    def reveal(self, index: int) -> bool:
        """Scroll, if need be, so that a frame is on show; True when it was needed."""
        if self.first <= index <= self.first + self.span:
            return False
        # A page further, with the frame near the end one comes from: what follows is what one is going to see.
        self._settle(index - self.span * (0.1 if index > self.first else 0.9), self.span)
        return True

    def share_of(self, index: float) -> float:
        """The place of a frame: 0 at the left end, 1 at the right; beyond them where it is not on show."""
        return (index - self.first) / self.span

    def frame_at(self, share: float) -> float:
        """The frame at a place, as `share_of`."""
        return self.first + share * self.span

    def _settle(self, first: float, span: float) -> None:
        self.span = min(max(span, 1.0), float(self._whole))
        self.first = min(max(first, 0.0), self._whole - self.span)
