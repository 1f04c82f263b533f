"""What becomes of a tracker's result: stored, put on display and counted, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

from engine.project.mask_codec import decode_mask, encode_mask, without_objects
from engine.project.mask_entries import StoreChange
from engine.runtime.core import SessionCore
from engine.runtime.jobs import FramePacket, TrackJob
from engine.runtime.messages import DisplayItem, MaskKind
from engine.types import Mask, SegmentationResult


@dataclass(frozen=True)
class StepNote:
    """What held when a step began.

    Attributes:
        keyframe_version: of the user's mask the tracker was given, None when it made the mask.
        deletions: how many objects had been deleted by then; later ones are erased from the result.
    """

    keyframe_version: int | None
    deletions: int

    @staticmethod
    def now(core: SessionCore, keyframe_version: int | None) -> StepNote:
        with core.lock:
            return StepNote(keyframe_version, len(core.deleted))


def commit(
    core: SessionCore, job: TrackJob, packet: FramePacket, result: SegmentationResult, note: StepNote
) -> DisplayItem | None:
    """Store and display a result, unless its job was cancelled meanwhile: then nothing of it remains.

    A mask of the user's for this frame, painted before or during the step, stays and is what is shown.

    Returns:
        What went on display; None when the result came too late.
    """
    encoded = encode_mask(result.mask)
    mask: Mask | None = result.mask
    kind = MaskKind.TRACKED
    index = packet.frame.index
    with core.lock:
        if core.job is not job:
            return None
        deleted = frozenset(core.deleted[note.deletions :])
        if deleted.intersection(encoded.object_ids):
            encoded = without_objects(encoded, deleted)
            mask = decode_mask(encoded)
        confidence = {i: c for i, c in result.confidence.items() if i not in deleted}
        states = {i: s for i, s in result.states.items() if i not in deleted}
        if note.keyframe_version is not None or not core.store.put_tracked(index, encoded, confidence, states):
            mask, kind = core.store.get(index)
        item = core.publish(packet, mask, kind)
        core.stats.result(item.age_s)
        core.masks_changed(StoreChange(index, index))
        return item
