"""What a confidence means to the user: an object is sure, unsure, lost or found again. No torch: the app imports this.

A threshold alone would flicker, so every change has to be earned: leaving a state takes another figure than entering
it, and losing or finding an object takes several frames.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum


class ObjectState(Enum):
    """How an object fares in one frame."""

    SURE = "sure"
    UNSURE = "unsure"  # a mask that is more likely wrong than usual: worth a look
    LOST = "lost"  # not in the picture, or not to be told from it; its mask is empty
    FOUND_AGAIN = "found again"  # back after it was lost, not long ago

    @property
    def doubtful(self) -> bool:
        """Worth a look."""
        return self in (ObjectState.UNSURE, ObjectState.LOST)


@dataclass(frozen=True)
class StateRules:
    """Confidences 0..1 and numbers of frames.

    Attributes:
        unsure_below: a sure (or found) object below this is unsure at once.
        sure_above: an unsure object is sure again from here.
        lost_below, lost_after: an object below this in so many frames on end is lost.
        found_above, found_after: a lost object at least as good as this in so many frames on end is found again.
        certain: a lost object at least as good as this is found at once.
        found_for: for so many frames it counts as found again, then as sure.
    """

    unsure_below: float = 0.5
    sure_above: float = 0.6
    lost_below: float = 0.03  # an empty mask where the object is costs more than a wrong one where it is not
    lost_after: int = 2
    found_above: float = 0.5
    found_after: int = 2
    certain: float = 0.9
    found_for: int = 12

    def __post_init__(self) -> None:
        if not 0 <= self.lost_below <= self.unsure_below <= self.sure_above <= 1:
            raise ValueError("lost_below, unsure_below and sure_above rise, from 0 to 1")
        if not self.lost_below <= self.found_above <= self.certain <= 1:
            raise ValueError("lost_below, found_above and certain rise, up to 1")
        if min(self.lost_after, self.found_after, self.found_for) < 1:
            raise ValueError("numbers of frames are positive")


@dataclass
class _Standing:
    """One object: its state, and for how many frames on end something else has been true."""

    state: ObjectState
    run: int = 0


class StateWatch:
    """The states of all objects, frame by frame. Pure: the same confidences give the same states.

    Args:
        rules: see `StateRules`.
    """

    def __init__(self, rules: StateRules | None = None) -> None:
        self.rules = rules or StateRules()
        self._standings: dict[int, _Standing] = {}

    @property
    def states(self) -> dict[int, ObjectState]:
        return {object_id: standing.state for object_id, standing in self._standings.items()}

    def standing(self, object_id: int) -> tuple[ObjectState, int] | None:
        """(state, frames on end that speak for another one) of an object, for a project; None: nothing is known."""
        standing = self._standings.get(object_id)
        return None if standing is None else (standing.state, standing.run)

    def restore(self, object_id: int, state: ObjectState, run: int) -> None:
        """Go on as `standing` once told."""
        self._standings[object_id] = _Standing(state, run)

    def set(self, object_id: int, *, present: bool) -> None:
        """The user has said where the object is, or that it is nowhere."""
        self._standings[object_id] = _Standing(ObjectState.SURE if present else ObjectState.LOST)

    def forget(self, object_ids: Collection[int] | None = None) -> None:
        """Of these objects (None: all) nothing is known; the next confidence alone decides (a jump in time)."""
        for object_id in list(self._standings) if object_ids is None else object_ids:
            self._standings.pop(object_id, None)

    def update(self, confidence: Mapping[int, float]) -> dict[int, ObjectState]:
        """The states in the next frame of the objects in `confidence` (object id -> 0..1)."""
        for object_id, value in confidence.items():
            standing = self._standings.get(object_id)
            if standing is None:
                self._standings[object_id] = _Standing(self._at_first_sight(value))
            else:
                self._advance(standing, value)
        return {object_id: self._standings[object_id].state for object_id in confidence}

    def _at_first_sight(self, value: float) -> ObjectState:
        if value < self.rules.lost_below:
            return ObjectState.LOST
        return ObjectState.UNSURE if value < self.rules.unsure_below else ObjectState.SURE

    def _advance(self, standing: _Standing, value: float) -> None:
        rules = self.rules
        if standing.state is ObjectState.LOST:
            standing.run = standing.run + 1 if value >= rules.found_above else 0
            if standing.run >= rules.found_after or value >= rules.certain:
                standing.state, standing.run = ObjectState.FOUND_AGAIN, 0
            return
        if standing.state is ObjectState.UNSURE:
            standing.run = standing.run + 1 if value < rules.lost_below else 0
            if standing.run >= rules.lost_after:
                standing.state, standing.run = ObjectState.LOST, 0
            elif value >= rules.sure_above:
                standing.state, standing.run = ObjectState.SURE, 0
            return
        if value < rules.unsure_below:
            standing.state, standing.run = ObjectState.UNSURE, int(value < rules.lost_below)
            if standing.run >= rules.lost_after:
                standing.state, standing.run = ObjectState.LOST, 0
        elif standing.state is ObjectState.FOUND_AGAIN:
            standing.run += 1
            if standing.run >= rules.found_for:
                standing.state, standing.run = ObjectState.SURE, 0
