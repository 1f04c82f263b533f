"""The propagation kernels: votes of reference cells for the labels of the target's cells.

Both kernels add up, for every target cell, sum_j w_ij * column_j over a reference's cells j, with
w_ij = exp(logit_ij + log_prior_ij - c_i). The columns are the objects' labels and, last, 1 for a real cell, so that the
numerator and the mass come from one product. c_i >= every logit of query i is constant over all references and cancels in
the weighted mean; it keeps exp in range without a pass to find the maximum.

c_i is folded into the product itself: queries carry an extra channel -c_i and keys a 1 (`with_shift`). A product in bf16 is
summed in fp32 and rounded once, and the rounded value is small where it matters (near the best match), where bf16 is
fine: a logit of 70 would be off by 0.25, a logit of 70 - 80 + ... near 0 by 0.01.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.propagation.grid import StripLayout
from engine.propagation.prior import axis_log_prior, window_log_prior

SHIFT_CHANNELS = 32  # one is used; matrix units want the inner dimension in multiples of 32
DENSE_CHUNK = 512  # queries per product of the dense kernel: logits of one chunk and reference stay in cache


def with_shift(cells: torch.Tensor, *, as_query: bool, logit_scale: float = 1.0) -> torch.Tensor:
    """... x C cells -> ... x (C + SHIFT_CHANNELS) of the same dtype.

    Queries are scaled by `logit_scale` and carry -logit_scale * ||f||^2, which bounds their logits when all features have
    the same norm (cosine features). Keys carry 1.
    """
    extra = torch.zeros(*cells.shape[:-1], SHIFT_CHANNELS, dtype=cells.dtype, device=cells.device)
    if as_query:
        extra[..., 0] = (-logit_scale * cells.float().square().sum(-1)).to(cells.dtype)
        cells = cells * logit_scale
    else:
        extra[..., 0] = 1.0
    return torch.cat([cells, extra], -1)


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
    """References seen through a square window of `layout.radius` cells around each target cell."""

    def __init__(self, layout: StripLayout, sigmas: Sequence[float | None], dtype: torch.dtype, device: torch.device):
        """`sigmas` are the priors that will be asked for; their small offset tables are built once."""
        self.layout = layout
        self._tables = {
            sigma: window_log_prior(layout.tile_height, layout.tile_width, layout.radius, sigma).to(device, dtype)
            for sigma in set(sigmas)
        }
        queries, keys = next(iter(self._tables.values())).shape
        self._logits = torch.empty(queries, keys, dtype=dtype, device=device)

    def __call__(
        self,
        query: torch.Tensor,
        keys: Sequence[torch.Tensor],
        columns: Sequence[torch.Tensor],
        sigmas: Sequence[float | None],
    ) -> torch.Tensor:
        """Votes summed over the given references.

        Args:
            query: h x w x C' from `with_shift(as_query=True)`.
            keys: per reference, strips (layout.shape + (C',)) from `with_shift(as_query=False)`.
            columns: per reference, strips (layout.shape + (d + 1,)) of labels and a final 1; 0 in the halo.
            sigmas: per reference.

        Returns:
            h x w x (d + 1) float32.
        """
        layout = self.layout
        tiles = layout.query_tiles(query)
        count = columns[0].shape[-1]
        sums = torch.zeros(*tiles.shape[:3], count, device=query.device)
        for strip in range(layout.strips):
            for row in range(layout.tile_rows):
                rows = layout.key_rows(row)
                tile = tiles[strip, row]
                for key, column, sigma in zip(keys, columns, sigmas, strict=True):
                    block = key[strip, rows].reshape(-1, tile.shape[1])
                    weight = torch.addmm(self._tables[sigma], tile, block.T, out=self._logits).exp_()
                    sums[strip, row] += weight @ column[strip, rows].reshape(-1, count)
        return layout.untile(sums)


class DenseKernel:
    """References seen as a whole, with the prior added from two axis tables."""

    def __init__(self, height: int, width: int, sigmas: Sequence[float | None], device: torch.device):
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
        sigmas: Sequence[float | None],
        chunk: int | None = None,
    ) -> torch.Tensor:
        """Votes summed over the given references: the shifted exponential (cosine features).

        Args:
            query: hw x C' from `with_shift(as_query=True)`.
            keys: per reference, hw x C' from `with_shift(as_query=False)`.
            columns: per reference, hw x (d + 1).
            sigmas: per reference.

        Returns:
            h x w x (d + 1) float32.
        """
        chunk = chunk or DENSE_CHUNK
        sums = torch.zeros(len(query), columns[0].shape[1], device=query.device)
        for first in range(0, len(query), chunk):
            part = query[first : first + chunk]
            for key, column, sigma in zip(keys, columns, sigmas, strict=True):
                logits = part @ key.T
                if sigma is not None:
                    prior = self.log_prior(first, first + len(part), sigma).reshape(len(part), -1)
                    logits = (logits + prior).to(column.dtype)
                sums[first : first + chunk] += logits.exp_() @ column
        return sums.reshape(self.height, self.width, -1)

    def softmax(
        self,
        query: torch.Tensor,
        keys: Sequence[torch.Tensor],
        columns: Sequence[torch.Tensor],
        sigmas: Sequence[float | None],
        chunk: int | None = None,
    ) -> torch.Tensor:
        """The same for raw features: softmax over every key of every reference, then times the prior (paper recipe).

        Args:
            query, keys: hw x C, the query already scaled.
            columns, sigmas: as above.

        Returns:
            references x h x w x (d + 1) float32; the last column is each reference's share of the mass.
        """
        cells, chunk = len(query), chunk or DENSE_CHUNK
        sums = torch.empty(len(keys), cells, columns[0].shape[1], device=query.device)
        for first in range(0, cells, chunk):
            part = query[first : first + chunk]
            logits = [(part @ key.T).float() for key in keys]
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
