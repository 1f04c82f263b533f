"""The user's edits: masks, objects, forgetting. The store is the truth; the engine is told what to unlearn."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from engine.project.mask_entries import StoreChange
from engine.runtime.commands import DeleteObject, ForgetKeyframe, ForgetTracked, MergeObjects, Relearn
from engine.runtime.core import SessionCore
from engine.runtime.jobs import TrackJob
from engine.runtime.messages import Mode, Severity
from engine.runtime.transport import Transport
from engine.types import MAX_OBJECT_ID, Frame, Mask


class Editing:
    """The session's mask methods; documented at `engine.runtime.session.Session`."""

    def __init__(self, core: SessionCore, transport: Transport) -> None:
        self._core = core
        self._transport = transport

    def set_mask(self, frame: Frame, mask: Mask, touched: Collection[int]) -> None:
        core = self._core
        if mask.shape != frame.rgb.shape[:2] or mask.dtype != np.uint8:
            core.say(Severity.ERROR, "The mask does not fit its frame.", "Use a mask of the frame's own size.")
            return
        ids = [int(i) for i in touched if 0 < int(i) <= MAX_OBJECT_ID]
        ids = ids or [int(i) for i in np.unique(mask) if i]
        with core.lock:
            if core.info is None:
                return
            change = core.store.put_keyframe(frame.index, mask, ids)
            if core.store.keyframe(frame.index) is not None:
                core.frames.put(frame)
            self._note_replay(frame.index)
            self._unlearn(change)
            self._go_on_after(frame.index, change)

    def clear_mask(self, frame: Frame) -> None:
        core = self._core
        with core.lock:
            change = core.store.remove(frame.index)
            self._note_replay(frame.index)
            self._unlearn(change)
            self._go_on_after(frame.index, change)
            core.show_again()

    def unpin(self, frame_index: int) -> None:
        core = self._core
        with core.lock:
            change = core.store.unpin(frame_index)
            self._unlearn(change)
            core.masks_changed(change)
            core.show_again()

    def delete_object(self, object_id: int) -> None:
        core = self._core
        with core.lock:
            change = core.store.delete_object(object_id)
            core.renamed.append((object_id, 0))
            core.post(DeleteObject(object_id))
            self._unlearn(change)
            core.masks_changed(change)
            self._rest_without_objects()
            core.show_again()

    def restore_object(self, object_id: int) -> None:
        core = self._core
        with core.lock:
            core.masks_changed(core.store.restore_object(object_id))
            core.show_again()

    def merge_objects(self, object_id: int, into: int) -> None:
        core = self._core
        with core.lock:
            change = core.store.merge_objects(object_id, into)
            core.renamed.append((object_id, into))
            core.post(MergeObjects(object_id, into))
            core.masks_changed(change)
            core.show_again()

    def part_objects(self, object_id: int) -> None:
        core = self._core
        with core.lock:
            if core.mode is Mode.TRACKING:
                core.rest()  # the tracker cannot tell them apart any more before it has seen the keyframes again
            change = core.store.restore_object(object_id)
            core.post(Relearn())
            core.masks_changed(change)
            core.show_again()

    def clear_tracking(self) -> None:
        core = self._core
        with core.lock:
            if core.mode is Mode.TRACKING:
                core.rest()
            change = core.store.drop_tracked()
            core.post(ForgetTracked())
            core.masks_changed(change)
            core.show_again()

    def _note_replay(self, index: int) -> None:
        core = self._core
        if core.replaying:
            core.replay_from = index if core.replay_from is None else min(core.replay_from, index)

    def _unlearn(self, change: StoreChange) -> None:
        for index in change.keyframes_gone:
            self._core.frames.discard(index)
            self._core.post(ForgetKeyframe(index))

    def _go_on_after(self, index: int, change: StoreChange) -> None:
        self._core.masks_changed(change)
        self._rest_without_objects()
        self._transport.retrack_from(index)
        job = self._core.job
        if isinstance(job, TrackJob):
            job.mailbox.wake()

    def _rest_without_objects(self) -> None:
        core = self._core
        if not core.store.painted_ids:
            core.wanted = None
            if core.mode is Mode.TRACKING:
                core.rest()
