"""The editable mask of one frame at a time, with undo and redo over all frames and the object list."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal

from app.i18n import translate
from app.painting.delta import MaskDelta
from app.painting.frame_edit import FrameEdit
from app.painting.history import Entry, History
from app.painting.raster import Rect
from app.painting.shelf import Shelf
from app.state.objects import ObjectList, ObjectsSnapshot
from engine.types import Frame, Mask

# An undo waits this long for the frame it asked for; later the user has moved on and a change would come as a surprise.
NAVIGATION_TIMEOUT_S = 5.0


class EditModel(FrameEdit):
    """Edits masks, with undo and redo.

    Undo and redo go back over frame borders. On seekable sources (`set_seekable(True)`, the default) an edit of another
    frame emits `navigate_requested(index)` and is applied once `begin_frame` is called with that frame, whose mask as
    handed over then is the truth. On live sources, whose frames cannot be fetched again, edited frames are kept (up to
    128 MiB; the edits of older ones are forgotten) and become the current frame at once (`frame_changed`).

    Removing an object takes its pixels out of every edited mask; undo brings them back, frame by frame. Frames whose
    `Frame` is no longer in memory report that with `stroke_committed` when they are next begun.

    Signals (and those of `FrameEdit`):
        navigate_requested(int): show this frame and call `begin_frame` with it.
        history_changed(): undo or redo became possible or impossible, or has another name.
    """

    navigate_requested = pyqtSignal(int)
    history_changed = pyqtSignal()

    def __init__(self, objects: ObjectList | None = None, parent: QObject | None = None) -> None:
        super().__init__(objects, parent)
        self._history = History()
        self._shelf = Shelf()
        self._pending = 0  # undo (< 0) or redo (> 0) steps still to do
        self._wanted: tuple[int, float] | None = None  # (frame index, deadline) the pending steps wait for
        self._connect_objects()

    # -- what is edited ----------------------------------------------------------------------------------------
    def set_objects(self, objects: ObjectList) -> None:
        """Edit with another object list; its undoable changes go into the history from now on."""
        self._objects.edited.disconnect(self._on_objects_edited)
        self._objects.merged.disconnect(self._on_objects_merged)
        self._objects.set_reserved(tuple)
        self._objects = objects
        self._connect_objects()

    def set_seekable(self, seekable: bool) -> None:
        """Tell whether frames can be fetched again by index (files) or not (live sources)."""
        self._shelf.keep_frames = not seekable

    def begin_frame(self, frame: Frame, mask: Mask | None) -> None:
        """Edit this frame from now on, starting with `mask` (None: empty).

        For the frame that is being edited already this reconciles: a mask that differs is adopted, unless it can be an
        echo from before our last change, in which case ours stays.

        Raises:
            ValueError: the mask has another size than the frame.
        """
        shape = (frame.height, frame.width)
        if mask is not None and mask.shape != shape:
            raise ValueError(f"mask {mask.shape} does not fit frame {shape}")
        self.cancel_stroke()
        if self._frame is not None and self._frame.index == frame.index and self._mask.shape == shape:
            self._reconcile(frame, mask)
        else:
            self._park()
            shelved = self._shelf.take(frame.index)
            unreported = shelved.unreported if shelved is not None and shelved.shape == shape else frozenset()
            if shelved is not None and unreported:
                mask = shelved.unpack()
            self._make_current(frame, np.zeros(shape, np.uint8) if mask is None else np.array(mask))
            if unreported:
                self._commit(unreported)
        self._continue_at(frame.index)

    def leave_frame(self) -> None:
        """Edit no frame from now on (another one is shown). Its history stays."""
        if self._frame is not None:
            self.cancel_stroke()
            self._park()
            self.frame_changed.emit()

    def wants(self, index: int) -> bool:
        """True when this frame should be begun as soon as it is shown: it has a history, or an undo waits for it."""
        return self._history.has_frame(index) or (self._wanted is not None and self._wanted[0] == index)

    def reset(self) -> None:
        """Forget everything: frame, masks and history (another source)."""
        had_frame = self._frame is not None
        self._drop_frame()
        self._forget_pending()
        self._history.clear()
        self._shelf.clear()
        if had_frame:
            self.frame_changed.emit()
        self.history_changed.emit()

    def record(self, text: str, undo: Callable[[], object], redo: Callable[[], object]) -> None:
        """Something was done to this frame that changed no pixel of its mask: one step of history.

        Raises:
            RuntimeError: no frame was begun.
        """
        self.cancel_stroke()
        self._about_to_edit()
        self._history.push(Entry(text, self._require_frame().index, steps=(undo, redo)))
        self.history_changed.emit()

    # -- undo and redo -----------------------------------------------------------------------------------------
    @property
    def can_undo(self) -> bool:
        return self._history.peek(-1) is not None

    @property
    def can_redo(self) -> bool:
        return self._history.peek(+1) is not None

    @property
    def waits(self) -> bool:
        """An undo or redo waits for its frame to be shown."""
        return self._wanted is not None

    @property
    def undo_text(self) -> str:
        """What undo would take back, "" when nothing."""
        entry = self._history.peek(-1)
        return entry.text if entry is not None else ""

    @property
    def redo_text(self) -> str:
        entry = self._history.peek(+1)
        return entry.text if entry is not None else ""

    @property
    def history_bytes(self) -> int:
        """Bytes the compressed history takes."""
        return self._history.nbytes

    def undo(self) -> None:
        """Take back the last edit, wherever it was. Does nothing in mid-stroke or when there is none."""
        self._request(-1)

    def redo(self) -> None:
        """Do the last undone edit again. Does nothing in mid-stroke or when there is none."""
        self._request(+1)

    def cancel_pending(self) -> None:
        """Forget undo and redo steps that still wait for their frame (it cannot be shown)."""
        self._forget_pending()

    def forget_frame(self, index: int) -> None:
        """Drop a frame's history: its mask was cleared or replaced from outside on purpose."""
        self._history.forget_frame(index)
        self._shelf.take(index)
        if self._frame is not None and self._frame.index == index:
            self._drop_frame()
            self.frame_changed.emit()
        self.history_changed.emit()

    def _request(self, step: int) -> None:
        if self._stroke is None:
            self._pending += step
            self._work_off()

    def _work_off(self) -> None:
        """Apply pending steps until none is left or one needs a frame that must first be shown."""
        while self._pending:
            step = 1 if self._pending > 0 else -1
            entry = self._history.peek(step)
            if entry is None:
                self._forget_pending()
            elif entry.home is None or (self._frame is not None and self._frame.index == entry.home):
                self._pending -= step
                self._apply(entry, step)
            elif self._shelf.keep_frames:
                self._recall(entry.home)
            else:
                self._wanted = (entry.home, time.monotonic() + NAVIGATION_TIMEOUT_S)
                self.navigate_requested.emit(entry.home)  # may come back through begin_frame before it returns
                return
        self._wanted = None

    def _continue_at(self, index: int) -> None:
        if self._wanted is None or self._wanted[0] != index:
            return
        _, deadline = self._wanted
        if time.monotonic() > deadline:
            self._forget_pending()
        self._wanted = None
        self._work_off()

    def _recall(self, index: int) -> None:
        """Make a kept frame of a live source current again."""
        shelved = self._shelf.peek(index)
        frame = shelved.frame if shelved is not None else None
        if shelved is None or frame is None:
            self.forget_frame(index)
            return
        self._park()
        self._shelf.take(index)
        self._make_current(frame, shelved.unpack())

    def _apply(self, entry: Entry, step: int) -> None:
        vanished: frozenset[int] = frozenset()
        if entry.objects is not None:
            target = entry.objects[0 if step < 0 else 1]
            vanished = frozenset(self._objects.ids) - {item.id for item in target}
            if entry.merged is not None:
                vanished = frozenset(entry.merged)  # `ObjectList.united` and `parted` say it all
            self._objects.restore(target, entry.merged)
        if entry.steps is not None:
            entry.steps[0 if step < 0 else 1]()
        swapped: dict[int, MaskDelta] = {}
        reports: list[tuple[int, frozenset[int]]] = []
        for index, delta in entry.deltas.items():
            if self._frame is not None and index == self._frame.index:
                swapped[index], ids = delta.swap(self._mask)
                self._unconfirmed = True
                self._show_change(delta.rect)
            else:
                swapped[index], ids = self._shelf.swap(index, delta)
            reports.append((index, ids))
        self._history.move(step, swapped)
        for index, ids in reports:
            self._report(index, ids, vanished)
        self.history_changed.emit()

    def _report(self, index: int, ids: frozenset[int], vanished: frozenset[int]) -> None:
        """Tell of a changed mask. Pixels of objects that vanished need no word: `ObjectList.removed` says it all."""
        ids -= vanished
        if self._frame is not None and index == self._frame.index:
            if ids:
                self._commit(ids)
            return
        shelved = self._shelf.peek(index)
        if shelved is None:
            return
        ids |= shelved.unreported - vanished
        frame = shelved.frame
        if ids and frame is not None:
            mask = shelved.unpack()
            mask.setflags(write=False)
            self._shelf.mark(index, frozenset())
            self.stroke_committed.emit(frame, mask, ids)
        else:
            self._shelf.mark(index, ids)

    # -- the object list ---------------------------------------------------------------------------------------
    def _connect_objects(self) -> None:
        self._objects.edited.connect(self._on_objects_edited)
        self._objects.merged.connect(self._on_objects_merged)
        self._objects.set_reserved(self._history.object_ids)

    def _on_objects_edited(self, before: ObjectsSnapshot, after: ObjectsSnapshot, text: str) -> None:
        self.cancel_stroke()
        self._forget_pending()
        gone = {item.id for item in before} - {item.id for item in after}
        self._history.push(Entry(text, None, self._turn(gone, 0) if gone else {}, (before, after)))
        self.history_changed.emit()

    def _on_objects_merged(self, before: ObjectsSnapshot, after: ObjectsSnapshot, object_id: int, into: int) -> None:
        self.cancel_stroke()
        self._forget_pending()
        deltas, text = self._turn({object_id}, into), translate("EditModel", "Merge objects")
        self._history.push(Entry(text, None, deltas, (before, after), (object_id, into)))
        self.history_changed.emit()

    def _turn(self, object_ids: Collection[int], into: int) -> dict[int, MaskDelta]:
        """Turn these objects' pixels to `into` in every edited mask: frame -> the delta that leads back."""
        deltas: dict[int, MaskDelta] = {}
        for index in self._shelf:
            shelved = self._shelf.peek(index)
            if shelved is not None and (found := _turned(shelved.unpack(), object_ids, into)) is not None:
                # `found` leads back; applied to the mask without the object its swap leads there.
                deltas[index], _ = self._shelf.swap(index, found)
        if self._frame is not None and (found := _turned(self._mask, object_ids, into)) is not None:
            deltas[self._frame.index], _ = found.swap(self._mask)
            self._unconfirmed = True
            self._show_change(found.rect)
        return deltas

    # -- inside ------------------------------------------------------------------------------------------------
    def _about_to_edit(self) -> None:
        self._forget_pending()

    def _recorded(self, text: str, frame_index: int, delta: MaskDelta) -> None:
        self._history.push(Entry(text, frame_index, {frame_index: delta}))
        self.history_changed.emit()

    def _park(self) -> None:
        """Shelve the current frame's mask if it has a history."""
        if self._frame is not None and self._history.has_frame(self._frame.index):
            for index in self._shelf.put(self._frame, self._mask):
                self._history.forget_frame(index)
                self.history_changed.emit()
        self._drop_frame()

    def _forget_pending(self) -> None:
        self._pending, self._wanted = 0, None


def _turned(mask: Mask, object_ids: Collection[int], into: int) -> MaskDelta | None:
    """The delta whose swap turns these objects' pixels to `into`; None when the mask has none of them."""
    height, width = mask.shape
    turned = np.where(np.isin(mask, list(object_ids)), into, mask).astype(np.uint8)
    found = MaskDelta.between(turned, mask, Rect(0, 0, width, height))
    return found[0] if found is not None else None
