"""The confidence: what its evidence means, and that better evidence never lowers it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.propagation.confidence import (
    BIAS,
    WEIGHTS,
    ConfidenceMeter,
    Evidence,
    ObjectTrail,
    calibrated,
    soft_iou,
)

PLANES = arrays(np.float32, (6, 9), elements=st.floats(0, 1, width=32))
LOOK = np.array([1.0, 0.0, 0.0], np.float32)
OTHER = np.array([0.0, 1.0, 0.0], np.float32)
GOOD = Evidence(inside=0.95, doubt=0.1, agreement=0.9, shrunk=0.0, grown=0.0, whole=1.0, small=0.02, faded=0.0)


def square(top: int, left: int, size: int, value: float = 1.0) -> np.ndarray:
    plane = np.zeros((20, 30), np.float32)
    plane[top : top + size, left : left + size] = value
    return plane


@given(one=PLANES, other=PLANES)
def test_soft_iou_is_an_overlap(one: np.ndarray, other: np.ndarray) -> None:
    assert 0 <= soft_iou(one, other) <= 1
    assert soft_iou(one, other) == pytest.approx(soft_iou(other, one))
    assert soft_iou(one, one) == pytest.approx(1)


@given(one=arrays(np.bool_, (6, 9)), other=arrays(np.bool_, (6, 9)))
def test_soft_iou_of_hard_masks_is_iou(one: np.ndarray, other: np.ndarray) -> None:
    union = (one | other).sum()
    expected = (one & other).sum() / union if union else 1.0
    assert soft_iou(one.astype(np.float32), other.astype(np.float32)) == pytest.approx(float(expected))


@given(data=st.data(), name=st.sampled_from(Evidence.names()))
def test_evidence_pulls_the_way_its_sign_says(data: st.DataObject, name: str) -> None:
    sign = dict(zip(Evidence.names(), Evidence.signs(), strict=True))[name]
    assert WEIGHTS[name] * sign >= 0
    low = data.draw(st.floats(0.01, 1))
    high = data.draw(st.floats(low, 1))
    worse, better = (low, high) if sign > 0 else (high, low)
    assert calibrated(replace(GOOD, **{name: worse})) <= calibrated(replace(GOOD, **{name: better}))


def test_calibration_is_the_logistic_function() -> None:
    score = BIAS + sum(WEIGHTS[name] * getattr(GOOD, name) for name in Evidence.names())
    assert calibrated(GOOD) == pytest.approx(1 / (1 + np.exp(-score)))
    assert calibrated(GOOD) > 0.9
    assert calibrated(replace(GOOD, inside=0.0)) == 0


def test_an_object_that_stays_as_it_is_is_sure() -> None:
    meter = ConfidenceMeter()
    meter.start(1, square(4, 4, 8), LOOK)
    for step in range(5):
        plane = square(4, 4 + step, 8, 0.95)
        assert meter.measure([plane], [plane], [LOOK], [1])[1] > 0.9
    assert set(meter.evidence) == {1}


def test_evidence_of_a_change() -> None:
    trail = ObjectTrail()
    trail.start(square(4, 4, 8), LOOK)
    half = trail.look(square(4, 4, 4), square(4, 4, 4), LOOK)
    assert half.shrunk == pytest.approx(np.log(4))
    assert half.grown == 0
    assert half.inside == half.agreement == half.whole == 1
    assert half.doubt == 0
    twin = square(0, 0, 4) + square(12, 12, 4)
    parts = trail.look(twin, square(0, 0, 4), LOOK)
    assert parts.whole == 0.5
    assert parts.agreement == 0.5
    assert trail.look(square(4, 4, 8), None, OTHER).faded == pytest.approx(0.9)
    assert trail.look(square(4, 4, 8, 0.6), None, LOOK).doubt == pytest.approx(4 * 0.6 * 0.4)
    assert trail.look(np.zeros((20, 30), np.float32), None, LOOK).inside == 0


def test_an_impostor_is_not_believed_however_sure_its_labels_are() -> None:
    meter = ConfidenceMeter()
    meter.start(1, square(4, 4, 8), LOOK)
    plane = square(4, 4, 8, 0.9)
    for _ in range(3):
        meter.measure([plane], [plane], [LOOK], [1])
    for _ in range(40):  # and never becomes what is usual
        assert meter.measure([plane], [plane], [OTHER], [1])[1] < 0.2
    assert meter.measure([plane], [plane], [LOOK], [1])[1] > 0.9


def test_a_new_keyframe_shows_a_new_side() -> None:
    meter = ConfidenceMeter()
    plane = square(4, 4, 8, 0.9)
    meter.start(1, square(4, 4, 8), LOOK)
    meter.start(1, square(4, 4, 8), OTHER)
    for look in (LOOK, OTHER):
        assert meter.measure([plane], [plane], [look], [1])[1] > 0.9
    meter.forget([1])
    meter.start(1, square(4, 4, 8), OTHER)
    assert meter.measure([plane], [plane], [LOOK], [1])[1] < 0.2


def test_another_working_size_is_no_change() -> None:
    trail = ObjectTrail()
    trail.start(square(4, 4, 8), LOOK)
    finer = np.kron(square(4, 4, 8), np.ones((2, 2), np.float32))
    evidence = trail.look(finer, None, LOOK)
    assert evidence.shrunk == pytest.approx(0, abs=1e-6)
    assert evidence.grown == pytest.approx(0, abs=1e-6)


@given(planes=st.lists(PLANES, min_size=1, max_size=6))
def test_confidence_is_a_probability(planes: list[np.ndarray]) -> None:
    meter = ConfidenceMeter()
    meter.start(3, planes[0], LOOK)
    for plane in planes:
        assert 0 <= meter.measure([plane], None, [LOOK], [3])[3] <= 1
    meter.jump()
    assert 0 <= meter.measure([planes[0]], None, [LOOK], [3])[3] <= 1
