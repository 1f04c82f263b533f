import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.training.records import Board, CsvLog, sample_picture


def test_a_resumed_log_loses_the_rows_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    log = CsvLog(path, ("loss",), 0)
    for step in (1, 2, 3):
        log.add(step, {"loss": step / 10, "unlisted": 1.0})
    CsvLog(path, ("loss",), 2).add(3, {"loss": 0.5})
    assert path.read_text().split() == ["step,loss", "1,0.1", "2,0.2", "3,0.5"]
    CsvLog(path, ("loss",), 0)
    assert path.read_text().split() == ["step,loss"]


def test_tensorboard_is_used_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int | None) -> None:
            calls.append(("open", folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            calls.append((name, value, step))

        def add_image(self, name: str, image: np.ndarray[Any, Any], step: int, dataformats: str) -> None:
            calls.append((name, image.shape, step, dataformats))

        def close(self) -> None:
            calls.append(("close",))

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    board = Board(tmp_path, 40)
    board.add(41, {"loss": 0.5})
    board.picture(41, np.zeros((4, 12, 3), np.uint8))
    board.close()
    assert calls == [("open", str(tmp_path), 40), ("loss", 0.5, 41), ("sample", (4, 12, 3), 41, "HWC"), ("close",)]


def test_without_tensorboard_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    board = Board(tmp_path / "board", 0)
    board.add(1, {"loss": 0.5})
    board.picture(1, np.zeros((4, 12, 3), np.uint8))
    board.close()
    assert not (tmp_path / "board").exists()


def test_a_sample_shows_reference_truth_and_prediction() -> None:
    frames = np.full((3, 16, 16, 3), 100, np.uint8)
    truth = np.zeros((16, 16), np.uint8)
    truth[:, :8] = 1
    prediction = torch.zeros(2, 2, 2)
    prediction[0, :, 0] = prediction[1, :, 1] = 1  # the other half
    picture = sample_picture(frames, truth, prediction)
    assert picture.shape == (16, 48, 3)
    changed = (picture != 100).any(-1)
    assert not changed[:, :16].any()
    assert changed[:, 16:24].all()
    assert not changed[:, 24:40].any()
    assert changed[:, 40:].all()
