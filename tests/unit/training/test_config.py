import json
from pathlib import Path

import pytest

from engine.training.config import ClipConfig, NetworkConfig, OptimiserConfig, RunConfig, TrainingConfig
from engine.training.config_file import ConfigError, read_config


def test_the_default_file_is_the_papers_recipe() -> None:
    config = read_config()
    assert config == TrainingConfig()
    clip, optimiser = config.clip, config.optimiser
    assert (clip.references, clip.targets, clip.crop, clip.flip_horizontal, clip.flip_vertical) == (9, 1, 256, 0.5, 0.5)
    assert (optimiser.kind, optimiser.lr, optimiser.momentum, optimiser.nesterov) == ("sgd", 0.02, 0.9, True)
    assert (optimiser.weight_decay, optimiser.schedule, optimiser.min_lr) == (3e-4, "cosine", 4e-5)
    assert (config.run.batch, config.run.epochs) == (16, 240)
    assert config.loss.flow_smoothness == 0


def test_the_half_recipe_holds_out_its_validation_sequences() -> None:
    config = read_config("half.toml")
    assert set(config.validation.sequences) == {
        "bmx-bumps", "dance-jump", "drift-turn", "kite-walk", "motocross-bumps", "scooter-gray",
    }  # fmt: skip
    assert config.clip.frames == 6
    assert (config.run.batch, config.optimiser.lr, config.optimiser.trunk_lr) == (4, 5e-4, 5e-5)


def test_single_options_change_from_the_command_line() -> None:
    config = read_config(
        "half.toml",
        [
            "clip.scale=[0.5, 1]",
            "optimiser.trunk_lr=none",
            "network.frozen=[stem]",
            "clip.strategy='uniform'",
            "clip.targets=1",
        ],
    )
    assert config.clip.scale == (0.5, 1.0)
    assert config.optimiser.trunk_lr is None
    assert config.network.frozen == ("stem",)
    assert config.clip.strategy == "uniform"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("clip.crop=100", "multiple of 8"),
        ("clip.cropp=64", "Did you mean crop"),
        ("clop.crop=64", "Did you mean clip"),
        ("run.batch=many", "whole number"),
        ("run.batch=1.5", "whole number"),
        ("clip.strategy=random", "consecutive"),
        ("optimiser.nesterov=1", "true or false"),
        ("network.frozen=[layer2]", "without a gap"),
        ("network.logit_scale=20", "must be 1"),
        ("crop", "section.option=value"),
    ],
)
def test_wrong_options_are_told_with_the_way_out(override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_config("paper.toml", [override])


def test_json_files_work_as_well(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"run": {"batch": 3}, "clip": {"scale": [0.5, 2]}}))
    config = read_config(str(path))
    assert config.run.batch == 3
    assert config.clip.scale == (0.5, 2.0)


def test_what_as_dict_says_can_be_read_back(tmp_path: Path) -> None:
    config = read_config("half.toml", ["run.seed=7"])
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.as_dict()))
    assert read_config(str(path)) == config


def test_missing_and_broken_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"half\.toml, paper\.toml"):
        read_config("quarter.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[run\nbatch = 1")
    with pytest.raises(ConfigError, match=r"broken\.toml has a mistake"):
        read_config(str(broken))


def test_impossible_combinations_are_refused_when_made() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        ClipConfig(strategy="sparse", references=4)
    with pytest.raises(ValueError, match="without a gap"):
        NetworkConfig(name="resnet50-half", frozen=("layer1",))
    with pytest.raises(ValueError, match="min_lr"):
        OptimiserConfig(lr=1e-3, min_lr=1e-2)
    with pytest.raises(ValueError, match="accumulate"):
        TrainingConfig(run=RunConfig(batch=3), optimiser=OptimiserConfig(accumulate=2))
