"""Validation: mean J of the tracker itself on held-out sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.evaluation.metrics import region_similarity
from engine.propagation.recipe import Recipe
from engine.tracker import Tracker
from engine.training.config import IGNORE
from engine.training.pictures import BrokenSampleError, read_pair
from engine.training.sources import VideoSequence
from engine.types import Frame
from models.embedder import Embedder

Report = Callable[[str, str], None]


def sequence_similarity(
    embedder: Embedder, recipe: Recipe, sequence: VideoSequence, *, size: int, frames: int, on_broken: Report
) -> float | None:
    """Mean J over the objects of the first frame and over all frames but the first and the last (DAVIS).

    Args:
        size: short side the tracker works at.
        frames: only the first so many frames; 0 for all.
        on_broken: told of frames that cannot be read; they are skipped.

    Returns:
        None when the first frame is broken or shows no object.
    """
    coding = "binary" if sequence.binary else "ids"
    count = min(frames, len(sequence)) if frames else len(sequence)
    tracker = Tracker(embedder, recipe, working_size=size)
    values: dict[int, list[float]] = {}
    for index in range(count):
        try:
            rgb, truth = read_pair(sequence.images[index], sequence.masks[index], coding=coding)
        except BrokenSampleError as error:
            on_broken(error.sample, error.reason)
            if index == 0:
                return None
            continue
        frame = Frame(index, float(index), rgb)
        void = truth == IGNORE
        if index == 0:
            seed = np.where(void, np.uint8(0), truth)
            values = {int(value): [] for value in np.unique(seed) if value}
            if not values:
                return None
            tracker.step(frame, seed)
            continue
        mask = tracker.step(frame).mask
        if index < count - 1 or count == 2:
            for value, similarities in values.items():
                similarities.append(region_similarity(mask == value, truth == value, void if void.any() else None))
    means = [float(np.mean(similarities)) for similarities in values.values() if similarities]
    return float(np.mean(means)) if means else None


def validate(
    embedder: Embedder,
    recipe: Recipe,
    sequences: Sequence[VideoSequence],
    *,
    size: int,
    frames: int,
    on_broken: Report,
    on_sequence: Callable[[str, float], None] | None = None,
) -> dict[str, float]:
    """J of every sequence that can be tracked, by name; arguments as `sequence_similarity`."""
    scores = {}
    for sequence in sequences:
        score = sequence_similarity(embedder, recipe, sequence, size=size, frames=frames, on_broken=on_broken)
        if score is not None:
            scores[sequence.name] = score
            if on_sequence is not None:
                on_sequence(sequence.name, score)
    return scores
