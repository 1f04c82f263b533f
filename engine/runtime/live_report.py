"""What a measured live run came to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.runtime.messages import LiveQuality


@dataclass(frozen=True)
class LiveReport:
    """What a live run came to. Every picture the camera made is tracked or dropped: produced == tracked + dropped.

    Attributes:
        fps: of the camera.
        produced, tracked, dropped: pictures in the whole run, warm-up included.
        warm_up_s: seconds at the start that are left out of the figures below.
        seconds: that the figures below are taken over.
        tracked_fps: masks per second.
        age_p50_s, age_p95_s, age_max_s: mask age, seconds from the capture of a picture to its finished mask; None
            where nothing was tracked.
        age_trend_s_per_min: by how much the mask age rose per minute (least squares over the medians of each second);
            None in a run of fewer than three seconds.
        sizes: (seconds since the start, working size as (width, height)), one entry per change.
        quality: what was chosen to hold the rate, at the end; None where the size was given.
        rss_growth_bytes: resident memory at the end less that after the warm-up.
        notes: what the user would have been told.
    """

    fps: float
    produced: int
    tracked: int
    dropped: int
    warm_up_s: float
    seconds: float
    tracked_fps: float
    age_p50_s: float | None
    age_p95_s: float | None
    age_max_s: float | None
    age_trend_s_per_min: float | None
    sizes: tuple[tuple[float, tuple[int, int]], ...]
    quality: LiveQuality | None
    rss_growth_bytes: int
    model: str = ""
    recipe: str = ""
    device: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        ages = "no mask was finished"
        if self.age_p50_s is not None and self.age_p95_s is not None and self.age_max_s is not None:
            ages = (
                f"mask age {self.age_p50_s * 1000:.0f} ms, 95 of 100 below {self.age_p95_s * 1000:.0f} ms, "
                f"at most {self.age_max_s * 1000:.0f} ms"
            )
        if self.age_trend_s_per_min is not None:
            ages += f", trend {self.age_trend_s_per_min * 1000:+.1f} ms per minute"
        sizes = ", ".join(f"{width} x {height} from {at:.1f} s" for at, (width, height) in self.sizes)
        lines = [
            f"{self.produced} pictures at {self.fps:g} per second: {self.tracked} tracked, {self.dropped} dropped",
            f"{self.tracked_fps:.2f} masks per second in {self.seconds:.1f} s after {self.warm_up_s:.1f} s of warm-up",
            ages,
            f"model {self.model}, recipe {self.recipe}, {self.device}; working size {sizes or 'unknown'}",
            f"memory grew by {self.rss_growth_bytes / 1e6:.1f} MB",
        ]
        return "\n".join([*lines, *self.notes])


def trend_per_minute(results: list[tuple[float, float]]) -> float | None:
    """Slope per minute of (seconds, value): least squares over the median of each second; None below three seconds."""
    by_second: dict[int, list[float]] = {}
    for when, value in results:
        by_second.setdefault(int(when), []).append(value)
    if len(by_second) < 3:
        return None
    medians = [float(np.median(values)) for values in by_second.values()]
    return float(np.polyfit(list(by_second), medians, 1)[0]) * 60
