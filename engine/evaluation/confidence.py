"""Does the confidence tell where a mask is wrong? Measures it on sequences with truth, and fits its weights.

    python -m engine.evaluation.confidence DAVIS_2016 [--only SEQ,SEQ] [--fit]

"Lost or wrong" is a frame in which the object is not to be seen, or its mask overlaps the truth by less than one half.
It is flagged when the object's state is unsure or lost.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.evaluation.annotations import read_annotation
from engine.evaluation.datasets import VideoSequence, load_dataset
from engine.evaluation.metrics import region_similarity
from engine.evaluation.occlusion import Clip, Occlusion, absence_clip, occlude
from engine.object_state import ObjectState
from engine.propagation.confidence import Evidence
from engine.types import Frame

if TYPE_CHECKING:
    from engine.tracker import Tracker

RIGHT = 0.5  # a mask with at least this IoU is right
GONE = 0.02  # an object with less of its first area to be seen than this is not to be seen
RIDGE = 1.0  # strength of the penalty on weights, in units of one frame
STEPS = 6000


@dataclass(frozen=True)
class Sighting:
    """One frame of one clip.

    Attributes:
        iou: of the mask shown; 1 when mask and truth are both empty.
        visible: the truth shows the object.
        evidence: None where nothing was tracked.
    """

    clip: str
    index: int
    iou: float
    visible: bool
    confidence: float
    state: ObjectState
    evidence: Evidence | None = None

    @property
    def wrong(self) -> bool:
        return not self.visible or self.iou < RIGHT


@dataclass(frozen=True)
class Flagging:
    """How well flags match frames that are lost or wrong.

    Attributes:
        blanked: frames in which the object is to be seen but counts as lost, so that its mask is empty.
        error: mean squared difference between confidence and being right (Brier score).
    """

    frames: int
    wrong: int
    flagged: int
    hits: int
    blanked: int
    error: float

    @property
    def precision(self) -> float:
        return self.hits / self.flagged if self.flagged else 1.0

    @property
    def recall(self) -> float:
        return self.hits / self.wrong if self.wrong else 1.0


def flagging(sightings: Sequence[Sighting]) -> Flagging:
    """Raises ValueError when there are none."""
    if not sightings:
        raise ValueError("no sightings")
    wrong = np.array([s.wrong for s in sightings])
    flagged = np.array([s.state.doubtful for s in sightings])
    confidence = np.array([s.confidence for s in sightings])
    blanked = sum(s.visible and s.state is ObjectState.LOST for s in sightings)
    error = float(((confidence - ~wrong) ** 2).mean())
    return Flagging(len(wrong), int(wrong.sum()), int(flagged.sum()), int((wrong & flagged).sum()), blanked, error)


def watch(tracker: Tracker, clip: Clip) -> list[Sighting]:
    """Track object 1 of the clip from its first frame; the tracker forgets what it knew."""
    tracker.reset()
    first = Frame(0, 0.0, clip.frames[0])
    tracker.step(first, clip.truths[0])
    least = GONE * np.count_nonzero(clip.truths[0])
    sightings = []
    for index in range(1, len(clip.frames)):
        result = tracker.step(Frame(index, index / 25, clip.frames[index]))
        truth = np.asarray(clip.truths[index] > 0)
        iou = region_similarity(result.mask > 0, truth)
        visible = bool(np.count_nonzero(truth) > least)
        evidence = tracker.evidence.get(1)
        sightings.append(Sighting(clip.name, index, iou, visible, result.confidence[1], result.states[1], evidence))
    return sightings


def found_after(sightings: Sequence[Sighting]) -> int | None:
    """Frames from the object's return (after its longest absence) to the first right mask; None: never."""
    away = [s.index for s in sightings if not s.visible]
    if not away:
        raise ValueError("the object never goes away")
    back = next((s.index for s in sightings if s.index > away[-1]), None)
    right = next((s.index for s in sightings if s.index > away[-1] and not s.wrong and not s.state.doubtful), None)
    return None if back is None or right is None else right - back


def fit(sightings: Sequence[Sighting]) -> tuple[dict[str, float], float]:
    """Weights by name of evidence, and the bias, of the logistic regression of being right.

    Every weight keeps the sign its evidence has by its meaning, so that none stands for an accident of the clips.
    """
    seen = [(s.evidence.values(), not s.wrong) for s in sightings if s.evidence is not None and s.evidence.inside > 0]
    values = np.array([value for value, _ in seen])
    right = np.where([is_right for _, is_right in seen], 1.0, -1.0)
    signs = np.array([*Evidence.signs(), 0.0])
    spread = values.std(0) + 1e-6
    table = np.hstack([values / spread, np.ones((len(values), 1))])
    ridge = np.array([2 * RIDGE] * values.shape[1] + [0.0])
    weights = _descend(table, right, ridge, signs)
    scaled = weights[:-1] / spread
    return dict(zip(Evidence.names(), scaled.tolist(), strict=True)), float(weights[-1])


def _descend(
    table: NDArray[np.float64], right: NDArray[np.float64], ridge: NDArray[np.float64], signs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Accelerated projected gradient descent of the penalised logistic loss."""
    steepest = 0.25 * float(np.linalg.eigvalsh(table.T @ table)[-1]) + float(ridge.max())
    weights = np.zeros(table.shape[1])
    ahead, pace = weights, 1.0
    for _ in range(STEPS):
        margin = np.clip(right * (table @ ahead), -50, 50)
        slope = table.T @ (-right / (1 + np.exp(margin))) + ridge * ahead
        new = ahead - slope / steepest
        new = np.where(signs * new < 0, 0.0, new)
        faster = (1 + np.sqrt(1 + 4 * pace * pace)) / 2
        ahead = new + (pace - 1) / faster * (new - weights)
        weights, pace = new, faster
    return weights


def read_clip(sequence: VideoSequence, most: int) -> Clip:
    """The first `most` frames of a sequence whose annotations are one object."""
    frames, truths = [], []
    for picture, annotation in zip(sequence.frames[:most], sequence.annotations[:most], strict=True):
        assert annotation is not None
        frames.append(np.asarray(cv2.imread(str(picture), cv2.IMREAD_COLOR_RGB), np.uint8))
        truths.append((read_annotation(annotation, merge_objects=True).ids == 1).astype(np.uint8))
    return Clip(sequence.name, frames, truths)


def clips(root: Path, only: Sequence[str], most: int) -> Iterator[Clip]:
    """Every sequence of a DAVIS-2016 tree, as it is, behind a panel, and cut."""
    for number, sequence in enumerate(load_dataset("davis2016", root, only=only).sequences):
        clip = read_clip(sequence, most)
        yield clip
        short = Clip(clip.name, clip.frames[:48], clip.truths[:48])
        yield occlude(short, tuple(Occlusion)[number % 2], 15, 29, seed=number)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="engine.evaluation.confidence", description=__doc__.split("\n")[0])
    parser.add_argument("root", type=Path, help="DAVIS-2016 tree")
    parser.add_argument("--only", default="", help="names of sequences, with commas")
    parser.add_argument("--frames", type=int, default=100, help="of each sequence, at most")
    parser.add_argument("--weights", type=Path, help="another file for the bundled network")
    parser.add_argument("--working-size", type=int)
    parser.add_argument("--fit", action="store_true", help="print weights fitted to these sequences")
    parser.add_argument("--absence", type=int, default=300, help="frames the synthetic object is away, 0: leave out")
    options = parser.parse_args(arguments)
    from engine.runtime.config import EngineConfig
    from engine.runtime.factory import create_tracker

    config = EngineConfig(weights=options.weights, working_size=options.working_size)
    tracker = create_tracker(config)
    every: dict[str, list[Sighting]] = {}
    for clip in clips(options.root, tuple(filter(None, options.only.split(","))), options.frames):
        every[clip.name] = watch(tracker, clip)
        figures = flagging(every[clip.name])
        mean = np.mean([s.iou for s in every[clip.name]])
        print(f"{clip.name:24} IoU {mean:.3f}  {json.dumps(asdict(figures))}", flush=True)
    for title, names in (
        ("as filmed", [name for name in every if "~" not in name]),
        ("occluded", [name for name in every if "~" in name]),
        ("all", list(every)),
    ):
        figures = flagging([sighting for name in names for sighting in every[name]])
        print(f"{title}: precision {figures.precision:.3f}, recall {figures.recall:.3f}, {json.dumps(asdict(figures))}")
    if options.absence:
        back = found_after(watch(tracker, absence_clip(20, options.absence, 40)))
        print(f"found again after {options.absence} frames of absence: {'never' if back is None else f'frame {back}'}")
    if options.fit:
        weights, bias = fit([sighting for group in every.values() for sighting in group])
        print(json.dumps({name: round(value, 3) for name, value in {"bias": bias, **weights}.items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
