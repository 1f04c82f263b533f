"""Re-tracking between keyframes: which frames a correction concerns, in which runs they are tracked anew, and how the
run from the earlier keyframe and the run from the later one become one mask per frame.

Frames outside the stretches are not touched, not even read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.blending import blend_masks, share_of_earlier
from engine.object_state import ObjectState
from engine.runtime.jobs import ShowJob, TrackJob
from engine.types import SegmentationResult

if TYPE_CHECKING:
    from engine.project.mask_store import MaskStore


@dataclass(frozen=True)
class Stretch:
    """The frames between two neighbouring keyframes, or on the open side of one.

    Attributes:
        earlier, later: the keyframes; None on the open side.
        first, last: the frames to track, inclusive.
    """

    earlier: int | None
    later: int | None
    first: int
    last: int

    @property
    def ends(self) -> tuple[int, ...]:
        """Its keyframes."""
        return tuple(k for k in (self.earlier, self.later) if k is not None)


def stretches(keyframes: Sequence[int], masked: Collection[int], index: int) -> list[Stretch]:
    """What to track anew around frame `index`: on both sides of a keyframe, else the stretch it lies in.

    A side without another keyframe counts as far as frames have masks without a gap.

    Args:
        keyframes: ascending.
        masked: frames that have a mask.
    """
    before = max((k for k in keyframes if k < index), default=None)
    after = min((k for k in keyframes if k > index), default=None)
    sides = [(before, index), (index, after)] if index in keyframes else [(before, after)]
    found = (_stretch(earlier, later, masked) for earlier, later in sides)
    return [stretch for stretch in found if stretch is not None and stretch.first <= stretch.last]


def _stretch(earlier: int | None, later: int | None, masked: Collection[int]) -> Stretch | None:
    if earlier is not None and later is not None:
        return Stretch(earlier, later, earlier + 1, later - 1)
    if earlier is not None:
        last = earlier
        while last + 1 in masked:
            last += 1
        return Stretch(earlier, None, earlier + 1, last)
    if later is not None:
        first = later
        while first - 1 in masked:
            first -= 1
        return Stretch(None, later, first, later - 1)
    return None


def plan(generation: int, parts: Sequence[Stretch], home: int) -> TrackJob | None:
    """The first of the runs that track these stretches, each followed by the next and the last by showing frame `home`.

    None when there is nothing to track.
    """
    runs: list[TrackJob] = []
    for part in parts:
        if part.later is not None:
            runs.append(TrackJob(generation, start=part.later, direction=-1, until=part.first, stretch=part))
        if part.earlier is not None:
            both = part.later is not None
            runs.append(TrackJob(generation, start=part.earlier, until=part.last, stretch=part, blends=both))
    following: TrackJob | ShowJob = ShowJob(home)
    for run in reversed(runs):
        run.then = following
        following = run
    return following if isinstance(following, TrackJob) else None


def blend(store: MaskStore, stretch: Stretch, result: SegmentationResult) -> SegmentationResult:
    """The second run's result for a frame, blended with what the first run stored of it.

    An object of which only one of the keyframes says anything is taken from that keyframe's run.
    """
    index = result.frame.index
    backward, _ = store.get(index)
    if backward is None or stretch.earlier is None or stretch.later is None or result.is_keyframe:
        return result
    known, states = store.confidence(index), store.states(index)
    said = [_objects_of(store, k) for k in stretch.ends]
    shares: dict[int, float] = {}
    confidence: dict[int, float] = {}
    merged: dict[int, ObjectState] = {}
    for object_id in {*result.confidence, *known}:
        before, after = result.confidence.get(object_id, 0.0), known.get(object_id, 0.0)
        if (object_id in said[0]) != (object_id in said[1]):
            share = 1.0 if object_id in said[0] else 0.0
        else:
            share = share_of_earlier(index, stretch.earlier, stretch.later, before, after)
        shares[object_id] = share
        confidence[object_id] = share * before + (1 - share) * after
        nearer = result.states if share >= 0.5 else states
        if object_id in nearer:
            merged[object_id] = nearer[object_id]
    mask = blend_masks(result.mask, backward, shares)
    return replace(result, mask=mask, confidence=confidence, states=merged)


def _objects_of(store: MaskStore, index: int) -> frozenset[int]:
    keyframe = store.keyframe(index)
    return frozenset() if keyframe is None else keyframe.touched.union(keyframe.encoded.object_ids)
