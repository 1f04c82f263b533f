"""After a correction in the replay: from the corrected frame through the kept pictures into the present."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.runtime.core import SessionCore
from engine.runtime.feeder import KeyframeFeeder
from engine.runtime.jobs import FramePacket, TrackJob
from engine.runtime.results import StepNote, commit
from engine.runtime.tuner import Tuner

if TYPE_CHECKING:  # importing it imports torch, which only the engine thread does
    from engine.tracker import Tracker


def catch_up(core: SessionCore, job: TrackJob, tracker: Tracker, feeder: KeyframeFeeder, tuner: Tuner) -> int | None:
    """Track the kept pictures after frame `job.replay_from` anew, learning every keyframe on the way.

    Stops when the job is no longer wanted. Live frames that arrive meanwhile are dropped and counted as ever.

    Returns:
        The last frame that was tracked, None when there was none.

    Raises:
        UserError: as `Tracker.step`.
    """
    start = job.replay_from
    assert start is not None
    # What the tracker remembers of the frames after the correction is what the user has just called wrong.
    tracker.rewind(start, 1)
    feeder.feed(tracker, job, start, [k for k in feeder.unseen_from(0) if k < start])
    last = None
    for index in sorted({*feeder.unseen_from(start), *(k for k in core.ring.times if k >= start)}):
        if not core.is_current(job):
            return last
        frame = core.ring.get(index) or core.frames.get(index)
        keyframe = core.store.keyframe(index)
        if frame is None or (keyframe is None and not tracker.object_ids):
            continue
        note = StepNote.now(core, keyframe.version if keyframe is not None else None)
        if keyframe is not None:
            result = feeder.learn(tracker, frame, keyframe)
        else:
            known = frame  # a name of its own for the call below
            result = tuner.attempt(tracker, lambda: tracker.step(known))  # noqa: B023 - done at once
        if commit(core, job, FramePacket(frame, frame.time_s), result, note) is None:
            return last
        last = index
    return last
