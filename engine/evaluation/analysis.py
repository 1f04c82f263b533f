"""What a report says beyond J and F, for every scored object: temporal stability and kinds of failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from engine.evaluation.datasets import Dataset
from engine.evaluation.failures import BadFrame, bad_frames
from engine.evaluation.scoring import ObjectScore
from engine.evaluation.stability import ObjectStability, stability_of


def analyse(
    dataset: Dataset,
    results: Path,
    scores: Sequence[ObjectScore],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[ObjectStability, ...], tuple[BadFrame, ...]]:
    """Stability and failures of what `engine.evaluation.scoring.score_dataset` has scored in `results`.

    Args:
        on_progress: called after each sequence with (frames done, all of them).

    Raises:
        MaskError: a mask cannot be read.
    """
    stability: list[ObjectStability] = []
    failures: list[BadFrame] = []
    scored = {score.sequence for score in scores}
    sequences = [sequence for sequence in dataset.sequences if sequence.name in scored]
    total, done = sum(len(sequence.frames) for sequence in sequences), 0
    for sequence in sequences:
        folder = sequence.results_in(results)
        stability += stability_of(sequence, folder, scores)
        failures += bad_frames(sequence, folder, scores)
        done += len(sequence.frames)
        if on_progress is not None:
            on_progress(done, total)
    return tuple(stability), tuple(failures)
