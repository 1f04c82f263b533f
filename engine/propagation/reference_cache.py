"""Remembered frames in the layout the kernels multiply from. The memory bank is the truth, these are copies of it.

A cache has as many slots as a recipe has references of its kind, allocated once. Each frame changes one or two of them;
a slot is written again only when the frame in it, or what is known of that frame, changed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.propagation.affinity import EXTRA_CHANNELS, key_cells
from engine.propagation.grid import TileLayout, pool_cells
from engine.propagation.memory import MemoryBank, Slot


class ReferenceCache:
    """Keys and columns (labels and, last, the number of cells that speak) of the references in use.

    In blocks for the windowed kernel, or, without a layout, cell by cell for the dense one.
    """

    def __init__(self, bank: MemoryBank, slots: int, pool: int, layout: TileLayout | None = None) -> None:
        self._bank, self._pool, self.layout = bank, pool, layout
        cells = -(-bank.height // pool) * -(-bank.width // pool)
        self._shape = (slots, *layout.shape) if layout else (slots, cells)
        self._stamps: list[int | None] = [None] * slots
        self.keys = torch.zeros(*self._shape, bank.channels + EXTRA_CHANNELS, dtype=bank.dtype, device=bank.device)
        self.columns = self._empty_columns()
        # Strongest label in each tile's block, slots x rows x columns; only a CPU asks for it.
        asked = layout is not None and bank.device.type == "cpu"
        self._peaks = torch.zeros(self._shape[:-1] if asked else 0)
        rows, columns = -(-bank.height // pool), -(-bank.width // pool)
        self._strongest = torch.zeros((slots, rows, columns) if asked else 0)  # of all labels in each cell

    @property
    def slots(self) -> int:
        return len(self._stamps)

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.columns.nbytes

    def hold(self, references: Sequence[Slot]) -> list[int]:
        """Make the cache hold exactly these frames; returns the number of each one's slot."""
        if self.columns.shape[-1] != self._bank.objects + 1:
            self.columns = self._empty_columns()
            self._stamps = [None] * self.slots
        wanted = {slot.stamp for slot in references}
        self._stamps = [stamp if stamp in wanted else None for stamp in self._stamps]
        numbers = []
        for slot in references:
            if slot.stamp not in self._stamps:
                number = self._stamps.index(None)
                self._write(number, slot)
                self._stamps[number] = slot.stamp
            numbers.append(self._stamps.index(slot.stamp))
        return numbers

    def _write(self, number: int, slot: Slot) -> None:
        """Pooled references are means of keys and sums of labels."""
        cells, labels = self._bank.cells(slot)
        columns = torch.cat([labels, torch.ones_like(labels[..., :1])], -1)
        if self._pool > 1:
            total, count = pool_cells(cells, self._pool)
            cells = (total / count).to(cells.dtype)
            columns = pool_cells(columns, self._pool)[0].to(columns.dtype)
        keys = key_cells(cells, (self._bank.height, self._bank.width), self._pool)
        if self.layout is not None:
            self.layout.write(self.keys[number], keys)
            self.layout.write(self.columns[number], columns)
            if self._peaks.numel():
                self._strongest[number] = columns[..., :-1].amax(-1).float() / self._pool**2
                self._peaks[number] = self.layout.block_peaks(self._strongest[number])
        else:
            self.keys[number] = keys.flatten(0, 1)
            self.columns[number] = columns.flatten(0, 1)

    def peaks(self, numbers: Sequence[int]) -> torch.Tensor:
        """Strongest label that each tile sees in the frames of these slots: rows x columns of tiles."""
        return self._peaks[list(numbers)].amax(0)

    def strongest(self, numbers: Sequence[int]) -> torch.Tensor:
        """Strongest label in each cell of the grid in the frames of these slots: h x w."""
        plane = self._strongest[list(numbers)].amax(0)
        if self._pool > 1:
            plane = plane.repeat_interleave(self._pool, 0).repeat_interleave(self._pool, 1)
        return plane[: self._bank.height, : self._bank.width]

    def _empty_columns(self) -> torch.Tensor:
        return torch.zeros(*self._shape, self._bank.objects + 1, dtype=self._bank.dtype, device=self._bank.device)
