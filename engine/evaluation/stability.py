"""Temporal stability: how little the outline of an object changes its shape from frame to frame.

After the measure T of Perazzi et al. (CVPR 2016): the outlines of two successive masks are described point by point
with shape contexts and matched by dynamic time warping; T is the mean cost per matched point, 0 where they are alike.
Moving an outline costs nothing, so T measures flicker and not motion. Sampling differs from the public code (which the
2017 benchmark dropped), so figures compare within these reports only; the truth's own T stands beside each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.evaluation.annotations import read_annotation, read_ids
from engine.evaluation.datasets import VideoSequence
from engine.evaluation.metrics import Binary
from engine.evaluation.scoring import ObjectScore

POINTS = 100  # along an outline
RADII = (0.125, 0.25, 0.5, 1.0, 2.0)  # borders of the rings, in mean distances between points
SECTORS = 12

Descriptor = NDArray[np.float64]  # POINTS x (rings * sectors)


@dataclass(frozen=True)
class ObjectStability:
    """T of one object.

    Attributes:
        found, true: mean T over successive scored frames of the masks and of the ground truth; None where fewer than
            two successive frames show the object.
        jitter: mean change of J from one scored frame to the next; 0 with fewer than two.
    """

    sequence: str
    object_id: int
    found: float | None
    true: float | None
    jitter: float


def outline(mask: Binary) -> NDArray[np.float64] | None:
    """POINTS x 2 points, evenly spaced along the longest outline of a mask; None for an empty or a one-pixel mask."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    longest = max(contours, key=len)[:, 0].astype(np.float64)
    closed = np.vstack([longest, longest[:1]])
    way = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    if way[-1] == 0:
        return None
    at = np.linspace(0, way[-1], POINTS, endpoint=False)
    return np.stack([np.interp(at, way, closed[:, axis]) for axis in range(2)], 1)


def shape_contexts(points: NDArray[np.float64]) -> Descriptor:
    """For every point, where the other points lie: shares in rings and sectors around it."""
    offset = points[None] - points[:, None]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    others = ~np.eye(len(points), dtype=bool)
    ring = np.digitize(distance / distance[others].mean(), RADII[:-1])  # the innermost ring takes all that is nearer
    inside = others & (distance <= RADII[-1] * distance[others].mean())
    angle = np.arctan2(offset[..., 1], offset[..., 0]) % (2 * np.pi)
    sector = np.minimum((angle * SECTORS / (2 * np.pi)).astype(int), SECTORS - 1)
    counts = np.zeros((len(points), len(RADII) * SECTORS))
    np.add.at(counts, (np.nonzero(inside)[0], (ring * SECTORS + sector)[inside]), 1)
    shares: Descriptor = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return shares


def change(first: Descriptor, second: Descriptor) -> float:
    """Mean cost, 0 to 1, of the best match of two closed outlines."""
    total = first[:, None] + second[None]
    difference = (first[:, None] - second[None]) ** 2
    cost = 0.5 * np.divide(difference, total, out=np.zeros_like(total), where=total > 0).sum(-1)
    count = len(cost)
    rolled = np.arange(count)[None, :] + np.arange(count)[:, None]  # shift x point -> point of the second
    shift = int(cost[np.arange(count)[None, :], rolled % count].sum(1).argmin())  # where the outlines begin
    return _warp(np.roll(cost, -shift, axis=1))


def _warp(cost: NDArray[np.float64]) -> float:
    """Mean cost along the cheapest monotonous path from the first corner to the last."""
    count = len(cost)
    total = np.full((count + 1, count + 1), np.inf)
    total[0, 0] = 0
    steps = np.zeros((count + 1, count + 1))
    for diagonal in range(2, 2 * count + 1):  # cells of one anti-diagonal do not depend on each other
        i = np.arange(max(1, diagonal - count), min(count, diagonal - 1) + 1)
        j = diagonal - i
        before = np.stack([total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]])
        best = before.argmin(0)
        total[i, j] = cost[i - 1, j - 1] + before[best, np.arange(len(i))]
        lengths = np.stack([steps[i - 1, j - 1], steps[i - 1, j], steps[i, j - 1]])
        steps[i, j] = 1 + lengths[best, np.arange(len(i))]
    return float(total[count, count] / steps[count, count])


def mean_change(masks: Iterable[Binary]) -> float | None:
    """Mean `change` of successive masks; pairs with an empty one are left out, None when no pair is left."""
    values: list[float] = []
    former: Descriptor | None = None
    for mask in masks:
        points = outline(mask)
        present = None if points is None else shape_contexts(points)
        if former is not None and present is not None:
            values.append(change(former, present))
        former = present
    return float(np.mean(values)) if values else None


def stability_of(sequence: VideoSequence, folder: Path, scores: Sequence[ObjectScore]) -> list[ObjectStability]:
    """T of the scored objects of one sequence, whose masks are in `folder`, over the frames that were scored.

    Raises:
        MaskError: a mask cannot be read.
    """
    annotations = {frame.stem: path for frame, path in zip(sequence.frames, sequence.annotations, strict=True)}

    def found(score: ObjectScore) -> Iterator[Binary]:
        for name in score.frames:
            ids = read_ids(folder / f"{name}.png")
            yield ids != 0 if sequence.merge_objects else ids == score.object_id

    def true(score: ObjectScore) -> Iterator[Binary]:
        for name in score.frames:
            path = annotations[name]
            assert path is not None  # only annotated frames are scored
            yield read_annotation(path, merge_objects=sequence.merge_objects).ids == score.object_id

    return [
        ObjectStability(
            score.sequence,
            score.object_id,
            mean_change(found(score)),
            mean_change(true(score)),
            float(np.abs(np.diff(score.region_values)).mean()) if len(score.region_values) > 1 else 0.0,
        )
        for score in scores
        if score.sequence == sequence.name
    ]
