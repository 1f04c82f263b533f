"""Transductive inference inside one frame: a few marked cells become a label for all (section 3.1 of the paper).

The fixed point of y = alpha S y + (1 - alpha) y0 with S = D^-1/2 W D^-1/2 is the solution of
(I - alpha S) y = (1 - alpha) y0. The matrix is symmetric and positive definite, so conjugate gradients reach it in some
tens of products with S where the iteration takes hundreds.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engine.scribble_marks import INSIDE, OUTSIDE, PROBABLY_INSIDE, Marks, Pixels, by_colour, has_object, sharpen
from engine.types import Frame, Rgb

if TYPE_CHECKING:
    from engine.tracker import Tracker

STRIDE = 8


@dataclass(frozen=True)
class ScribbleRule:
    """How cells of one frame pass labels to each other, and what is known before the first stroke.

    Attributes:
        alpha: how far labels spread; the weight of a neighbour's label against one's own mark.
        radius: cells around a cell that are its neighbours.
        sigma: cells, of the spatial prior among those neighbours (equation 6).
        scale: on the cosine of two cells (the inverse temperature).
        colour: on the mean squared difference of two cells' colours, each channel 0..1.
        nearest: cells of the whole frame, the most alike, that are neighbours as well, wherever they are.
        far: weight of those against neighbours in place.
        background: all marks "outside" that the unmarked cells have together, in marks inside: a short stroke must not
            drown in them, a long one not run over.
        reach: distance from the marks inside, in shares of the frame's short side, at which `background` counts twice.
        probable: the mark "inside" of a cell that probably is; `boxed`: while no stroke says more.
    """

    alpha: float = 0.99
    radius: int = 3
    sigma: float = 2.0
    scale: float = 20.0
    colour: float = 20.0
    nearest: int = 20
    far: float = 0.5
    background: float = 2.0
    reach: float = 5.0
    probable: float = 0.2
    boxed: float = 0.5


RULE = ScribbleRule()


class Affinity:
    """S of one frame, sparse: N x N with N = h x w cells in rows. Built once, used for every stroke."""

    def __init__(self, weights: torch.Tensor) -> None:
        """`weights`: N x N sparse COO, symmetric, not negative, without the diagonal."""
        weights = weights.coalesce()
        degree = torch.sparse.sum(weights, dim=1).to_dense().clamp_min(1e-12)
        rows, columns = weights.indices()
        values = weights.values() * (degree[rows] * degree[columns]).rsqrt()
        scaled = torch.sparse_coo_tensor(
            weights.indices(), values, weights.shape, check_invariants=False, is_coalesced=True
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
            self.matrix = scaled.to_sparse_csr()  # a product takes a thirtieth of the time it takes in COO

    def spread(self, labels: torch.Tensor) -> torch.Tensor:
        """S y for N x d labels."""
        return self.matrix @ labels


def frame_affinity(cells: torch.Tensor, rgb: Rgb, rule: ScribbleRule = RULE) -> Affinity:
    """How alike the cells of a frame are.

    Args:
        cells: h x w x C embedding.
        rgb: H x W x 3 uint8, the frame they are of, of any size.
    """
    height, width, channels = cells.shape
    unit = torch.nn.functional.normalize(cells.float(), dim=2)
    colours = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    shade = torch.from_numpy(colours).to(unit.device)
    number = torch.arange(height * width, device=unit.device).reshape(height, width)
    firsts, seconds, weights = [], [], []
    for dy in range(rule.radius + 1):
        for dx in range(-rule.radius, rule.radius + 1):
            if (dy == 0 and dx <= 0) or dy >= height or abs(dx) >= width:
                continue
            left, right = max(0, -dx), width - max(0, dx)
            here = (slice(height - dy), slice(left, right))
            there = (slice(dy, None), slice(left + dx, right + dx))
            cosine = (unit[here] * unit[there]).sum(2)
            prior = math.exp(-(dx * dx + dy * dy) / rule.sigma**2)
            firsts.append(number[here].reshape(-1))
            seconds.append(number[there].reshape(-1))
            weights.append(prior * _likeness(cosine, shade[here], shade[there], rule).reshape(-1))
    if rule.nearest:
        flat = shade.reshape(-1, 3)
        first, second, cosine = _nearest(unit.reshape(-1, channels), min(rule.nearest, height * width - 1))
        firsts.append(first)
        seconds.append(second)
        weights.append(rule.far * _likeness(cosine, flat[first], flat[second], rule))
    first, second, weight = torch.cat(firsts), torch.cat(seconds), torch.cat(weights)
    pairs = torch.stack([torch.cat([first, second]), torch.cat([second, first])])
    size = (height * width, height * width)
    return Affinity(torch.sparse_coo_tensor(pairs, torch.cat([weight, weight]), size, check_invariants=False))


def _likeness(cosine: torch.Tensor, colours: torch.Tensor, others: torch.Tensor, rule: ScribbleRule) -> torch.Tensor:
    """The weight between cells of this cosine; their colours are of the same shape with 3 channels more."""
    return torch.exp(rule.scale * (cosine - 1) - rule.colour * (colours - others).square().mean(-1))


def _nearest(cells: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each of N cells of unit length the `count` others most like it: (cell, other, cosine), N * count each."""
    found, cosines = [], []
    for start in range(0, len(cells), 1024):
        likeness = cells[start : start + 1024] @ cells.T
        rows = torch.arange(len(likeness), device=cells.device)
        likeness[rows, start + rows] = -2.0  # not itself
        best = likeness.topk(count, dim=1, sorted=False)
        found.append(best.indices)
        cosines.append(best.values)
    numbers = torch.arange(len(cells), device=cells.device).repeat_interleave(count)
    return numbers, torch.cat(found).reshape(-1), torch.cat(cosines).reshape(-1)


def diffuse(
    affinity: Affinity, marked: torch.Tensor, alpha: float, tolerance: float = 1e-3, most: int = 200
) -> torch.Tensor:
    """The fixed point of y = alpha S y + (1 - alpha) marked, each column on its own.

    Args:
        marked: N x d, y0.
        tolerance: of the residual, relative to the right side. `most`: products with S.
    """
    right = (1 - alpha) * marked
    labels = marked.clone()
    residual = right - (labels - alpha * affinity.spread(labels))
    direction = residual.clone()
    power = residual.square().sum(0)
    enough = tolerance**2 * right.square().sum(0)
    for _ in range(most):
        if bool((power <= enough).all()):
            break
        product = direction - alpha * affinity.spread(direction)
        step = power / (direction * product).sum(0).clamp_min(1e-30)
        labels += step * direction
        residual -= step * product
        former, power = power, residual.square().sum(0)
        direction = residual + (power / former.clamp_min(1e-30)) * direction
    return labels


def certainty(
    affinity: Affinity, marks: Marks, grid: tuple[int, int], rule: ScribbleRule = RULE
) -> NDArray[np.float32]:
    """How surely each pixel is inside, as far as cells can tell.

    Args:
        marks: H x W, at least one INSIDE or PROBABLY_INSIDE.
        grid: (h, w) of the affinity.

    Returns:
        H x W float32 in 0..1.
    """
    height, width = grid
    planes = [_share(marks == mark, grid) for mark in (INSIDE, OUTSIDE, PROBABLY_INSIDE)]
    inside, outside, probable = planes
    unmarked = np.maximum(0.0, 1 - inside - outside)
    weight = rule.probable if inside.any() else rule.boxed
    front = inside + weight * probable * (inside == 0)
    known = ((front == 0) * 255).astype(np.uint8)
    away = cv2.distanceTransform(known, cv2.DIST_L2, 3) / (rule.reach * min(grid))
    free = unmarked * (inside == 0) * (probable < 0.5)
    prior = rule.background * front.sum() / max(1.0, float(free.sum()))
    back = outside + free * prior * (1 + away**2)
    marked = torch.from_numpy(np.stack([front, back], -1).reshape(-1, 2).astype(np.float32)).to(affinity.matrix.device)
    labels = diffuse(affinity, marked, rule.alpha).clamp_min(0)
    shares = (labels[:, 0] / labels.sum(1).clamp_min(1e-20)).reshape(height, width).cpu().numpy()
    size = (width * STRIDE, height * STRIDE)
    full = cv2.resize(shares, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(full, (marks.shape[1], marks.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _share(pixels: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Share of each cell that the pixels cover; a quarter counts as all, as strokes are thin."""
    height, width = grid
    small = cv2.resize(pixels.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.minimum(1.0, 4 * small), np.float32)


class ScribbleReader:
    """Turns strokes into masks with a tracker's network; what the strokes of one frame share is computed once."""

    def __init__(self, tracker: Tracker, rule: ScribbleRule = RULE) -> None:
        self._tracker = tracker
        self._rule = rule
        self._frame: Frame | None = None
        self._affinity: Affinity | None = None
        self._grid = (0, 0)
        self._short_side = 0

    @torch.inference_mode()
    def read(self, frame: Frame, marks: Marks) -> Pixels:
        """The object that the marks stand for, to the pixel.

        Args:
            marks: H x W uint8 of the values in `engine.scribble_marks`.

        Returns:
            H x W bool, all False when nothing is marked inside.

        Raises:
            ValueError: the marks have another size than the frame.
            OutOfMemoryError: choose a smaller working size.
        """
        if marks.shape != (frame.height, frame.width):
            raise ValueError(f"marks {marks.shape} do not fit frame {frame.height} x {frame.width}")
        if not has_object(marks):
            return np.zeros(marks.shape, dtype=bool)
        affinity = self._affinity_of(frame)
        found = sharpen(frame.rgb, certainty(affinity, marks, self._grid, self._rule), marks)
        # A box around one of several alike things: what is outside speaks against what is inside.
        return found if found.any() else by_colour(frame.rgb, marks)

    def _affinity_of(self, frame: Frame) -> Affinity:
        tracker = self._tracker
        known = self._frame is not None and self._frame.rgb is frame.rgb and self._short_side == tracker.short_side
        if self._affinity is None or not known:
            self._affinity = None  # two of them need not fit into memory
            cells = tracker.embed(frame)
            if cells.device.type != "cuda":
                cells = cells.cpu()  # sparse products are for these two only
            self._affinity = frame_affinity(cells, frame.rgb, self._rule)
            self._frame, self._grid, self._short_side = frame, (cells.shape[0], cells.shape[1]), tracker.short_side
        return self._affinity
