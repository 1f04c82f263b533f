"""The list of objects the user tracks: ids, names, colours, what is visible, locked and selected."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from PyQt6.QtCore import QObject, pyqtSignal

from app.i18n import translate
from app.state.palette import Rgb, object_color
from engine.types import MAX_OBJECT_ID


@dataclass(frozen=True)
class ObjectItem:
    """One object.

    Attributes:
        id: 1..255, stable; the value of its pixels in every mask.
        color: (r, g, b), 0..255 each.
        visible: False hides it in the overlay and protects it from the brush.
        locked: True protects it from the brush.
    """

    id: int
    name: str
    color: Rgb
    visible: bool = True
    locked: bool = False


ObjectsSnapshot = tuple[ObjectItem, ...]


class ObjectList(QObject):
    """The objects in the order of the user's, and which one is selected (0: none).

    Adding, removing, renaming, recolouring, hiding, locking and moving announce themselves with `edited`, so that an
    undo history can record them, and merging with `merged`; the selection and `solo` are not undone.

    Signals:
        changed(): anything about any item changed, or items came or went.
        selection_changed(int): the selected id, 0 when nothing is selected.
        edited(before, after, text): the user changed the list in an undoable way; two `ObjectsSnapshot`s and what to
            call the change in a menu. Not emitted by `restore` and `reset`.
        merged(before, after, int, int): as `edited`, for an object that became a part of another: both ids.
        united(int, int): this id left the list, by `merge` or by redo; its pixels should become the second's.
        parted(int, int): the same ids; undo of that.
        returned(int): this id is back in the list by undo or redo; so may its pixels be.
        removed(int): this id left the list, by `remove` or by undo; its pixels should leave every mask.
    """

    changed = pyqtSignal()
    selection_changed = pyqtSignal(int)
    edited = pyqtSignal(object, object, str)
    removed = pyqtSignal(int)
    returned = pyqtSignal(int)
    merged = pyqtSignal(object, object, int, int)
    united = pyqtSignal(int, int)
    parted = pyqtSignal(int, int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._items: ObjectsSnapshot = ()
        self._selected = 0
        self._solo = False
        self._reserved: Callable[[], Collection[int]] = tuple

    # -- reading -----------------------------------------------------------------------------------------------
    @property
    def items(self) -> ObjectsSnapshot:
        return self._items

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids in list order."""
        return tuple(item.id for item in self._items)

    @property
    def selected_id(self) -> int:
        """The id the brush paints, 0 when no object is selected."""
        return self._selected

    def get(self, object_id: int) -> ObjectItem | None:
        return next((item for item in self._items if item.id == object_id), None)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, object_id: object) -> bool:
        return any(item.id == object_id for item in self._items)

    @property
    def protected_ids(self) -> tuple[int, ...]:
        """Ids whose pixels no brush may change: locked ones, and those that are not shown."""
        return tuple(item.id for item in self._items if item.locked or not self.shows(item))

    @property
    def solo(self) -> bool:
        """The selected object is shown alone, whatever is hidden."""
        return self._solo

    def shows(self, item: ObjectItem) -> bool:
        """Whether the overlay shows this object now."""
        return item.id == self._selected if self._solo and self._selected else item.visible

    # -- undoable changes --------------------------------------------------------------------------------------
    def add(self, name: str | None = None, object_id: int | None = None) -> int:
        """Add an object, select it and return its id: `object_id`, or the lowest free one.

        Raises:
            ValueError: `object_id` is taken or not 1..255, or all 255 ids are taken (see `full`).
        """
        if object_id is None:
            object_id = self._free_id()
        if not 1 <= object_id <= MAX_OBJECT_ID or object_id in self:
            raise ValueError(f"object id {object_id} is taken or not in 1..{MAX_OBJECT_ID}")
        item = ObjectItem(
            object_id, name or self.tr("Object %1").replace("%1", str(object_id)), object_color(object_id)
        )
        self._edit((*self._items, item), self.tr("Add object"))
        self.select(object_id)
        return object_id

    @property
    def full(self) -> bool:
        """True when all 255 ids are taken, so that `add` would raise."""
        return len(self._items) >= MAX_OBJECT_ID

    def remove(self, object_id: int) -> None:
        """Remove an object; the next one in the list is selected in its place. Unknown ids raise KeyError."""
        self._require(object_id)
        position = self.ids.index(object_id)
        rest = tuple(item for item in self._items if item.id != object_id)
        if self._selected == object_id:
            self._set_selected(rest[min(position, len(rest) - 1)].id if rest else 0)
        self._edit(rest, self.tr("Remove object"))

    def rename(self, object_id: int, name: str) -> None:
        """Give an object another name; blank names are ignored."""
        if name.strip():
            self._edit(self._with(object_id, name=name.strip()), self.tr("Rename object"))

    def recolor(self, object_id: int, color: Rgb) -> None:
        self._edit(self._with(object_id, color=color), self.tr("Recolour object"))

    def set_visible(self, object_id: int, visible: bool) -> None:
        text = translate("ObjectList", "Show object") if visible else translate("ObjectList", "Hide object")
        self._edit(self._with(object_id, visible=visible), text)

    def set_locked(self, object_id: int, locked: bool) -> None:
        text = translate("ObjectList", "Lock object") if locked else translate("ObjectList", "Unlock object")
        self._edit(self._with(object_id, locked=locked), text)

    def move(self, object_id: int, position: int) -> None:
        """Give an object another place in the list, counted from 0 and kept inside. Unknown ids raise KeyError."""
        self._require(object_id)
        rest = [item for item in self._items if item.id != object_id]
        moved = self._items[self.ids.index(object_id)]
        rest.insert(min(max(position, 0), len(rest)), moved)
        self._edit(tuple(rest), translate("ObjectList", "Move object"))

    def merge(self, object_id: int, into: int) -> None:
        """Make one object a part of another, which keeps its name and colour and is selected.

        Raises:
            KeyError: one of the ids is unknown.
            ValueError: they are the same.
        """
        self._require(object_id)
        self._require(into)
        if object_id == into:
            raise ValueError(f"object {object_id} cannot be merged into itself")
        before = self._items
        self._set_selected(into)
        self._assign(tuple(item for item in before if item.id != object_id))
        self.merged.emit(before, self._items, object_id, into)
        self.united.emit(object_id, into)

    # -- selection ---------------------------------------------------------------------------------------------
    def set_solo(self, solo: bool) -> None:
        """Show the selected object alone, or all that are not hidden."""
        if solo != self._solo:
            self._solo = solo
            self.changed.emit()

    def select_beside(self, step: int) -> bool:
        """Select the next (+1) or previous (-1) object of the list, round its ends. False when the list is empty."""
        if not self._items:
            return False
        ids = self.ids
        position = ids.index(self._selected) + step if self._selected else (0 if step > 0 else -1)
        self._set_selected(ids[position % len(ids)])
        return True

    def select(self, object_id: int) -> None:
        """Select an object, or nothing with 0. Unknown ids raise KeyError."""
        if object_id != 0:
            self._require(object_id)
        self._set_selected(object_id)

    def select_by_slot(self, slot: int) -> bool:
        """Select by number key: 1 is the first object of the list, 9 the ninth, 0 the tenth. False when empty."""
        position = (slot - 1) % 10
        if not 0 <= slot <= 9 or position >= len(self._items):
            return False
        self._set_selected(self._items[position].id)
        return True

    # -- for the undo history and for a new source -------------------------------------------------------------
    def snapshot(self) -> ObjectsSnapshot:
        return self._items

    def restore(self, snapshot: ObjectsSnapshot, merged: tuple[int, int] | None = None) -> None:
        """Put the list back as it was; what comes back is selected.

        Args:
            merged: (object, the one it became a part of), when that is what is undone or done again.
        """
        now = set(self.ids)
        gone = now - {item.id for item in snapshot}
        came = [item.id for item in snapshot if item.id not in now]
        self._assign(snapshot)
        if came:
            self._set_selected(came[-1])
        elif self._selected in gone:
            self._set_selected(merged[1] if merged else snapshot[-1].id if snapshot else 0)
        if merged is not None:
            (self.parted if came else self.united).emit(*merged)
            return
        for object_id in came:
            self.returned.emit(object_id)
        for object_id in sorted(gone):
            self.removed.emit(object_id)

    def reset(self, items: ObjectsSnapshot = ()) -> None:
        """Start over with these items (a new source, an opened session). Not undoable; selects the first, solo ends."""
        self.set_solo(False)
        self._assign(items)
        self._set_selected(items[0].id if items else 0)

    def set_reserved(self, reserved: Callable[[], Collection[int]]) -> None:
        """Ids for `add` to avoid as long as others are free: those an undo could bring back."""
        self._reserved = reserved

    # -- inside ------------------------------------------------------------------------------------------------
    def _free_id(self) -> int:
        taken = set(self.ids)
        free = [object_id for object_id in range(1, MAX_OBJECT_ID + 1) if object_id not in taken]
        if not free:
            raise ValueError(f"all {MAX_OBJECT_ID} object ids are taken")
        reserved = set(self._reserved())
        return next((object_id for object_id in free if object_id not in reserved), free[0])

    def _require(self, object_id: int) -> None:
        if object_id not in self:
            raise KeyError(object_id)

    def _with(self, object_id: int, **changes: object) -> ObjectsSnapshot:
        self._require(object_id)
        return tuple(replace(item, **changes) if item.id == object_id else item for item in self._items)  # type: ignore[arg-type]

    def _assign(self, items: ObjectsSnapshot) -> bool:
        if items == self._items:
            return False
        self._items = items
        self.changed.emit()
        return True

    def _edit(self, items: ObjectsSnapshot, text: str) -> None:
        before = self._items
        if self._assign(items):
            self.edited.emit(before, items, text)
            for object_id in sorted({item.id for item in before} - {item.id for item in items}):
                self.removed.emit(object_id)

    def _set_selected(self, object_id: int) -> None:
        if object_id != self._selected:
            self._selected = object_id
            self.selection_changed.emit(object_id)
            if self._solo:
                self.changed.emit()  # another one is shown
