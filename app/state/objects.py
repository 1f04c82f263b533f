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

    @property
    def protected(self) -> bool:
        """True when no brush may change its pixels: it is locked, or the user does not see it."""
        return self.locked or not self.visible


ObjectsSnapshot = tuple[ObjectItem, ...]


class ObjectList(QObject):
    """The objects in the order of their creation, and which one is selected (0: none).

    Adding, removing, renaming, recolouring, hiding and locking announce themselves with `edited`, so that an undo
    history can record them; the selection is not undone.

    Signals:
        changed(): anything about any item changed, or items came or went.
        selection_changed(int): the selected id, 0 when nothing is selected.
        edited(before, after, text): the user changed the list in an undoable way; two `ObjectsSnapshot`s and what to
            call the change in a menu. Not emitted by `restore` and `reset`.
        returned(int): this id is back in the list by undo or redo; so may its pixels be.
        removed(int): this id left the list, by `remove` or by undo; its pixels should leave every mask.
    """

    changed = pyqtSignal()
    selection_changed = pyqtSignal(int)
    edited = pyqtSignal(object, object, str)
    removed = pyqtSignal(int)
    returned = pyqtSignal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._items: ObjectsSnapshot = ()
        self._selected = 0
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
        """Ids whose pixels no brush may change: locked or hidden ones."""
        return tuple(item.id for item in self._items if item.protected)

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

    # -- selection ---------------------------------------------------------------------------------------------
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

    def restore(self, snapshot: ObjectsSnapshot) -> None:
        """Put the list back as it was; what comes back is selected."""
        now = set(self.ids)
        gone = now - {item.id for item in snapshot}
        came = [item.id for item in snapshot if item.id not in now]
        self._assign(snapshot)
        if came:
            self._set_selected(came[-1])
        elif self._selected in gone:
            self._set_selected(snapshot[-1].id if snapshot else 0)
        for object_id in came:
            self.returned.emit(object_id)
        for object_id in sorted(gone):
            self.removed.emit(object_id)

    def reset(self, items: ObjectsSnapshot = ()) -> None:
        """Start over with these items (a new source, an opened session). Not undoable; selects the first."""
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
