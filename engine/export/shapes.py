"""Boxes, centroids, areas, outlines and run lengths of the objects in a mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.types import Mask

_EASE = 0.75  # pixels an outline may leave the true edge, so that it has few enough corners to be edited
_LEAST_AREA = 2.0  # of an outline, square pixels


@dataclass(frozen=True)
class Shape:
    """One object in one frame.

    Attributes:
        box: x, y, width, height in whole pixels.
        centroid: x, y of the mean pixel centre; the centre of the first pixel is (0, 0).
        area: pixels.
    """

    id: int
    box: tuple[int, int, int, int]
    centroid: tuple[float, float]
    area: int


def measure(mask: Mask) -> list[Shape]:
    """Every object that has a pixel, by id."""
    found = []
    for object_id in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)):
        if not object_id:
            continue
        inside = np.asarray(mask == object_id, np.uint8)
        moments = cv2.moments(inside, binaryImage=True)
        area = moments["m00"]
        found.append(
            Shape(
                int(object_id),
                tuple(int(v) for v in cv2.boundingRect(inside)),  # type: ignore[arg-type]
                (moments["m10"] / area, moments["m01"] / area),
                round(area),
            )
        )
    return found


def polygons(inside: NDArray[np.bool_]) -> list[list[tuple[float, float]]]:
    """Outer outlines of a region, largest first, each a list of (x, y) corners on pixel centres; holes are filled."""
    outlines, _ = cv2.findContours(np.asarray(inside, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        eased = cv2.approxPolyDP(outline, _EASE, closed=True)
        if len(eased) >= 3 and cv2.contourArea(eased) >= _LEAST_AREA:
            found.append((cv2.contourArea(eased), [(float(x), float(y)) for x, y in eased.reshape(-1, 2)]))
    found.sort(key=lambda item: -item[0])
    return [points for _, points in found]


def row_runs(inside: NDArray[np.bool_]) -> list[int]:
    """Lengths of alternating runs in reading order, the first one of background (0 when it begins inside)."""
    flat = np.concatenate(([False], inside.reshape(-1)))
    starts = np.flatnonzero(flat[1:] != flat[:-1])
    edges = np.concatenate(([0], starts, [inside.size]))
    return [int(run) for run in np.diff(edges)]
