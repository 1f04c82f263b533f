"""How the cells of an embedding are laid out in memory for the windowed kernel.

The grid is cut into tiles of target cells. What a tile can see of a reference, the tile grown by the window radius on
every side, is stored as one contiguous block, so that a batched product multiplies straight from memory. Blocks of
neighbouring tiles overlap: a reference takes several times its size, which is written once and read once a frame.

References may be *pooled*: a stored cell then is the mean of `pool` x `pool` cells of the grid. Tiles always are full
cells, so a tile of 8 x 8 cells lies over 4 x 4 pooled ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

TILE = 8  # cells per axis: a larger tile sees more cells that are in nobody's window, a smaller one multiplies slowly


@dataclass(frozen=True)
class TileLayout:
    """Geometry of tiles and their blocks for an h x w grid.

    Attributes:
        height, width: cells of the grid.
        radius: window radius in cells of the grid.
        tile: cells of a tile per axis, a multiple of `pool`.
        pool: cells of the grid per stored cell and axis.
    """

    height: int
    width: int
    radius: int
    tile: int = TILE
    pool: int = 1

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.tile)

    @property
    def columns(self) -> int:
        """Columns of tiles."""
        return -(-self.width // self.tile)

    @property
    def halo(self) -> int:
        """Stored cells around a tile that its window reaches. A pooled cell lies at the centre of its cells and is in
        the window of a query when its centre is at most radius + (pool - 1) / 2 away."""
        return -(-self.radius // self.pool)

    @property
    def block(self) -> int:
        """Stored cells of a block per axis."""
        return self.tile // self.pool + 2 * self.halo

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, cells of a block) of one stored reference; channels follow as the last axis."""
        return self.rows, self.columns, self.block**2

    def write(self, blocks: torch.Tensor, cells: torch.Tensor) -> None:
        """Fill the blocks (shape + (C,)) of a reference from its stored cells; 0 beyond the grid.

        Args:
            cells: ceil(h / pool) x ceil(w / pool) x C.
        """
        step = self.tile // self.pool
        padded = torch.nn.functional.pad(cells, (0, 0, *self._margins(*cells.shape[:2]))).contiguous()
        width, channels = padded.shape[1:]
        views = padded.as_strided(
            (self.rows, self.columns, self.block, self.block, channels),
            (step * width * channels, step * channels, width * channels, channels, 1),
        )
        blocks.view(views.shape).copy_(views)

    def block_peaks(self, plane: torch.Tensor) -> torch.Tensor:
        """rows x columns: the largest value in each block of a ceil(h / pool) x ceil(w / pool) plane of values >= 0."""
        padded = torch.nn.functional.pad(plane, self._margins(*plane.shape))
        return torch.nn.functional.max_pool2d(padded[None], self.block, stride=self.tile // self.pool)[0]

    def _margins(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Stored cells to add at the left, right, top and bottom of the grid, so that every block is whole."""
        step, halo = self.tile // self.pool, self.halo
        return halo, self.columns * step - width + halo, halo, self.rows * step - height + halo

    def query_tiles(self, cells: torch.Tensor) -> torch.Tensor:
        """h x w x C -> rows x columns x tile^2 x C, padded with zeros, contiguous."""
        below, right = self.rows * self.tile - self.height, self.columns * self.tile - self.width
        padded = torch.nn.functional.pad(cells, (0, 0, 0, right, 0, below))
        tiles = padded.reshape(self.rows, self.tile, self.columns, self.tile, -1)
        return tiles.permute(0, 2, 1, 3, 4).reshape(self.rows, self.columns, self.tile**2, cells.shape[-1])

    def untile(self, tiles: torch.Tensor) -> torch.Tensor:
        """Inverse of `query_tiles`: -> h x w x C."""
        whole = tiles.reshape(self.rows, self.columns, self.tile, self.tile, -1).permute(0, 2, 1, 3, 4)
        whole = whole.reshape(self.rows * self.tile, self.columns * self.tile, -1)
        return whole[: self.height, : self.width]


def pool_cells(cells: torch.Tensor, pool: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums over pool x pool cells.

    Args:
        cells: h x w x C.

    Returns:
        (ceil(h / pool) x ceil(w / pool) x C float32, number of cells in each: the same without channels, x 1).
    """
    height, width, _ = cells.shape
    rows, columns = -(-height // pool), -(-width // pool)
    padding = (0, 0, 0, columns * pool - width, 0, rows * pool - height)

    def total(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x.float(), padding).reshape(rows, pool, columns, pool, -1).sum((1, 3))

    return total(cells), total(torch.ones(height, width, 1, device=cells.device))
