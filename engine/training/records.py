"""What a run leaves behind to look at: CSV files, TensorBoard where it is installed, sample pictures."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engine.training.pictures import Picture
from engine.video.atomic import replacing
from engine.video.masks import davis_palette


class CsvLog:
    """Rows of numbers with a "step" column. A resumed run cuts off the rows after its step first."""

    def __init__(self, path: Path, columns: tuple[str, ...], first_step: int) -> None:
        self._path = path
        self._columns = ("step", *columns)
        kept: list[dict[str, str]] = []
        if first_step and path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]
            kept = [row for row in kept if int(row["step"]) <= first_step]
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        row = {"step": step} | {name: f"{value:.6g}" for name, value in values.items()}
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, extrasaction="ignore").writerow(row)


class Board:
    """TensorBoard if the package is there, nothing otherwise."""

    def __init__(self, folder: Path, first_step: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder), purge_step=first_step or None)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def picture(self, step: int, rgb: Picture) -> None:
        if self._writer is not None:
            self._writer.add_image("sample", rgb, step, dataformats="HWC")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def sample_picture(frames: NDArray[np.uint8], mask: NDArray[np.uint8], prediction: torch.Tensor) -> Picture:
    """First reference, target with its true mask, target with the predicted one, side by side.

    Args:
        frames: T x S x S x 3, mask: S x S ids of the target, prediction: (K + 1) x h x w labels.

    Returns:
        S x 3S x 3 uint8.
    """
    size = mask.shape[0]
    labels = prediction.float().cpu().numpy().transpose(1, 2, 0)
    enlarged = cv2.resize(np.ascontiguousarray(labels), (size, size), interpolation=cv2.INTER_LINEAR)
    predicted = enlarged.reshape(size, size, -1).argmax(-1).astype(np.uint8)
    return np.concatenate([frames[0], _overlay(frames[-1], mask), _overlay(frames[-1], predicted)], axis=1)


def _overlay(rgb: Picture, ids: NDArray[np.uint8]) -> Picture:
    tinted = (rgb // 2 + davis_palette()[ids] // 2).astype(np.uint8)
    return np.where(ids[..., None] > 0, tinted, rgb)


def write_picture(path: Path, rgb: Picture) -> None:
    """RGB as PNG or JPEG; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        if not cv2.imwrite(str(temporary), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)):
            raise OSError(f"cannot write {path}")
