"""Between the engine thread and a project: the tracker's memory with what the session knows of it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from engine.project.mask_codec import decode_mask, encode_mask
from engine.project.mask_store import MaskStore
from engine.project.state import AheadState, BankState
from engine.runtime.feeder import KeyframeFeeder
from engine.runtime.messages import MaskKind
from engine.types import Frame, SegmentationResult

if TYPE_CHECKING:  # importing it imports torch, which only the engine thread does
    from engine.tracker import Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ahead:
    """A finished result nobody has seen, as its job was cancelled. A job that goes on from there can use it."""

    result: SegmentationResult
    keyframe_version: int | None


@dataclass(frozen=True)
class Progress:
    """What the engine thread knows of its tracker beside the memory itself.

    Attributes:
        last: frame of the tracker's last step that was stored and shown.
        stepped: this tracker has tracked a frame of this source.
    """

    last: int | None
    stepped: bool
    ahead: Ahead | None


def remembered(tracker: Tracker, feeder: KeyframeFeeder, progress: Progress) -> BankState | None:
    """The memory for a project; None when there is none, or when it cannot be had (out of memory ...)."""
    if tracker.propagator is None:
        return None
    from engine.project.bank_state import export_bank

    try:
        state = export_bank(tracker)
    except (RuntimeError, MemoryError):
        log.exception("the memory cannot be saved")
        return None
    if state is None:
        return None
    ahead = None
    if progress.ahead is not None:
        result, version = progress.ahead.result, progress.ahead.keyframe_version
        ahead = AheadState(
            result.frame.index, encode_mask(result.mask), dict(result.confidence), version, dict(result.states)
        )
    return replace(state, last=progress.last, stepped=progress.stepped, fed=feeder.seen(), ahead=ahead)


def recall_project(
    tracker: Tracker, feeder: KeyframeFeeder, store: MaskStore, state: BankState, object_ids: Collection[int]
) -> Progress | None:
    """Make the tracker remember `state`, less what the masks of the project no longer bear out.

    The memory may be older than the masks: a keyframe or an object may have gone in the moment before the end.

    Returns:
        None when the tracker cannot use it; it remembers nothing then.
    """
    from engine.project.bank_state import import_bank

    tracker.set_live(False)
    if not import_bank(tracker, state):
        return None
    keyframes = set(store.keyframes())
    for index in set(state.fed) - keyframes:
        tracker.forget_keyframe(index)
    for object_id in set(tracker.object_ids) - set(object_ids):
        tracker.delete_object(object_id)
    feeder.restore({index: version for index, version in state.fed.items() if index in keyframes})
    if state.last is None or store.kind(state.last) is MaskKind.NONE:
        tracker.forget_tracked()
        return Progress(None, state.stepped, None)
    return Progress(state.last, state.stepped, _ahead(state.ahead))


def _ahead(state: AheadState | None) -> Ahead | None:
    if state is None:
        return None
    mask = decode_mask(state.encoded)
    # Nobody looks at the picture of a result that waits: whoever shows it has read the frame.
    frame = Frame(state.frame_index, 0.0, np.zeros((*mask.shape, 3), np.uint8))
    result = SegmentationResult(frame, mask, state.confidence, states=state.states)
    return Ahead(result, state.keyframe_version)
