"""Where a cell's label comes from: the votes of every cell of every reference, one by one.

The kernels add votes up and never hold them all; for one cell they fit in memory. The same weights, so that the traced
label is the propagated one (a test holds them together).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from engine.errors import MaskError
from engine.propagation.affinity import strongest_votes
from engine.propagation.grid import pool_cells
from engine.propagation.memory import Slot
from engine.propagation.propagator import Propagator, keyframe_voices
from engine.types import Frame

if TYPE_CHECKING:
    from engine.tracker import Tracker


@dataclass(frozen=True, eq=False)
class Voter:
    """A reference frame and its say in one cell's label.

    Attributes:
        frame_index: of the reference, in its source.
        is_keyframe: the user gave its mask, and the memory keeps it as a keyframe.
        weights: h x w float32, each of its cells' share of the whole vote; the weights of all voters add up to 1.
        said: how much of the traced object's label it brought: the sum of weight times label.
    """

    frame_index: int
    is_keyframe: bool
    weights: torch.Tensor
    said: float

    @property
    def share(self) -> float:
        """Its share of the whole vote, 0 to 1."""
        return float(self.weights.sum())


@dataclass(frozen=True, eq=False)
class Trace:
    """The votes behind one cell's label of one object.

    Attributes:
        row, column: the cell; `height`, `width`: of the grid.
        object_id: whose label it is.
        label: 0 to 1, as propagated.
        voters: those that had a say, the strongest first.
    """

    row: int
    column: int
    height: int
    width: int
    object_id: int
    label: float
    voters: tuple[Voter, ...]


@torch.inference_mode()
def trace_pixel(
    tracker: Tracker, frame: Frame, x: int, y: int, object_id: int | None = None, *, leave_out: int | None = None
) -> Trace:
    """Which references decide pixel (x, y) of `frame` if it is the next one to be tracked; nothing is remembered.

    Args:
        object_id: whose label is traced; None: the object with the largest label there.
        leave_out: index of a frame that has no say, such as `frame` itself when it was tracked and is in memory.

    Raises:
        MaskError: nothing was painted yet, or there is no such object, or no frame is left that has a say.
        ValueError: the pixel lies outside the frame.
    """
    if not (0 <= x < frame.width and 0 <= y < frame.height):
        raise ValueError(f"({x}, {y}) lies outside a frame of {frame.width} x {frame.height}")
    propagator, cells, columns = tracker.look_at(frame)
    if not columns or not (propagator.bank.recent or propagator.bank.keyframes):
        raise MaskError("Nothing is painted yet.", "Paint an object on a frame first.")
    if object_id is not None and object_id not in columns:
        raise MaskError(f"There is no object {object_id}.", f"There is: {', '.join(map(str, sorted(columns)))}.")
    height, width, _ = cells.shape
    row, column = y * height // frame.height, x * width // frame.width
    wanted = list(columns) if object_id is None else [object_id]
    traced = [
        (i, *trace_cell(propagator, cells, frame.index, row, column, columns[i], leave_out=leave_out)) for i in wanted
    ]
    best, voters, label = max(traced, key=lambda one: one[2])
    return Trace(row, column, height, width, best, label, tuple(voters))


def trace_cell(
    propagator: Propagator,
    cells: torch.Tensor,
    frame_index: int,
    row: int,
    column: int,
    object_column: int,
    *,
    leave_out: int | None = None,
) -> tuple[list[Voter], float]:
    """The votes of what the memory holds now for one cell of a target frame.

    Args:
        cells: h x w x C embedding of the target.
        object_column: of the labels in the memory.
        leave_out: index of a frame without a say.

    Returns:
        (voters, strongest first; the object's label in this cell).
    """
    recipe, bank = propagator.recipe, propagator.bank
    references: list[tuple[Slot, bool, float | None]] = [
        (slot, True, sigma) for slot, sigma in propagator.recent_references(frame_index)
    ]
    voices = [slot.known[object_column].float() for slot, _, _ in references]
    if recipe.renormalise and bank.keyframes:
        spoken = keyframe_voices(bank.keyframes, frame_index, recipe.far_keyframe_voice)
        references += [(slot, False, recipe.sigma_keyframe) for slot in bank.keyframes]
        voices += list(spoken[:, object_column])
    kept = [i for i, (slot, _, _) in enumerate(references) if slot.frame_index != leave_out]
    knowing = [i for i in kept if float(voices[i]) > 0]
    if recipe.renormalise:
        kept = knowing  # the plain softmax runs over the others, too
    if not knowing:
        raise MaskError(
            "No other frame in the engine's memory knows this object.", "Track on, and ask on a later frame."
        )
    references, voices = [references[i] for i in kept], [voices[i] for i in kept]
    query = cells[row, column].float() * propagator.logit_scale
    logits, log_priors, labels = [], [], []
    fine = recipe.fine_references if recipe.window is not None else 0  # without a window all are pooled, or none
    newest = [slot.stamp for slot, _ in propagator.recent_references(frame_index)][::-1][:fine]
    for slot, is_recent, sigma in references:
        pool = recipe.pool_keyframes if not is_recent else 1 if slot.stamp in newest else recipe.pool_recent
        keys, known = (_as_seen(cells, pool) for cells in bank.cells(slot))
        logits.append(keys @ query)  # h x w
        log_priors.append(_log_prior(propagator, row, column, sigma, recipe.window if is_recent else None, pool))
        labels.append(known[..., object_column])
    logit, log_prior = torch.stack(logits), torch.stack(log_priors).to(cells.device)
    voice = torch.stack(voices).to(cells.device)[:, None, None]
    if recipe.renormalise:
        whole = logit + log_prior
        weight = (whole - whole.max()).exp()
        mass = 1.0
    else:
        if recipe.top_k:
            votes = logit + log_prior
            logit = logit.masked_fill(votes < strongest_votes(votes.reshape(1, -1), recipe.top_k), float("-inf"))
        weight = logit.flatten().softmax(0).reshape(logit.shape) * log_prior.exp()
        mass = float(weight.sum())
    weight = weight * voice
    weight = weight / weight.sum().clamp_min(1e-30)
    said = (weight * torch.stack(labels)).sum((1, 2)) * mass
    voters = [
        Voter(slot.frame_index, not is_recent, part.cpu(), float(share))
        for (slot, is_recent, _), part, share in zip(references, weight, said, strict=True)
        if float(part.sum()) > 0
    ]
    return sorted(voters, key=lambda voter: -voter.share), float(said.sum())


def _as_seen(cells: torch.Tensor, pool: int) -> torch.Tensor:
    """h x w x C cells, float32, each with the mean of its pool x pool cells in its place."""
    total, count = pool_cells(cells, pool)
    mean = (total / count).repeat_interleave(pool, 0).repeat_interleave(pool, 1)
    return mean[: cells.shape[0], : cells.shape[1]]


def _log_prior(
    propagator: Propagator, row: int, column: int, sigma: float | None, window: int | None, pool: int
) -> torch.Tensor:
    """h x w float32 log-prior between a cell and all cells of a reference; -inf outside the window.

    Pooled cells lie at the centre of their pool x pool cells.
    """

    def offset(size: int, own: int) -> torch.Tensor:
        cell = torch.arange(size)
        return torch.div(cell, pool, rounding_mode="floor") * pool + (pool - 1) / 2 - own

    y, x = offset(propagator.height, row)[:, None], offset(propagator.width, column)[None, :]
    prior = torch.zeros_like(y * x) if sigma is None else -(y**2 + x**2) / sigma**2
    if window is not None:
        reach = window + (pool - 1) / 2
        prior = prior.masked_fill((y.abs() > reach) | (x.abs() > reach), float("-inf"))
    return prior
