"""A toy data set: textured squares that move over a textured background."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.training.config import TrainingConfig
from engine.training.config_file import build_config

SIZE = 48
NAMES = ("ant", "bee", "cow", "dog-toy")
FRAMES = 5


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(former)


def toy_frame(number: int, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(rgb, ids) of a frame: a bluish noise background, a reddish noise square (id 1) that moves."""
    rng = np.random.default_rng(number)
    rgb = rng.integers(0, 100, (SIZE, SIZE, 3), dtype=np.uint8)
    rgb[..., 2] += 120
    square = rng.integers(0, 100, (20, 20, 3), dtype=np.uint8)
    square[..., 0] += 150
    top, left = 6 + 2 * index, 20 - 3 * index + number
    rgb[top : top + 20, left : left + 20] = square
    ids = np.zeros((SIZE, SIZE), np.uint8)
    ids[top : top + 20, left : left + 20] = 1
    return rgb, ids


def write_toy(folder: Path, *, frames: int = FRAMES) -> Path:
    """A DAVIS 2016 folder of len(NAMES) * frames pictures."""
    for number, name in enumerate(NAMES):
        images, masks = folder / "JPEGImages/480p" / name, folder / "Annotations/480p" / name
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for index in range(frames):
            rgb, ids = toy_frame(number, index)
            cv2.imwrite(str(images / f"{index:05}.jpg"), rgb[..., ::-1])
            cv2.imwrite(str(masks / f"{index:05}.png"), ids * 255)
    return folder


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy(tmp_path_factory.mktemp("toy"))


TOY_OPTIONS: dict[str, dict[str, object]] = {
    "network": {"name": "resnet50-half", "frozen": ["stem", "layer1"], "logit_scale": 20.0, "learn_logit_scale": True},
    "clip": {"references": 2, "crop": 32, "labels": "area", "colour_jitter": 0.2},
    "optimiser": {"kind": "adamw", "lr": 3e-4, "min_lr": 0.0, "decay_vectors": False, "ema": 0.9, "clip_norm": 1.0},
    "run": {"batch": 2, "steps": 6, "precision": "fp32", "workers": 0, "log_every": 1, "save_every": 100},
}


def toy_config(**sections: dict[str, object]) -> TrainingConfig:
    """Small enough for a test; `sections` change single options."""
    merged = {name: {**options, **sections.pop(name, {})} for name, options in TOY_OPTIONS.items()}
    return build_config(merged | sections)
