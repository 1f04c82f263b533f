"""Fits the tracker's working size to the time and the memory there is. Used by the thread that owns the tracker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from engine.errors import OutOfMemoryError
from engine.preparing import SIZES
from engine.runtime.config import EngineConfig
from engine.runtime.messages import LiveQuality
from engine.runtime.quality import QualityController, ladder
from engine.video.source import SourceInfo

if TYPE_CHECKING:  # importing it imports torch
    from engine.tracker import Tracker

T = TypeVar("T")

PLAUSIBLE_FPS = (1.0, 240.0)  # what a source says of its own rate is believed in this range
USUAL_FPS = 30.0  # of a source that says nothing


def target_fps(wanted: float | None, source_fps: float | None) -> float:
    """The rate to hold: what is wanted (None: all there is), but no more than the source delivers."""
    known = source_fps is not None and PLAUSIBLE_FPS[0] <= source_fps <= PLAUSIBLE_FPS[1]
    rates = [rate for rate in (wanted, source_fps if known else None) if rate is not None]
    return min(rates, default=USUAL_FPS)


class Tuner:
    """Live and automatic: holds a rate. Always: works at a smaller size when memory runs out."""

    def __init__(self, say: Callable[[str, str], None], clock: Callable[[], float]) -> None:
        """`say` tells the user (message, way out) that quality had to give way."""
        self._say = say
        self._clock = clock
        self._controller: QualityController | None = None
        self._source: SourceInfo | None = None
        self._target = 0.0
        self._ceiling: int | None = None  # memory ran out beyond this short side
        self._wanted: int | None = None  # what the user chose

    def forget(self) -> None:
        """Another source, tracker or choice of the user's: what was learnt no longer holds."""
        self._controller = self._ceiling = self._source = None

    def begin(self, tracker: Tracker, config: EngineConfig, source: SourceInfo, *, live: bool) -> None:
        """Frames of this source come next. Going on with the same source goes on with what was learnt of it."""
        tracker.choose_working_size(config.working_size)
        tracker.set_live(live)
        self._wanted = config.working_size
        if not live or config.working_size is not None:
            self._controller = None
            if self._ceiling is not None:
                tracker.set_quality(min(self._ceiling, tracker.short_side))
            return
        self._target = target_fps(config.live_rate, source.fps)
        if self._controller is None or self._source is not source:
            self._controller = self._new_controller(tracker, source)
        self._source = source
        self._controller.aim(self._target)
        self._apply(tracker)

    def _new_controller(self, tracker: Tracker, source: SourceInfo) -> QualityController:
        top = SIZES[-1] if self._ceiling is None else self._ceiling
        levels = ladder(min(source.width, source.height), top=top, references=tracker.recipe.references)
        fitting = [number for number, level in enumerate(levels) if level.short_side <= tracker.short_side]
        return QualityController(levels, fitting[-1] if fitting else 0)

    def _apply(self, tracker: Tracker) -> None:
        if self._controller is not None:
            level = self._controller.level
            tracker.set_quality(level.short_side, level.references)

    def measured(self, tracker: Tracker, seconds: float) -> None:
        """The engine was busy for so long with a frame; the next one may be tracked at another quality."""
        if self._controller is not None and self._controller.observe(seconds, self._clock()):
            self._apply(tracker)

    def attempt(self, tracker: Tracker, step: Callable[[], T]) -> T:
        """Do a step of the tracker; when memory runs out, do it at the next smaller size, and so on.

        Raises:
            OutOfMemoryError: not even the smallest size fits.
        """
        failed_at: int | None = None
        while True:
            try:
                result = step()
            except (OutOfMemoryError, MemoryError):
                pass  # what the attempt held must be let go of before the next one, so not in here
            else:
                break
            used = min((tracker.short_side, *(tracker.working_size or ())))
            failed_at = failed_at or used
            self._work_below(tracker, used)
        if failed_at is not None:
            self._say(
                f"Memory ran out at a working size of {failed_at}; tracking goes on at {tracker.short_side}.",
                "Objects and masks are kept. Choose a smaller model, or close other programs, to work at more.",
            )
        return result

    def _work_below(self, tracker: Tracker, used: int) -> None:
        tracker.release_memory()
        smaller = max((size for size in SIZES if size < used), default=None)
        if smaller is None:
            self.forget()
            tracker.choose_working_size(self._wanted)  # for the next time, when there may be more memory
            raise OutOfMemoryError(
                f"Memory ran out even at the smallest working size, {used} pixels.",
                "Close other programs, or choose a smaller model or another device.",
            )
        self._ceiling = smaller
        if self._controller is None:
            tracker.set_quality(smaller)
        else:
            self._controller.limit(smaller, self._clock())
            self._apply(tracker)

    @property
    def live_quality(self) -> LiveQuality | None:
        """What the controller has chosen; None where the user chose, and for files."""
        controller = self._controller
        if controller is None:
            return None
        level = controller.level
        return LiveQuality(self._target, level.short_side, level.references, controller.at_top, controller.holds)
