"""How objects fare along the time line: runs of states, at most one per pixel, and where doubt begins."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.object_state import ObjectState

# From the best to the worst: where frames are crowded, the worst of them is shown.
_RANKED = (ObjectState.SURE, ObjectState.FOUND_AGAIN, ObjectState.UNSURE, ObjectState.LOST)
_RANK = {state: rank for rank, state in enumerate(_RANKED)}
_DOUBTFUL_FROM = _RANK[ObjectState.UNSURE]


@dataclass(frozen=True)
class StateSpan:
    """Neighbouring frames (both ends inclusive) in which an object is in one state."""

    first: int
    last: int
    state: ObjectState


class StateStrips:
    """The states of all objects by frame. Refreshed several times a second while an hour of video is tracked."""

    def __init__(self) -> None:
        self._states: Mapping[int, Mapping[int, ObjectState]] = {}
        self._frames: dict[int, NDArray[np.int64]] = {}  # object id -> frames with a state, ascending
        self._ranks: dict[int, NDArray[np.int8]] = {}
        self._doubts = np.zeros(0, np.int64)  # first frames of doubtful runs, ascending

    def set_states(
        self, states: Mapping[int, Mapping[int, ObjectState]], keyframes: Collection[int] = frozenset()
    ) -> None:
        """Replace what is known.

        Args:
            states: frame -> object id -> state.
            keyframes: frames whose masks the user gave. An object that is not there is no doubt of the tracker's.
        """
        self._states = states
        order = sorted(states)
        told: dict[int, tuple[list[int], list[int]]] = {}
        for index in order:
            for object_id, state in states[index].items():
                frames, ranks = told.setdefault(object_id, ([], []))
                frames.append(index)
                ranks.append(_RANK[state])
        self._frames = {i: np.array(frames, np.int64) for i, (frames, _) in told.items()}
        self._ranks = {i: np.array(ranks, np.int8) for i, (_, ranks) in told.items()}
        starts = [self._starts(object_id) for object_id in told]
        found = np.unique(np.concatenate(starts)) if starts else np.zeros(0, np.int64)
        self._doubts = found[~np.isin(found, np.fromiter(keyframes, np.int64, len(keyframes)))]

    def _starts(self, object_id: int) -> NDArray[np.int64]:
        frames, doubtful = self._frames[object_id], self._ranks[object_id] >= _DOUBTFUL_FROM
        follows = np.concatenate([[False], (np.diff(frames) == 1) & doubtful[:-1]])
        return np.asarray(frames[doubtful & ~follows])

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids with a state in any frame, ascending."""
        return tuple(sorted(self._frames))

    def state(self, index: int, object_id: int) -> ObjectState | None:
        """How an object fares in a frame, None when that is not known."""
        return self._states.get(index, {}).get(object_id)

    def doubt_beside(self, index: int, direction: int) -> int | None:
        """Where the next run of unsure or lost frames of any object begins after (+1) or before (-1) a frame."""
        beside = self._doubts[(self._doubts - index) * direction > 0]
        if not len(beside):
            return None
        return int(beside[0] if direction > 0 else beside[-1])

    def spans(self, object_id: int, count: int, pixels: int, first: int = 0) -> list[StateSpan]:
        """Runs of one state of an object, not finer than `pixels` for `count` frames from `first` on allow."""
        frames, ranks = self._frames.get(object_id), self._ranks.get(object_id)
        if frames is None or ranks is None:
            return []
        low_end, high_end = np.searchsorted(frames, [first, first + count])
        frames, ranks = frames[low_end:high_end], ranks[low_end:high_end]
        if not len(frames):
            return []
        per_pixel = max(count / max(pixels, 1), 1.0)
        reach = max(1, int(per_pixel))
        columns = (frames / per_pixel).astype(np.int64)
        starts = np.concatenate([[0], np.flatnonzero((np.diff(columns) > 0) | (np.diff(frames) > reach)) + 1])
        ends = np.concatenate([starts[1:], [len(frames)]]) - 1
        worst = np.maximum.reduceat(ranks, starts)
        spans: list[StateSpan] = []
        for start, end, rank in zip(starts.tolist(), ends.tolist(), worst.tolist(), strict=True):
            first, last, state = int(frames[start]), int(frames[end]), _RANKED[rank]
            before = spans[-1] if spans else None
            if before is not None and before.state is state and first - before.last <= reach:
                spans[-1] = StateSpan(before.first, last, state)
            else:
                spans.append(StateSpan(first, last, state))
        return spans
