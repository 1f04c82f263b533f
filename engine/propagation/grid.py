"""How the cells of an embedding are laid out in memory for the two kernels.

*Flat*: one row per cell, row-major. *Strips*: the grid is cut into vertical strips of `tile_width` columns, each stored
with a halo of `radius` columns left and right and `radius` rows above and below. The keys of every query tile are then
one contiguous block of rows, so the windowed kernel multiplies straight from memory without gathering.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

TILE_HEIGHT = 12
TILE_WIDTH = 16


@dataclass(frozen=True)
class StripLayout:
    """Geometry of strips for an h x w grid.

    Attributes:
        height, width: cells of the grid.
        radius: window radius in cells.
        tile_height, tile_width: cells of a query tile.
    """

    height: int
    width: int
    radius: int
    tile_height: int
    tile_width: int

    @classmethod
    def for_grid(cls, height: int, width: int, radius: int) -> StripLayout:
        return cls(height, width, radius, min(TILE_HEIGHT, height), min(TILE_WIDTH, width))

    @property
    def tile_rows(self) -> int:
        return -(-self.height // self.tile_height)

    @property
    def strips(self) -> int:
        return -(-self.width // self.tile_width)

    @property
    def block_height(self) -> int:
        return self.tile_height + 2 * self.radius

    @property
    def block_width(self) -> int:
        return self.tile_width + 2 * self.radius

    @property
    def shape(self) -> tuple[int, int, int]:
        """(strips, rows, columns) of one stored frame; channels follow as the last axis."""
        return self.strips, self.tile_rows * self.tile_height + 2 * self.radius, self.block_width

    def write(self, strips: torch.Tensor, cells: torch.Tensor) -> None:
        """Fill one frame's strips (shape + (C,)) from h x w x C cells. The halo off the grid is left as it is (0)."""
        r = self.radius
        for strip in range(self.strips):
            first = strip * self.tile_width - r  # grid column of the strip's first stored column
            left, right = max(first, 0), min(first + self.block_width, self.width)
            strips[strip, r : r + self.height, left - first : right - first] = cells[:, left:right]

    def read(self, strips: torch.Tensor) -> torch.Tensor:
        """Inverse of `write`: -> h x w x C."""
        r = self.radius
        inner = strips[:, r : r + self.height, r : r + self.tile_width]
        return inner.permute(1, 0, 2, 3).reshape(self.height, -1, strips.shape[-1])[:, : self.width]

    def query_tiles(self, cells: torch.Tensor) -> torch.Tensor:
        """h x w x C -> strips x tile_rows x (tile_height * tile_width) x C, padded with zeros, contiguous."""
        pad_rows = self.tile_rows * self.tile_height - self.height
        pad_columns = self.strips * self.tile_width - self.width
        padded = torch.nn.functional.pad(cells, (0, 0, 0, pad_columns, 0, pad_rows))
        tiles = padded.reshape(self.tile_rows, self.tile_height, self.strips, self.tile_width, -1)
        return tiles.permute(2, 0, 1, 3, 4).reshape(
            self.strips, self.tile_rows, self.tile_height * self.tile_width, cells.shape[-1]
        )

    def untile(self, tiles: torch.Tensor) -> torch.Tensor:
        """Inverse of `query_tiles`: -> h x w x C."""
        whole = tiles.reshape(self.strips, self.tile_rows, self.tile_height, self.tile_width, -1).permute(1, 2, 0, 3, 4)
        whole = whole.reshape(self.tile_rows * self.tile_height, self.strips * self.tile_width, -1)
        return whole[: self.height, : self.width]

    def key_rows(self, tile_row: int) -> slice:
        """Rows of a strip that a tile's key block takes."""
        first = tile_row * self.tile_height
        return slice(first, first + self.block_height)
