"""Which recipes an ablation compares. Experiments are named on the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from engine.propagation.recipe import PAPER, Recipe
from engine.propagation.sampling import DENSE, REFERENCES, Sampling

if TYPE_CHECKING:
    from models.embedder import Embedder

STRATEGIES = "strategies"
WITHOUT, WITH = "one sigma", "motion prior"
_FIELDS = {part.name for part in fields(Recipe)}


@dataclass(frozen=True)
class Variant:
    """One recipe of an experiment.

    Attributes:
        experiment: name of a sweep, or STRATEGIES.
        value: what distinguishes it, as the table shows it.
        is_base: it is the recipe that the experiment starts from.
    """

    experiment: str
    value: str
    recipe: Recipe
    is_base: bool = False


@dataclass(frozen=True)
class Sweep:
    """Values of one setting, everything else as in the base recipe.

    Attributes:
        settings: names of the field of `Recipe`; the first that there is counts.
        values: of the field.
        on_paper: starts from the paper's recipe; otherwise from the recipe the user tracks with.
        title: what the setting is, for the report.
    """

    settings: tuple[str, ...]
    values: tuple[Any, ...]
    on_paper: bool
    title: str

    @property
    def setting(self) -> str | None:
        """The field, None when this version's recipes have none of that name."""
        return next((name for name in self.settings if name in _FIELDS), None)


_LOGIT_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)

SWEEPS: Mapping[str, Sweep] = {
    "sigma": Sweep(("sigma_dense",), (2.0, 4.0, 8.0, 16.0, 32.0), True, "sigma of the dense references, in cells"),
    "sigma-sparse": Sweep(("sigma_sparse",), (8.0, 14.0, 21.0, 42.0, 84.0), True, "sigma of the sparse references"),
    "range": Sweep(("reach",), (10, 20, 40, 80), True, "frames the references are spread over"),
    "references": Sweep(("references",), (4, 6, 9, 13), True, "number of reference frames"),
    "temperature": Sweep(("logit_scale",), _LOGIT_FACTORS, True, "scale of the logits (1: the model's own)"),
    "labels": Sweep(("label_power",), (1.0, 2.0, 4.0, math.inf), True, "sharpening of remembered labels, inf: one-hot"),
    "our-temperature": Sweep(("logit_scale",), _LOGIT_FACTORS, False, "scale of the logits (1: the model's own)"),
    "window": Sweep(("window",), (4, 6, 8, 10, 14, None), False, "radius of the window of recent frames, in cells"),
    "keep-first": Sweep(("keyframes",), (0, 1, 8), False, "keyframes kept for ever (0: the first frame ages, too)"),
    "keyframe-sigma": Sweep(("sigma_keyframe",), (8.0, 21.0, 42.0, None), False, "sigma of the keyframes"),
    "our-references": Sweep(("references",), (4, 5, 7, 9), False, "number of recent reference frames"),
    "top-k": Sweep(("top_k",), (5, 10, 20, 50, 200, 0), True, "cells that vote for a cell, the strongest (0: all)"),
    "pooling": Sweep(("pool_recent",), (1, 2), False, "pooling of the recent references but the newest, 1: none"),
    "keyframe-pooling": Sweep(("pool_keyframes",), (1, 2), False, "pooling of the keyframes, 1: none"),
    "keyframe-lattice": Sweep(("keyframe_lattice",), (1, 2, 4), False, "spacing of cells that ask keyframes, 1: all"),
}  # fmt: skip

EXPERIMENTS = (STRATEGIES, *SWEEPS)


def paper_recipe(embedder: Embedder) -> Recipe:
    """The paper's recipe for any network: embeddings that are made for cosines keep them and their own scale."""
    return replace(PAPER, cosine=embedder.cosine, logit_scale=None if embedder.cosine else PAPER.logit_scale)


def variants(experiments: Sequence[str], embedder: Embedder, own: Recipe) -> list[Variant]:
    """Every recipe of the experiments, in order.

    Args:
        own: the recipe the user tracks with, the base of the sweeps that the paper does not have.
    """
    paper = paper_recipe(embedder)
    found: list[Variant] = []
    for name in experiments:
        if name == STRATEGIES:
            found += _strategies(paper)
        else:
            sweep = SWEEPS[name]
            found += _sweep(name, sweep, paper if sweep.on_paper else own, embedder.logit_scale)
    return found


def strategy_label(sampling: Sampling, motion_prior: bool) -> str:
    """The value of a variant of STRATEGIES."""
    return f"{sampling.value}, {WITH if motion_prior else WITHOUT}"


def _strategies(base: Recipe) -> list[Variant]:
    """Every sampling with and without the motion prior."""
    found = []
    for motion_prior in (False, True):
        for sampling in Sampling:
            # Where every reference is a dense one, both are the same recipe (and the cache holds it once).
            matters = sampling not in (Sampling.PREVIOUS, Sampling.CONSECUTIVE_3)
            recipe = replace(base, sampling=sampling, motion_prior=motion_prior and matters, references=REFERENCES)
            found.append(Variant(STRATEGIES, strategy_label(sampling, motion_prior), recipe, recipe == base))
    return found


def _sweep(name: str, sweep: Sweep, base: Recipe, own_scale: float) -> list[Variant]:
    field = sweep.setting
    if field is None or not _applies(field, base):
        return []
    present = getattr(base, field)
    if field == "logit_scale":
        scale = own_scale if present is None else present
        return [Variant(name, f"{f:g}", replace(base, logit_scale=scale * f), f == 1.0) for f in sweep.values]
    values = list(sweep.values)
    if present not in values:
        values = sorted([*values, present], key=lambda value: math.inf if value is None else value)
    return [
        Variant(name, "none" if value is None else f"{value:g}", replace(base, **{field: value}), value == present)
        for value in values
    ]


def _applies(field: str, base: Recipe) -> bool:
    """False for settings the base does not use, whose sweep would compare the same masks."""
    if field == "reach":
        return base.sampling in (Sampling.SPARSE, Sampling.UNIFORM)
    if field == "references":
        return base.sampling not in (Sampling.PREVIOUS, Sampling.CONSECUTIVE_3) and base.references >= DENSE
    if field == "sigma_keyframe":
        return base.keyframes > 0
    if field == "window":
        return base.renormalise
    return True
