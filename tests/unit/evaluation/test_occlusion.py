"""Synthetic occlusions: the truth is what is left to be seen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.evaluation.occlusion import SLIDE, Clip, Occlusion, absence_clip, occlude
from tests.support.clips import disc_frames


@pytest.fixture(scope="module")
def clip() -> Clip:
    frames, masks = disc_frames(30, 160, 112, 1)
    return Clip("disc", frames, [(mask > 0).astype(np.uint8) for mask in masks])


@pytest.mark.parametrize("kind", list(Occlusion))
def test_the_object_is_away_in_the_frames_asked_for(clip: Clip, kind: Occlusion) -> None:
    hidden = occlude(clip, kind, 12, 18)
    assert hidden.name == f"disc~{kind.value}"
    for index, (frame, truth) in enumerate(zip(hidden.frames, hidden.truths, strict=True)):
        assert truth.any() != (12 <= index <= 18)
        assert not (truth & ~clip.truths[index]).any()
        kept = truth > 0
        assert (frame[kept] == clip.frames[index][kept]).all()  # what is to be seen looks as before
        if not 12 - SLIDE <= index <= 18 + SLIDE:
            assert frame is clip.frames[index]


def test_a_panel_slides(clip: Clip) -> None:
    areas = [int(truth.sum()) for truth in occlude(clip, Occlusion.PANEL, 12, 18).truths]
    assert areas[12 - SLIDE - 1] > areas[12 - SLIDE // 2] > areas[12] == 0
    assert areas[18] == 0 < areas[18 + SLIDE // 2 + 1] < areas[18 + SLIDE + 1]


def test_absence_lasts_as_long_as_asked() -> None:
    clip = absence_clip(5, 11, 9)
    shown = [bool(truth.any()) for truth in clip.truths]
    away = shown.count(False)
    assert away == 11
    first = shown.index(False)
    assert shown[first : first + 11] == [False] * 11
    assert len(shown) - first - 11 == 9
    for frame, truth in zip(clip.frames, clip.truths, strict=True):
        assert frame.shape == (192, 320, 3)
        assert cv2.connectedComponents(truth)[0] <= 2
