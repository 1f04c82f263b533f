"""The picture on the screen, against pixel by pixel references."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.canvas import compositor
from app.canvas.compositor import FrameImage, OverlayStyle
from app.canvas.viewport import Viewport
from app.painting.raster import Rect
from app.state.palette import palette_array
from engine.types import Mask

FRAME_W, FRAME_H, VIEW_W, VIEW_H = 40, 30, 120, 90
BACKGROUND = 0xFF202122
IDENTITY = np.arange(256, dtype=np.uint8)
RGB = np.random.default_rng(5).integers(0, 256, (FRAME_H, FRAME_W, 3), dtype=np.uint8)


def blobs() -> Mask:
    mask = np.zeros((FRAME_H, FRAME_W), dtype=np.uint8)
    mask[5:15, 5:20] = 1
    mask[10:25, 15:35] = 2
    return mask


def viewport(zoom: float, x: float = 7, y: float = -4) -> Viewport:
    return Viewport(FRAME_W, FRAME_H, VIEW_W, VIEW_H, zoom, x, y, fitted=False)


def compose(
    view: Viewport, mask: Mask | None, style: OverlayStyle, blocks: list[Rect] | None = None
) -> NDArray[np.uint8]:
    """The view as view_height x view_width x 3 RGB."""
    target = np.zeros((VIEW_H, VIEW_W), dtype=np.uint32)
    for block in blocks or [Rect(0, 0, VIEW_W, VIEW_H)]:
        compositor.compose(target, block, view, FrameImage(RGB), mask, style, BACKGROUND)
    return target.view(np.uint8).reshape(VIEW_H, VIEW_W, 4)[..., 2::-1]


def plain(opacity: float = 0.5, line: int = 0) -> OverlayStyle:
    return OverlayStyle(palette_array(), IDENTITY, opacity, line)


@pytest.mark.parametrize("zoom", [1.0, 2.0, 3.0, 2.5, 7.3])
@pytest.mark.parametrize("opacity", [0.0, 0.35, 1.0])
def test_every_screen_pixel_is_the_blend_of_its_frame_pixel_and_its_object_colour(zoom: float, opacity: float) -> None:
    view, mask = viewport(zoom), blobs()
    shown = compose(view, mask, plain(opacity))
    expected = np.full((VIEW_H, VIEW_W, 3), (0x20, 0x21, 0x22), dtype=np.float64)
    for row in range(VIEW_H):
        for column in range(VIEW_W):
            x, y = (column + 0.5 - 7) / zoom, (row + 0.5 + 4) / zoom
            if 0 <= x < FRAME_W and 0 <= y < FRAME_H:
                pixel, object_id = RGB[int(y), int(x)].astype(float), mask[int(y), int(x)]
                if object_id:
                    pixel = pixel * (1 - opacity) + palette_array()[object_id] * opacity
                expected[row, column] = pixel
    assert np.abs(shown - expected).max() <= 0.51  # rounding of one half


@settings(max_examples=60)
@given(
    zoom=st.sampled_from([0.21, 0.5, 0.83, 1.0, 1.4, 2.0, 3.7, 9.0]),
    x=st.floats(-60, 60),
    y=st.floats(-60, 60),
    cut_x=st.integers(1, VIEW_W - 1),
    cut_y=st.integers(1, VIEW_H - 1),
    line=st.sampled_from([0, 1, 2]),
)
def test_composing_in_blocks_gives_the_same_picture(
    zoom: float, x: float, y: float, cut_x: int, cut_y: int, line: int
) -> None:
    view = viewport(zoom, x, y)
    whole = compose(view, blobs(), plain(line=line))
    blocks = [
        Rect(0, 0, cut_x, cut_y),
        Rect(cut_x, 0, VIEW_W - cut_x, cut_y),
        Rect(0, cut_y, cut_x, VIEW_H - cut_y),
        Rect(cut_x, cut_y, VIEW_W - cut_x, VIEW_H - cut_y),
    ]
    parts = compose(view, blobs(), plain(line=line), blocks)
    # Interpolation is fixed point in OpenCV and may round by one level, depending on where a block begins.
    assert np.abs(whole.astype(int) - parts).max() <= (2 if zoom < 2 and zoom != 1 else 0)


def test_bands_join_without_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compose(viewport(3.0), blobs(), plain(line=2))
    monkeypatch.setattr(compositor, "BAND_PIXELS", VIEW_W * 8)
    np.testing.assert_array_equal(compose(viewport(3.0), blobs(), plain(line=2)), whole)


@pytest.mark.parametrize("zoom", [0.4, 1.0, 2.5, 9.0])
def test_a_view_so_large_that_threads_share_it_looks_the_same(monkeypatch: pytest.MonkeyPatch, zoom: float) -> None:
    monkeypatch.setattr(compositor, "BAND_PIXELS", 100)  # many bands of 8 rows
    expected = compose(viewport(zoom), blobs(), plain(line=1))
    monkeypatch.setattr(compositor, "PARALLEL_FROM", 0)
    monkeypatch.setattr(compositor, "WORKERS", 3)
    assert np.array_equal(compose(viewport(zoom), blobs(), plain(line=1)), expected)


def test_shrinking_averages_the_frame() -> None:
    shown = compose(viewport(0.25, 0, 0), None, plain())[1:6, 1:9].astype(float)
    average = RGB[:28].reshape(7, 4, 10, 4, 3).mean(axis=(1, 3))[1:6, 1:9]
    assert np.abs(shown - average).max() < 40  # a single sample would be off by up to 255
    assert np.abs(shown - average).mean() < 12


def test_thin_parts_survive_shrinking() -> None:
    mask = np.zeros((FRAME_H, FRAME_W), dtype=np.uint8)
    mask[:, 17] = 1
    mask[11, :] = 1
    for zoom in (0.9, 0.6, 0.5, 0.3, 0.2):
        view = viewport(zoom, 0, 0)
        shown = compose(view, mask, plain(opacity=1.0)).astype(int)
        painted = (shown == palette_array()[1]).all(axis=2)
        assert painted[: int(FRAME_H * zoom)].any(axis=1).all(), zoom
        assert painted[:, : int(FRAME_W * zoom)].any(axis=0).all(), zoom


@pytest.mark.parametrize("line", [1, 2])
@pytest.mark.parametrize("zoom", [1.0, 3.0])
def test_outlines_are_screen_pixels_wide_solid_inside_and_dark_outside(zoom: float, line: int) -> None:
    mask = np.zeros((FRAME_H, FRAME_W), dtype=np.uint8)
    mask[10:20, 10:30] = 3
    view = viewport(zoom, 0, 0)
    filled, outlined = compose(view, mask, plain(0.5)), compose(view, mask, plain(0.5, line))
    left, row = round(10 * zoom), round(15 * zoom)
    assert (outlined[row, left : left + line] == palette_array()[3]).all()
    np.testing.assert_array_equal(outlined[row, left + line], filled[row, left + line])
    assert (outlined[row, left - line : left].astype(int) < filled[row, left - line : left]).any(axis=1).all()
    np.testing.assert_array_equal(outlined[row, left - line - 1], filled[row, left - line - 1])


def test_hidden_objects_leave_no_trace() -> None:
    shown = IDENTITY.copy()
    shown[2] = 0
    style = OverlayStyle(palette_array(), shown, 0.5, 1)
    without = np.where(blobs() == 2, 0, blobs()).astype(np.uint8)
    np.testing.assert_array_equal(compose(viewport(3), blobs(), style), compose(viewport(3), without, plain(0.5, 1)))


def test_the_frame_border_is_no_outline() -> None:
    everything = np.ones((FRAME_H, FRAME_W), dtype=np.uint8)
    np.testing.assert_array_equal(
        compose(viewport(2), everything, plain(0.5, 1)), compose(viewport(2), everything, plain(0.5, 0))
    )


def test_a_grid_separates_the_pixels_at_high_zoom_only() -> None:
    def seams(zoom: float) -> bool:
        shown = compose(viewport(zoom, 0, 0), None, plain())
        column = round(5 * zoom)
        inside = shown[round(2.5 * zoom), column + 1 : column + int(zoom) - 1]
        assert (inside == inside[0]).all()
        return bool((shown[round(2.5 * zoom), column] != inside[0]).any())

    assert seams(8.0)
    assert seams(12.0)
    assert not seams(7.0)


def test_frame_levels_are_halvings() -> None:
    image = FrameImage(RGB)
    assert [image.level(zoom).shape[:2] for zoom in (3.0, 1.0, 0.6, 0.5, 0.3, 0.25)] == [
        (30, 40),
        (30, 40),
        (30, 40),
        (15, 20),
        (15, 20),
        (8, 10),
    ]
    half = cv2.resize(RGB, (20, 15), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(image.level(0.5)[..., 2::-1], half)
