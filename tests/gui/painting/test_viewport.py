"""Zoom and pan arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.canvas.viewport import MAX_ZOOM, MIN_ZOOM, STEPS, Viewport

sizes = st.integers(8, 4000)
viewports = st.builds(lambda fw, fh, vw, vh: Viewport(fw, fh, vw, vh).fit(), sizes, sizes, sizes, sizes)
inside = st.floats(0.1, 0.9)


@given(view=viewports)
def test_fit_shows_the_whole_frame_centred_and_as_large_as_it_goes(view: Viewport) -> None:
    width, height = view.frame_width * view.zoom, view.frame_height * view.zoom
    assert width <= view.view_width * (1 + 1e-9) or view.zoom == MIN_ZOOM
    assert height <= view.view_height * (1 + 1e-9) or view.zoom == MIN_ZOOM
    if MIN_ZOOM < view.zoom < MAX_ZOOM:
        assert width == pytest.approx(view.view_width) or height == pytest.approx(view.view_height)
    assert view.x + width / 2 == pytest.approx(view.view_width / 2)
    assert view.y + height / 2 == pytest.approx(view.view_height / 2)


@given(view=viewports, zoom=st.floats(MIN_ZOOM, MAX_ZOOM), u=inside, v=inside)
def test_zooming_keeps_the_frame_point_under_the_pointer(view: Viewport, zoom: float, u: float, v: float) -> None:
    x, y = view.x + u * view.frame_width * view.zoom, view.y + v * view.frame_height * view.zoom
    if not (50 < x < view.view_width - 50 and 50 < y < view.view_height - 50):
        return  # near the border the rule that some of the frame stays in sight may win
    zoomed = view.zoomed(zoom, x, y)
    before, after = view.to_frame(x, y), zoomed.to_frame(x, y)
    # The corner lies on whole device pixels: half of one is the most it can be off, before and after.
    allowed = 0.5 / view.zoom + 0.5 / zoomed.zoom + 1e-6
    assert abs(before[0] - after[0]) <= allowed
    assert abs(before[1] - after[1]) <= allowed


@given(view=viewports, x=st.floats(-100, 5000), y=st.floats(-100, 5000))
def test_view_and_frame_coordinates_are_inverse(view: Viewport, x: float, y: float) -> None:
    assert view.to_view(*view.to_frame(x, y)) == pytest.approx((x, y), abs=1e-6)


@given(view=viewports, dx=st.floats(-9999, 9999), dy=st.floats(-9999, 9999))
def test_panning_never_loses_the_frame(view: Viewport, dx: float, dy: float) -> None:
    moved = view.panned(dx, dy)
    assert moved.x < view.view_width
    assert moved.y < view.view_height
    assert moved.x + view.frame_width * view.zoom > 0
    assert moved.y + view.frame_height * view.zoom > 0
    assert moved.zoom == view.zoom


def test_steps_go_through_round_zooms_to_both_ends() -> None:
    view = Viewport(640, 480, 800, 600).fit()
    up = [view.zoom]
    while view.zoom < MAX_ZOOM:
        view = view.stepped(+1, 400, 300)
        up.append(view.zoom)
    assert up[1:] == [zoom for zoom in STEPS if zoom > 1.25]
    while view.zoom > STEPS[0]:
        view = view.stepped(-1, 400, 300)
    assert view.stepped(-1, 400, 300).zoom == MIN_ZOOM


def test_a_fitted_frame_stays_fitted_and_a_zoomed_one_stays_zoomed() -> None:
    view = Viewport(200, 150, 400, 300).fit()
    assert view.with_view(800, 600).zoom == 4
    zoomed = view.zoomed(5, 200, 150)
    resized = zoomed.with_view(600, 500)
    assert resized.zoom == 5
    assert resized.to_frame(300, 250) == pytest.approx(zoomed.to_frame(200, 150), abs=0.3)


def test_another_frame_size_is_fitted_and_the_same_size_keeps_the_view() -> None:
    zoomed = Viewport(200, 150, 400, 300).fit().zoomed(5, 10, 10)
    assert zoomed.with_frame(200, 150) is zoomed
    assert zoomed.with_frame(100, 75).zoom == 4
