"""The editable mask of one frame at a time, with undo and redo over all frames and the object list."""

from __future__ import annotations

import time
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QRect, pyqtSignal

from app.painting.delta import MaskDelta
from app.painting.history import Entry, History
from app.painting.raster import Rect, Region
from app.painting.shelf import Shelf
from app.painting.stroke import Stroke
from app.state.objects import ObjectList, ObjectsSnapshot
from engine.types import Frame, Mask

# An undo waits this long for the frame it asked for; later the user has moved on and a change would come as a surprise.
NAVIGATION_TIMEOUT_S = 5.0


class EditModel(QObject):
    """Edits masks: strokes, regions, clearing; undo and redo.

    What a tool may change: painting covers every other object unless it is locked or hidden; erasing removes the given
    object only, or, with `everything`, every object that is neither locked nor hidden.

    Undo and redo go back over frame borders. On seekable sources (`set_seekable(True)`, the default) an edit of another
    frame emits `navigate_requested(index)` and is applied once `begin_frame` is called with that frame, whose mask as
    handed over then is the truth. On live sources, whose frames cannot be fetched again, edited frames are kept (up to
    128 MiB; the edits of older ones are forgotten) and become the current frame at once (`frame_changed`).

    Removing an object takes its pixels out of every edited mask; undo brings them back, frame by frame. Frames whose
    `Frame` is no longer in memory report that with `stroke_committed` when they are next begun.

    Signals:
        stroke_committed(Frame, Mask, frozenset[int]): the mask of a frame changed by a finished stroke, region, clear,
            undo or redo: a read-only copy of the whole mask and the ids that lost or gained pixels.
        region_changed(QRect): these frame pixels of `mask` changed (also in mid-stroke).
        navigate_requested(int): show this frame and call `begin_frame` with it.
        frame_changed(): `frame` is another one now, or None.
        history_changed(): undo or redo became possible or impossible, or has another name.
    """

    stroke_committed = pyqtSignal(object, object, object)
    region_changed = pyqtSignal(QRect)
    navigate_requested = pyqtSignal(int)
    frame_changed = pyqtSignal()
    history_changed = pyqtSignal()

    def __init__(self, objects: ObjectList | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._frame: Frame | None = None
        self._mask: Mask = np.zeros((0, 0), dtype=np.uint8)
        self._stroke: Stroke | None = None
        self._history = History()
        self._shelf = Shelf()
        self._pending = 0  # undo (< 0) or redo (> 0) steps still to do
        self._wanted: tuple[int, float] | None = None  # (frame index, deadline) the pending steps wait for
        self._unconfirmed = False  # nobody has handed back the mask of our last commit yet
        self._objects = objects if objects is not None else ObjectList(self)
        self._connect_objects()

    # -- what is edited ----------------------------------------------------------------------------------------
    @property
    def frame(self) -> Frame | None:
        """The frame being edited."""
        return self._frame

    @property
    def mask(self) -> Mask:
        """The live mask of `frame`, H x W uint8; a read-only view. 0 x 0 without a frame."""
        view = self._mask.view()
        view.setflags(write=False)
        return view

    @property
    def objects(self) -> ObjectList:
        return self._objects

    def set_objects(self, objects: ObjectList) -> None:
        """Edit with another object list; its undoable changes go into the history from now on."""
        self._objects.edited.disconnect(self._on_objects_edited)
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
        self._stroke, self._pending, self._wanted = None, 0, None
        self._history.clear()
        self._shelf.clear()
        had_frame, self._frame, self._mask = self._frame is not None, None, np.zeros((0, 0), dtype=np.uint8)
        if had_frame:
            self.frame_changed.emit()
        self.history_changed.emit()

    # -- strokes -----------------------------------------------------------------------------------------------
    @property
    def stroking(self) -> bool:
        return self._stroke is not None

    def begin_stroke(
        self, tool: str, object_id: int, radius_px: float, erase: bool, x: float, y: float, everything: bool = False
    ) -> bool:
        """Put the brush down at (x, y) frame pixels. False when the object is locked or hidden: nothing happens then.

        Args:
            tool: what to call the stroke in the undo menu.
            everything: with `erase`: every unlocked, visible object instead of `object_id` only.

        Raises:
            RuntimeError: no frame was begun.
        """
        changeable = self._changeable(object_id, erase, everything)
        if not changeable.any():
            return False
        self.cancel_stroke()
        self._forget_pending()
        self._stroke = Stroke(tool, self._mask, changeable, 0 if erase else object_id, radius_px, (x, y))
        self._show_change(self._stroke.extend(x, y, radius_px))
        return True

    def extend_stroke(self, x: float, y: float, radius_px: float | None = None) -> None:
        """Draw on to (x, y), without gaps. `radius_px` changes the size from here on (pen pressure)."""
        if self._stroke is not None:
            self._show_change(self._stroke.extend(x, y, radius_px))

    def end_stroke(self) -> bool:
        """Lift the brush: one step of history. False when the stroke changed nothing; then nothing is recorded."""
        stroke, self._stroke = self._stroke, None
        if stroke is None or stroke.dirty is None:
            return False
        return self._record(stroke.text, stroke.before, stroke.dirty)

    def cancel_stroke(self) -> None:
        """Take the stroke back as if it never began."""
        stroke, self._stroke = self._stroke, None
        if stroke is not None and stroke.dirty is not None:
            self._mask[stroke.dirty.slices] = stroke.before[stroke.dirty.slices]
            self._show_change(stroke.dirty)

    # -- whole edits -------------------------------------------------------------------------------------------
    def apply_region(
        self, text: str, region: Region, object_id: int, erase: bool = False, everything: bool = False
    ) -> bool:
        """Paint or erase a region (polygon, box, fill) as one step; returns and raises like the stroke methods."""
        changeable = self._changeable(object_id, erase, everything)
        self.cancel_stroke()
        self._forget_pending()
        before = self._mask.copy()
        block = self._mask[region.rect.slices]
        block[region.pixels & changeable[block]] = 0 if erase else object_id
        if not self._record(text, before, region.rect):
            return False
        self._show_change(region.rect)
        return True

    def clear(self, object_ids: Collection[int] | None = None) -> bool:
        """Erase these objects from the frame, locked or not; None: every object that is neither locked nor hidden."""
        if object_ids is None:
            changeable = self._changeable(0, erase=True, everything=True)
        else:
            changeable = np.isin(np.arange(256), list(object_ids))
        return self.replace_mask(np.where(changeable[self._mask], 0, self._mask).astype(np.uint8), self.tr("Clear"))

    def replace_mask(self, mask: Mask, text: str) -> bool:
        """Put another mask in place (an imported one) as one step; False when it is the same.

        Raises:
            RuntimeError: no frame was begun.
            ValueError: the mask has another size than the frame.
        """
        self._require_frame()
        if mask.shape != self._mask.shape:
            raise ValueError(f"mask {mask.shape} does not fit frame {self._mask.shape}")
        self.cancel_stroke()
        self._forget_pending()
        before = self._mask.copy()
        self._mask[...] = mask
        if not self._record(text, before, self._whole):
            return False
        self._show_change(self._whole)
        return True

    # -- undo and redo -----------------------------------------------------------------------------------------
    @property
    def can_undo(self) -> bool:
        return self._history.peek(-1) is not None

    @property
    def can_redo(self) -> bool:
        return self._history.peek(+1) is not None

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
            self._stroke, self._frame, self._mask = None, None, np.zeros((0, 0), dtype=np.uint8)
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
            self._objects.restore(target)
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
        self._objects.set_reserved(self._history.object_ids)

    def _on_objects_edited(self, before: ObjectsSnapshot, after: ObjectsSnapshot, text: str) -> None:
        self.cancel_stroke()
        self._forget_pending()
        gone = {item.id for item in before} - {item.id for item in after}
        deltas: dict[int, MaskDelta] = {}
        if gone:
            for index in self._shelf:
                shelved = self._shelf.peek(index)
                if shelved is not None and (found := _without(shelved.unpack(), gone)) is not None:
                    # `found` leads back; applied to the mask without the object its swap leads there.
                    deltas[index], _ = self._shelf.swap(index, found)
            if self._frame is not None and (found := _without(self._mask, gone)) is not None:
                deltas[self._frame.index], _ = found.swap(self._mask)
                self._unconfirmed = True
                self._show_change(found.rect)
        self._history.push(Entry(text, None, deltas, (before, after)))
        self.history_changed.emit()

    # -- inside ------------------------------------------------------------------------------------------------
    @property
    def _whole(self) -> Rect:
        height, width = self._mask.shape
        return Rect(0, 0, width, height)

    def _require_frame(self) -> Frame:
        if self._frame is None:
            raise RuntimeError("begin_frame comes before editing")
        return self._frame

    def _changeable(self, object_id: int, erase: bool, everything: bool) -> NDArray[np.bool_]:
        """For each id 0..255 whether an edit may change pixels that have it. All False: refused."""
        self._require_frame()
        protected = self._objects.protected_ids
        changeable = np.zeros(256, dtype=bool)
        if erase and everything:
            changeable[1:] = True
        elif object_id in protected:
            return changeable
        elif erase:
            changeable[object_id] = object_id > 0
        else:
            changeable[:] = object_id > 0
        changeable[list(protected)] = False
        return changeable

    def _record(self, text: str, before: Mask, within: Rect) -> bool:
        found = MaskDelta.between(before, self._mask, within)
        if found is None:
            return False
        delta, ids = found
        index = self._require_frame().index
        self._history.push(Entry(text, index, {index: delta}))
        self._commit(ids)
        self.history_changed.emit()
        return True

    def _commit(self, ids: frozenset[int]) -> None:
        frame = self._require_frame()
        copy = self._mask.copy()
        copy.setflags(write=False)
        self._unconfirmed = True
        self.stroke_committed.emit(frame, copy, ids)

    def _show_change(self, rect: Rect | None) -> None:
        if rect is not None:
            self.region_changed.emit(QRect(rect.x, rect.y, rect.width, rect.height))

    def _make_current(self, frame: Frame, mask: Mask) -> None:
        self._frame, self._mask, self._unconfirmed = frame, mask, False
        self.frame_changed.emit()

    def _reconcile(self, frame: Frame, mask: Mask | None) -> None:
        self._frame = frame
        same = np.array_equal(self._mask, mask) if mask is not None else not self._mask.any()
        if same:
            self._unconfirmed = False
        elif not self._unconfirmed:
            self._mask[...] = 0 if mask is None else mask
            self._show_change(self._whole)

    def _park(self) -> None:
        """Shelve the current frame's mask if it has a history."""
        if self._frame is not None and self._history.has_frame(self._frame.index):
            for index in self._shelf.put(self._frame, self._mask):
                self._history.forget_frame(index)
                self.history_changed.emit()
        self._frame, self._mask = None, np.zeros((0, 0), dtype=np.uint8)

    def _forget_pending(self) -> None:
        self._pending, self._wanted = 0, None


def _without(mask: Mask, object_ids: Collection[int]) -> MaskDelta | None:
    """The delta whose swap takes these objects out of the mask; None when it has none of them."""
    height, width = mask.shape
    emptied = np.where(np.isin(mask, list(object_ids)), 0, mask).astype(np.uint8)
    found = MaskDelta.between(emptied, mask, Rect(0, 0, width, height))
    return found[0] if found is not None else None
