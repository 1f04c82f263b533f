"""What kind of failure a bad frame is, so that a report says more than that it is bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from engine.evaluation.annotations import read_annotation, read_ids
from engine.evaluation.datasets import VideoSequence
from engine.evaluation.metrics import RECALL_ABOVE, Binary
from engine.evaluation.scoring import ObjectScore
from engine.types import Mask

_MOSTLY = 0.5


class Failure(Enum):
    """Kinds of failure. A frame has at most one per object: the first that fits."""

    PHANTOM = "phantom: the object is out of sight, but something is marked"
    LOST = "lost: the object is in sight, but nothing is marked"
    SWAPPED = "swapped: most of what is marked belongs to another object"
    ADRIFT = "adrift: most of what is marked is not the object, and most of the object is not marked"
    LEAK = "leak: the object is marked, and as much beside it"
    SHRUNK = "shrunk: what is marked is the object, but most of it is missing"
    ROUGH = "rough: the region is right (J above one half), the contour is not (F at most one half)"

    @property
    def word(self) -> str:
        return self.value.partition(":")[0]


@dataclass(frozen=True)
class BadFrame:
    """A frame in which an object failed; `region` and `contour` are its J and F."""

    sequence: str
    object_id: int
    frame: str
    kind: Failure
    region: float
    contour: float


def classify(ids: Mask, truth: Mask, object_id: int, *, region: float, contour: float) -> Failure | None:
    """The kind of failure of one object in one frame; None when J and F are above one half.

    Args:
        ids, truth: H x W uint8 object ids; void pixels are 0 in both.
    """
    if region > RECALL_ABOVE:
        return Failure.ROUGH if contour <= RECALL_ABOVE else None
    found: Binary = ids == object_id
    wanted: Binary = truth == object_id
    if not wanted.any():
        return Failure.PHANTOM
    if not found.any():
        return Failure.LOST
    marked = np.count_nonzero(found)
    if np.count_nonzero(found & (truth != 0) & ~wanted) > _MOSTLY * marked:
        return Failure.SWAPPED
    hit = np.count_nonzero(found & wanted)
    precision, recall = hit / marked, hit / np.count_nonzero(wanted)
    if max(precision, recall) < _MOSTLY:
        return Failure.ADRIFT
    return Failure.LEAK if precision < recall else Failure.SHRUNK


def bad_frames(sequence: VideoSequence, folder: Path, scores: Sequence[ObjectScore]) -> list[BadFrame]:
    """The failures of the scored objects of one sequence, whose masks are in `folder`. Only bad frames are read.

    Raises:
        MaskError: a mask cannot be read.
    """
    annotations = {frame.stem: path for frame, path in zip(sequence.frames, sequence.annotations, strict=True)}
    found = []
    for score in scores:
        if score.sequence != sequence.name:
            continue
        for name, region, contour in zip(score.frames, score.region_values, score.contour_values, strict=True):
            if region > RECALL_ABOVE and contour > RECALL_ABOVE:
                continue
            path = annotations[name]
            assert path is not None  # only annotated frames are scored
            truth = read_annotation(path, merge_objects=sequence.merge_objects)
            ids = read_ids(folder / f"{name}.png")
            if sequence.merge_objects:
                ids = (ids != 0).astype(np.uint8)
            if truth.void is not None:
                ids = np.where(truth.void, np.uint8(0), ids)
            kind = classify(ids, truth.ids, score.object_id, region=region, contour=contour)
            if kind is not None:
                found.append(BadFrame(sequence.name, score.object_id, name, kind, region, contour))
    return found


def count_kinds(frames: Sequence[BadFrame]) -> dict[Failure, int]:
    """How many frames failed in each way, kinds that occur only, in the order of `Failure`."""
    counts = Counter(frame.kind for frame in frames)
    return {kind: counts[kind] for kind in Failure if counts[kind]}
