"""Simulated users keep to the truth, and the command measures what they get."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

import main
from engine.evaluation.scribbles import longest_path, simulated_marks, skeleton
from engine.scribble_marks import INSIDE, OUTSIDE


def test_the_skeleton_of_a_bar_is_a_line_along_its_middle() -> None:
    bar = np.zeros((21, 60), bool)
    bar[6:15, 5:55] = True
    lines = skeleton(bar)
    rows, columns = np.nonzero(lines)
    assert (bar | ~lines).all()
    assert set(rows[(columns > 15) & (columns < 45)]) <= {9, 10, 11}
    path = longest_path(lines)
    assert len(path) >= 40
    assert all(max(abs(a - c), abs(b - d)) == 1 for (a, b), (c, d) in pairwise(path))
    assert longest_path(np.zeros((4, 4), bool)) == []


def test_strokes_stay_on_their_side_and_are_as_many_as_allowed() -> None:
    truth = np.zeros((240, 320), np.uint8)
    cv2.ellipse(truth, (150, 120), (70, 40), 20, 0, 360, 1, -1)
    truth = truth > 0
    marks = simulated_marks(truth)
    assert (marks == INSIDE).any()
    assert truth[marks == INSIDE].all()
    assert not truth[marks == OUTSIDE].any()
    assert cv2.connectedComponents((marks == INSIDE).astype(np.uint8))[0] - 1 <= 3
    assert cv2.connectedComponents((marks == OUTSIDE).astype(np.uint8))[0] - 1 == 1
    assert (marks == INSIDE).sum() < 0.1 * truth.sum()  # strokes, not a painting
    assert not (simulated_marks(truth, outside=0) == OUTSIDE).any()
    assert not simulated_marks(np.zeros((20, 30), bool)).any()


def test_a_ball_and_a_speck_get_a_dab_inside() -> None:
    ball = np.zeros((135, 240), np.uint8)
    cv2.circle(ball, (120, 67), 20, 1, -1)
    speck = np.zeros((135, 240), np.uint8)
    speck[40:43, 100:103] = 1
    for truth in (ball > 0, speck > 0):
        marks = simulated_marks(truth)
        assert (marks == INSIDE).any()
        assert truth[marks == INSIDE].all()


def test_the_command_scores_every_frame_that_has_an_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures, truths = (tmp_path / name / "480p" / "disc" for name in ("JPEGImages", "Annotations"))
    pictures.mkdir(parents=True)
    truths.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for index, shown in enumerate((True, False, True)):
        truth = np.zeros((96, 160), np.uint8)
        rgb = np.full((96, 160, 3), (50, 110, 40), np.uint8)
        if shown:
            cv2.ellipse(truth, (70 + 5 * index, 50), (50, 24), 0, 0, 360, 255, -1)
            rgb[truth > 0] = (40, 60, 190)
        rgb = np.clip(rgb + noise.normal(0, 5, rgb.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(pictures / f"{index:05d}.jpg"), rgb)
        cv2.imwrite(str(truths / f"{index:05d}.png"), truth)
    scores = tmp_path / "scores.json"
    call = ["eval-scribbles", "--data", str(tmp_path), "--frames", "0,1,2,9", "--size", "240", "--device", "cpu"]
    assert main.main([*call, "--json", str(scores)]) == 0
    report = json.loads(scores.read_text())
    assert [row["frame_index"] for row in report["frames"]] == [0, 2]
    assert min(row["overlap"] for row in report["frames"]) > 0.8
    assert report["mean"] == pytest.approx(np.mean([row["overlap"] for row in report["frames"]]))
    assert "mean IoU" in capsys.readouterr().out.splitlines()[-1]
    assert main.main([*call, "--box"]) == 0
    assert float(capsys.readouterr().out.split("mean IoU ")[1][:5]) > 0.8
    assert main.main([*call[:-6], "--frames", "1"]) == 2
    assert "Choose others with --frames" in capsys.readouterr().err
