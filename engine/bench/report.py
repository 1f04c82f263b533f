"""What a benchmark found, as values, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from engine.bench.machine import Machine


@dataclass(frozen=True)
class Spread:
    """Milliseconds of a stage over the measured frames."""

    p50: float
    p95: float
    p99: float
    mean: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        p50, p95, p99 = np.percentile(seconds, (50, 95, 99)) * 1000
        return cls(float(p50), float(p95), float(p99), float(np.mean(seconds)) * 1000)


@dataclass(frozen=True)
class BenchReport:
    """End to end, from the file to the composed overlay.

    Attributes:
        frames: measured, after `warm_up` that were not.
        seconds: wall time of the measured frames.
        stages: of the engine's thread; they add up to the wall time ("wait" is for the threads before it, "rest" what
            no other stage covers).
        beside: stages on threads of their own (decode, prepare, overlay, and where it is done ahead the embedding);
            they overlap with the engine's.
        gflop: per stage and frame, multiplications and additions counted apart, 10^9.
        gflops: the same per second of the stage's median.
        drift: median frame time of the last tenth over that of the first.
        rss_growth_mb: resident memory at the end less that after the warm-up; `peak_mb` is the process's peak,
            `device_peak_mb` that of a graphics card's memory.
    """

    source: str
    frame_size: tuple[int, int]
    working_size: tuple[int, int]
    model: str
    recipe: str
    device: str
    objects: int
    frames: int
    warm_up: int
    seconds: float
    stages: Mapping[str, Spread]
    beside: Mapping[str, Spread]
    gflop: Mapping[str, float]
    gflops: Mapping[str, float]
    drift: float
    rss_growth_mb: float
    peak_mb: float
    device_peak_mb: float | None
    bank_mb: float
    machine: Machine

    @property
    def fps(self) -> float:
        return self.frames / self.seconds

    @property
    def stage_share(self) -> float:
        """Sum of the engine's stages over the wall time; 1 when nothing is left out."""
        return sum(spread.mean for spread in self.stages.values()) * self.frames / 1000 / self.seconds

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "fps": self.fps, "stage_share": self.stage_share}

    def __str__(self) -> str:
        rows = [f"{'':12}{'p50':>9}{'p95':>9}{'p99':>9}{'GFLOP/s':>10}{'of peak':>9}   milliseconds"]
        for name, spread in self.stages.items():
            rows.append(_row(name, spread, self.gflops.get(name), self.machine.matmul_gflops))
        for name, spread in self.beside.items():
            rows.append(f"{_row(name, spread, self.gflops.get(name), self.machine.matmul_gflops):<58}  (beside)")
        memory = f"peak memory {self.peak_mb:.0f} MB, grown by {self.rss_growth_mb:.1f} MB since the warm-up"
        if self.device_peak_mb is not None:
            memory += f", {self.device_peak_mb:.0f} MB on the card"
        many = "1 object" if self.objects == 1 else f"{self.objects} objects"
        return "\n".join(
            [
                f"{self.fps:.2f} frames per second, {self.source} {_size(self.frame_size)}, {many}",
                f"{self.model}, {self.device}, working size {_size(self.working_size)}, {self.frames} frames after "
                f"{self.warm_up} of warm-up",
                *rows,
                f"stages add up to {self.stage_share:.1%} of the wall time; last frames to first: {self.drift:.3f}",
                f"{memory}; memory bank {self.bank_mb:.0f} MB",
                str(self.machine),
                f"recipe {self.recipe}",
            ]
        )


@dataclass(frozen=True)
class Comparison:
    """Propagation by two recipes on the same embeddings, in turn.

    Attributes:
        plain_ms, ours_ms: medians of a frame. `ratio`: median of the frame-wise ratios.
        agreement: share of the pixels that both recipes call the same, over all frames.
    """

    working_size: tuple[int, int]
    plain: str
    ours: str
    device: str
    frames: int
    plain_ms: float
    ours_ms: float
    ratio: float
    agreement: float

    def __str__(self) -> str:
        return (
            f"propagation at {_size(self.working_size)}, {self.device}, {self.frames} frames, medians:\n"
            f"  {self.plain:<10}{self.plain_ms:9.1f} ms\n"
            f"  {self.ours:<10}{self.ours_ms:9.1f} ms\n"
            f"{self.ratio:.1f} times faster; the masks agree on {self.agreement:.2%} of the cells"
        )


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _row(name: str, spread: Spread, gflops: float | None, peak: float) -> str:
    row = f"  {name:<10}{spread.p50:9.2f}{spread.p95:9.2f}{spread.p99:9.2f}"
    return row if gflops is None or not peak else f"{row}{gflops:10.0f}{gflops / peak:9.0%}"
