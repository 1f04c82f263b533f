"""Tracking every sequence of a data set with the tracker of the app, resumably."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import ExportError, MaskError, SourceError
from engine.evaluation.annotations import object_ids, read_annotation
from engine.evaluation.datasets import Dataset, DatasetError, VideoSequence
from engine.evaluation.provenance import provenance_of
from engine.evaluation.record import RunRecord, SequenceRun
from engine.evaluation.timing import time_exactly
from engine.runtime.config import EngineConfig
from engine.runtime.placement import Place, places
from engine.runtime.pool import Progress, run_jobs
from engine.runtime.threads import prepare_computing
from engine.types import Frame, Mask, SegmentationResult
from engine.video.folder import ImageFolderSource
from engine.video.masks import write_mask

if TYPE_CHECKING:
    from engine.tracker import Tracker

ModelProgress = Callable[[str, "float | None"], None]


def track_dataset(
    dataset: Dataset,
    out: Path,
    *,
    config: EngineConfig | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_model_progress: ModelProgress | None = None,
) -> RunRecord:
    """Track the sequences of `dataset` and write their masks to out/[Annotations/]SEQ/FRAME.png (palette PNGs).

    Each object starts with its mask in its first annotated frame; further annotations are not looked at. A record
    beside the results says which sequences are finished and what made them; those are not tracked again.

    Args:
        overwrite: track finished sequences again; replace results of other settings.
        workers: processes that share the sequences; None: one per CUDA device, or one. The masks do not depend on it,
            the speed on a processor does.
        on_progress: called after each frame with (done, total) of the sequences still to track.

    Returns:
        The record of the sequences of `dataset`.

    Raises:
        UserError: a sample is broken (its sequence is named), `out` holds something else, the disk is full, or the
            model or device cannot be used. What was finished before stays.
    """
    config = config or EngineConfig()
    RunRecord.check(out, overwrite=overwrite)
    prepare_computing()
    from engine.runtime.factory import create_tracker

    tracker = create_tracker(config, on_model_progress)
    record = RunRecord.open(out, dataset, provenance_of(tracker, config), overwrite=overwrite)
    results = out / dataset.result_folder
    pending = [sequence for sequence in dataset.sequences if not record.is_finished(sequence, results)]
    total = sum(len(sequence.frames) for sequence in pending)
    done = 0

    def advance(frames: int = 1) -> None:
        nonlocal done
        done += frames
        if on_progress is not None:
            on_progress(done, total)

    later = dataset.protocol.later_objects
    jobs = [_Job(sequence, sequence.results_in(results), later) for sequence in pending]
    shares = places(config, workers)
    if min(len(shares), len(jobs)) <= 1:
        time_exactly(tracker)
        for job in jobs:
            record.add(_track_sequence(tracker, job.sequence, job.folder, later, advance))
        return record
    del tracker  # the workers have their own
    failures = []
    for outcome in run_jobs(jobs, shares, _start_worker, on_progress=advance):
        if outcome.value is not None:
            record.add(replace(outcome.value, workers=min(len(shares), len(jobs))))
        else:
            failures.append(outcome.error or "")
    if failures:
        raise DatasetError(failures[0], "The sequences that were tracked stay; the same call again goes on.")
    return record


@dataclass(frozen=True)
class _Job:
    """A sequence for a worker process, and where its masks go."""

    sequence: VideoSequence
    folder: Path
    later_objects: bool


def _start_worker(place: Place) -> Callable[[_Job, Progress], SequenceRun]:
    """What a worker process does with a job."""
    place.settle()
    from engine.runtime.factory import create_tracker

    tracker = create_tracker(place.config)
    time_exactly(tracker)

    def work(job: _Job, progress: Progress) -> SequenceRun:
        return _track_sequence(tracker, job.sequence, job.folder, job.later_objects, lambda: progress(1))

    return work


def _track_sequence(
    tracker: Tracker, sequence: VideoSequence, folder: Path, later_objects: bool, on_frame: Callable[[], None]
) -> SequenceRun:
    """One pass over a sequence; the tracker forgets the sequence before it."""
    tracker.reset()
    seeds = _Seeds(sequence, later_objects)
    stages: defaultdict[str, list[float]] = defaultdict(list)
    seconds: list[float] = []
    source = ImageFolderSource(sequence.frames[0].parent)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while (frame := source.read()) is not None:
            seed = seeds.at(frame)
            if seed is not None:
                mask = _start_objects(tracker, frame, *seed)
            elif tracker.object_ids:
                started = time.perf_counter()
                result = tracker.step(frame)
                seconds.append(time.perf_counter() - started)
                for name, value in result.timings.items():
                    stages[name].append(value)
                mask = result.mask
            else:
                mask = np.zeros((frame.height, frame.width), np.uint8)
            write_mask(folder / f"{sequence.frames[frame.index].stem}.png", mask)
            on_frame()
    except OSError as error:
        raise ExportError(
            f"The masks of {sequence.name} could not be written to {folder}: {error.strerror or error}.",
            "Make room or choose another folder.",
        ) from error
    except (SourceError, MaskError) as error:
        raise DatasetError(f"Sequence {sequence.name}: {error.message}", error.way_out) from error
    finally:
        source.close()
    return SequenceRun(
        name=sequence.name,
        frames=len(sequence.frames),
        tracked=len(seconds),
        seconds=sum(seconds),
        stage_ms={name: 1000 * statistics.median(values) for name, values in stages.items()},
        working_size=tracker.working_size,
    )


class _Seeds:
    """The masks a sequence gives its tracker."""

    def __init__(self, sequence: VideoSequence, later_objects: bool) -> None:
        self._sequence = sequence
        self._later = later_objects
        self._known: set[int] = set()

    def at(self, frame: Frame) -> tuple[Mask, tuple[int, ...]] | None:
        """Ground truth and ids of the objects that start in this frame; None when none does."""
        wanted = self._sequence.objects
        path = self._sequence.annotations[frame.index]
        if path is None or (frame.index and not self._later) or (wanted is not None and wanted <= self._known):
            return None
        ids = read_annotation(path, merge_objects=self._sequence.merge_objects).ids
        if ids.shape != (frame.height, frame.width):
            raise MaskError(
                f"The mask {path} is {ids.shape[1]} x {ids.shape[0]} but its frame is {frame.width} x {frame.height}.",
                "Use frames and annotations of one resolution.",
            )
        new = tuple(i for i in object_ids(ids) if i not in self._known and (wanted is None or i in wanted))
        self._known.update(new)
        return (ids, new) if new else None


def _start_objects(tracker: Tracker, frame: Frame, truth: Mask, new: tuple[int, ...]) -> Mask:
    """Give the tracker new objects; those it knows already keep what it finds of them, and so does the mask."""
    before: Mask = tracker.step(frame).mask if tracker.object_ids else np.zeros_like(truth)
    mask = np.where(np.isin(truth, new), truth, before)
    result: SegmentationResult = tracker.step(frame, mask, touched=new)
    return result.mask
