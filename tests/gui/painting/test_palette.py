"""Object colours: stable, all different, and far enough apart for every kind of colour vision."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from app.state.palette import object_color, palette_array

# Machado, Oliveira, Fernandes (2009), severity 1.0, on linear RGB.
SIMULATIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def lab_as_seen(colors: NDArray[np.uint8], simulation: NDArray[np.float64]) -> NDArray[np.float32]:
    value = colors / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ simulation.T, 0, 1)
    srgb = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    return np.asarray(cv2.cvtColor(srgb.astype(np.float32)[None], cv2.COLOR_RGB2LAB)[0], dtype=np.float32)


def test_background_is_black_and_all_colours_differ() -> None:
    palette = palette_array()
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    assert palette[0].tolist() == [0, 0, 0]
    assert len(np.unique(palette, axis=0)) == 256
    assert all(object_color(i) == tuple(palette[i].tolist()) for i in range(256))


def test_the_table_is_a_copy() -> None:
    palette_array()[1] = 0
    assert object_color(1) != (0, 0, 0)


@pytest.mark.parametrize("vision", SIMULATIONS)
@pytest.mark.parametrize(("count", "least"), [(3, 25.0), (7, 10.0)])
def test_first_colours_stay_apart_for_everyone(vision: str, count: int, least: float) -> None:
    """CIE76 distance; 2.3 is just noticeable, 10 is seen at a glance."""
    lab = lab_as_seen(palette_array()[1 : count + 1], SIMULATIONS[vision])
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    assert distance[~np.eye(count, dtype=bool)].min() >= least


def test_ids_outside_the_mask_range_are_refused() -> None:
    for object_id in (-1, 256):
        with pytest.raises(ValueError, match=r"0\.\.255"):
            object_color(object_id)
