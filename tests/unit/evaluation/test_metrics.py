"""J, F and their statistics: what must hold for any masks, against a slow reading of the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.evaluation.metrics import (
    contour_accuracy,
    contour_map,
    contour_radius,
    region_similarity,
    statistics,
)

METRICS = pytest.mark.parametrize("metric", [region_similarity, contour_accuracy])
shapes = st.tuples(st.integers(2, 14), st.integers(2, 14))


@st.composite
def mask_groups(draw, count):
    """`count` masks of one size."""
    shape = draw(shapes)
    return [draw(arrays(bool, shape)) for _ in range(count)]


def slow_contour(mask):
    height, width = mask.shape
    contour = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            if y == height - 1 and x == width - 1:
                continue
            ways = {(0, 1)} if y == height - 1 else {(1, 0)} if x == width - 1 else {(0, 1), (1, 0), (1, 1)}
            contour[y, x] = any(mask[y, x] != mask[y + dy, x + dx] for dy, dx in ways)
    return contour


def slow_f(prediction, truth, radius):
    points = [[(y, x) for y, x in np.argwhere(slow_contour(mask))] for mask in (prediction, truth)]
    if not all(points):
        return float(not any(points))

    def near(some, others):
        return sum(any(math.dist(p, q) <= radius for q in others) for p in some) / len(some)

    precision, recall = near(*points), near(*reversed(points))
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


@settings(deadline=None)
@given(mask_groups(2))
def test_metrics_equal_the_definition(masks):
    prediction, truth = masks
    assert np.array_equal(contour_map(truth), slow_contour(truth))
    for radius in (1, 2, 4):
        assert contour_accuracy(prediction, truth, tolerance=radius) == pytest.approx(slow_f(prediction, truth, radius))
    union = {*map(tuple, np.argwhere(prediction))} | {*map(tuple, np.argwhere(truth))}
    both = {*map(tuple, np.argwhere(prediction))} & {*map(tuple, np.argwhere(truth))}
    assert region_similarity(prediction, truth) == pytest.approx(len(both) / len(union) if union else 1.0)


@METRICS
@settings(deadline=None)
@given(masks=mask_groups(2))
def test_metrics_are_symmetric_and_within_0_and_1(metric, masks):
    first, second = masks
    assert 0 <= metric(first, second) <= 1
    assert metric(first, second) == pytest.approx(metric(second, first))
    assert metric(first, first) == 1
    assert metric(np.zeros_like(first), np.zeros_like(first)) == 1


@METRICS
@settings(deadline=None)
@given(masks=mask_groups(2), shift=st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_moving_both_masks_changes_nothing(metric, masks, shift):
    def place(mask, top, left):
        canvas = np.zeros((40, 40), bool)
        canvas[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        return canvas

    before, after = ([place(mask, 2 + dy, 2 + dx) for mask in masks] for dy, dx in ((0, 0), shift))
    assert metric(*before) == metric(*after)


@METRICS
@settings(deadline=None)
@given(masks=mask_groups(4))
def test_void_pixels_count_for_nothing(metric, masks):
    prediction, truth, void, noise = masks
    score = metric(prediction, truth, void)
    assert metric(prediction ^ (noise & void), truth ^ (noise & void), void) == score
    assert metric(prediction, truth, np.zeros_like(void)) == metric(prediction, truth)
    assert metric(prediction, truth, np.ones_like(void)) == 1


@METRICS
def test_masks_of_different_sizes_are_refused(metric):
    with pytest.raises(ValueError, match="sizes"):
        metric(np.zeros((3, 4), bool), np.zeros((4, 3), bool))


def test_contours_may_lie_apart_by_0_8_percent_of_the_diagonal():
    assert contour_radius((480, 854)) == 8
    assert contour_radius((480, 854), 3) == 3
    square = np.zeros((480, 854), bool)
    square[100:200, 100:200] = True
    assert contour_accuracy(np.roll(square, 8, 1), square) == 1
    assert contour_accuracy(np.roll(square, 9, 1), square) < 0.7


def test_statistics_of_a_known_series():
    values = [1.0, 1.0, 0.8, 0.6, 0.6, 0.4, 0.5, 0.2, 0.0]  # quarters 0-2, 2-4, 4-6, 6-8
    found = statistics(values)
    assert found.mean == pytest.approx(5.1 / 9)
    assert found.recall == pytest.approx(5 / 9)
    assert found.decay == pytest.approx((1 + 1 + 0.8) / 3 - (0.5 + 0.2 + 0) / 3)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=400))
def test_statistics_stay_in_their_ranges(values):
    found = statistics(values)
    assert 0 <= found.mean <= 1
    assert 0 <= found.recall <= 1
    assert -1 <= found.decay <= 1


def test_statistics_need_values():
    with pytest.raises(ValueError, match="no values"):
        statistics([])
