"""Shapes against a brute-force look at every pixel centre."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.painting import raster
from app.painting.raster import Rect, Region

WIDTH, HEIGHT = 48, 37
coordinate = st.floats(-30, 80, allow_nan=False)
point = st.tuples(coordinate, coordinate)


def full(region: Region | None) -> NDArray[np.bool_]:
    picture = np.zeros((HEIGHT, WIDTH), dtype=bool)
    if region is not None:
        picture[region.rect.slices] = region.pixels
    return picture


def centres() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    return x, y


@given(start=point, end=point, radius=st.floats(0.3, 40))
def test_capsule_holds_the_centres_within_the_radius(
    start: tuple[float, float], end: tuple[float, float], radius: float
) -> None:
    x, y = centres()
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / length, 0, 1) if length > 1e-18 else np.zeros_like(x)
    distance = np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)
    painted = full(raster.capsule(start, end, radius, WIDTH, HEIGHT))
    clear = np.abs(distance - radius) > 1e-6  # on the very border rounding decides
    np.testing.assert_array_equal(painted[clear], (distance <= radius)[clear])


@given(path=st.lists(point, min_size=2, max_size=6))
def test_a_chain_of_capsules_is_one_connected_piece_inside_the_frame(path: list[tuple[float, float]]) -> None:
    inside = [(min(max(x, 0), WIDTH - 1), min(max(y, 0), HEIGHT - 1)) for x, y in path]
    picture = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for start, end in itertools.pairwise(inside):
        picture |= full(raster.capsule(start, end, 1.0, WIDTH, HEIGHT))
    pieces, _ = cv2.connectedComponents(picture.astype(np.uint8), connectivity=8)
    assert pieces == 2  # background and the stroke


def test_capsule_outside_the_frame_is_nothing() -> None:
    assert raster.capsule((-50, 10), (-30, 10), 5, WIDTH, HEIGHT) is None


@given(corners=st.lists(point, min_size=3, max_size=8))
def test_polygon_holds_the_centres_inside_by_the_even_odd_rule(corners: list[tuple[float, float]]) -> None:
    x, y = centres()
    inside = np.zeros((HEIGHT, WIDTH), dtype=bool)
    near_edge = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for (xa, ya), (xb, yb) in zip(corners, corners[1:] + corners[:1], strict=True):
        spans = (ya > y) != (yb > y)
        crossing = np.divide((xb - xa) * (y - ya), yb - ya, out=np.zeros_like(y), where=spans) + xa
        inside ^= spans & (x < crossing)
        near_edge |= spans & (np.abs(x - crossing) < 1e-6)
    painted = full(raster.polygon(corners, WIDTH, HEIGHT))
    np.testing.assert_array_equal(painted[~near_edge], inside[~near_edge])


def test_polygon_needs_three_corners() -> None:
    with pytest.raises(ValueError, match="three points"):
        raster.polygon([(1, 1), (5, 5)], WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("corner", "opposite", "expected"),
    [
        ((3.5, 4.5), (9.5, 6.5), Rect(3, 4, 7, 3)),
        ((9.5, 6.5), (3.5, 4.5), Rect(3, 4, 7, 3)),
        ((5.2, 5.2), (5.2, 5.2), Rect(5, 5, 1, 1)),
        ((-20, -20), (500, 500), Rect(0, 0, WIDTH, HEIGHT)),
        ((-20, -20), (-1, 500), None),
    ],
)
def test_box_holds_every_pixel_it_touches(
    corner: tuple[float, float], opposite: tuple[float, float], expected: Rect | None
) -> None:
    region = raster.box(corner, opposite, WIDTH, HEIGHT)
    assert (None if region is None else region.rect) == expected
    assert region is None or region.pixels.all()


def test_similar_colour_stops_at_colour_and_label_borders() -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), 100, dtype=np.uint8)
    rgb[:, 20:] = 130
    rgb[5:9, 5:9] = 108
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[30] = 7
    rgb.setflags(write=False)
    mask.setflags(write=False)
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[:30, :20] = True
    np.testing.assert_array_equal(full(raster.similar_colour(rgb, mask, 2, 2, 10)), expected)
    expected[5:9, 5:9] = False
    np.testing.assert_array_equal(full(raster.similar_colour(rgb, mask, 2, 2, 5)), expected)


def test_same_label_is_the_piece_under_the_pointer() -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[3:6, 3:6] = mask[6:9, 6:9] = 4  # two squares that meet at a corner only
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[3:6, 3:6] = True
    np.testing.assert_array_equal(full(raster.same_label(mask, 4, 4)), expected)


@given(
    a=st.tuples(*[st.integers(-20, 40)] * 2, *[st.integers(1, 30)] * 2),
    b=st.tuples(*[st.integers(-20, 40)] * 2, *[st.integers(1, 30)] * 2),
)
def test_rectangles_unite_and_intersect_like_sets_of_pixels(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> None:
    def cells(rect: Rect) -> set[tuple[int, int]]:
        return {(x, y) for x in range(rect.x, rect.x + rect.width) for y in range(rect.y, rect.y + rect.height)}

    first, second = Rect(*a), Rect(*b)
    common = first.intersected(second)
    assert (set() if common is None else cells(common)) == cells(first) & cells(second)
    assert cells(first) | cells(second) <= cells(first.united(second))
