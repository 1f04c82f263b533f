"""Editing the mask of one frame: strokes, regions, clearing. No history; `edit.EditModel` adds it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QRect, pyqtSignal

from app.i18n import translate
from app.painting.delta import MaskDelta
from app.painting.raster import Rect, Region
from app.painting.stroke import Proposal, Stroke
from app.state.objects import ObjectList
from engine.types import Frame, Mask


class FrameEdit(QObject):
    """One frame, its mask, and what tools may do to it.

    What a tool may change: painting covers every other object unless it is locked or hidden; erasing removes the given
    object only, or, with `everything`, every object that is neither locked nor hidden.

    Signals:
        stroke_committed(Frame, Mask, frozenset[int]): the mask of a frame changed by a finished stroke, region, clear,
            undo or redo: a read-only copy of the whole mask and the ids that lost or gained pixels.
        region_changed(QRect): these frame pixels of `mask` changed (also in mid-stroke).
        frame_changed(): `frame` is another one now, or None.
    """

    stroke_committed = pyqtSignal(object, object, object)
    region_changed = pyqtSignal(QRect)
    frame_changed = pyqtSignal()

    def __init__(self, objects: ObjectList | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._frame: Frame | None = None
        self._mask: Mask = np.zeros((0, 0), dtype=np.uint8)
        self._stroke: Stroke | None = None
        self._unconfirmed = False  # nobody has handed back the mask of our last commit yet
        self._objects = objects if objects is not None else ObjectList(self)

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

    # -- strokes -----------------------------------------------------------------------------------------------
    @property
    def stroking(self) -> bool:
        return self._stroke is not None

    @property
    def proposing(self) -> bool:
        """A proposal is on show, see `begin_proposal`."""
        return isinstance(self._stroke, Proposal)

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
        self._about_to_edit()
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

    # -- proposals ---------------------------------------------------------------------------------------------
    def begin_proposal(self, text: str, object_id: int) -> bool:
        """Show what an object could be, until `end_stroke` keeps it as one step of history or `cancel_stroke` drops it.

        Returns and raises like `begin_stroke`.
        """
        changeable = self._changeable(object_id, erase=False, everything=False)
        if not changeable.any():
            return False
        self.cancel_stroke()
        self._about_to_edit()
        self._stroke = Proposal(text, self._mask, changeable, object_id)
        return True

    def propose(self, pixels: NDArray[np.bool_]) -> None:
        """The object has exactly these pixels (H x W) instead of those it had, and of those proposed before."""
        if isinstance(self._stroke, Proposal):
            self._show_change(self._stroke.propose(pixels))

    @property
    def mask_before(self) -> Mask:
        """The mask without the stroke or proposal in hand, H x W; a read-only view."""
        view = (self._mask if self._stroke is None else self._stroke.before).view()
        view.setflags(write=False)
        return view

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
        self._about_to_edit()
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
        return self.replace_mask(
            np.where(changeable[self._mask], 0, self._mask).astype(np.uint8), translate("Tools", "Clear")
        )

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
        self._about_to_edit()
        before = self._mask.copy()
        self._mask[...] = mask
        if not self._record(text, before, self._whole):
            return False
        self._show_change(self._whole)
        return True

    # -- for the history ---------------------------------------------------------------------------------------
    def _about_to_edit(self) -> None:
        """A new edit begins."""

    def _recorded(self, text: str, frame_index: int, delta: MaskDelta) -> None:
        """An edit is done; `delta` leads back. Comes before `stroke_committed`."""

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
        self._recorded(text, self._require_frame().index, delta)
        self._commit(ids)
        return True

    def _commit(self, ids: frozenset[int]) -> None:
        frame = self._require_frame()
        copy = self._mask.copy()
        copy.setflags(write=False)  # it goes to other threads
        self._unconfirmed = True
        self.stroke_committed.emit(frame, copy, ids)

    def _show_change(self, rect: Rect | None) -> None:
        if rect is not None:
            self.region_changed.emit(QRect(rect.x, rect.y, rect.width, rect.height))

    def _make_current(self, frame: Frame, mask: Mask) -> None:
        self._frame, self._mask, self._unconfirmed = frame, mask, False
        self.frame_changed.emit()

    def _drop_frame(self) -> None:
        self._stroke, self._frame, self._mask = None, None, np.zeros((0, 0), dtype=np.uint8)

    def _reconcile(self, frame: Frame, mask: Mask | None) -> None:
        """The mask of the current frame comes from outside: adopt it, unless it may be older than our last commit."""
        self._frame = frame
        same = np.array_equal(self._mask, mask) if mask is not None else not self._mask.any()
        if same:
            self._unconfirmed = False
        elif not self._unconfirmed:
            self._mask[...] = 0 if mask is None else mask
            self._show_change(self._whole)
