"""Does what helped the paper help us? Differences between strategies, ours and theirs, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from engine.evaluation.ablation.cache import Trial
from engine.evaluation.ablation.run import mean_region
from engine.evaluation.ablation.variants import STRATEGIES, Variant, strategy_label
from engine.evaluation.paper import TABLE_2, TRACKING
from engine.propagation.sampling import Sampling

COLUMNS: Mapping[str, str] = {
    "1 frame": strategy_label(Sampling.PREVIOUS, False),
    "3 frames": strategy_label(Sampling.CONSECUTIVE_3, False),
    "9 frames": strategy_label(Sampling.CONSECUTIVE_9, False),
    "uniform": strategy_label(Sampling.UNIFORM, False),
    "sparse": strategy_label(Sampling.SPARSE, False),
    "sparse + motion": strategy_label(Sampling.SPARSE, True),
}
"""Column of Table 2 -> value of our variant."""

PAIRS = (
    ("more frames: 3 instead of 1", "1 frame", "3 frames"),
    ("more frames: 9 instead of 3", "3 frames", "9 frames"),
    ("tracking range: 9 spread over 40 instead of the last 9", "9 frames", "uniform"),
    ("density near the target: sparse instead of uniform", "uniform", "sparse"),
    ("motion prior: two sigmas instead of one", "sparse", "sparse + motion"),
)
"""Name of an effect, and the columns it lies between."""


@dataclass(frozen=True)
class Effect:
    """What a change of the strategy does to mean J, in percentage points.

    Attributes:
        ours: on our sequences; `helped`: in how many of the `sequences` it raised J.
        theirs: the least and the greatest of the paper's rows that are compared.
    """

    name: str
    ours: float
    helped: int
    sequences: int
    theirs: tuple[float, float]

    @property
    def agrees(self) -> bool | None:
        """Same sign as in one of the paper's rows; None when these differ in sign."""
        low, high = map(_sign, self.theirs)
        return None if low < 0 < high else low <= _sign(self.ours) <= high


def _sign(points: float) -> int:
    """Of a difference as it is printed: what rounds to 0.0 is none."""
    rounded = round(points, 1)
    return (rounded > 0) - (rounded < 0)


def strategy_trials(trials: Mapping[Variant, Sequence[Trial]]) -> dict[str, Sequence[Trial]]:
    """Column of Table 2 -> its trials; empty when the strategies were not run."""
    by_value = {variant.value: found for variant, found in trials.items() if variant.experiment == STRATEGIES}
    return {column: by_value[value] for column, value in COLUMNS.items() if value in by_value}


def paper_rows(label: str) -> dict[str, tuple[float, ...]]:
    """The rows of Table 2 to compare with: the one of that name, else all."""
    same = {name: row for name, row in TABLE_2.items() if name.casefold() == label.casefold()}
    return same or TABLE_2


def effects(label: str, trials: Mapping[Variant, Sequence[Trial]]) -> list[Effect]:
    """The effects of one network; empty when the strategies were not run."""
    columns = strategy_trials(trials)
    if len(columns) < len(COLUMNS):
        return []
    rows = paper_rows(label)
    found = []
    for name, before, after in PAIRS:
        each = [mean_region([b]) - mean_region([a]) for a, b in zip(columns[before], columns[after], strict=True)]
        theirs = [row[TRACKING.index(after)] - row[TRACKING.index(before)] for row in rows.values()]
        found.append(
            Effect(
                name,
                100 * (mean_region(columns[after]) - mean_region(columns[before])),
                sum(difference > 0 for difference in each),
                len(each),
                (round(min(theirs), 6), round(max(theirs), 6)),
            )
        )
    return found


def same_order(ours: Sequence[float], theirs: Sequence[float]) -> tuple[int, int]:
    """(pairs in the same order, pairs that differ at all in both)."""
    pairs = [
        ((a - b) * (c - d) > 0)
        for (a, c), (b, d) in combinations(zip(ours, theirs, strict=True), 2)
        if a != b and c != d
    ]
    return sum(pairs), len(pairs)


def conclusion(label: str, trials: Mapping[Variant, Sequence[Trial]]) -> list[str]:
    """Sentences on what the figures say; empty when the strategies were not run."""
    found = effects(label, trials)
    if not found:
        return []
    sentences = []
    for effect in found:
        low, high = effect.theirs
        theirs = f"{low:+.1f}" if low == high else f"{low:+.1f} to {high:+.1f}"
        verdict = {True: "as in the paper", False: "unlike in the paper", None: "where the paper's rows differ"}
        does = ("changes nothing", "helps", "hurts")[_sign(effect.ours)]
        sentences.append(
            f"{effect.name}: {does} ({round(effect.ours, 1) + 0.0:+.1f} points, in {effect.helped} of "
            f"{effect.sequences} sequences; the paper: {theirs}), {verdict[effect.agrees]}"
        )
    columns = strategy_trials(trials)
    ours = [mean_region(columns[name]) for name in TRACKING]
    rows = paper_rows(label)
    theirs_mean = [sum(row[i] for row in rows.values()) / len(rows) for i in range(len(TRACKING))]
    same, all_pairs = same_order(ours, theirs_mean)
    sentences.append(f"order of the six columns: {same} of {all_pairs} pairs are in the paper's order")
    return sentences
