"""The test clips themselves: what the other tests measure against has to be right."""

from __future__ import annotations

import av
import numpy as np

from tests.support.clips import Clip, iou, read_indexed_png


def test_clip_file_holds_as_many_frames_of_that_size_as_there_are_masks(disc_clip: Clip) -> None:
    with av.open(str(disc_clip.path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == len(disc_clip.masks)
    assert {frame.shape for frame in frames} == {(disc_clip.height, disc_clip.width, 3)}


def test_masks_mark_the_disc_that_is_drawn(disc_clip: Clip) -> None:
    """The disc is reddish and the ground greenish, so colour alone must find nearly the same pixels."""
    with av.open(str(disc_clip.path)) as container:
        for frame, mask in zip(container.decode(video=0), disc_clip.masks, strict=True):
            rgb = frame.to_ndarray(format="rgb24").astype(int)
            assert iou(rgb[..., 0] > rgb[..., 1], mask == 1) > 0.9


def test_the_disc_moves(disc_clip: Clip) -> None:
    assert iou(disc_clip.masks[0] == 1, disc_clip.masks[-1] == 1) < 0.6


def test_first_mask_file_is_indexed_and_equal(two_disc_clip: Clip) -> None:
    np.testing.assert_array_equal(read_indexed_png(two_disc_clip.mask_path), two_disc_clip.masks[0])
    assert set(np.unique(two_disc_clip.masks[0])) == {0, 1, 2}
