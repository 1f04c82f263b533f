"""At which quality a live source is tracked, so that a wanted rate holds. Pure: no clock, no threads, no torch.

The ladder of levels goes from a small picture with few references to the full one with all of them. The controller is
told how long each frame kept the engine busy, and steps down as far as it must, up one level at a time, and only where
what it has learnt says that the rate will hold. A level that was too slow is remembered, and tried again ever later.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.preparing import SIZES

FEW_REFERENCES = 4
FEW_BELOW = 260  # at these short sides a level with few references comes before the one with all
NEAR = 1.1  # sizes closer together than this are one level
EMBED_SHARE = 0.6  # of a frame's cost, the part that does not depend on the references (first guess)

HEADROOM = 0.95  # of the time between two frames the engine may take; the rest goes to handing over
TOO_SLOW = 1.08  # of the budget: stepping down begins here,
FITS = 0.95  # ... and ends where this much of it is expected to be taken
ROOM = 0.85  # stepping up wants the next level to be expected below this
FAR_TOO_SLOW = 1.8  # of the budget: no need to look long
CLEARLY_FASTER = 0.7  # of the time a frame took when a level failed: it may be tried again at once

SETTLING_S = 3.0  # from the first frame to judge by after the start or a new target, decisions come quickly
LOOK_S = 1.0  # how far back the engine's times are looked at
DOWN_S, DOWN_SETTLING_S, DOWN_FAR_S = 0.7, 0.25, 0.3  # the rate must be missed for so long
UP_S, UP_SETTLING_S = 2.0, 0.35  # there must be room for so long
FEWEST, FEWEST_FAR = 5, 2  # frames to judge by
WARM_UP, AFTER_CHANGE = 2, 1  # frames not to judge by: memory is allocated, kernels are chosen,
SURELY_SLOW_S = 1.0  # ... but the last of them counts when it takes so long
RETRY_S, RETRY_MOST_S = 20.0, 640.0  # until a level that was too slow is tried again; doubled each time,
PROVEN_S = 60.0  # ... until it has held for so long


@dataclass(frozen=True)
class Level:
    """One step of the ladder.

    Attributes:
        short_side: pixels.
        references: how many recent references vote, None for all.
        cost: how long a frame takes compared with other levels; a first guess.
    """

    short_side: int
    references: int | None
    cost: float


def ladder(frame_short_side: int, *, top: int = SIZES[-1], references: int) -> tuple[Level, ...]:
    """The levels for frames of this short side, cheapest first, up to a working size of `top`.

    Args:
        references: how many the recipe asks for.
    """
    most = min(top, frame_short_side)
    sizes = [size for size in SIZES if size * NEAR < most] + [most]
    levels: list[Level] = []
    for size in sizes:
        cells = float(size * size)
        if size < FEW_BELOW and references > FEW_REFERENCES:
            part = EMBED_SHARE + (1 - EMBED_SHARE) * FEW_REFERENCES / references
            levels.append(Level(size, FEW_REFERENCES, cells * part))
        if size != sizes[0] or not levels:
            levels.append(Level(size, None, cells))
    return tuple(levels)


@dataclass
class _Failure:
    """What is remembered of a level that was too slow."""

    count: int
    until: float
    below_s: float  # what a frame took one level below, right after


@dataclass
class QualityController:
    """Decides after each frame. Not thread-safe.

    Attributes:
        levels: cheapest first; see `ladder`.
        position: index of the present level.
    """

    levels: Sequence[Level]
    position: int
    _interval_s: float = field(default=1 / 24, init=False)
    _settled_at: float | None = field(default=None, init=False)
    _changed_at: float = field(default=0.0, init=False)
    _left: tuple[int, float] | None = field(default=None, init=False)  # level left last, seconds there
    _skip: int = field(default=WARM_UP, init=False)
    _seen: deque[tuple[float, float]] = field(default_factory=deque, init=False)  # (when, seconds)
    _missed_since: float | None = field(default=None, init=False)
    _room_since: float | None = field(default=None, init=False)
    _steps: dict[int, tuple[float, float]] = field(default_factory=dict, init=False)  # upper level: (ratio, until)
    _failures: dict[int, _Failure] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not self.levels or not 0 <= self.position < len(self.levels):
            raise ValueError("a controller needs levels, and a position among them")

    # -- what is so ------------------------------------------------------------------------------------------------
    @property
    def level(self) -> Level:
        return self.levels[self.position]

    @property
    def at_top(self) -> bool:
        return self.position == len(self.levels) - 1

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None while that is not known."""
        return self._median() <= TOO_SLOW * self._budget if self._seen else None

    @property
    def _budget(self) -> float:
        return HEADROOM * self._interval_s

    # -- what changes ----------------------------------------------------------------------------------------------
    def aim(self, fps: float) -> None:
        """Hold this many frames per second from now on. Another rate forgets which levels were too slow."""
        interval = 1 / max(fps, 0.1)
        if interval == self._interval_s:
            return
        self._interval_s = interval
        self._settled_at = None
        self._missed_since = self._room_since = None
        self._failures.clear()

    def limit(self, short_side: int, now: float) -> None:
        """Never go above this size again (memory ran out beyond it); at least the cheapest level stays."""
        kept = [level for level in self.levels if level.short_side <= short_side] or [self.levels[0]]
        self.levels = tuple(kept)
        if self.position >= len(kept):
            self._go(len(kept) - 1, now)

    def observe(self, seconds: float, now: float) -> bool:
        """A frame kept the engine busy for `seconds` and was done at `now`. True when the level has changed."""
        if self._skip:
            self._skip -= 1
            if self._skip or seconds < SURELY_SLOW_S:
                return False
        if self._settled_at is None:
            self._settled_at = now + SETTLING_S
        self._seen.append((now, seconds))
        while len(self._seen) > FEWEST and now - self._seen[0][0] > LOOK_S:
            self._seen.popleft()
        self._learn(now)
        return self._step_down(now) or self._step_up(now)

    def _step_down(self, now: float) -> bool:
        settling = now < (self._settled_at or now)
        median = self._median()
        load = median / self._budget
        if load <= TOO_SLOW:
            self._missed_since = None
            return False
        if self._missed_since is None:
            self._missed_since = now
        far = load > FAR_TOO_SLOW
        wait = DOWN_FAR_S if far else DOWN_SETTLING_S if settling else DOWN_S
        missed = now - self._missed_since + median  # the first of the slow frames counts as well
        if self.position == 0 or len(self._seen) < (FEWEST_FAR if far else FEWEST) or missed < wait:
            return False
        target = self.position - 1
        while target > 0 and self._expected(target, now) > FITS * self._budget:
            target -= 1
        self._fail(self.position, now)
        self._go(target, now)
        return True

    def _step_up(self, now: float) -> bool:
        settling = now < (self._settled_at or now)
        upper = self.position + 1
        if self.at_top or len(self._seen) < FEWEST:
            return False
        if self._expected(upper, now) > ROOM * self._budget or not self._may_try(upper, now):
            self._room_since = None
            return False
        if self._room_since is None:
            self._room_since = self._seen[0][0]
        if now - self._room_since < (UP_SETTLING_S if settling else UP_S):
            return False
        self._go(upper, now)
        return True

    def _go(self, position: int, now: float) -> None:
        self._left = (self.position, self._median()) if self._seen else None
        self.position = position
        self._changed_at = now
        self._skip = max(self._skip, AFTER_CHANGE)
        self._seen.clear()
        self._missed_since = self._room_since = None

    # -- what is learnt --------------------------------------------------------------------------------------------
    def _median(self) -> float:
        return statistics.median(seconds for _, seconds in self._seen)

    def _learn(self, now: float) -> None:
        """How much dearer the upper of two neighbours really is, right after going from one to the other."""
        if now - self._changed_at > PROVEN_S:
            self._failures.pop(self.position, None)
        if self._left is None or len(self._seen) < FEWEST:
            return
        (left, there), here, self._left = self._left, self._median(), None
        upper = max(left, self.position)
        failure = self._failures.get(upper)
        if abs(left - self.position) == 1:
            ratio = here / there if upper == self.position else there / here
            self._steps[upper] = (max(ratio, 1.0), failure.until if failure else now + RETRY_S)
        if failure is not None and left == upper:
            failure.below_s = self._expected(left - 1, now)

    def _expected(self, position: int, now: float) -> float:
        """Seconds a frame will take at another level."""
        expected = self._median()
        for upper in range(position + 1, self.position + 1):
            expected /= self._ratio(upper, now)
        for upper in range(self.position + 1, position + 1):
            expected *= self._ratio(upper, now)
        return expected

    def _ratio(self, upper: int, now: float) -> float:
        """How much dearer a level is than the one below."""
        learnt, until = self._steps.get(upper, (0.0, now))
        return learnt if until > now else self.levels[upper].cost / self.levels[upper - 1].cost

    def _fail(self, position: int, now: float) -> None:
        count = self._failures[position].count + 1 if position in self._failures else 1
        wait = min(RETRY_S * 2 ** (count - 1), RETRY_MOST_S)
        self._failures[position] = _Failure(count, now + wait, self._expected(position - 1, now))  # more soon: `_learn`

    def _may_try(self, position: int, now: float) -> bool:
        failure = self._failures.get(position)
        return failure is None or now >= failure.until or self._median() < CLEARLY_FASTER * failure.below_s
