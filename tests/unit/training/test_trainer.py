import csv
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.errors import UserError
from engine.training.checkpoint import CheckpointError, read_checkpoint
from engine.training.config import TrainingConfig
from engine.training.distributed import World
from engine.training.material import BrokenDataError, Material, gather_material
from engine.training.plan import make_plan
from engine.training.sources import find_data
from engine.training.trainer import BEST, CHECKPOINT, MODEL, Outcome, Trainer
from models.registry import load_embedder
from tests.unit.training.conftest import toy_config, write_toy

ALONE = World(0, 1, torch.device("cpu"))


def _material(folder: Path, config: TrainingConfig) -> Material:
    return gather_material([find_data(folder, "davis2016")], config)


def _train(
    folder: Path, out: Path, config: TrainingConfig, *, resume: bool = False, start: str = "resnet50-half",
    told: list[str] | None = None, stop_after: int | None = None,
) -> Outcome:  # fmt: skip
    lines: list[str] = [] if told is None else told

    def tell(text: str) -> None:
        lines.append(text)
        if stop_after is not None and text.startswith(f"step {stop_after}/"):
            os.kill(os.getpid(), signal.SIGINT)  # what Ctrl+C does

    trainer = Trainer(config, _material(folder, config), out, start=start, world=ALONE, resume=resume, tell=tell)
    return trainer.run()


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _same(first: Path, second: Path) -> bool:
    one, other = load_file(first), load_file(second)
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_a_run_that_was_stopped_ends_with_the_same_bits_as_one_that_was_not(
    kind: str, toy_data: Path, tmp_path: Path
) -> None:
    config = toy_config(optimiser={"kind": kind, "lr": 1e-3, "accumulate": 2})
    assert not _train(toy_data, tmp_path / "whole", config).interrupted
    stopped = _train(toy_data, tmp_path / "parts", config, stop_after=2)
    assert stopped.interrupted
    assert stopped.steps == 2
    told: list[str] = []
    again = _train(toy_data, tmp_path / "parts", config, resume=True, told=told, stop_after=5)
    assert (again.steps, again.interrupted) == (5, True)
    last = _train(toy_data, tmp_path / "parts", config, resume=True)
    assert (last.steps, last.interrupted) == (6, False)
    assert "Going on after step 2." in told
    for name in (CHECKPOINT, MODEL):
        assert _same(tmp_path / "whole" / name, tmp_path / "parts" / name)
    losses = [[row["loss"] for row in _rows(tmp_path / run / "log.csv")] for run in ("whole", "parts")]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 6


def test_batchnorm_statistics_survive_a_stop_as_well(toy_data: Path, tmp_path: Path) -> None:
    config = toy_config(
        network={"name": "tvos-resnet18", "frozen": [], "logit_scale": 1.0, "learn_logit_scale": False},
        optimiser={"kind": "sgd", "lr": 1e-3},
        run={"steps": 3},
    )
    _train(toy_data, tmp_path / "whole", config, start="scratch")
    _train(toy_data, tmp_path / "parts", config, start="scratch", stop_after=1)
    _train(toy_data, tmp_path / "parts", config, start="scratch", resume=True)
    assert _same(tmp_path / "whole" / CHECKPOINT, tmp_path / "parts" / CHECKPOINT)
    embedder = load_embedder("tvos-resnet18", "cpu", torch.float32, tmp_path / "whole" / MODEL)
    assert embedder.embed(torch.rand(1, 3, 32, 32)).shape == (256, 4, 4)


def test_accumulated_passes_give_the_gradient_of_the_whole_batch(toy_data: Path, tmp_path: Path) -> None:
    """The half network has no BatchNorm, so splitting a batch changes rounding alone."""
    for passes in (1, 2):
        config = toy_config(optimiser={"kind": "sgd", "lr": 0.01, "accumulate": passes}, run={"steps": 2})
        _train(toy_data, tmp_path / str(passes), config)
    one, two = (load_file(tmp_path / str(passes) / MODEL) for passes in (1, 2))
    start = load_embedder("resnet50-half", "cpu", torch.float32)
    assert start.channels == len(one["projection.bias"])
    for key in one:
        assert torch.allclose(one[key], two[key], atol=1e-5), key


def test_workers_prepare_the_same_clips(toy_data: Path, tmp_path: Path) -> None:
    for workers in (0, 1):
        _train(toy_data, tmp_path / str(workers), toy_config(run={"steps": 2, "workers": workers}))
    assert _same(tmp_path / "0" / MODEL, tmp_path / "1" / MODEL)


def test_frozen_parts_end_as_they_began(toy_data: Path, tmp_path: Path) -> None:
    from models.resnet_half import WEIGHTS_FILE

    _train(toy_data, tmp_path / "run", toy_config(run={"steps": 2}))
    before, after = load_file(WEIGHTS_FILE), load_file(tmp_path / "run" / MODEL)
    before = {key: tensor for key, tensor in before.items() if not key.startswith("upsampler.")}
    assert before.keys() == after.keys()
    for key in before:
        frozen = key.startswith(("conv1.", "layer1."))
        assert torch.equal(before[key].float(), after[key]) == frozen or key == "logit_scale"
    assert float(after["logit_scale"]) != 20.0


def test_a_scratch_start_from_a_bare_trunk_fits_the_projection(toy_data: Path, tmp_path: Path) -> None:
    config = toy_config(network={"projection_channels": 16, "projection_clips": 4}, run={"steps": 1})
    told: list[str] = []
    _train(toy_data, tmp_path / "run", config, told=told)
    assert "fitted to the data" in told[0]
    weight = load_file(tmp_path / "run" / MODEL)["projection.weight"]
    assert weight.shape == (16, 768)
    assert torch.allclose(weight @ weight.T, torch.eye(16), atol=0.05)  # principal axes, a step later


def test_validation_tracks_the_held_out_sequences_and_keeps_the_best(toy_data: Path, tmp_path: Path) -> None:
    config = toy_config(
        validation={"every": 2, "sequences": ["bee", "never-there"], "size": 48, "patience": 1},
        optimiser={"kind": "sgd", "lr": 1e-12, "min_lr": 0.0},  # nothing is learned: the first J stays the best
        run={"overlay_every": 2},
    )
    material = _material(toy_data, config)
    assert [sequence.name for sequence in material.held_out] == ["bee"]
    assert all("bee" not in material.clips[k].name for k in range(len(material.clips)))
    told: list[str] = []
    outcome = _train(toy_data, tmp_path / "run", config, told=told)
    assert outcome.best is not None
    assert outcome.best > 0.3
    assert outcome.steps == 4, "one measurement without a better one ends the run"
    rows = _rows(tmp_path / "run" / "validation.csv")
    assert [row["step"] for row in rows] == ["2", "4"]
    assert float(rows[0]["mean"]) == pytest.approx(outcome.best, abs=1e-5)
    assert float(rows[0]["bee"]) == pytest.approx(outcome.best, abs=1e-5)
    load_embedder("resnet50-half", "cpu", torch.float32, tmp_path / "run" / BEST)
    assert (tmp_path / "run" / "samples" / "0000002.jpg").stat().st_size > 0
    assert read_checkpoint(tmp_path / "run" / CHECKPOINT)[0].best_step == 2


def test_a_folder_with_a_run_is_not_overwritten(toy_data: Path, tmp_path: Path) -> None:
    config = toy_config(run={"steps": 1})
    _train(toy_data, tmp_path / "run", config)
    with pytest.raises(CheckpointError, match="--resume"):
        _train(toy_data, tmp_path / "run", config)


def test_a_run_goes_on_only_with_its_own_options_and_data(toy_data: Path, tmp_path: Path) -> None:
    _train(toy_data, tmp_path / "run", toy_config(run={"steps": 1}))
    with pytest.raises(CheckpointError, match=r"run\.batch was 2, is 4"):
        _train(toy_data, tmp_path / "run", toy_config(run={"steps": 1, "batch": 4}), resume=True)
    other = write_toy(tmp_path / "other", frames=4)
    with pytest.raises(CheckpointError, match="other data"):
        _train(other, tmp_path / "run", toy_config(run={"steps": 1}), resume=True)
    done = _train(toy_data, tmp_path / "run", toy_config(run={"steps": 1, "log_every": 7}), resume=True)
    assert done.steps == 1
    with pytest.raises(CheckpointError, match="no checkpoint"):
        _train(toy_data, tmp_path / "nothing", toy_config(), resume=True)


def test_a_damaged_checkpoint_is_told(toy_data: Path, tmp_path: Path) -> None:
    _train(toy_data, tmp_path / "run", toy_config(run={"steps": 1}))
    path = tmp_path / "run" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="damaged"):
        _train(toy_data, tmp_path / "run", toy_config(run={"steps": 1}), resume=True)


def test_broken_data_stops_the_run_and_names_the_file(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "data")
    (folder / "JPEGImages/480p/ant/00002.jpg").write_bytes(b"\xff\xd8 torn")
    with pytest.raises(BrokenDataError, match=r"1 of 20 .*ant/00002\.jpg"):
        _train(folder, tmp_path / "run", toy_config(run={"steps": 12}))
    told: list[str] = []
    _train(folder, tmp_path / "tolerant", toy_config(clip={"max_broken": 0.1}, run={"steps": 8}), told=told)
    assert "Left out: ant/00002.jpg (the file is damaged)" in told
    assert told[-1] == "1 of 20 samples were broken and left out."


def test_a_batch_must_be_dealt_out_evenly(toy_data: Path, tmp_path: Path) -> None:
    config = toy_config()
    clips = len(_material(toy_data, config).clips)
    assert make_plan(config, clips, World(1, 2, torch.device("cpu"))).micro == 1
    with pytest.raises(UserError, match="2 clips cannot be dealt out to 3 processes"):
        make_plan(config, clips, World(0, 3, torch.device("cpu")))
    by_epochs = toy_config(run={"steps": 0, "epochs": 3, "batch": 5})
    assert make_plan(by_epochs, 12, ALONE).steps == 8  # 36 clips


def test_a_loss_that_is_no_number_stops_the_run_before_the_weights_take_it(toy_data: Path, tmp_path: Path) -> None:
    config = toy_config(run={"steps": 3})
    trainer = Trainer(config, _material(toy_data, config), tmp_path / "run", start="resnet50-half", world=ALONE)
    with torch.no_grad():
        trainer.network.log_scale.fill_(float("nan"))
    weight = next(p for p in trainer.network.parameters() if p.requires_grad and p.ndim == 4).clone()
    with pytest.raises(UserError, match="smaller learning rate"):
        trainer.run()
    assert torch.equal(weight, next(p for p in trainer.network.parameters() if p.requires_grad and p.ndim == 4))
    assert not (tmp_path / "run" / CHECKPOINT).exists()
