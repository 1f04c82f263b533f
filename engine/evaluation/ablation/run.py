"""Tracking the same sequences under many recipes, embedding every frame once."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import UserError
from engine.evaluation.ablation.cache import Trial, TrialCache, content_of
from engine.evaluation.ablation.variants import Variant, variants
from engine.evaluation.annotations import Annotation, object_ids, read_annotation
from engine.evaluation.datasets import Dataset, VideoSequence
from engine.evaluation.metrics import contour_accuracy, region_similarity
from engine.evaluation.provenance import Provenance, provenance_of
from engine.evaluation.scoring import ObjectScore
from engine.evaluation.wrapping import Call, wrapped
from engine.runtime.config import EngineConfig
from engine.runtime.threads import prepare_computing
from engine.types import Frame
from engine.video.folder import read_image

if TYPE_CHECKING:
    import torch

    from engine.tracker import Tracker
    from models.embedder import Embedder

REMEMBERED_BYTES = 1 << 30  # of embeddings of one sequence; what does not fit is embedded again
MADE_BY = ("code", "model", "weights_sha256", "device", "dtype", "short_side", "torch")


@dataclass(frozen=True)
class Row:
    """A network: the model's own weights, or a checkpoint with the name of its training strategy."""

    label: str
    config: EngineConfig


@dataclass(frozen=True)
class RowResult:
    """What a network achieved: a trial per variant and sequence, in the order of the data set."""

    row: Row
    provenance: Provenance
    trials: dict[Variant, list[Trial]]


class EmbeddingMemory:
    """What an embedder made of the frames of one sequence: only propagation differs between recipes.

    Attributes:
        embedder: looks into the memory first.
        frame_index: of the frame to come; set it before each step.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = wrapped(embedder, self._remembering)
        self.frame_index = 0
        self._made: dict[tuple[str, int, tuple[int, ...]], Any] = {}
        self._bytes = 0

    def forget(self) -> None:
        """Begin another sequence."""
        self._made.clear()
        self._bytes = 0

    def _remembering(self, call: Call) -> Call:
        def look_or_call(rgb: torch.Tensor) -> Any:
            key = (call.__name__, self.frame_index, tuple(rgb.shape))
            if key in self._made:
                return self._made[key]
            made = call(rgb)
            size = sum(part.nbytes for part in (made if isinstance(made, tuple) else (made,)) if part is not None)
            if self._bytes + size <= REMEMBERED_BYTES:
                self._made[key] = made
                self._bytes += size
            return made

        return look_or_call


def shorten(dataset: Dataset, frames: int | None) -> Dataset:
    """Only the first so many frames of every sequence.

    Raises:
        UserError: fewer than three, of which none would count.
    """
    if frames is None:
        return dataset
    if frames < 3:
        raise UserError("The first and the last frame do not count, so three are the least.", "Raise --frames.")
    return replace(
        dataset,
        sequences=tuple(
            replace(one, frames=one.frames[:frames], annotations=one.annotations[:frames]) for one in dataset.sequences
        ),
    )


def run_row(
    row: Row,
    experiments: Sequence[str],
    dataset: Dataset,
    cache: Path,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    on_model_progress: Callable[[str, float | None], None] | None = None,
) -> RowResult:
    """Every variant of the experiments on every sequence of a DAVIS data set, scored by its protocol.

    Args:
        cache: folder of finished trials; they are not tracked again.
        on_progress: called with (frames done, all of them), finished ones included.

    Raises:
        UserError: a sample is broken, the model cannot be used, or a result cannot be written.
    """
    prepare_computing()
    from engine.runtime.factory import create_tracker

    tracker = create_tracker(row.config, on_model_progress)
    provenance = provenance_of(tracker, row.config)
    trials = TrialCache(cache, {name: getattr(provenance, name) for name in MADE_BY})
    memory = EmbeddingMemory(tracker.embedder)
    chosen = variants(experiments, tracker.embedder, tracker.recipe)
    total = len(chosen) * sum(len(sequence.frames) for sequence in dataset.sequences)
    found: defaultdict[Variant, list[Trial]] = defaultdict(list)
    done = 0
    for sequence in dataset.sequences:
        memory.forget()
        content = content_of(sequence)
        sample: _Sample | None = None
        for variant in chosen:
            key = trials.key(variant.recipe, content)
            trial = trials.find(key)
            if trial is None:
                sample = sample or _Sample.read(sequence)
                trial = _try(memory, variant, sample, row.config.working_size)
                trials.keep(key, trial)
            found[variant].append(trial)
            done += len(sequence.frames)
            if on_progress is not None:
                on_progress(done, total)
    return RowResult(row, provenance, dict(found))


@dataclass(frozen=True, eq=False)
class _Sample:
    """A sequence in memory."""

    sequence: VideoSequence
    annotations: tuple[Annotation | None, ...]
    frames: tuple[Frame, ...]

    @classmethod
    def read(cls, sequence: VideoSequence) -> _Sample:
        annotations = tuple(
            None if path is None else read_annotation(path, merge_objects=sequence.merge_objects)
            for path in sequence.annotations
        )
        frames = tuple(Frame(i, float(i), read_image(path)) for i, path in enumerate(sequence.frames))
        return cls(sequence, annotations, frames)


def _try(memory: EmbeddingMemory, variant: Variant, sample: _Sample, working_size: int | None) -> Trial:
    """Track and score one sequence by the DAVIS rules."""
    from engine.tracker import Tracker

    tracker: Tracker = Tracker(memory.embedder, variant.recipe, working_size=working_size)
    first = sample.annotations[0]
    assert first is not None  # a DAVIS sequence without it is refused
    ids = object_ids(first.ids)
    series: dict[int, tuple[list[str], list[float], list[float]]] = {i: ([], [], []) for i in ids}
    milliseconds = []
    last = len(sample.frames) - 1
    for frame, truth in zip(sample.frames, sample.annotations, strict=True):
        memory.frame_index = frame.index
        result = tracker.step(frame, first.ids if frame.index == 0 else None)
        if frame.index == 0:
            continue
        milliseconds.append(1000 * result.timings.get("propagate", 0.0))
        if truth is None or frame.index == last:
            continue
        for object_id, (names, region, contour) in series.items():
            found, wanted = result.mask == object_id, truth.ids == object_id
            names.append(sample.sequence.frames[frame.index].stem)
            region.append(region_similarity(found, wanted, truth.void))
            contour.append(contour_accuracy(found, wanted, truth.void))
    scores = tuple(
        ObjectScore(sample.sequence.name, object_id, tuple(names), tuple(region), tuple(contour))
        for object_id, (names, region, contour) in series.items()
        if names
    )
    return Trial(scores, statistics.median(milliseconds) if milliseconds else 0.0)


def mean_region(trials: Sequence[Trial]) -> float:
    """Mean J over all objects, each of which counts the same; NaN without any."""
    values = [score.region.mean for trial in trials for score in trial.scores]
    return float(np.mean(values)) if values else float("nan")


def mean_contour(trials: Sequence[Trial]) -> float:
    """Mean F, likewise."""
    values = [score.contour.mean for trial in trials for score in trial.scores]
    return float(np.mean(values)) if values else float("nan")
