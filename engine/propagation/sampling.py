"""Which past frames a target looks at (paper 3.3, Fig. 3 and the columns of Table 2).

Positions count processed frames from 0; the tracker maps them to memory slots, so that dropped live frames, jumps and
backward tracking need no special case here.
"""

from __future__ import annotations

from enum import Enum

REFERENCES = 9
RANGE = 40
DENSE = 4
SPACING = 6  # processed frames between the older references of SPACED
SPACED_DENSE = 3
WARM_UP = 15  # up to this target position every reference counts as dense (observed in the reference implementation)


class Sampling(Enum):
    """The tracking strategies of Table 2 (SPARSE with the motion prior is the paper's own), and SPACED.

    SPACED: the 3 frames before the target and every SPACING-th frame before those, until `references` are found. What
    it drops it never needs again, so the memory holds no frame that is not a reference.
    """

    PREVIOUS = "1 frame"
    CONSECUTIVE_3 = "3 frames"
    CONSECUTIVE_9 = "9 frames"
    UNIFORM = "uniform"
    SPARSE = "sparse"
    SPACED = "spaced"


def sample_reference_frames(
    target: int, strategy: Sampling = Sampling.SPARSE, *, references: int = REFERENCES, reach: int = RANGE
) -> list[int]:
    """Positions of the reference frames of position `target`, ascending.

    SPARSE equals the reference implementation: every earlier frame up to target `references`; then the 3 frames before
    the target and `references - 3` points of linspace(max(target - 4 - reach, 0), target - 4), truncated to int.
    UNIFORM spreads all references over the `reach` frames before the target in the same manner.

    Raises:
        ValueError: target < 1, or fewer than 4 references asked of SPARSE.
    """
    if target < 1:
        raise ValueError(f"frame {target} has no frames before it")
    if strategy is Sampling.PREVIOUS:
        return [target - 1]
    if strategy is Sampling.CONSECUTIVE_3:
        return list(range(max(target - 3, 0), target))
    if target <= references:
        return list(range(target))
    if strategy is Sampling.CONSECUTIVE_9:
        return list(range(target - references, target))
    if strategy is Sampling.SPACED:
        newest = max((target - SPACED_DENSE - 1) // SPACING * SPACING, 0)
        older = range(max(newest - (references - SPACED_DENSE - 1) * SPACING, 0), newest + 1, SPACING)
        return list(older) + list(range(target - SPACED_DENSE, target))
    if strategy is Sampling.UNIFORM:
        return _spread(max(target - reach, 0), target - 1, references)
    if references < DENSE:
        raise ValueError(f"sparse sampling needs at least {DENSE} references, got {references}")
    recent = list(range(target - DENSE + 1, target))
    return _spread(max(target - DENSE - reach, 0), target - DENSE, references - len(recent)) + recent


def history_length(strategy: Sampling, *, references: int = REFERENCES, reach: int = RANGE) -> int:
    """How many past frames the memory must hold so that every sampled position is there; see `leaves`."""
    if strategy is Sampling.PREVIOUS:
        return 1
    if strategy is Sampling.CONSECUTIVE_3:
        return 3
    if strategy in (Sampling.CONSECUTIVE_9, Sampling.SPACED):
        return references
    if strategy is Sampling.UNIFORM:
        return max(reach, references)
    return max(reach + DENSE, references)


def span(strategy: Sampling, slots: int) -> int:
    """How far back the frames in a memory of `slots` slots may lie, in processed frames."""
    return SPACED_DENSE + (slots - SPACED_DENSE) * SPACING if strategy is Sampling.SPACED else slots


def leaves(positions: list[int], strategy: Sampling) -> int:
    """Which of the ascending `positions` in a full memory gives way to the next frame.

    SPACED: the oldest that is neither among the newest nor a multiple of SPACING, else the oldest. Others: the oldest.
    """
    if strategy is Sampling.SPACED:
        for position in positions[: 1 - SPACED_DENSE]:
            if position % SPACING:
                return position
    return positions[0]


def is_dense(target: int, rank_from_last: int) -> bool:
    """Whether a reference takes the dense (narrow) spatial prior; `rank_from_last` 0 is the newest reference."""
    return target <= WARM_UP or rank_from_last < DENSE


def _spread(first: int, last: int, count: int) -> list[int]:
    if count == 1:
        return [last]
    # Integer form of int(numpy.linspace(first, last, count)): exact, where floats could fall just below a whole number.
    return [first + (last - first) * i // (count - 1) for i in range(count)]
