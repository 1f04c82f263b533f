"""The benchmark counts and adds up right. How fast anything is, no test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import main
from engine.bench.compare import compare_recipes
from engine.bench.flops import count_gflop
from engine.bench.report import Spread
from engine.bench.run import run_bench, split_mask
from engine.errors import SourceError
from engine.propagation.recipe import DENSE_PLAIN, ROBUST
from engine.tracker import Tracker
from models.fused import Conv, conv_relu, fuse
from models.registry import load_embedder
from tests.support.clips import Clip


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return Tracker(load_embedder("resnet50-half", dtype=torch.float32), ROBUST, working_size=64)


@pytest.mark.parametrize("threads", [1, 2])
def test_stages_add_up_to_the_wall_time_and_a_short_source_starts_again(
    tracker: Tracker, disc_clip: Clip, threads: int, torch_threads: Callable[[int], None]
) -> None:
    torch_threads(threads)
    report = run_bench(disc_clip.path, tracker, mask=disc_clip.mask_path, frames=24, warm_up=3, objects=3)
    assert report.stage_share == pytest.approx(1, abs=0.05)
    ahead = {"preprocess", "embed"}  # with a second thread, while labels are propagated
    assert set(report.stages) == {"wait", "propagate", "upsample", "rest"} | (ahead if threads == 1 else set())
    assert set(report.beside) == {"decode", "prepare", "overlay"} | (ahead if threads == 2 else set())
    assert report.objects == 3
    assert report.frames == 24
    assert report.fps == pytest.approx(24 / report.seconds)
    assert min(report.gflop.values()) > 0
    assert report.machine.matmul_gflops > 0
    assert "frames per second" in str(report)
    json.dumps(report.as_dict())


def test_a_source_without_frames_is_named(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        run_bench(tmp_path / "empty", tracker)


def test_both_recipes_see_the_same_frames(tracker: Tracker, disc_clip: Clip) -> None:
    comparison = compare_recipes(disc_clip.path, tracker, DENSE_PLAIN, mask=disc_clip.mask_path, frames=4, warm_up=3)
    assert comparison.plain == "dense"
    assert comparison.ours == "robust"
    assert comparison.agreement > 0.9
    assert comparison.ratio > 0
    with pytest.raises(SourceError, match="only"):
        compare_recipes(disc_clip.path, tracker, DENSE_PLAIN, frames=10_000)


def test_the_mask_is_cut_into_strips_of_alike_size() -> None:
    mask = np.zeros((20, 50), np.uint8)
    mask[5:15, 10:40] = 7
    split = split_mask(mask, 10)
    assert np.array_equal(split > 0, mask > 0)
    assert np.bincount(split.ravel())[1:].tolist() == [30] * 10
    assert np.array_equal(split_mask(np.zeros((3, 3), np.uint8), 4), np.zeros((3, 3), np.uint8))


def test_fused_convolutions_are_counted_like_plain_ones() -> None:
    conv = Conv(6, 10, 3, stride=2, padding=1).requires_grad_(False)
    x = torch.rand(1, 6, 9, 12)
    expected = 2 * 6 * 10 * 9 * 5 * 6 / 1e9
    assert count_gflop(lambda: conv(x)) == pytest.approx(expected)
    fuse(conv)
    with torch.inference_mode():
        assert count_gflop(lambda: conv_relu(x, conv)) == pytest.approx(expected)
        a = torch.rand(2, 5, 7)
        assert count_gflop(lambda: torch.baddbmm(torch.zeros(2, 5, 5), a, a.mT)) == pytest.approx(
            2 * 2 * 5 * 5 * 7 / 1e9
        )


def test_percentiles_are_in_milliseconds() -> None:
    spread = Spread.of([0.001 * value for value in range(1, 101)])
    assert spread.p50 == pytest.approx(50.5)
    assert spread.p95 == pytest.approx(95.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--frames", "3"], "at least 10"),
        (["--live", "--fps", "0"], "positive"),
        (["--json", "no/where.json"], "folder"),
    ],
)
def test_wrong_wishes_are_told_in_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["bench", *arguments]) == main.EXIT_USER_ERROR
    assert said in capsys.readouterr().err
