"""Two masks of one frame become one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.blending import blend_masks, share_of_earlier

MASKS = hnp.arrays(np.uint8, (12, 17), elements=st.integers(0, 3))


def bar(right, object_id=1):
    """An object from the left edge up to column `right`."""
    mask = np.zeros((640, 640), np.uint8)
    mask[200:400, 100:right] = object_id
    return mask


@given(MASKS, MASKS, st.floats(0, 1))
def test_where_both_agree_nothing_changes_and_no_object_is_invented(one, other, share):
    mask = blend_masks(one, other, dict.fromkeys(range(4), share))
    assert mask.dtype == np.uint8
    assert np.array_equal(mask[one == other], one[one == other])
    assert ((mask == one) | (mask == other) | (mask == 0)).all()


@given(MASKS, MASKS)
def test_all_weight_on_one_side_is_that_side(one, other):
    assert np.array_equal(blend_masks(one, other, dict.fromkeys(range(4), 1.0)), one)
    assert np.array_equal(blend_masks(one, other, dict.fromkeys(range(4), 0.0)), other)


@pytest.mark.parametrize(("share", "edge"), [(0.75, 202), (0.5, 204), (0.25, 206)])
def test_an_outline_moves_between_the_two(share, edge):
    mask = blend_masks(bar(200), bar(208), {1: share})
    assert np.flatnonzero(mask[300])[-1] + 1 == pytest.approx(edge, abs=1)


def test_each_object_has_a_weight_of_its_own():
    one, other = bar(200) + bar(100, 0), bar(240)
    one[500:600, 100:200] = 2
    mask = blend_masks(one, other, {1: 0.0, 2: 1.0})
    assert np.array_equal(mask == 1, other == 1)
    assert np.array_equal(mask == 2, one == 2)


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="one size"):
        blend_masks(np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8), {})


@given(st.integers(0, 500), st.integers(1, 100), st.data())
def test_the_nearer_and_the_surer_keyframe_weighs_more(earlier, gap, data):
    index = data.draw(st.integers(earlier, earlier + gap))
    later = earlier + gap
    share = share_of_earlier(index, earlier, later)
    assert 0 <= share <= 1
    assert share + share_of_earlier(earlier + later - index, earlier, later) == pytest.approx(1)
    assert share_of_earlier(earlier, earlier, later, 0.0, 1.0) == 1
    assert share_of_earlier(later, earlier, later, 1.0, 0.0) == 0
    assert (
        share_of_earlier(index, earlier, later, 0.9, 0.1) >= share >= share_of_earlier(index, earlier, later, 0.1, 0.9)
    )


def test_a_frame_outside_has_no_weight():
    with pytest.raises(ValueError, match="between"):
        share_of_earlier(9, 0, 8)
