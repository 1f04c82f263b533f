"""What becomes of a tracker's result: stored, put on display and counted, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

from engine.project.mask_codec import decode_mask, encode_mask
from engine.project.mask_entries import StoreChange, Tracked
from engine.runtime.core import SessionCore
from engine.runtime.jobs import FramePacket, TrackJob
from engine.runtime.messages import DisplayItem, MaskKind
from engine.types import Mask, SegmentationResult


@dataclass(frozen=True)
class StepNote:
    """What held when a step began.

    Attributes:
        keyframe_version: of the user's mask the tracker was given, None when it made the mask.
        renamings: how many objects had been deleted or merged by then; later ones concern the result too.
    """

    keyframe_version: int | None
    renamings: int

    @staticmethod
    def now(core: SessionCore, keyframe_version: int | None) -> StepNote:
        with core.lock:
            return StepNote(keyframe_version, len(core.renamed))


def commit(
    core: SessionCore, job: TrackJob, packet: FramePacket, result: SegmentationResult, note: StepNote
) -> DisplayItem | None:
    """Store and display a result, unless its job was cancelled meanwhile: then nothing of it remains.

    A mask of the user's for this frame, painted before or during the step, stays and is what is shown.

    Returns:
        What went on display; None when the result came too late.
    """
    told = Tracked(encode_mask(result.mask), dict(result.confidence), states=dict(result.states))
    mask: Mask | None = result.mask
    kind = MaskKind.TRACKED
    index = packet.frame.index
    with core.lock:
        if core.job is not job:
            return None
        for object_id, into in core.renamed[note.renamings :]:
            told = told.merged(object_id, into) if into else told.without(frozenset([object_id]))
            mask = decode_mask(told.encoded)
        if note.keyframe_version is not None or not core.store.put_tracked(
            index, told.encoded, told.confidence, told.states
        ):
            mask, kind = core.store.get(index)
        item = core.publish(packet, mask, kind)
        core.stats.result(item.age_s)
        core.masks_changed(StoreChange(index, index))
        return item
