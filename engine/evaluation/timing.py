"""Timings that wait for the device: on a graphics card a call returns before its work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.evaluation.wrapping import Call, wrapped

if TYPE_CHECKING:
    from engine.tracker import Tracker


def time_exactly(tracker: Tracker) -> None:
    """Have the stages of a tracker on a graphics card timed with the device idle in between.

    The last stage of a step works on the processor, so a step as a whole is timed right in any case.
    """
    device = tracker.embedder.device
    if device.type == "cpu":
        return
    from models.device import synchronise

    def waiting(call: Call) -> Call:
        def call_and_wait(*arguments: Any) -> Any:
            synchronise(device)  # for the upload, which belongs to the stage before
            embedding = call(*arguments)
            synchronise(device)
            return embedding

        return call_and_wait

    tracker.embedder = wrapped(tracker.embedder, waiting)
