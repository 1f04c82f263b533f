"""``main.py train`` as a user starts it, alone and under torchrun."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import main

# The documented command for a first try (docs/training.md): tiny pictures, a network that starts at random.
FIRST_TRY = """
    --config half.toml --start scratch --device cpu --set run.steps=60 --set run.batch=2 --set run.workers=0
    --set run.precision=fp32 --set clip.crop=32 --set clip.references=2 --set clip.targets=2 --set clip.labels=nearest
    --set clip.colour_jitter=0 --set network.frozen=[] --set network.logit_scale=10 --set optimiser.lr=1e-3
    --set optimiser.trunk_lr=1e-3 --set optimiser.warm_up=0 --set run.log_every=1
"""


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _run(arguments: list[str]) -> int:
    return main.main(["train", *arguments])


def test_a_toy_set_trains_with_one_command_and_the_loss_falls(
    toy_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code = _run(["--data", str(toy_data), "--dataset", "davis2016", "--out", str(out), *FIRST_TRY.split()])
    assert code == 0
    losses = [float(row["loss"]) for row in _rows(out / "log.csv")]
    assert len(losses) == 60
    assert sum(losses[-20:]) / 20 < 0.7 * sum(losses[:10]) / 10
    printed = capsys.readouterr()
    assert "8 different clips" in printed.out
    assert "Done: 60 steps" in printed.out
    assert "no validation" in printed.err


def test_a_dry_run_tells_the_plan_and_writes_nothing(
    toy_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code = _run(
        ["--data", str(toy_data), "--dataset", "davis2016", "--out", str(out), "--dry-run", "--device", "cpu",
         "--config", "half.toml", "--set", "clip.targets=2", "--set", "run.precision=fp32"]
    )  # fmt: skip
    assert code == 0
    assert not out.exists()
    printed = capsys.readouterr().out
    assert "4 sequences, 20 annotated frames" in printed
    assert "5500 steps of 4 clips" in printed
    assert "GMAC a step" in printed
    assert "MiB of activations" in printed


def test_data_and_layouts_must_come_in_pairs(
    toy_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(toy_data), "--data", str(toy_data)]
    assert _run([*data, "--dataset", "davis2016", "--out", str(tmp_path)]) == 2
    assert "one --dataset" in capsys.readouterr().err


def test_two_processes_with_half_the_batch_each_equal_one(toy_data: Path, tmp_path: Path, repo_root: Path) -> None:
    """DistributedDataParallel and synchronised BatchNorm over gloo, started by torchrun."""
    options = [
        "--data", str(toy_data), "--dataset", "davis2016", "--start-from", "scratch", "--device", "cpu",
        "--set", "network.name=tvos-resnet18", "--set", "clip.crop=32", "--set", "clip.references=2",
        "--set", "run.batch=2", "--set", "run.steps=3", "--set", "run.precision=fp32", "--set", "run.workers=0",
        "--set", "run.log_every=1", "--set", "optimiser.lr=1e-3", "--set", "optimiser.clip_norm=1.0",
        "--set", "validation.every=3", "--set", "validation.sequences=[ant,bee]", "--set", "validation.size=48",
    ]  # fmt: skip
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    assert _run([*options, "--out", str(alone)]) == 0
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local_addr=127.0.0.1",
         "--nproc_per_node=2", "main.py", "train", *options, "--out", str(shared)],
        cwd=repo_root,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Done: 3 steps") == 1
    for name, columns in (("log.csv", ("loss", "correct", "grad_norm")), ("validation.csv", ("mean", "ant", "bee"))):
        for one, two in zip(_rows(alone / name), _rows(shared / name), strict=True):
            for column in columns:
                assert float(two[column]) == pytest.approx(float(one[column]), rel=2e-3, abs=2e-3), column
    one, two = load_file(alone / "model.safetensors"), load_file(shared / "model.safetensors")
    for key in one:
        assert torch.allclose(one[key], two[key], rtol=1e-3, atol=2e-4), key
