"""The overlay rule, against the formula written out in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from engine.video import overlay
from engine.video.masks import davis_palette
from engine.video.overlay import compose_overlay

PALETTE = davis_palette()


def plain(rgb: np.ndarray, mask: np.ndarray, opacity: float, outline: bool) -> np.ndarray:
    """The documented rule, pixel by pixel."""
    weight = round(opacity * 255)

    def part(value: int, share: int) -> int:
        return (value * share * 2 + 255) // 510

    out = rgb.copy()
    reach = max(1, round(rgb.shape[0] / 480))
    for y, x in np.argwhere(mask):
        colour = PALETTE[mask[y, x]]
        near = mask[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        if outline and (near != mask[y, x]).any():
            out[y, x] = colour
        else:
            out[y, x] = [
                min(255, part(int(v), 255 - weight) + part(int(c), weight))
                for v, c in zip(rgb[y, x], colour, strict=True)
            ]
    return out


masks = npst.array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(
    lambda shape: npst.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 1, 2, 255]), fill=st.nothing())
)


@settings(deadline=None, max_examples=60)
@given(mask=masks, opacity=st.floats(0, 1), outline=st.booleans(), seed=st.integers(0, 99), band=st.integers(1, 40))
def test_agrees_with_the_rule(mask: np.ndarray, opacity: float, outline: bool, seed: int, band: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlay, "_BAND_PIXELS", band)
        assert (compose_overlay(rgb, mask, PALETTE, opacity, outline) == plain(rgb, mask, opacity, outline)).all()


def test_rims_are_wider_on_larger_frames_and_bands_do_not_show() -> None:
    mask = np.zeros((960, 64), np.uint8)
    mask[100:900, 20:50] = 1
    rgb = np.random.default_rng(0).integers(0, 256, (960, 64, 3), np.uint8)
    out = compose_overlay(rgb, mask, PALETTE, 0.5)
    assert (out == plain(rgb, mask, 0.5, True)).all()
    assert (out[500, 20:22] == PALETTE[1]).all()
    assert (out[500, 22] != PALETTE[1]).any()


def test_the_frame_is_neither_changed_nor_returned() -> None:
    rgb = np.full((8, 8, 3), 100, np.uint8)
    rgb.setflags(write=False)
    for mask in (np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8)):
        out = compose_overlay(rgb, mask, PALETTE, 0.5)
        assert out is not rgb
        assert not np.shares_memory(out, rgb)
        assert out.flags.writeable
    assert (rgb == 100).all()


def test_strided_input() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    mask = np.zeros((20, 30), np.uint8)
    mask[3:9, 4:20] = 3
    flipped = compose_overlay(rgb[:, ::-1], mask[:, ::-1], PALETTE, 0.4)
    assert (flipped[:, ::-1] == compose_overlay(rgb, mask, PALETTE, 0.4)).all()


@pytest.mark.parametrize("shape", [(4, 5), (5, 4, 1)])
def test_a_mask_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        compose_overlay(np.zeros((5, 4, 3), np.uint8), np.zeros(shape, np.uint8), PALETTE, 0.5)
