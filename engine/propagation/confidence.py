"""How sure the propagation is of an object in a frame: a calibrated figure from the labels on the stride-8 grid.

The figure estimates the probability that the object's mask overlaps the truth by at least one half. Its evidence is
what a step knows anyway; no further comparison of embeddings is made. The weights were fitted by
`engine.evaluation.confidence`, which also measures them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]  # h x w, one object's label 0..1
Look = NDArray[np.float32]  # C, a mean embedding

INSIDE = 0.5  # a cell with more than this belongs to the object
TRACE = 0.05  # below this a label is noise of the softmax
LOOKS = 8  # keyframes whose looks are kept
RECENT = 10  # frames whose areas are compared with this one's
LONG = 30  # frames whose likeness to the keyframes is
FRESH = 0.9  # likeness to expect right after a keyframe
TRUSTED = 0.5  # from this confidence on a frame's area is one to compare later ones with


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against an object in one frame, every figure about 0..1 or a logarithm.

    Attributes:
        inside: mean label of the cells that belong to the object: the share of affinity that came from the object's
            own cells. 0 when no cell does.
        doubt: mean of 4 p (1 - p), weighted with the label p: 0 where cells are all of one mind, 1 where none is.
        agreement: overlap (soft IoU) of these labels with those the keyframes alone would give.
        shrunk, grown: natural logarithm of how many times smaller or larger the object is than in the median of the
            recent frames (the other one is 0), at most log 20.
        whole: share of the object's cells in its largest connected part; 0 when no cell belongs to it.
        small: 1 / (1 + cells of the object / 4): tiny objects are easily lost.
        faded: how far the likeness (cosine of the object's mean embedding here and in the most alike keyframe) has
            fallen below its median in the recent frames, 0 when it has not: what an object turns into slowly may still
            be the object, what it turns into at once is not.
    """

    inside: float
    doubt: float
    agreement: float
    shrunk: float
    grown: float
    whole: float
    small: float
    faded: float

    @staticmethod
    def names() -> tuple[str, ...]:
        return tuple(field.name for field in fields(Evidence))

    @staticmethod
    def signs() -> tuple[int, ...]:
        """+1 for evidence that speaks for a right mask, -1 for evidence against it."""
        return tuple(1 if name in ("inside", "agreement", "whole") else -1 for name in Evidence.names())

    def values(self) -> NDArray[np.float64]:
        return np.array(astuple(self), np.float64)


def soft_iou(one: Plane, other: Plane) -> float:
    """Sum of the minima over the sum of the maxima; 1 when both are empty."""
    union = float(np.maximum(one, other).sum())
    return float(np.minimum(one, other).sum()) / union if union > 1e-6 else 1.0


def _unit(look: Look) -> Look:
    return look / max(float(np.linalg.norm(look)), 1e-9)


def _largest_part(inside: NDArray[np.bool_]) -> float:
    count = int(np.count_nonzero(inside))
    if not count:
        return 0.0
    _, _, stats, _ = cv2.connectedComponentsWithStats(inside.view(np.uint8), connectivity=8)
    return float(stats[1:, cv2.CC_STAT_AREA].max()) / count


def _change(area: float, before: float) -> tuple[float, float]:
    """(shrunk, grown) of `Evidence`."""
    ratio = math.log(max(area, 0.25) / max(before, 0.25))
    limit = math.log(20.0)
    return min(max(-ratio, 0.0), limit), min(max(ratio, 0.0), limit)


# Fitted by `python -m engine.evaluation.confidence DAVIS --fit`.
BIAS = -3.183
WEIGHTS = {
    "inside": 4.937,
    "doubt": -4.439,
    "agreement": 0.401,
    "shrunk": -1.19,
    "grown": -1.121,
    "whole": 6.154,
    "small": -1.163,
    "faded": -9.754,
}
_WEIGHTS = np.array([WEIGHTS[name] for name in Evidence.names()])


def calibrated(evidence: Evidence) -> float:
    """0..1; an object without a single cell of its own is nowhere, whatever else is said."""
    if evidence.inside == 0:
        return 0.0
    score = float(evidence.values() @ _WEIGHTS) + BIAS
    return 1 / (1 + math.exp(-min(max(score, -30.0), 30.0)))


@dataclass(frozen=True, eq=False)
class TrailMemory:
    """What an `ObjectTrail` remembers between two frames, for a project.

    Attributes:
        cells: of the grid the areas were measured on.
        areas, likenesses: of late, the oldest first.
        looks: K x C float32, unit length, one per keyframe.
    """

    cells: int
    areas: tuple[float, ...]
    likenesses: tuple[float, ...]
    looks: Look


class ObjectTrail:
    """What the confidence of one object remembers: its areas of late, and how it looked in keyframes and since."""

    def __init__(self) -> None:
        self._areas: deque[float] = deque(maxlen=RECENT)
        self._cells = 1
        self._area = 0.0
        self._looks: deque[Look] = deque(maxlen=LOOKS)
        self._likenesses: deque[float] = deque(maxlen=LONG)
        self._likeness = 1.0

    def start(self, plane: Plane, look: Look) -> None:
        """The user has shown the object; what was before does not count, but how it looked.

        Args:
            plane: h x w float32, all 0 when the object is not there.
            look: as in `look`.
        """
        self._areas.clear()
        self._cells = plane.size
        if plane.any():
            self._areas.append(float(plane.sum()))
            self._looks.append(_unit(look))
            self._likenesses.clear()
            self._likenesses.append(FRESH)

    def look(self, plane: Plane, from_keyframes: Plane | None, look: Look) -> Evidence:
        """The evidence of the next frame, which is remembered.

        Args:
            plane: h x w float32, the object's label.
            from_keyframes: the same by the keyframes' votes alone; None where no keyframe votes.
            look: C float32, the mean embedding of the object's cells, of any length.
        """
        if self._cells != plane.size:  # another working size
            self._areas = deque((area * plane.size / self._cells for area in self._areas), maxlen=RECENT)
            self._cells = plane.size
        labels = np.where(plane > TRACE, plane, np.float32(0))
        voted = plane if from_keyframes is None else from_keyframes
        inside = plane > INSIDE
        count = int(np.count_nonzero(inside))
        area = total = float(labels.sum())
        recent = float(np.median(self._areas)) if self._areas else area
        shrunk, grown = _change(area, recent)
        likeness = max((float(known @ _unit(look)) for known in self._looks), default=1.0)
        usual = float(np.median(self._likenesses)) if self._likenesses else 1.0
        evidence = Evidence(
            inside=float(plane[inside].mean()) if count else 0.0,
            doubt=float((labels * labels * (1 - labels)).sum()) * 4 / total if total > 1e-6 else 1.0,
            agreement=soft_iou(labels, np.where(voted > TRACE, voted, np.float32(0))),
            shrunk=shrunk,
            grown=grown,
            whole=_largest_part(inside),
            small=1 / (1 + count / 4),
            faded=max(usual - likeness, 0.0),
        )
        self._area, self._likeness = area, likeness
        return evidence

    def trust(self) -> None:
        """What was looked at last was the object: later areas are compared with it, too."""
        self._areas.append(self._area)
        self._likenesses.append(self._likeness)

    def jump(self) -> None:
        """The next frame does not follow the last one."""
        self._areas.clear()

    @property
    def memory(self) -> TrailMemory:
        looks = np.stack(self._looks).astype(np.float32) if self._looks else np.zeros((0, 0), np.float32)
        return TrailMemory(self._cells, tuple(self._areas), tuple(self._likenesses), looks)

    @memory.setter
    def memory(self, memory: TrailMemory) -> None:
        self._cells = memory.cells
        self._areas = deque(memory.areas, maxlen=RECENT)
        self._likenesses = deque(memory.likenesses, maxlen=LONG)
        self._looks = deque(memory.looks, maxlen=LOOKS)


class ConfidenceMeter:
    """The confidences of all objects of one tracker, step by step. One thread owns it."""

    def __init__(self) -> None:
        self._trails: dict[int, ObjectTrail] = {}
        self.evidence: dict[int, Evidence] = {}  # of the last step

    def start(self, object_id: int, plane: Plane, look: Look) -> None:
        """The user has shown this object in a frame (or that it is not there); as `ObjectTrail.start`."""
        self._trails.setdefault(object_id, ObjectTrail()).start(plane, look)

    def forget(self, object_ids: Collection[int] | None = None) -> None:
        """Forget objects (None: all)."""
        for object_id in list(self._trails) if object_ids is None else object_ids:
            self._trails.pop(object_id, None)

    def jump(self) -> None:
        """The next frame does not follow the last one; what keyframes showed stays known."""
        for trail in self._trails.values():
            trail.jump()

    def memory(self, object_id: int) -> TrailMemory | None:
        """What is remembered of an object; None when it was never seen."""
        trail = self._trails.get(object_id)
        return None if trail is None else trail.memory

    def restore(self, object_id: int, memory: TrailMemory) -> None:
        """Go on as `memory` once told."""
        self._trails.setdefault(object_id, ObjectTrail()).memory = memory

    def measure(
        self,
        labels: Sequence[Plane],
        from_keyframes: Sequence[Plane] | None,
        looks: Sequence[Look],
        object_ids: Sequence[int],
    ) -> dict[int, float]:
        """Object id -> 0..1, the estimated probability that its mask overlaps the truth by at least one half.

        Args:
            labels: one h x w float32 plane per object.
            from_keyframes: the same by the keyframes' votes alone; None where no keyframe votes.
            looks: mean embedding of each object's cells.
            object_ids: one per plane.
        """
        confidence, self.evidence = {}, {}
        for position, (plane, object_id) in enumerate(zip(labels, object_ids, strict=True)):
            trail = self._trails.setdefault(object_id, ObjectTrail())
            voted = None if from_keyframes is None else from_keyframes[position]
            evidence = trail.look(plane, voted, looks[position])
            self.evidence[object_id] = evidence
            value = calibrated(evidence)
            if value >= TRUSTED:
                trail.trust()
            confidence[object_id] = value
        return confidence
