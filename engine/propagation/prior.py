"""The spatial prior exp(-||loc(i) - loc(j)||^2 / sigma^2) of eq. 6, in grid cells.

It is separable and depends on the offset between two cells alone, so small tables of it are all that is ever kept.
"""

from __future__ import annotations

import math

import torch


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


def window_log_prior(tile_height: int, tile_width: int, radius: int, sigma: float | None) -> torch.Tensor:
    """Log-prior between the cells of a query tile and the cells of its key block.

    The key block is the tile grown by `radius` on every side. Outside the square window |dy|, |dx| <= radius the value
    is -inf.

    Returns:
        (tile_height * tile_width) x ((tile_height + 2 radius) * (tile_width + 2 radius)) float32.
    """

    def axis(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        query = torch.arange(size, dtype=torch.float32)[:, None]
        key = torch.arange(size + 2 * radius, dtype=torch.float32)[None, :] - radius
        offset = key - query
        value = torch.zeros_like(offset) if sigma is None else -(offset**2) / sigma**2
        return value, offset.abs() <= radius

    row_value, row_inside = axis(tile_height)
    column_value, column_inside = axis(tile_width)
    value = row_value[:, None, :, None] + column_value[None, :, None, :]
    inside = row_inside[:, None, :, None] & column_inside[None, :, None, :]
    value = value.masked_fill(~inside, float("-inf"))
    return value.reshape(tile_height * tile_width, -1)


def pair_log_prior(height: int, width: int, sigma: float | None, window: int | None, pool: int = 1) -> torch.Tensor:
    """Log-prior between every cell of an h x w grid and every cell of a reference, for small grids.

    Args:
        window: -inf beyond this many cells in y or x; None: no window.
        pool: the reference's cells are means of `pool` x `pool` cells (ceil(h / pool) x ceil(w / pool)); each lies at
            the centre of its cells and speaks for all of them, which adds log(pool^2).

    Returns:
        hw x (reference cells) float32, row-major.
    """

    def axis(size: int) -> torch.Tensor:
        key = torch.arange(-(-size // pool), dtype=torch.float32) * pool + (pool - 1) / 2
        return key[None, :] - torch.arange(size, dtype=torch.float32)[:, None]

    rows, columns = axis(height), axis(width)
    square = rows[:, None, :, None].square() + columns[None, :, None, :].square()
    value = torch.full_like(square, 2 * math.log(pool))
    if sigma is not None:
        value -= square / sigma**2
    if window is not None:
        reach = window + (pool - 1) / 2
        far = (rows.abs() > reach)[:, None, :, None] | (columns.abs() > reach)[None, :, None, :]
        value = value.masked_fill(far, float("-inf"))
    return value.reshape(height * width, -1)
