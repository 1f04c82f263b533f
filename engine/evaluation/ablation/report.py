"""The pages and tables of an ablation: our figures beside the paper's, which are labelled as theirs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.evaluation.ablation.effects import conclusion, strategy_trials
from engine.evaluation.ablation.run import RowResult, mean_contour, mean_region
from engine.evaluation.ablation.variants import STRATEGIES, SWEEPS, WITH, WITHOUT, Variant, strategy_label
from engine.evaluation.datasets import Dataset
from engine.evaluation.pages import Picture, Section, file_name, write_pages
from engine.evaluation.paper import CITATION, TABLE_2, TRACKING
from engine.evaluation.plots import plots_available, sweep_curve
from engine.evaluation.report import write_text
from engine.propagation.sampling import Sampling

STEM = "ablation"


def write_ablation(results: Sequence[RowResult], dataset: Dataset, out: Path, frames: int | None) -> list[Section]:
    """Write ablation.html, .md, .json and .csv into `out`.

    Args:
        frames: of each sequence that were used, None for all.

    Returns:
        The sections of the page.

    Raises:
        ExportError: a file cannot be written.
    """
    sections = sections_of(results, dataset, frames)
    write_pages(out, STEM, f"Ablations on {dataset.title}", sections)
    write_text(out / f"{STEM}.json", json.dumps(as_dict(results, dataset, frames), indent=1))
    write_text(out / f"{STEM}.csv", as_csv(results))
    return sections


def sections_of(results: Sequence[RowResult], dataset: Dataset, frames: int | None) -> list[Section]:
    """The parts of the page."""
    sections = [_made_with(results, dataset, frames)]
    if any(strategy_trials(result.trials) for result in results):
        sections += [_table_2(results), _both_priors(results), _conclusions(results)]
    sections += [_sweep(name, results) for name in SWEEPS if any(_of(result, name) for result in results)]
    return sections


def _made_with(results: Sequence[RowResult], dataset: Dataset, frames: int | None) -> Section:
    names = ", ".join(sequence.name for sequence in dataset.sequences)
    length = f"the first {frames} frames of each" if frames else "all frames"
    points = [f"{dataset.title}: {names}; {length}; the first mask is given, first and last frame do not count"]
    for result in results:
        made = result.provenance
        points.append(
            f"{result.row.label}: model {made.model}, weights sha256 {made.weights_sha256}, short side "
            f"{made.short_side}, {made.device}"
        )
    absent = [name for name, sweep in SWEEPS.items() if sweep.setting is None]
    if absent:
        points.append(f"recipes of this version have no setting for: {', '.join(absent)}")
    made = results[0].provenance
    points.append(f"machine {made.machine}; LiveMask {made.version}, commit {made.commit}, code {made.code}")
    return Section("What was measured", points=tuple(points))


def _table_2(results: Sequence[RowResult]) -> Section:
    rows = [["embedding", *TRACKING]]
    for result in results:
        columns = strategy_trials(result.trials)
        if columns:
            label = f"ours: {result.row.label}"
            rows.append([label, *(f"{100 * mean_region(columns[name]):.1f}" for name in TRACKING)])
    rows += [[f"theirs: {name}", *(f"{value:.1f}" for value in row)] for name, row in TABLE_2.items()]
    text = (
        "Mean J in per cent by how reference frames are chosen while tracking. Rows marked ours were measured here, "
        "with the paper's recipe (softmax over all cells, one-hot labels) on the sequences above. Rows marked theirs "
        f"are the paper's own, on DAVIS-2017 val, by training strategy or embedding ({CITATION}, Table 2)."
    )
    return Section("Tracking strategies", (text,), tables=(rows,))


def _both_priors(results: Sequence[RowResult]) -> Section:
    rows = [["embedding, spatial prior", *(sampling.value for sampling in Sampling)]]
    for result in results:
        by_value = {variant.value: trials for variant, trials in _of(result, STRATEGIES)}
        for motion in (False, True):
            cells = [by_value[strategy_label(sampling, motion)] for sampling in Sampling]
            label = f"{result.row.label}, {WITH if motion else WITHOUT}"
            rows.append([label, *(f"{100 * mean_region(trials):.1f}" for trials in cells)])
    text = (
        f"All strategies this program has, measured here; {WITHOUT}: sigma 8 for every reference, {WITH}: 8 for the "
        "newest four, 21 for the others. One and three frames know no difference."
    )
    return Section("With and without the motion prior", (text,), tables=(rows,))


def _conclusions(results: Sequence[RowResult]) -> Section:
    points = [
        f"{result.row.label}: {sentence}" if len(results) > 1 else sentence
        for result in results
        for sentence in conclusion(result.row.label, result.trials)
    ]
    return Section("Does it help us as it helped the paper?", points=tuple(points))


def _sweep(name: str, results: Sequence[RowResult]) -> Section:
    sweep = SWEEPS[name]
    rows = [[sweep.title, "network", "J", "F", "J&F", "propagation, ms"]]
    pictures = []
    for result in results:
        found = _of(result, name)
        for variant, trials in found:
            region, contour = mean_region(trials), mean_contour(trials)
            milliseconds = sum(trial.propagate_ms for trial in trials) / len(trials)
            value = f"{variant.value} (the recipe's)" if variant.is_base else variant.value
            figures = (f"{100 * v:.1f}" for v in (region, contour, (region + contour) / 2))
            rows.append([value, result.row.label, *figures, f"{milliseconds:.1f}"])
        if found and plots_available():
            pictures.append(
                Picture(
                    file_name(f"{name}-{result.row.label}"),
                    sweep_curve(
                        result.row.label,
                        sweep.title,
                        [variant.value for variant, _ in found],
                        [mean_region(trials) for _, trials in found],
                        next((variant.value for variant, _ in found if variant.is_base), None),
                    ),
                    f"{name}: {sweep.title}, {result.row.label}",
                )
            )
    base = "the paper's recipe" if sweep.on_paper else "the recipe we track with"
    return Section(f"Sweep: {name}", (f"Everything else as in {base}.",), tables=(rows,), pictures=tuple(pictures))


def _of(result: RowResult, experiment: str) -> list[tuple[Variant, Any]]:
    return [(variant, trials) for variant, trials in result.trials.items() if variant.experiment == experiment]


# -- for programs ----------------------------------------------------------------------------------------------------
def as_dict(results: Sequence[RowResult], dataset: Dataset, frames: int | None) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "title": dataset.title,
        "sequences": [sequence.name for sequence in dataset.sequences],
        "frames": frames,
        "paper": {"citation": CITATION, "columns": list(TRACKING), "table_2": TABLE_2},
        "rows": [
            {
                "label": result.row.label,
                "provenance": asdict(result.provenance),
                "variants": [
                    {
                        "experiment": variant.experiment,
                        "value": variant.value,
                        "recipe": variant.recipe.describe(),
                        "J": mean_region(trials),
                        "F": mean_contour(trials),
                        "sequences": {
                            sequence.name: mean_region([trial])
                            for sequence, trial in zip(dataset.sequences, trials, strict=True)
                        },
                    }
                    for variant, trials in result.trials.items()
                ],
                "columns": {name: mean_region(trials) for name, trials in strategy_trials(result.trials).items()},
                "conclusion": conclusion(result.row.label, result.trials),
            }
            for result in results
        ],
    }


def as_csv(results: Sequence[RowResult]) -> str:
    """A line per network, experiment and value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["network", "experiment", "value", "J", "F", "propagate_ms"])
    for result in results:
        for variant, trials in result.trials.items():
            milliseconds = sum(trial.propagate_ms for trial in trials) / len(trials)
            figures = (f"{mean_region(trials):.4f}", f"{mean_contour(trials):.4f}", f"{milliseconds:.2f}")
            writer.writerow([result.row.label, variant.experiment, variant.value, *figures])
    return text.getvalue()
