"""Undo and redo, without limit, over all frames and the object list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from app.painting.delta import MaskDelta
from app.state.objects import ObjectsSnapshot


@dataclass(frozen=True)
class Entry:
    """One step the user can undo.

    Attributes:
        text: what it was, for the menu ("Paint").
        home: index of the frame it happened on, to which undo and redo take the user; None for a change of the
            object list, which is undone wherever the user is.
        deltas: frame index -> what changed in that frame's mask.
        objects: the object list before and after, None when it did not change.
        merged: (object, the one it became a part of), where that is how the list changed.
        steps: what undo and redo call besides, for what is no change of pixels (a mask that was kept as keyframe).
    """

    text: str
    home: int | None = None
    deltas: Mapping[int, MaskDelta] = field(default_factory=dict)
    objects: tuple[ObjectsSnapshot, ObjectsSnapshot] | None = None
    merged: tuple[int, int] | None = None
    steps: tuple[Callable[[], object], Callable[[], object]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "deltas", MappingProxyType(dict(self.deltas)))

    @property
    def nbytes(self) -> int:
        return sum(delta.nbytes for delta in self.deltas.values())


class History:
    """Two stacks of entries. `step` is -1 for undo and +1 for redo throughout."""

    def __init__(self) -> None:
        self._stacks: dict[int, list[Entry]] = {-1: [], +1: []}
        self._frames: Counter[int] = Counter()

    def push(self, entry: Entry) -> None:
        """Record a new edit; what was undone before can no longer be redone."""
        for lost in self._stacks[+1]:
            self._frames.subtract(lost.deltas.keys())
        self._stacks[+1].clear()
        self._stacks[-1].append(entry)
        self._frames.update(entry.deltas.keys())

    def peek(self, step: int) -> Entry | None:
        """The entry the next undo (-1) or redo (+1) concerns."""
        stack = self._stacks[step]
        return stack[-1] if stack else None

    def move(self, step: int, swapped: Mapping[int, MaskDelta]) -> None:
        """The top entry was applied: it goes to the other stack, with the deltas that lead back."""
        entry = self._stacks[step].pop()
        self._stacks[-step].append(replace(entry, deltas=swapped))

    def has_frame(self, index: int) -> bool:
        """True when any entry, undone or not, changed the mask of this frame."""
        return self._frames[index] > 0

    def forget_frame(self, index: int) -> None:
        """Drop everything about one frame (its edits can no longer be applied or are void)."""
        for step, stack in self._stacks.items():
            kept = (
                replace(entry, deltas={k: v for k, v in entry.deltas.items() if k != index})
                if index in entry.deltas
                else entry
                for entry in stack
            )
            self._stacks[step] = [
                entry for entry in kept if entry.deltas or entry.objects or (entry.steps and entry.home != index)
            ]
        del self._frames[index]

    def clear(self) -> None:
        for stack in self._stacks.values():
            stack.clear()
        self._frames.clear()

    def object_ids(self) -> frozenset[int]:
        """Ids that an undo could bring back. (What only a redo could bring back goes with the next edit anyway.)"""
        changes = (entry.objects for entry in self._stacks[-1] if entry.objects is not None)
        return frozenset(item.id for change in changes for snapshot in change for item in snapshot)

    @property
    def undo_depth(self) -> int:
        return len(self._stacks[-1])

    @property
    def redo_depth(self) -> int:
        return len(self._stacks[+1])

    @property
    def nbytes(self) -> int:
        """Bytes of all compressed deltas."""
        return sum(entry.nbytes for stack in self._stacks.values() for entry in stack)
