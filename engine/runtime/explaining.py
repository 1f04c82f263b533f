"""Answers to "where does this pixel's label come from?" and "how do things move?", in the engine thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import UserError
from engine.runtime.capture import Opener
from engine.runtime.commands import Explain, ReadMotion
from engine.runtime.core import SessionCore
from engine.runtime.messages import Explained, MotionRead, Severity, ShownVoter
from engine.types import Rgb

if TYPE_CHECKING:  # importing it imports torch, which only the engine thread does
    from engine.insight.motion import FlowReader
    from engine.tracker import Tracker

MOST_VOTERS = 5
PICTURE_WIDTH = 320
FASTEST = 1 / 16  # of the shorter side, from one frame to the next: fully saturated in the picture


def explain(core: SessionCore, tracker: Tracker, opener: Opener, question: Explain) -> None:
    """Put an Explained event, or a Notice on why there is no answer."""
    from engine.insight.votes import light, shrink
    from engine.propagation.trace import trace_pixel

    frame = question.frame
    try:
        # The frame itself may be in memory by now; it would be its own best witness.
        trace = trace_pixel(tracker, frame, question.x, question.y, leave_out=frame.index)
        voters = trace.voters[:MOST_VOTERS]
        pictures = _pictures(core, opener, [voter.frame_index for voter in voters])
    except UserError as error:
        core.say(Severity.INFO, error.message, error.way_out)
        return
    strongest = max((float(voter.weights.max()) for voter in voters), default=0.0)
    shown = []
    for voter in voters:
        rgb = pictures.get(voter.frame_index)
        if rgb is None:  # a live frame that nobody kept: only the place of the votes can be shown
            rgb = np.full_like(frame.rgb, 128)
        picture = light(shrink(rgb, PICTURE_WIDTH), voter.weights.numpy(), strongest)
        picture.setflags(write=False)
        said = voter.said / voter.share if voter.share else 0.0
        shown.append(ShownVoter(voter.frame_index, voter.is_keyframe, voter.share, said, picture))
    core.events.put(Explained(frame.index, question.x, question.y, trace.object_id, trace.label, tuple(shown)))


class MotionAnswers:
    """Reads the motion of one pair of frames after the other."""

    def __init__(self) -> None:
        self._reader: FlowReader | None = None

    def answer(self, core: SessionCore, tracker: Tracker, question: ReadMotion) -> None:
        """Put a MotionRead event, and a Notice when there is nothing to show."""
        from engine.insight.motion import FlowReader, colours
        from engine.insight.votes import shrink

        self._reader = self._reader or FlowReader()
        frame = question.second
        try:
            flow = self._reader.read(tracker, question.first, frame)
        except UserError as error:
            core.say(Severity.INFO, error.message, error.way_out)
            core.events.put(MotionRead(frame.index, None))
            return
        (picture,) = colours([flow.pixels], longest=FASTEST * min(frame.width, frame.height))
        picture = shrink(picture, 2 * PICTURE_WIDTH)
        picture.setflags(write=False)
        pixels = float(np.hypot(flow.pixels[..., 0], flow.pixels[..., 1]).mean())
        core.events.put(MotionRead(frame.index, picture, pixels, float(flow.certainty.mean())))


def _pictures(core: SessionCore, opener: Opener, indices: Sequence[int]) -> dict[int, Rgb]:
    """Frames by index, as far as they are kept or can be read again."""
    found: dict[int, Rgb] = {}
    for index in set(indices):
        kept = core.frames.get(index)
        if kept is not None:
            found[index] = kept.rgb
    with core.lock:
        uri = None if core.info is None or core.info.live else core.info.uri
    missing = sorted(set(indices) - found.keys())
    if uri is None or not missing:
        return found
    source = opener(uri)
    try:
        for index in missing:
            source.seek(index)
            frame = source.read()
            if frame is not None:
                found[index] = frame.rgb
    finally:
        source.close()
    return found
