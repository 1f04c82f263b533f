"""Measuring the confidence: what counts as a hit, fitting, and a whole absence with the bundled network."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.confidence import Sighting, fit, flagging, found_after, watch
from engine.evaluation.occlusion import absence_clip
from engine.object_state import ObjectState
from engine.propagation.confidence import Evidence
from engine.runtime.config import EngineConfig
from engine.runtime.factory import create_tracker

SURE, UNSURE, LOST, FOUND = ObjectState.SURE, ObjectState.UNSURE, ObjectState.LOST, ObjectState.FOUND_AGAIN


def seen(index: int, iou: float, visible: bool, state: ObjectState, evidence: Evidence | None = None) -> Sighting:
    return Sighting("clip", index, iou, visible, 0.25 if state.doubtful else 0.75, state, evidence)


def test_flags_are_counted() -> None:
    told = [
        seen(1, 0.9, True, SURE), seen(2, 0.4, True, UNSURE), seen(3, 0.2, True, SURE), seen(4, 1.0, False, LOST),
        seen(5, 0.0, True, LOST), seen(6, 0.7, True, UNSURE), seen(7, 0.8, True, FOUND),
    ]  # fmt: skip
    figures = flagging(told)
    assert (figures.frames, figures.wrong, figures.flagged, figures.hits, figures.blanked) == (7, 4, 4, 3, 1)
    assert figures.precision == figures.recall == 0.75
    assert figures.error == pytest.approx((5 * 0.25**2 + 2 * 0.75**2) / 7)
    with pytest.raises(ValueError, match="no sightings"):
        flagging([])


def test_frames_until_found() -> None:
    away = [seen(1, 0.9, True, SURE), seen(2, 1.0, False, LOST), seen(3, 1.0, False, LOST)]
    assert found_after([*away, seen(4, 0.0, True, LOST), seen(5, 0.8, True, LOST), seen(6, 0.8, True, FOUND)]) == 2
    assert found_after([*away, seen(4, 0.8, True, FOUND)]) == 0
    assert found_after([*away, seen(4, 0.0, True, LOST)]) is None
    with pytest.raises(ValueError, match="never"):
        found_after([seen(1, 0.9, True, SURE)])


def test_fitted_weights_order_the_frames_and_keep_their_signs() -> None:
    rng = np.random.default_rng(3)
    sightings = []
    for index in range(400):
        values = dict(zip(Evidence.names(), rng.random(len(Evidence.names())), strict=True))
        right = values["inside"] - values["faded"] + 0.05 * rng.standard_normal() > 0
        values["whole"] = 0.5 - 0.4 * right  # by accident of these clips: the wrong way round
        sightings.append(seen(index, 0.9 if right else 0.1, True, SURE, Evidence(**values)))
    weights, bias = fit(sightings)
    assert weights["whole"] == 0
    assert weights["inside"] > 3 > 0 > -3 > weights["faded"]
    for name, sign in zip(Evidence.names(), Evidence.signs(), strict=True):
        assert weights[name] * sign >= 0
    scores = np.array([sum(weights[n] * getattr(s.evidence, n) for n in weights) + bias for s in sightings])
    assert np.mean((scores > 0) == [not s.wrong for s in sightings]) > 0.9


def test_an_object_that_goes_away_leaves_no_mask_and_is_found_when_it_is_back() -> None:
    tracker = create_tracker(EngineConfig(device="cpu"))
    sightings = watch(tracker, absence_clip(4, 12, 14, width=256, height=144))
    away = [s for s in sightings if not s.visible]
    assert all(s.state is LOST for s in away[3:])
    assert all(s.iou == 1 for s in away[3:] if s.index < away[-1].index - 1)  # mask and truth are both empty
    after = found_after(sightings)
    assert after is not None
    assert after <= 10
    figures = flagging(sightings)
    assert figures.recall > 0.8
    assert figures.precision > 0.7


def test_after_three_hundred_frames_of_absence_an_object_is_found_within_fifteen() -> None:
    tracker = create_tracker(EngineConfig(device="cpu"))
    sightings = watch(tracker, absence_clip(4, 300, 20, width=192, height=108))
    assert sum(not s.visible for s in sightings) >= 300
    after = found_after(sightings)
    assert after is not None
    assert after <= 15
