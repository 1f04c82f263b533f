"""J and F of the DAVIS-2017 evaluation code, reproduced."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.evaluation.metrics import contour_accuracy, region_similarity

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)  # scipy's default structure


def derived(truth: NDArray[np.bool_], how: str) -> NDArray[np.bool_]:
    """The predictions golden/README.md describes."""
    plane = truth.astype(np.uint8)
    if how == "erode3":
        plane = cv2.erode(plane, CROSS, iterations=3, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    elif how == "dilate5":
        plane = cv2.dilate(plane, CROSS, iterations=5)
    elif how == "shift(7,-11)":
        plane = np.roll(plane, (7, -11), axis=(0, 1))
    elif how in ("empty", "full"):
        plane = np.full_like(plane, how == "full")
    else:
        assert how == "same", how
    return plane.astype(bool)


@pytest.fixture(scope="module")
def cases(shared_dir: Path) -> list[tuple[dict[str, object], NDArray[np.bool_], NDArray[np.bool_]]]:
    """Every row of the golden file with its prediction and its truth."""
    folder = shared_dir / "data" / "davis2016-val-public" / "Annotations" / "480p"
    found = []
    for row in json.loads((shared_dir / "golden" / "metrics.json").read_text()):
        if row["prediction"] == "both empty":
            truth = prediction = np.zeros((480, 854), bool)
        else:
            with Image.open(folder / row["sequence"] / f"{row['frame']:05}.png") as image:
                truth = np.asarray(image) > 0
            prediction = derived(truth, row["prediction"])
        found.append((row, prediction, truth))
    assert len(found) > 70
    return found


@pytest.mark.parametrize(("name", "metric"), [("J", region_similarity), ("F", contour_accuracy)])
def test_metric_equals_the_public_evaluation_code(cases, name, metric):
    for row, prediction, truth in cases:
        assert metric(prediction, truth) == pytest.approx(row[name], abs=1e-6), row
