"""Scores of folders of masks against ground truth: per object, per sequence, over all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from engine.errors import MaskError
from engine.evaluation.annotations import object_ids, read_annotation, read_ids
from engine.evaluation.datasets import Dataset, Protocol, VideoSequence
from engine.evaluation.metrics import Statistics, contour_accuracy, region_similarity, statistics


@dataclass(frozen=True)
class ObjectScore:
    """How well one object of one sequence was segmented.

    Attributes:
        frames: names of the frames that count, in order.
        region_values, contour_values: J and F of each of them.
    """

    sequence: str
    object_id: int
    frames: tuple[str, ...]
    region_values: tuple[float, ...]
    contour_values: tuple[float, ...]

    @cached_property
    def region(self) -> Statistics:
        return statistics(self.region_values)

    @cached_property
    def contour(self) -> Statistics:
        return statistics(self.contour_values)

    @property
    def mean(self) -> float:
        """J&F."""
        return (self.region.mean + self.contour.mean) / 2


@dataclass(frozen=True)
class Summary:
    """Means over objects, each of which counts the same (DAVIS)."""

    objects: int
    region: Statistics
    contour: Statistics

    @property
    def mean(self) -> float:
        """J&F."""
        return (self.region.mean + self.contour.mean) / 2


def summarise(scores: Sequence[ObjectScore]) -> Summary | None:
    """Means over objects; None without scores."""
    if not scores:
        return None

    def average(parts: Iterable[Statistics]) -> Statistics:
        rows = np.array([(part.mean, part.recall, part.decay) for part in parts])
        return Statistics(*(float(value) for value in rows.mean(0)))

    return Summary(len(scores), average(s.region for s in scores), average(s.contour for s in scores))


@dataclass
class _Track:
    """The values of one object as they come in."""

    first: int
    frames: list[str] = field(default_factory=list)
    region: list[float] = field(default_factory=list)
    contour: list[float] = field(default_factory=list)


def score_sequence(
    sequence: VideoSequence,
    folder: Path,
    protocol: Protocol,
    *,
    on_frame: Callable[[], None] | None = None,
) -> list[ObjectScore]:
    """Compare the masks in `folder`, named like the frames, with the annotations of `sequence`.

    Objects without a frame that counts are left out, so the list is empty where there is too little ground truth.

    Args:
        on_frame: called for each annotated frame.

    Raises:
        MaskError: a mask or an annotation is missing, unreadable or of another size; or the masks hold an object that
            no annotation has.
    """
    count = len(sequence.frames) - (1 if protocol.skip_last else 0)
    tracks: dict[int, _Track] = {}
    annotated: set[int] = set()
    strangers: dict[int, Path] = {}  # id -> the first mask that holds it
    for position, (frame, path) in enumerate(zip(sequence.frames, sequence.annotations, strict=True)):
        if path is None:
            continue
        truth = read_annotation(path, merge_objects=sequence.merge_objects)
        present = set(object_ids(truth.ids))
        annotated |= present
        if protocol.later_objects or position == 0:
            for object_id in sorted(present if sequence.objects is None else present & sequence.objects):
                tracks.setdefault(object_id, _Track(position))
        counting = {i: t for i, t in tracks.items() if position > t.first or not protocol.skip_seed}
        if counting and position < count:
            found_path = folder / f"{frame.stem}.png"
            found = read_ids(found_path)
            if found.shape != truth.ids.shape:
                raise MaskError(
                    f"The mask {found_path} is {found.shape[1]} x {found.shape[0]} but the ground truth is "
                    f"{truth.ids.shape[1]} x {truth.ids.shape[0]}.",
                    "Compare masks of one size.",
                )
            if sequence.merge_objects:
                found = (found != 0).astype(np.uint8)
            for object_id in object_ids(found):
                strangers.setdefault(object_id, found_path)
            for object_id, track in counting.items():
                prediction, wanted = found == object_id, truth.ids == object_id
                track.frames.append(frame.stem)
                track.region.append(region_similarity(prediction, wanted, truth.void))
                track.contour.append(contour_accuracy(prediction, wanted, truth.void))
        if on_frame is not None:
            on_frame()
    for object_id, where in strangers.items():
        if object_id not in annotated:
            raise MaskError(
                f"The mask {where} holds an object {object_id}, which the ground truth of {sequence.name} never has.",
                "Give the objects the ids of the ground truth.",
            )
    return [
        ObjectScore(sequence.name, object_id, tuple(t.frames), tuple(t.region), tuple(t.contour))
        for object_id, t in sorted(tracks.items())
        if t.frames
    ]


def can_be_scored(sequence: VideoSequence, protocol: Protocol) -> bool:
    """False when no annotation lies where it would count."""
    first = next((i for i, path in enumerate(sequence.annotations) if path is not None), math.inf)
    last = len(sequence.frames) - (1 if protocol.skip_last else 0)
    return any(
        path is not None and i < last and (i > first or not protocol.skip_seed)
        for i, path in enumerate(sequence.annotations)
    )


def score_dataset(
    dataset: Dataset, results: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> list[ObjectScore]:
    """Scores of every object of every sequence with enough ground truth; see `score_sequence`.

    Args:
        results: folder with one folder of masks per sequence.
        on_progress: called with (annotated frames done, all of them).
    """
    sequences = [sequence for sequence in dataset.sequences if can_be_scored(sequence, dataset.protocol)]
    total = sum(path is not None for sequence in sequences for path in sequence.annotations)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    scores: list[ObjectScore] = []
    for sequence in sequences:
        scores += score_sequence(sequence, sequence.results_in(results), dataset.protocol, on_frame=advance)
    return scores
