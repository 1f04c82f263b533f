"""Fill, outline and pattern; the matte and the cut-outs: the picture on the screen against plain references."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest

from app.canvas import compositor
from app.canvas.canvas import Canvas
from app.canvas.compositor import FrameImage, OverlayStyle
from app.canvas.overlay_styles import PATTERNS, STYLES, VIEWS, pattern_of
from app.canvas.viewport import Viewport
from app.painting.raster import Rect
from app.state.palette import palette_array
from engine.export.looks import LOOKS, PLAIN
from engine.types import Mask

FRAME_W, FRAME_H, VIEW_W, VIEW_H = 60, 50, 120, 100
IDENTITY = np.arange(256, dtype=np.uint8)
RGB = np.random.default_rng(7).integers(1, 255, (FRAME_H, FRAME_W, 3), dtype=np.uint8)
CUT_OUTS = VIEWS[2:]
MIDDLE, NO_KEY = Qt.MouseButton.MiddleButton, Qt.KeyboardModifier.NoModifier


def style(name: str = "fill", view: str = "overlay", opacity: float = 0.5, line: int = 0) -> OverlayStyle:
    return OverlayStyle(palette_array(), IDENTITY, opacity, line, name, view)


def viewport(zoom: float = 2.0, x: float = 0, y: float = 0) -> Viewport:
    return Viewport(FRAME_W, FRAME_H, VIEW_W, VIEW_H, zoom, x, y, fitted=False)


def compose(
    mask: Mask | None, looks: OverlayStyle, view: Viewport | None = None, blocks: list[Rect] | None = None
) -> NDArray[np.uint8]:
    """The view as view_height x view_width x 3 RGB."""
    target = np.zeros((VIEW_H, VIEW_W), dtype=np.uint32)
    for block in blocks or [Rect(0, 0, VIEW_W, VIEW_H)]:
        compositor.compose(target, block, view or viewport(), FrameImage(RGB), mask, looks, 0xFF000000)
    return target.view(np.uint8).reshape(VIEW_H, VIEW_W, 4)[..., 2::-1]


def blobs() -> Mask:
    mask = np.zeros((FRAME_H, FRAME_W), dtype=np.uint8)
    mask[5:25, 5:30] = 1
    mask[15:45, 25:55] = 2
    return mask


masks = st.builds(
    lambda seed, ids: np.random.default_rng(seed).choice(np.array([0, *ids], np.uint8), (FRAME_H, FRAME_W)),
    st.integers(0, 999),
    st.lists(st.integers(1, 255), min_size=1, max_size=4),
)


@settings(max_examples=30)
@given(mask=masks, opacity=st.floats(0, 1), line=st.sampled_from([0, 1, 2]))
def test_a_fill_is_the_blend_and_the_outline_it_always_was(mask: Mask, opacity: float, line: int) -> None:
    shown = compose(mask, style("fill", opacity=opacity, line=line), viewport(1.0))[:FRAME_H, :FRAME_W]
    expected, inside = RGB.copy(), mask > 0
    colors = palette_array()[mask]
    expected[inside] = cv2.addWeighted(RGB, 1 - opacity, colors, opacity, 0)[inside]
    if line:
        kernel = cv2.getStructuringElement(cv2.MORPH_CROSS if line == 1 else cv2.MORPH_ELLIPSE, (2 * line + 1,) * 2)
        border = cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)
        expected[border & inside] = colors[border & inside]
        dark = cv2.convertScaleAbs(expected, alpha=1 - compositor.OUTER_LINE_STRENGTH)
        expected[border & ~inside] = dark[border & ~inside]
    np.testing.assert_array_equal(shown, expected)


@pytest.mark.parametrize("opacity", [0.25, 0.5, 1.0])
def test_an_outline_is_two_pixels_at_borders_and_nothing_else(opacity: float) -> None:
    mask = blobs()
    picture, shown = compose(None, style()), compose(mask, style("outline", opacity=opacity, line=2))
    ids = mask.repeat(2, axis=0).repeat(2, axis=1)
    reach = np.ones((5, 5), np.uint8)
    near = cv2.dilate(ids, reach) != cv2.erode(ids, reach)
    changed = (shown != picture).any(axis=2)
    assert not changed[~near].any()
    row = 20  # object 1 begins at column 10 of the view and stands alone there
    assert changed[row, 10:12].all()
    assert not changed[row, 12:40].any()
    distance = [np.abs(p[row, 10:12].astype(int) - palette_array()[1]).sum() for p in (picture, shown)]
    assert distance[1] < distance[0] * (1.01 - opacity)  # nearer to the colour than a fill would be
    if opacity == 1.0:
        assert distance[1] == 0


@pytest.mark.parametrize("name", STYLES)
def test_no_opacity_leaves_the_picture_as_it_is(name: str) -> None:
    np.testing.assert_array_equal(compose(blobs(), style(name, opacity=0.0)), compose(None, style()))
    lined = compose(blobs(), style(name, opacity=0.0, line=2))
    assert np.array_equal(lined, compose(None, style())) == (name == "outline")  # others keep their outline


def test_patterns_tell_objects_apart_without_their_colours() -> None:
    """In grey on grey, every object of the first 32 has a drawing of its own, and shows as much picture as drawing."""
    seen: dict[bytes, int] = {}
    grey = np.full((256, 3), 255, np.uint8)
    plain = FrameImage(np.full((FRAME_H, FRAME_W, 3), 128, np.uint8))
    view = viewport()
    for object_id in range(1, PATTERNS + 1):
        target = np.zeros((VIEW_H, VIEW_W), dtype=np.uint32)
        mask = np.full((FRAME_H, FRAME_W), object_id, np.uint8)
        looks = OverlayStyle(grey, IDENTITY, 0.5, 0, "pattern")
        compositor.compose(target, Rect(0, 0, VIEW_W, VIEW_H), view, plain, mask, looks, 0)
        values = target.view(np.uint8)[..., ::4]
        share = float((values != 128).mean())
        assert 0.05 < share < 0.9, object_id
        assert (values > 128).any(), object_id
        assert (values < 128).any(), object_id  # a shadow, which shows where the picture has the colour of the lines
        assert seen.setdefault(values.tobytes(), object_id) == object_id
    assert len(seen) == PATTERNS
    assert {pattern_of(i) for i in range(1, 256)} == set(range(PATTERNS))


def test_a_pattern_stays_inside_its_object() -> None:
    mask = blobs()
    picture, shown = compose(None, style()), compose(mask, style("pattern"))
    ids = mask.repeat(2, axis=0).repeat(2, axis=1)
    changed = (shown != picture).any(axis=2)
    assert not changed[ids == 0].any()
    assert all(changed[ids == i].any() and not changed[ids == i].all() for i in (1, 2))


@pytest.mark.parametrize(("name", "view"), [*((s, "overlay") for s in STYLES), *(("fill", v) for v in VIEWS[1:])])
def test_blocks_and_bands_join_without_seams(monkeypatch: pytest.MonkeyPatch, name: str, view: str) -> None:
    looks = style(name, view, line=2)
    for zoom, x, y in ((1.0, -7, 3), (3.0, -40, -31)):
        whole = compose(blobs(), looks, viewport(zoom, x, y))
        blocks = [Rect(0, 0, 41, VIEW_H), Rect(41, 0, VIEW_W - 41, 29), Rect(41, 29, VIEW_W - 41, VIEW_H - 29)]
        np.testing.assert_array_equal(compose(blobs(), looks, viewport(zoom, x, y), blocks), whole)
        with monkeypatch.context() as patched:
            patched.setattr(compositor, "BAND_PIXELS", 100)
            patched.setattr(compositor, "PARALLEL_FROM", 0)
            patched.setattr(compositor, "WORKERS", 3)
            np.testing.assert_array_equal(compose(blobs(), looks, viewport(zoom, x, y)), whole)


@pytest.mark.parametrize(("name", "view"), [("pattern", "overlay"), ("fill", "checker")])
def test_patterns_and_checks_move_with_the_picture(name: str, view: str) -> None:
    here, there = (compose(blobs(), style(name, view), viewport(1.0, x, y)) for x, y in ((3, 5), (10, 16)))
    np.testing.assert_array_equal(there[16 : 16 + FRAME_H, 10 : 10 + FRAME_W], here[5 : 5 + FRAME_H, 3 : 3 + FRAME_W])


@settings(max_examples=20)
@given(mask=masks, zoom=st.sampled_from([0.4, 1.0, 1.7, 2.0, 5.0]), x=st.integers(-30, 30), y=st.integers(-30, 30))
def test_a_cut_out_keeps_the_pixels_of_objects_and_only_those(mask: Mask, zoom: float, x: int, y: int) -> None:
    view = viewport(zoom, x, y)
    picture = compose(None, style(), view)
    inside = compose(mask, style(view="matte"), view)
    assert set(np.unique(inside)) <= {0, 255}
    on_frame = compose(np.full_like(mask, 1), style(view="matte"), view)[..., 0] > 0
    kept = inside[..., 0] > 0
    for name in CUT_OUTS:
        shown = compose(mask, style(view=name), view)
        np.testing.assert_array_equal(shown[kept], picture[kept])
        if name in PLAIN:
            assert (shown[on_frame & ~kept] == PLAIN[name]).all()
        elif name == "checker":
            assert set(np.unique(shown[on_frame & ~kept])) <= {0x99, 0xCC}


@pytest.mark.parametrize("name", ["black", "white", "green", "blur", "matte"])
def test_the_view_is_what_the_export_makes(name: str) -> None:
    """At 100 % the window shows what the background and matte videos will hold."""
    look = LOOKS["matte" if name == "matte" else "background"]
    expected = look(RGB, blobs(), {"background": name}, palette_array())
    shown = compose(blobs(), style(view=name), viewport(1.0))[:FRAME_H, :FRAME_W]
    np.testing.assert_array_equal(shown, expected)


@pytest.mark.parametrize("view", VIEWS)
def test_a_frame_that_has_no_mask_yet_shows_as_it_is(view: str) -> None:
    np.testing.assert_array_equal(compose(None, style(view=view)), compose(None, style()))


@pytest.mark.parametrize("view", VIEWS[1:])
def test_hidden_objects_are_cut_away(view: str) -> None:
    shown = IDENTITY.copy()
    shown[2] = 0
    hidden = replace(style(view=view), shown=shown)
    alone = np.where(blobs() == 1, blobs(), 0).astype(np.uint8)
    np.testing.assert_array_equal(compose(blobs(), hidden), compose(alone, style(view=view)))


# -- on the canvas -----------------------------------------------------------------------------------------------
def pixel(canvas: Canvas, x: int, y: int) -> tuple[int, int, int]:
    color = canvas.grab_frame_pixel(x, y)
    return color.red(), color.green(), color.blue()


def test_what_is_painted_shows_in_the_cut_out_at_once(painting: Canvas, gui: Any) -> None:
    first = np.zeros((150, 200), np.uint8)
    first[100:120, 20:50] = 1
    painting.set_item(gui.item(0, first, value=77))
    painting.set_live_view("green")
    assert pixel(painting, 150, 40) == PLAIN["green"]
    assert pixel(painting, 30, 110) == (77, 77, 77)
    left, top = painting.from_frame(150, 40).toPoint().x(), painting.from_frame(150, 40).toPoint().y()
    gui.drag(painting, (left, top), (left + 6, top), release=False)
    assert pixel(painting, 150, 40) == (77, 77, 77)  # while the button is down
    QTest.mouseRelease(painting, Qt.MouseButton.LeftButton, NO_KEY, QPoint(left + 6, top))
    assert pixel(painting, 150, 40) == (77, 77, 77)
    painting.edit.undo()
    assert pixel(painting, 150, 40) == PLAIN["green"]


def test_the_first_mask_of_a_frame_is_not_painted_into_the_dark(painting: Canvas, gui: Any) -> None:
    painting.set_item(gui.item(0, None, value=77))
    painting.set_live_view("black")
    assert pixel(painting, 20, 20) == (77, 77, 77)
    spot = painting.from_frame(150, 40).toPoint()
    gui.drag(painting, (spot.x(), spot.y()), (spot.x() + 4, spot.y()), release=False)
    assert pixel(painting, 20, 20) == (77, 77, 77)
    assert pixel(painting, 150, 40) not in ((77, 77, 77), (0, 0, 0))
    QTest.mouseRelease(painting, Qt.MouseButton.LeftButton, NO_KEY, spot)
    assert pixel(painting, 20, 20) == (0, 0, 0)
    assert pixel(painting, 150, 40) == (77, 77, 77)


@pytest.mark.parametrize("view", ["overlay", "black", "matte"])
def test_a_middle_click_takes_an_object_out_and_brings_it_back(painting: Canvas, gui: Any, view: str) -> None:
    mask = np.zeros((150, 200), np.uint8)
    mask[50:100, 50:100] = 1
    painting.set_item(gui.item(0, mask, value=77))
    painting.set_live_view(view)
    with_it = pixel(painting, 75, 75)
    spot = painting.from_frame(75, 75).toPoint()
    QTest.mouseClick(painting, MIDDLE, NO_KEY, spot)
    assert pixel(painting, 75, 75) == ((77, 77, 77) if view == "overlay" else (0, 0, 0))
    QTest.mouseClick(painting, MIDDLE, NO_KEY, spot)
    assert pixel(painting, 75, 75) == with_it


def test_names_nobody_knows_are_refused(painting: Canvas) -> None:
    with pytest.raises(ValueError, match="no overlay style 'sepia'"):
        painting.set_overlay_style("sepia")
    with pytest.raises(ValueError, match="no view 'x-ray'"):
        painting.set_live_view("x-ray")
