"""The memory bank: a fixed number of preallocated slots for embeddings and labels of past frames.

Two kinds of slot. *Recent* slots form a ring of processed frames. *Keyframe* slots hold frames whose mask the user
gave; they are never overwritten by tracking. Bytes are allocated once for a grid; only the label columns are
reallocated when the number of objects passes a multiple of OBJECT_BLOCK.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import torch

from engine.propagation.sampling import Sampling, leaves, span

OBJECT_BLOCK = 8


@dataclass
class Slot:
    """One remembered frame.

    Attributes:
        number: which slot of its pool.
        position: how many frames were processed before this one (recent slots).
        frame_index: number of the frame in its source.
        stamp: changes whenever the embedding or the labels do; no two frames ever share one.
        keys: hw x C embedding, a view of the bank.
        labels: hw x object columns, a view of the bank.
        known: bool per object column, on the CPU; False where this frame says nothing about the object.
        is_keyframe: True when the user gave (part of) its labels.
    """

    number: int
    stamp: int
    frame_index: int
    keys: torch.Tensor
    labels: torch.Tensor
    known: torch.Tensor
    is_keyframe: bool = False
    position: int = 0


@dataclass
class _Pool:
    """Slots of one kind."""

    keys: torch.Tensor
    labels: torch.Tensor
    held: list[Slot] = field(default_factory=list)  # oldest first

    @property
    def capacity(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.labels.nbytes

    def free_number(self) -> int:
        taken = {slot.number for slot in self.held}
        return next(number for number in range(self.capacity) if number not in taken)


class MemoryBank:
    """Embeddings and labels of past frames on one h x w grid."""

    def __init__(
        self,
        *,
        height: int,
        width: int,
        channels: int,
        recent: int,
        keyframes: int,
        sampling: Sampling,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Allocate `recent` + `keyframes` slots of `channels`."""
        self.height, self.width, self.channels = height, width, channels
        self.device, self.dtype, self.sampling = device, dtype, sampling
        self.objects = OBJECT_BLOCK
        self.processed = 0  # frames added to the ring since it was last empty, those that left included
        self._stamps = itertools.count()

        def pool(count: int) -> _Pool:
            keys = torch.zeros(count, height * width, channels, dtype=dtype, device=device)
            return _Pool(keys, torch.zeros(count, height * width, self.objects, dtype=dtype, device=device))

        self._recent = pool(recent)
        self._keyframes = pool(keyframes)

    # -- what is held ------------------------------------------------------------------------------------------
    @property
    def recent(self) -> list[Slot]:
        """Recent slots, oldest first."""
        return self._recent.held

    @property
    def keyframes(self) -> list[Slot]:
        """Keyframe slots, oldest first."""
        return self._keyframes.held

    @property
    def nbytes(self) -> int:
        return self._recent.nbytes + self._keyframes.nbytes

    @property
    def span(self) -> int:
        """How many processed frames the references may reach back."""
        return span(self.sampling, self._recent.capacity)

    def find_recent(self, frame_index: int) -> Slot | None:
        return next((slot for slot in self._recent.held if slot.frame_index == frame_index), None)

    # -- writing -----------------------------------------------------------------------------------------------
    def reserve_objects(self, count: int) -> None:
        """Make room for `count` object columns, in blocks."""
        if count <= self.objects:
            return
        wanted = -(-count // OBJECT_BLOCK) * OBJECT_BLOCK
        grown = wanted - self.objects
        pools = (self._recent, self._keyframes)
        # Both before either is changed: when memory runs out here, the bank stays as it was.
        roomier = [torch.zeros(*p.labels.shape[:-1], wanted, dtype=self.dtype, device=self.device) for p in pools]
        for pool, new in zip(pools, roomier, strict=True):
            new[..., : self.objects] = pool.labels
            pool.labels = new
            for slot in pool.held:
                slot.labels = new[slot.number]
                slot.known = torch.cat([slot.known, torch.zeros(grown, dtype=torch.bool)])
        self.objects = wanted

    def add_recent(
        self, frame_index: int, keys: torch.Tensor, labels: torch.Tensor, known: torch.Tensor, is_keyframe: bool = False
    ) -> Slot:
        """Remember a processed frame; the oldest gives way when the ring is full. Replaces a slot of the same frame.

        Args:
            keys: h x w x C.
            labels: h x w x objects, in 0..1.
            known: bool of length objects, CPU.
        """
        pool = self._recent
        kept = [slot for slot in pool.held if slot.frame_index != frame_index]
        pool.held[:] = kept
        if len(pool.held) == pool.capacity:
            gone = leaves([slot.position for slot in pool.held], self.sampling)
            pool.held[:] = [slot for slot in pool.held if slot.position != gone]
        slot = self._write(pool, frame_index, keys, labels, known, is_keyframe)
        slot.position = self.processed
        self.processed += 1
        return slot

    def set_keyframe(
        self, frame_index: int, keys: torch.Tensor, labels: torch.Tensor, known: torch.Tensor
    ) -> Slot | None:
        """Remember a frame the user painted. Knowledge of objects that an earlier edit of the same frame gave is kept.

        Returns the keyframe that had to give way because every slot was taken, or None.
        """
        pool = self._keyframes
        former = next((slot for slot in pool.held if slot.frame_index == frame_index), None)
        evicted = None
        if former is not None:
            keep = former.known & ~known
            if keep.any():
                old = former.labels.reshape(self.height, self.width, -1)
                labels = torch.where(keep.to(labels.device), old.to(labels.dtype), labels)
                known = known | keep
            pool.held.remove(former)
        elif len(pool.held) == pool.capacity:
            evicted = self._least_needed(known)
            pool.held.remove(evicted)
        self._write(pool, frame_index, keys, labels, known, True)
        return evicted

    def _least_needed(self, incoming: torch.Tensor) -> Slot:
        """The keyframe whose loss hurts least: not the first; one whose objects others know, or crowded in time."""
        held = self._keyframes.held
        candidates = held[1:] or held

        def cost(slot: Slot) -> tuple[int, int]:
            others = [other for other in held if other is not slot]
            covered = incoming.clone()
            for other in others:
                covered |= other.known
            orphans = int((slot.known & ~covered).sum())
            gap = min((abs(slot.frame_index - other.frame_index) for other in others), default=0)
            return orphans, gap

        return min(candidates, key=cost)

    def _write(
        self,
        pool: _Pool,
        frame_index: int,
        keys: torch.Tensor,
        labels: torch.Tensor,
        known: torch.Tensor,
        is_keyframe: bool,
    ) -> Slot:
        number = pool.free_number()
        pool.keys[number] = keys.reshape(-1, keys.shape[-1])
        pool.labels[number] = labels.reshape(-1, labels.shape[-1])
        stamp = next(self._stamps)
        slot = Slot(number, stamp, frame_index, pool.keys[number], pool.labels[number], known.clone(), is_keyframe)
        pool.held.append(slot)
        return slot

    # -- forgetting --------------------------------------------------------------------------------------------
    def forget_objects(self, columns: torch.Tensor, keep_frame: int | None = None) -> None:
        """Recent frames stop speaking about these object columns (bool), except frame `keep_frame`."""
        for slot in self._recent.held:
            if slot.frame_index != keep_frame:
                slot.known &= ~columns

    def merge_columns(self, column: int, into: int) -> None:
        """Add the labels of one object to another's and erase it.

        The user's frames showed both objects whichever was meant; a tracked frame knows the whole if it knew each part.
        """
        for pool in (self._recent, self._keyframes):
            pool.labels[..., into] = (pool.labels[..., into] + pool.labels[..., column]).clamp_(max=1)
            for slot in pool.held:
                known = slot.known[[column, into]]
                slot.known[into] = bool(known.any() if slot.is_keyframe else known.all())
        self.clear_column(column)

    def clear_column(self, column: int) -> None:
        """Erase an object from every slot."""
        for pool in (self._recent, self._keyframes):
            pool.labels[..., column] = 0
            for slot in pool.held:
                slot.known[column] = False
                slot.stamp = next(self._stamps)

    def drop_keyframe(self, frame_index: int) -> None:
        self._keyframes.held[:] = [slot for slot in self._keyframes.held if slot.frame_index != frame_index]
        self._recent.held[:] = [
            slot for slot in self._recent.held if not (slot.is_keyframe and slot.frame_index == frame_index)
        ]

    def drop_recent(self) -> None:
        """Forget tracked frames. Keyframes stay, also those in the ring where a recipe has no keyframe slots."""
        keep_painted = self._keyframes.capacity == 0
        self._recent.held[:] = [slot for slot in self._recent.held if keep_painted and slot.is_keyframe]
        self._recount()

    def _recount(self) -> None:
        held = self._recent.held
        self.processed = held[-1].position + 1 if held else 0

    def rewind(self, frame_index: int, direction: int) -> None:
        """Drop recent frames ahead of `frame_index` in `direction`, and those too far behind for a run to hold them.

        Keyframes stay, also those in the ring where a recipe has no keyframe slots.
        """
        reach, keep_painted = self.span, self._keyframes.capacity == 0

        def stays(slot: Slot) -> bool:
            behind = (frame_index - slot.frame_index) * direction
            return 0 <= behind < reach or (keep_painted and slot.is_keyframe)

        self._recent.held[:] = [slot for slot in self._recent.held if stays(slot)]
        self._recount()

    def clear(self) -> None:
        self._recent.held.clear()
        self._keyframes.held.clear()
        self.processed = 0

    def take_over(self, other: MemoryBank) -> None:
        """Copy what a bank of another grid remembers, resampled bilinearly to this grid."""
        self.reserve_objects(other.objects)

        def resample(cells: torch.Tensor) -> torch.Tensor:
            planes = cells.permute(2, 0, 1)[None].float()
            size = (self.height, self.width)
            resized = torch.nn.functional.interpolate(planes, size, mode="bilinear", align_corners=False)
            return resized[0].permute(1, 2, 0).to(cells.dtype)

        for slot in other.keyframes:
            keys, labels = other.cells(slot)
            self._write(self._keyframes, slot.frame_index, resample(keys), resample(labels), slot.known, True)
        for slot in other.recent:
            keys, labels = other.cells(slot)
            new = self.add_recent(slot.frame_index, resample(keys), resample(labels), slot.known, slot.is_keyframe)
            new.position = slot.position
        self.processed = other.processed

    def cells(self, slot: Slot) -> tuple[torch.Tensor, torch.Tensor]:
        """A slot's embedding (h x w x C) and labels (h x w x objects); views of the bank."""
        shape = (self.height, self.width, -1)
        return slot.keys.reshape(shape), slot.labels.reshape(shape)
