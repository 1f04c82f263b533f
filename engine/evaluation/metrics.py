"""J and F of binary masks, and their statistics over a sequence, as the DAVIS benchmark defines them.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016, and
Pont-Tuset et al., "The 2017 DAVIS Challenge on Video Object Segmentation". The figures equal those of the public
evaluation code (tests/parity/test_metrics.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Binary = NDArray[np.bool_]  # H x W

TOLERANCE = 0.008  # share of the image diagonal by which contours may lie apart
RECALL_ABOVE = 0.5
DECAY_BINS = 4


def region_similarity(prediction: Binary, truth: Binary, void: Binary | None = None) -> float:
    """J: intersection over union; 1 when both masks are empty.

    Args:
        prediction, truth: H x W bool.
        void: H x W bool; True where the truth is undecided. These pixels count for nothing.
    """
    prediction, truth = _decided(prediction, truth, void)
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def contour_accuracy(
    prediction: Binary, truth: Binary, void: Binary | None = None, *, tolerance: float = TOLERANCE
) -> float:
    """F: harmonic mean of the shares of either contour that lie near the other one.

    "Near" is a disk of `ceil(tolerance * diagonal)` pixels, or of `tolerance` pixels where that is 1 or more. Two masks
    without a contour (empty, or filling the image) score 1; when only one of them has none, 0.

    Args:
        prediction, truth, void: as in `region_similarity`; void pixels become background in both masks.
    """
    radius = contour_radius(truth.shape, tolerance)
    prediction, truth = _decided(prediction, truth, void)
    # Contours lie within one pixel of the masks, so everything else of the image can be left out.
    left, top, width, height = cv2.boundingRect((prediction | truth).view(np.uint8))
    around = np.s_[max(top - 1, 0) : top + height + 1, max(left - 1, 0) : left + width + 1]
    found, wanted = contour_map(prediction[around]), contour_map(truth[around])
    n_found, n_wanted = np.count_nonzero(found), np.count_nonzero(wanted)
    if n_found == 0 or n_wanted == 0:
        return 1.0 if n_found == n_wanted else 0.0
    disk = _disk(radius)
    near_wanted = cv2.dilate(wanted.view(np.uint8), disk)
    near_found = cv2.dilate(found.view(np.uint8), disk)
    precision = np.count_nonzero(found & near_wanted.view(bool)) / n_found
    recall = np.count_nonzero(wanted & near_found.view(bool)) / n_wanted
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def contour_map(mask: Binary) -> Binary:
    """H x W bool: pixels that differ from their right, lower or lower right neighbour.

    Contours are so one pixel wide, half a pixel towards the origin. In the last row only the right and in the last
    column only the lower neighbour counts; an edge of the image is no contour.
    """
    contour = np.zeros_like(mask)
    inner = mask[:-1, :-1]
    contour[:-1, :-1] = (inner != mask[:-1, 1:]) | (inner != mask[1:, :-1]) | (inner != mask[1:, 1:])
    contour[-1, :-1] = mask[-1, :-1] != mask[-1, 1:]
    contour[:-1, -1] = mask[:-1, -1] != mask[1:, -1]
    return contour


def contour_radius(shape: tuple[int, ...], tolerance: float = TOLERANCE) -> int:
    """Pixels by which contours may lie apart in an image of this (height, width)."""
    return math.ceil(tolerance if tolerance >= 1 else tolerance * math.hypot(shape[0], shape[1]))


@lru_cache(maxsize=8)
def _disk(radius: int) -> NDArray[np.uint8]:
    """(2 radius + 1) squared uint8: 1 where the distance from the centre is at most `radius`."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk: NDArray[np.uint8] = (x * x + y * y <= radius * radius).astype(np.uint8)
    return disk


def _decided(prediction: Binary, truth: Binary, void: Binary | None) -> tuple[Binary, Binary]:
    if prediction.shape != truth.shape or (void is not None and void.shape != truth.shape):
        raise ValueError(f"masks of different sizes: {prediction.shape}, {truth.shape}")
    return (prediction, truth) if void is None else (prediction & ~void, truth & ~void)


@dataclass(frozen=True)
class Statistics:
    """What a series of per-frame values comes to.

    Attributes:
        mean: of all frames.
        recall: share of the frames above one half.
        decay: mean of the first quarter of the frames minus that of the last; lower is better.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: Sequence[float]) -> Statistics:
    """Mean, recall and decay of the values of one object, in the order of the frames.

    The quarters share their border frames, as in the public code. (That code counts frames in eight bits, so its decay
    is another one beyond 256 frames.)

    Raises:
        ValueError: `values` is empty.
    """
    if not len(values):
        raise ValueError("no values")
    series = np.asarray(values, np.float64)
    borders = np.round(np.linspace(1, len(series), DECAY_BINS + 1) + 1e-10).astype(int) - 1
    first, last = series[: borders[1] + 1], series[borders[-2] :]
    recall = np.count_nonzero(series > RECALL_ABOVE) / len(series)
    return Statistics(float(series.mean()), recall, float(first.mean() - last.mean()))
