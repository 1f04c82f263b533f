"""Worst frames as picture strips: the frame, what was found, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engine.errors import ExportError
from engine.evaluation.annotations import read_annotation, read_ids
from engine.evaluation.datasets import Dataset
from engine.evaluation.scoring import ObjectScore
from engine.types import Mask, Rgb
from engine.video.folder import read_image
from engine.video.masks import davis_palette
from engine.video.overlay import compose_overlay

MOST_STRIPS = 8
PICTURE_WIDTH = 420
_GAP = 6


@dataclass(frozen=True, eq=False)
class Strip:
    """Pictures side by side: frame, found, true.

    Attributes:
        region: J of the object in this frame.
        picture: H x W x 3 uint8 RGB.
    """

    sequence: str
    object_id: int
    frame: str
    region: float
    picture: Rgb


def worst_frames(scores: Sequence[ObjectScore], count: int = MOST_STRIPS) -> list[tuple[ObjectScore, int]]:
    """The objects with the lowest J, each with the position of its worst frame among those scored, worst first."""
    worst = [(score, int(np.argmin(score.region_values))) for score in scores]
    return sorted(worst, key=lambda one: (one[0].region_values[one[1]], one[0].sequence, one[0].object_id))[:count]


def worst_strips(dataset: Dataset, results: Path, scores: Sequence[ObjectScore]) -> list[Strip]:
    """A strip per object among the worst of all.

    Raises:
        SourceError, MaskError: a frame or a mask cannot be read.
    """
    sequences = {sequence.name: sequence for sequence in dataset.sequences}
    strips = []
    for score, position in worst_frames(scores):
        sequence, name = sequences[score.sequence], score.frames[position]
        index = next(i for i, frame in enumerate(sequence.frames) if frame.stem == name)
        path = sequence.annotations[index]
        assert path is not None  # only annotated frames are scored
        rgb = read_image(sequence.frames[index])
        found = read_ids(sequence.results_in(results) / f"{name}.png")
        if sequence.merge_objects:
            found = (found != 0).astype(np.uint8)
        truth = read_annotation(path, merge_objects=sequence.merge_objects).ids
        picture = side_by_side([rgb, *(_painted(rgb, ids, score.object_id) for ids in (found, truth))])
        strips.append(Strip(score.sequence, score.object_id, name, score.region_values[position], picture))
    return strips


def _painted(rgb: Rgb, ids: Mask, object_id: int) -> Rgb:
    """The object in its colour; the others of the frame are left alone, so that it is clear whose failure it is."""
    only = np.where(ids == object_id, ids, np.uint8(0))
    if only.shape != rgb.shape[:2]:
        only = cv2.resize(only, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)
    return compose_overlay(rgb, only, davis_palette(), 0.6)


def side_by_side(pictures: Sequence[Rgb], width: int = PICTURE_WIDTH) -> Rgb:
    """Pictures of one size in a row, each `width` pixels wide, with white gaps: H x W x 3 uint8."""
    height = max(1, round(width * pictures[0].shape[0] / pictures[0].shape[1]))
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    row: list[Rgb] = []
    for picture in pictures:
        shrinks = picture.shape[1] > width
        resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        row += [gap, np.asarray(resized, np.uint8)] if row else [np.asarray(resized, np.uint8)]
    return np.ascontiguousarray(np.hstack(row))


def encode_png(picture: Rgb) -> bytes:
    """H x W x 3 uint8 RGB as the bytes of a PNG file."""
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ExportError("A picture could not be encoded as PNG.")
    return data.tobytes()
