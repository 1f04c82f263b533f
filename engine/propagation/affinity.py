"""The propagation kernels: votes of reference cells for the labels of the target's cells.

Both kernels add up, for every target cell, sum_j w_ij * column_j over a reference's cells j, with
w_ij = exp(logit_ij + log_prior_ij - c_i). The columns are the objects' labels and, last, 1 for a real cell, so that the
numerator and the mass come from one product. c_i >= every logit of query i is constant over all references and cancels
in the weighted mean; it keeps exp in range without a pass to find the maximum.

c_i is folded into the product itself: queries carry an extra channel -c_i and keys a 1 (`query_cells`). A product in
bf16 is summed in fp32 and rounded once, and the rounded value is small where it matters (near the best match), where
bf16 is fine: a logit of 70 would be off by 0.25, a logit of 70 - 80 + ... near 0 by 0.01.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.propagation.grid import TileLayout
from engine.propagation.prior import axis_log_prior, window_log_prior

EXTRA_CHANNELS = 32  # ten are used; matrix units want the inner dimension in multiples of 32
DENSE_CHUNK = 512  # queries per product of the dense kernel: logits of one chunk and reference stay in cache


def query_cells(cells: torch.Tensor, logit_scale: float, sigma: float | None = None) -> torch.Tensor:
    """h x w x C embedding of a target -> h x w x (C + EXTRA_CHANNELS) of the same dtype.

    Scaled by `logit_scale`; the first extra channel carries -logit_scale * ||f||^2, which bounds the logits when all
    features have the same norm (cosine features). With `sigma`, the product with `key_cells` includes the log-prior

        -((y-y')^2 + (x-x')^2) g = -(y^2+x^2) g - g (y'^2+x'^2) + 2yg y' + 2xg x',   g = 1 / sigma^2,

    so the prior costs nothing. Numbers that are no small integers take two channels (high and low part), which keeps
    the sum exact to about 0.01 in bf16.
    """
    extra = _extra(cells)
    extra[..., 0] = (-logit_scale * cells.float().square().sum(-1)).to(cells.dtype)
    if sigma is not None:
        y, x = _positions(cells)
        g = torch.full_like(y * x, 1 / sigma**2)
        extra[..., 1], extra[..., 2] = _split(-(y**2 + x**2) * g, cells.dtype)
        extra[..., 3], extra[..., 4] = _split(-g, cells.dtype)
        extra[..., 5] = extra[..., 3]
        extra[..., 6], extra[..., 7] = _split(2 * y * g, cells.dtype)
        extra[..., 8], extra[..., 9] = _split(2 * x * g, cells.dtype)
    return torch.cat([cells * logit_scale, extra], -1)


def key_cells(cells: torch.Tensor, grid: tuple[int, int] | None = None, pool: int = 1) -> torch.Tensor:
    """Embedding of a reference with EXTRA_CHANNELS more channels, of the same dtype, for any sigma.

    Args:
        cells: h x w x C, or ceil(h / pool) x ceil(w / pool) x C means of pool x pool cells.
        grid: (h, w) of the target; None: that of `cells`.
        pool: a pooled cell lies at the centre of the cells it stands for.
    """
    extra = _extra(cells)
    y, x = _positions(cells, grid, pool)
    square_high, square_low = _split(y**2 + x**2, cells.dtype)
    extra[..., 0:3] = 1.0
    extra[..., 3], extra[..., 4], extra[..., 5] = square_high, square_high, square_low
    extra[..., 6:8] = y[..., None].to(cells.dtype)
    extra[..., 8:10] = x[..., None].to(cells.dtype)
    return torch.cat([cells, extra], -1)


def _extra(cells: torch.Tensor) -> torch.Tensor:
    return torch.zeros(*cells.shape[:2], EXTRA_CHANNELS, dtype=cells.dtype, device=cells.device)


def _positions(
    cells: torch.Tensor, grid: tuple[int, int] | None = None, pool: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Row (rows x 1) and column (1 x columns) numbers counted from the grid's middle.

    Halves and integers up to 128 are exact in bf16, integers up to 256.
    """
    rows, columns = cells.shape[:2]
    height, width = grid or (rows, columns)
    middle = (pool - 1) / 2
    y = torch.arange(rows, dtype=torch.float32, device=cells.device) * pool + middle - height // 2
    x = torch.arange(columns, dtype=torch.float32, device=cells.device) * pool + middle - width // 2
    return y[:, None], x[None, :]


def _split(value: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """A float32 number as the sum of two of `dtype`."""
    high = value.to(dtype)
    return high, (value - high.float()).to(dtype)


@dataclass
class Votes:
    """Running sums for every target cell.

    Attributes:
        numerator: h x w x d float32, sum of voice x weight x label.
        denominator: h x w x d float32, sum of voice x weight.
    """

    numerator: torch.Tensor
    denominator: torch.Tensor

    @classmethod
    def empty(cls, height: int, width: int, objects: int, device: torch.device) -> Votes:
        zeros = torch.zeros(height, width, objects, device=device)
        return cls(zeros, zeros.clone())

    def add(self, sums: torch.Tensor, voice: torch.Tensor) -> None:
        """Add sums h x w x (d + 1) of references that share `voice` (d float32, 0 where they say nothing)."""
        self.numerator += sums[..., :-1] * voice
        self.denominator += sums[..., -1:] * voice

    def merge(self, other: Votes) -> None:
        """Add the votes of others."""
        self.numerator += other.numerator
        self.denominator += other.denominator

    def share(self) -> torch.Tensor:
        """d x h x w weighted mean labels in 0..1; 0 where no reference says anything."""
        return (self.numerator / self.denominator.clamp_min(1e-30)).clamp_(0.0, 1.0).permute(2, 0, 1)


def group_by_voice(voices: torch.Tensor) -> list[tuple[torch.Tensor, list[int]]]:
    """References (rows of R x d) that speak alike, so that their sums can be added before they are weighted."""
    groups: dict[bytes, tuple[torch.Tensor, list[int]]] = {}
    for index, row in enumerate(voices):
        groups.setdefault(row.numpy().tobytes(), (row, []))[1].append(index)
    return list(groups.values())


class WindowedKernel:
    """References seen through a square window of `layout.radius` cells around each target cell.

    One batched product per reference and row of tiles. Logits are written over the same buffer again and again, so they
    stay in cache and nothing is allocated.
    """

    def __init__(self, layout: TileLayout, sigmas: Sequence[float | None], dtype: torch.dtype, device: torch.device):
        """`sigmas` are the priors that will be asked for; their small tables are built once."""
        self.layout = layout
        queries, keys = layout.tile**2, layout.block**2
        self._logits = torch.empty(layout.columns, queries, keys, dtype=dtype, device=device)
        self._tables = {
            sigma: window_log_prior(layout, sigma).to(device, dtype).expand(self._logits.shape) for sigma in set(sigmas)
        }

    def __call__(
        self,
        tiles: torch.Tensor,
        keys: torch.Tensor,
        columns: torch.Tensor,
        sigma: float | None,
        spans: Sequence[tuple[int, int]] | None = None,
    ) -> torch.Tensor:
        """Sums over one reference.

        Args:
            tiles: the target's `query_cells` as `layout.query_tiles`; the same for every reference.
            keys: layout.shape x C', blocks of `key_cells`.
            columns: layout.shape x k, blocks of whatever is summed up; 0 beyond the grid.
            spans: per row of tiles, the (first, last + 1) of those wanted; None: all. The sums of others are 0.

        Returns:
            rows x columns x tile^2 x k of the columns' dtype, for `layout.untile`.
        """
        new = torch.empty if spans is None else torch.zeros
        sums = new(*tiles.shape[:3], columns.shape[-1], dtype=columns.dtype, device=tiles.device)
        for row, (first, last) in enumerate(spans or [(0, self.layout.columns)] * self.layout.rows):
            if first == last:
                continue
            part = slice(first, last)
            logits, table = self._logits[: last - first], self._tables[sigma][: last - first]
            weight = torch.baddbmm(table, tiles[row, part], keys[row, part].transpose(1, 2), out=logits).exp_()
            torch.bmm(weight, columns[row, part], out=sums[row, part])
        return sums


class DenseKernel:
    """References seen as a whole. `sigmas`: the priors `softmax` will be asked for, kept as two small axis tables."""

    def __init__(self, height: int, width: int, sigmas: Sequence[float], device: torch.device):
        self.height, self.width = height, width
        self._rows = {sigma: axis_log_prior(height, sigma).to(device) for sigma in set(sigmas)}
        self._columns = {sigma: axis_log_prior(width, sigma).to(device) for sigma in set(sigmas)}

    def log_prior(self, first: int, last: int, sigma: float) -> torch.Tensor:
        """Log-prior of the target cells first..last - 1 (flat) against all cells: n x h x w float32."""
        cells = torch.arange(first, last, device=self._rows[sigma].device)
        y, x = torch.div(cells, self.width, rounding_mode="floor"), cells % self.width
        return self._rows[sigma][y][:, :, None] + self._columns[sigma][x][:, None, :]

    def __call__(
        self,
        query: torch.Tensor,
        keys: Sequence[torch.Tensor],
        columns: Sequence[torch.Tensor],
        chunk: int | None = None,
    ) -> torch.Tensor:
        """Votes summed over the given references: the shifted exponential (cosine features), priors inside the product.

        Args:
            query: n x C', cells of `query_cells`.
            keys: per reference, hw x C' from `key_cells`.
            columns: per reference, hw x (d + 1).

        Returns:
            n x (d + 1) float32.
        """
        chunk = chunk or DENSE_CHUNK
        sums = torch.zeros(len(query), columns[0].shape[1], device=query.device)
        for first in range(0, len(query), chunk):
            part = query[first : first + chunk]
            for key, column in zip(keys, columns, strict=True):
                sums[first : first + chunk] += (part @ key.T).exp_() @ column
        return sums

    def softmax(
        self,
        query: torch.Tensor,
        keys: Sequence[torch.Tensor],
        columns: Sequence[torch.Tensor],
        sigmas: Sequence[float | None],
        chunk: int | None = None,
        top_k: int = 0,
    ) -> torch.Tensor:
        """The same for raw features: softmax over every key of every reference, then times the prior (paper recipe).

        Args:
            query, keys: hw x C, the query already scaled.
            columns, sigmas: as above.
            top_k: only the so many cells with the strongest votes take part, for each target cell (with those whose
                votes equal the weakest of them); 0: all.

        Returns:
            references x h x w x (d + 1) float32; the last column is each reference's share of the mass.
        """
        cells, chunk = len(query), chunk or DENSE_CHUNK
        sums = torch.empty(len(keys), cells, columns[0].shape[1], device=query.device)
        for first in range(0, cells, chunk):
            part = query[first : first + chunk]
            logits = [(part @ key.T).float() for key in keys]
            if top_k:
                self._keep_strongest(logits, sigmas, first, top_k)
            peak = torch.stack([logit.amax(1) for logit in logits]).amax(0)[:, None]
            normaliser = torch.zeros_like(peak)
            for index, (logit, column, sigma) in enumerate(zip(logits, columns, sigmas, strict=True)):
                weight = logit.sub_(peak).exp_()
                normaliser += weight.sum(1, keepdim=True)
                if sigma is not None:
                    weight *= self.log_prior(first, first + len(part), sigma).reshape(len(part), -1).exp_()
                sums[index, first : first + chunk] = weight @ column.float()
            sums[:, first : first + chunk] /= normaliser
        return sums.reshape(len(keys), self.height, self.width, -1)

    def _keep_strongest(
        self, logits: Sequence[torch.Tensor], sigmas: Sequence[float | None], first: int, count: int
    ) -> None:
        """Put -inf over the logits of all but `count` votes in every row, in place. Rows begin at cell `first`."""
        rows = len(logits[0])
        priors = {s: self.log_prior(first, first + rows, s).reshape(rows, -1) for s in sigmas if s is not None}
        votes = [x if s is None else x + priors[s] for x, s in zip(logits, sigmas, strict=True)]
        weakest = strongest_votes(torch.cat(votes, 1), count)
        for logit, vote in zip(logits, votes, strict=True):
            logit.masked_fill_(vote < weakest, float("-inf"))


def strongest_votes(votes: torch.Tensor, count: int) -> torch.Tensor:
    """The weakest of the `count` strongest votes (all of them, if there are fewer) in each row: rows x 1."""
    return votes.topk(min(count, votes.shape[1]), dim=1, sorted=False).values.amin(1, keepdim=True)
