"""The spatial prior exp(-||loc(i) - loc(j)||^2 / sigma^2) of eq. 6, in grid cells.

It is separable and depends on the offset between two cells alone, so small tables of it are all that is ever kept.
"""

from __future__ import annotations

import torch

from engine.propagation.grid import TileLayout


def axis_log_prior(size: int, sigma: float | None) -> torch.Tensor:
    """-(i - j)^2 / sigma^2 along one axis: size x size float32 (zeros when sigma is None)."""
    if sigma is None:
        return torch.zeros(size, size)
    position = torch.arange(size, dtype=torch.float32)
    return -((position[:, None] - position[None, :]) ** 2) / sigma**2


def spatial_prior(height: int, width: int, sigma: float) -> torch.Tensor:
    """The whole hw x hw matrix, row-major cells, float32. For tests and small grids only."""
    rows = axis_log_prior(height, sigma)
    columns = axis_log_prior(width, sigma)
    log_prior = rows[:, None, :, None] + columns[None, :, None, :]
    return log_prior.reshape(height * width, height * width).exp()


def window_log_prior(layout: TileLayout, sigma: float | None) -> torch.Tensor:
    """Log-prior between the cells of a tile and the cells of its block.

    Outside the square window the value is -inf. Pooled cells lie at the centre of the cells they stand for.

    Returns:
        tile^2 x block^2 float32.
    """
    query = torch.arange(layout.tile, dtype=torch.float32)[:, None]
    middle = (layout.pool - 1) / 2
    key = (torch.arange(layout.block, dtype=torch.float32)[None, :] - layout.halo) * layout.pool + middle
    offset = key - query  # the same along both axes
    value = torch.zeros_like(offset) if sigma is None else -(offset**2) / sigma**2
    value = value.masked_fill(offset.abs() > layout.radius + middle, float("-inf"))
    return (value[:, None, :, None] + value[None, :, None, :]).reshape(layout.tile**2, layout.block**2)


def pair_log_prior(height: int, width: int, sigma: float | None, window: int | None, pool: int = 1) -> torch.Tensor:
    """Log-prior between every cell of an h x w grid and every cell of a reference, for small grids.

    Args:
        window: -inf beyond this many cells in y or x; None: no window.
        pool: the reference's cells are means of `pool` x `pool` cells (ceil(h / pool) x ceil(w / pool)); each lies at
            the centre of its cells. That it speaks for all of them is not a matter of the prior.

    Returns:
        hw x (reference cells) float32, row-major.
    """

    def axis(size: int) -> torch.Tensor:
        key = torch.arange(-(-size // pool), dtype=torch.float32) * pool + (pool - 1) / 2
        return key[None, :] - torch.arange(size, dtype=torch.float32)[:, None]

    rows, columns = axis(height), axis(width)
    square = rows[:, None, :, None].square() + columns[None, :, None, :].square()
    value = torch.zeros_like(square) if sigma is None else -square / sigma**2
    if window is not None:
        reach = window + (pool - 1) / 2
        far = (rows.abs() > reach)[:, None, :, None] | (columns.abs() > reach)[None, :, None, :]
        value = value.masked_fill(far, float("-inf"))
    return value.reshape(height * width, -1)
