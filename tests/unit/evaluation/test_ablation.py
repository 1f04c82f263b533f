"""``main.py ablate`` on tiny sequences: every recipe is run, cached, and set beside the paper's figures."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest

import main
from engine.commands.ablate import DATASETS, EXPERIMENTS
from engine.evaluation import report as eval_report
from engine.evaluation.ablation import variants as variants_module
from engine.evaluation.ablation.cache import Trial, TrialCache, content_of
from engine.evaluation.ablation.effects import COLUMNS, conclusion, effects, paper_rows, same_order
from engine.evaluation.ablation.run import Row, run_row, shorten
from engine.evaluation.ablation.variants import STRATEGIES, SWEEPS, Sweep, Variant, variants
from engine.evaluation.datasets import LAYOUTS, load_dataset
from engine.evaluation.paper import TABLE_2, TRACKING
from engine.evaluation.run import track_dataset
from engine.evaluation.scoring import ObjectScore, score_dataset
from engine.propagation.recipe import PAPER, ROBUST
from engine.propagation.sampling import Sampling
from engine.runtime.config import EngineConfig
from engine.tracker import Tracker

CPU = EngineConfig(device="cpu", working_size=240)
FRAMES = 7


class Cosine:
    """What variants want to know of an embedder."""

    cosine, logit_scale = True, 40.0


def ablate(*arguments):
    return main.main(["ablate", "--device", "cpu", "--size", "240", "--frames", str(FRAMES), *map(str, arguments)])


def test_the_command_line_offers_what_there_is():
    assert set(EXPERIMENTS) == set(variants_module.EXPERIMENTS)
    assert set(DATASETS) < set(LAYOUTS)
    assert set(COLUMNS) == set(TRACKING)
    assert all(len(row) == len(TRACKING) for row in TABLE_2.values())


# -- which recipes ---------------------------------------------------------------------------------------------------
def test_all_strategies_come_with_and_without_the_motion_prior():
    found = variants([STRATEGIES], Cosine(), ROBUST)
    assert len(found) == 2 * len(Sampling)
    assert {variant.recipe.sampling for variant in found} == set(Sampling)
    assert [variant.value for variant in found if variant.is_base] == ["sparse, motion prior"]  # the paper's own
    alike = [v.recipe for v in found if v.recipe.sampling is Sampling.CONSECUTIVE_3]
    assert alike[0] == alike[1]
    assert all(variant.recipe.cosine and variant.recipe.logit_scale is None for variant in found)


@pytest.mark.parametrize("name", [name for name, sweep in SWEEPS.items() if sweep.setting])
def test_sweeps_change_one_setting_and_hold_the_recipes_own_value(name):
    found = variants([name], Cosine(), ROBUST)
    assert len(found) >= 2
    base = next(variant.recipe for variant in found if variant.is_base)
    assert sum(variant.is_base for variant in found) == 1
    field = SWEEPS[name].setting
    assert len({getattr(variant.recipe, field) for variant in found}) == len(found)
    for variant in found:
        assert replace(variant.recipe, **{field: getattr(base, field)}) == base
    expected = PAPER if SWEEPS[name].on_paper else ROBUST
    assert base.sampling is expected.sampling
    assert base.renormalise == expected.renormalise


def test_sweeps_of_settings_that_recipes_lack_are_left_out(monkeypatch):
    monkeypatch.setitem(variants_module.SWEEPS, "odd", Sweep(("no_such_field",), (1, 2), True, "odd"))
    assert variants(["odd"], Cosine(), ROBUST) == []
    assert variants(["window"], Cosine(), PAPER) == []  # the plain softmax has no windows


# -- tracking and caching --------------------------------------------------------------------------------------------
@pytest.fixture
def dataset(davis2016):
    return shorten(load_dataset("davis2016", davis2016, only=["alpha"]), FRAMES)


def test_trials_equal_an_evaluation_with_the_same_recipe(davis2016, tmp_path):
    dataset = load_dataset("davis2016", davis2016, only=["alpha"])
    result = run_row(Row("half", CPU), ["window"], dataset, tmp_path / "cache")
    trials = next(trials for variant, trials in result.trials.items() if variant.is_base)
    track_dataset(dataset, tmp_path / "out", config=CPU)
    assert list(trials[0].scores) == score_dataset(dataset, tmp_path / "out")
    assert trials[0].propagate_ms > 0


def test_an_interrupted_ablation_goes_on(dataset, tmp_path, monkeypatch):
    steps = []
    step = Tracker.step

    def spy(tracker, frame, mask=None, **options):
        steps.append(frame.index)
        if len(steps) == 20:
            raise KeyboardInterrupt
        return step(tracker, frame, mask, **options)

    monkeypatch.setattr(Tracker, "step", spy)
    call = (Row("half", CPU), ["keep-first", "window"], dataset, tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        run_row(*call)
    first = run_row(*call)
    # Two recipes of seven frames were finished. The two bases are one recipe, tracked once.
    distinct = len({variant.recipe for variant in first.trials})
    assert distinct == len(first.trials) - 1
    assert len(steps) == 20 + FRAMES * (distinct - 2)
    again = run_row(*call)
    assert len(steps) == 20 + FRAMES * (distinct - 2)
    assert again.trials == first.trials


def test_results_are_named_after_all_that_decides_them(dataset, davis2016, tmp_path):
    cache = TrialCache(tmp_path, {"code": "a"})
    content = content_of(dataset.sequences[0])
    key = cache.key(ROBUST, content)
    assert key == cache.key(replace(ROBUST, name="other"), content)
    others = {
        cache.key(replace(ROBUST, sigma_dense=9.0), content),
        TrialCache(tmp_path, {"code": "b"}).key(ROBUST, content),
        cache.key(ROBUST, content_of(replace(dataset.sequences[0], merge_objects=False))),
        cache.key(ROBUST, content_of(shorten(load_dataset("davis2016", davis2016), 5).sequences[0])),
    }
    path = dataset.sequences[0].frames[3]
    path.write_bytes(path.read_bytes() + b"0")
    others.add(cache.key(ROBUST, content_of(dataset.sequences[0])))
    assert len(others | {key}) == 6
    trial = Trial((ObjectScore("a", 1, ("00001",), (0.5,), (0.25,)),), 3.0)
    cache.keep(key, trial)
    assert cache.find(key) == trial
    (tmp_path / f"{key}.json").write_text("{")
    assert cache.find(key) is None


# -- what it says ----------------------------------------------------------------------------------------------------
def with_column_means(*means):
    """Trials of the strategies on one sequence, in the order of the paper's columns."""
    found = {}
    for column, mean in zip(TRACKING, means, strict=True):
        trial = Trial((ObjectScore("a", 1, ("1",), (mean,), (mean,)),), 1.0)
        found[Variant(STRATEGIES, COLUMNS[column], ROBUST)] = [trial]
    return found


def test_effects_are_compared_with_the_papers_row_of_that_name():
    trials = with_column_means(0.5, 0.6, 0.7, 0.65, 0.7, 0.71)
    assert list(paper_rows("9 Frames")) == ["9 frames"]
    assert len(paper_rows("something")) == len(TABLE_2)
    by_name = {effect.name.partition(":")[0]: effect for effect in effects("9 frames", trials)[2:]}
    assert by_name["tracking range"].ours == pytest.approx(-5)
    assert by_name["tracking range"].theirs == (0.0, 0.0)  # 68.6 and 68.6
    assert by_name["density near the target"].theirs == (0.4, 0.4)
    assert by_name["density near the target"].agrees
    assert by_name["motion prior"].agrees
    assert not by_name["tracking range"].agrees
    text = "\n".join(conclusion("9 frames", trials))
    assert "tracking range: 9 spread over 40 instead of the last 9: hurts (-5.0 points, in 0 of 1 sequences" in text
    assert conclusion("9 frames", {}) == []


def test_order_counts_pairs():
    assert same_order([1, 2, 3], [10, 20, 30]) == (3, 3)
    assert same_order([1, 2, 3], [30, 20, 10]) == (0, 3)
    assert same_order([1, 1, 2], [1, 2, 3]) == (2, 2)


def test_the_grid_stands_beside_the_papers(davis2016, tmp_path, repo_root, capsys):
    weights = repo_root / "models" / "weights" / "resnet50_half.safetensors"
    out = tmp_path / "out"
    call = (
        "--dataset", "davis2016", "--data", davis2016, "--out", out, "--experiments", "strategies,keep-first",
        "--checkpoint", f"9 frames={weights}", "--checkpoint", f"untrained={weights}",
    )  # fmt: skip
    assert ablate(*call) == 0
    output = capsys.readouterr().out
    page, text = (out / "ablation.html").read_text(), (out / "ablation.md").read_text()
    for words in ("theirs: 9 frames", "ours: 9 frames", "ours: untrained", "motion prior", "CVPR 2020"):
        assert words in page
        assert words in text
        assert words in output
    theirs = next(line for line in text.splitlines() if "theirs: 9 frames" in line)
    assert [cell.strip() for cell in theirs.split("|")[2:-1]] == [f"{value:.1f}" for value in TABLE_2["9 frames"]]
    content = json.loads((out / "ablation.json").read_text())
    assert [row["label"] for row in content["rows"]] == ["9 frames", "untrained"]
    first, second = content["rows"]
    assert first["columns"] == second["columns"]  # the same weights: found in the cache
    assert all(0.5 < value <= 1 for value in first["columns"].values())
    ours = next(line for line in text.splitlines() if "ours: 9 frames" in line)
    assert [cell.strip() for cell in ours.split("|")[2:-1]] == [f"{100 * v:.1f}" for v in first["columns"].values()]
    rows = list(csv.DictReader((out / "ablation.csv").read_text().splitlines()))
    assert len(rows) == 2 * (2 * len(Sampling) + 3)
    assert len(list((out / "cache").iterdir())) == 2 * (2 * len(Sampling) - 2 + 3)  # sequences x distinct recipes
    assert (out / "ablation-pictures" / "keep-first-untrained.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--experiments", "sigm"), "no experiment"),
        (("--checkpoint", "best.pth"), "LABEL=FILE"),
        (("--frames", "0"), "from 1"),
    ],
)
def test_bad_arguments_are_told(davis2016, tmp_path, capsys, arguments, words):
    with pytest.raises(SystemExit) as stop:
        ablate("--dataset", "davis2016", "--data", davis2016, "--out", tmp_path, *arguments)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_too_few_frames_and_missing_weights_are_told(davis2016, tmp_path, capsys):
    call = ("--dataset", "davis2016", "--data", davis2016, "--out", tmp_path)
    assert ablate(*call, "--frames", 2) == 2
    assert "--frames" in capsys.readouterr().err
    assert ablate(*call, "--checkpoint", "x=missing.pth") == 2
    assert "missing.pth" in capsys.readouterr().err


def test_tables_for_the_terminal_line_up():
    assert eval_report.text_table([["a", "b"], ["long", "1.0"]]) == ["a       b", "long  1.0"]
