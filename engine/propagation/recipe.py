"""Recipes: every number that decides how labels are propagated, in one frozen value that reports print."""

from __future__ import annotations

import difflib
import math
from dataclasses import asdict, dataclass

from engine.errors import UserError
from engine.propagation.sampling import DENSE, RANGE, REFERENCES, Sampling, history_length

TRACE = 0.01


@dataclass(frozen=True)
class Recipe:
    """How labels travel from references to a target frame.

    Attributes:
        name: what `--recipe` takes.
        sampling, references, reach: which recent frames are references (`engine.propagation.sampling`).
        motion_prior: True uses `sigma_dense` for dense and `sigma_sparse` for sparse references; False `sigma_dense`
            for all.
        sigma_dense, sigma_sparse: spatial prior exp(-d^2 / sigma^2), d in grid cells (eq. 6).
        cosine: L2-normalise embeddings (per stage where the model says so) before the dot product; False uses them raw.
        logit_scale: factor on the dot product; None takes the model's own.
        renormalise: True divides by the sum of affinity times prior, so labels are a weighted mean; False multiplies
            the prior onto the finished softmax, as the reference implementation does.
        label_power: the label stored of a tracked frame is the propagated one to this power, normalised: 1 keeps it as
            it is (soft), larger values sharpen it, infinity stores the one-hot of its argmax.
        top_k: only the so many cells with the strongest votes (affinity times prior, over all references) have a say in
            a target cell, and the softmax runs over them alone; 0: all. Needs `renormalise` False.
        window: recent references are seen through a square window of this radius in cells; None: all cells.
        pool_recent: 2: of the recent references all but the newest `fine_references` are means of 2 x 2 cells, a
            quarter of the keys; 1: none is.
        fine_references: see `pool_recent`.
        pool_keyframes: the same for keyframes.
        keyframes: how many keyframes the memory keeps for ever (0: they age like any other frame, as in the paper).
        keyframe_lattice: 2: on a CPU with a window, keyframes are asked about every second cell per axis, and about the
            others only near objects (`engine.propagation.lattice`); 1: about all.
        trace: labels up to this are as good as none; with a window, on a CPU, what only finds out about such labels is
            left out. 0: nothing is but what cannot change a label.
        sigma_keyframe: spatial prior of keyframes, None for none (an object may have gone anywhere since).
        far_keyframe_voice: weight of keyframes other than the nearest in time that knows an object (1: all alike).
        max_gap: recent frames further than this many frames from the target are no references (a jump in time breaks
            the window's assumption that little moved); None: any.
        align: the working size is rounded to a multiple of this many pixels (8 makes cells square and aligned).
    """

    name: str
    sampling: Sampling = Sampling.SPARSE
    references: int = REFERENCES
    reach: int = RANGE
    motion_prior: bool = True
    sigma_dense: float = 8.0
    sigma_sparse: float = 21.0
    cosine: bool = True
    logit_scale: float | None = None
    renormalise: bool = True
    label_power: float = math.inf
    top_k: int = 0
    window: int | None = None
    pool_recent: int = 1
    fine_references: int = 1
    pool_keyframes: int = 1
    keyframes: int = 0
    keyframe_lattice: int = 1
    trace: float = TRACE
    sigma_keyframe: float | None = None
    far_keyframe_voice: float = 0.3
    max_gap: int | None = None
    align: int = 1

    def __post_init__(self) -> None:
        if self.references < 1 or self.reach < 1 or self.keyframes < 0:
            raise ValueError("references and reach must be positive, keyframes must not be negative")
        if self.sampling is Sampling.SPARSE and self.references < DENSE:
            raise ValueError(f"sparse sampling needs at least {DENSE} references")
        if min(self.sigma_dense, self.sigma_sparse, self.sigma_keyframe or 1.0) <= 0:
            raise ValueError("a sigma must be positive")
        if self.window is not None and self.window < 1:
            raise ValueError("the window radius must be at least one cell")
        if self.window is not None and not self.renormalise:
            raise ValueError("windows need renormalised labels: the plain softmax sums over all cells")
        if self.pool_recent not in (1, 2) or self.pool_keyframes not in (1, 2) or self.fine_references < 0:
            raise ValueError("pool_recent and pool_keyframes are 1 or 2, fine_references is not negative")
        if not self.renormalise and (self.pool_recent > 1 or self.pool_keyframes > 1):
            raise ValueError("pooling needs renormalised labels")
        if self.top_k < 0:
            raise ValueError("top_k must not be negative")
        if self.top_k and self.renormalise:
            raise ValueError("top_k needs the plain softmax, which alone sees all references at once")
        if not 0 <= self.far_keyframe_voice <= 1:
            raise ValueError("far_keyframe_voice is a weight from 0 to 1")
        if not 0 <= self.trace < 1:
            raise ValueError("trace is a label from 0 to below 1")
        if not self.label_power >= 1:
            raise ValueError("label_power must be at least 1")
        if self.align < 1 or self.keyframe_lattice < 1:
            raise ValueError("align and keyframe_lattice must be at least 1")

    @property
    def history(self) -> int:
        """Recent frames the memory bank must hold."""
        return history_length(self.sampling, references=self.references, reach=self.reach)

    def describe(self) -> str:
        """Every field as `name=value`, for reports."""
        return ", ".join(f"{k}={v.value if isinstance(v, Sampling) else v}" for k, v in asdict(self).items())


PAPER = Recipe(name="paper", cosine=False, logit_scale=1.0, renormalise=False)

# Chosen on DAVIS-2016 training sequences with the bundled embedder; docs/decisions tells what else was tried.
ROBUST = Recipe(
    name="robust",
    sampling=Sampling.SPACED,
    references=5,
    motion_prior=False,
    label_power=1.0,
    window=8,
    pool_keyframes=2,
    keyframes=8,
    keyframe_lattice=2,
    sigma_keyframe=21.0,
    max_gap=64,
    align=8,
)

# The paper's references and priors for embeddings made for cosines, every cell of every reference: the plain way that
# `main.py bench --compare` measures the robust recipe's shortcuts against.
DENSE_PLAIN = Recipe(name="dense", renormalise=False)

RECIPES = {recipe.name: recipe for recipe in (PAPER, ROBUST, DENSE_PLAIN)}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UserError: there is none.
    """
    try:
        return RECIPES[name]
    except KeyError:
        close = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Known recipes: {', '.join(RECIPES)}."
        raise UserError(f"There is no recipe named {name}.", hint) from None
