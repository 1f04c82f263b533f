"""Every strategy at every position: references lie in the past, ascending, without repeats, within the history kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.propagation.sampling import Sampling, history_length, leaves, sample_reference_frames, span


@given(
    target=st.integers(1, 400),
    strategy=st.sampled_from(Sampling),
    references=st.integers(4, 12),
    reach=st.integers(12, 60),
)
def test_references_lie_in_the_history_that_is_kept(
    target: int, strategy: Sampling, references: int, reach: int
) -> None:
    chosen = sample_reference_frames(target, strategy, references=references, reach=reach)
    assert chosen == sorted(set(chosen))
    assert chosen[-1] == target - 1
    slots = history_length(strategy, references=references, reach=reach)
    assert chosen[0] >= max(0, target - span(strategy, slots))
    assert len(chosen) <= max(references, 3)


@given(strategy=st.sampled_from(Sampling), references=st.integers(4, 12), reach=st.integers(12, 30))
def test_a_memory_of_that_many_slots_always_holds_the_references(
    strategy: Sampling, references: int, reach: int
) -> None:
    slots = history_length(strategy, references=references, reach=reach)
    held: list[int] = []
    for target in range(200):
        if target:
            chosen = sample_reference_frames(target, strategy, references=references, reach=reach)
            assert set(chosen) <= set(held), target
        if len(held) == slots:
            held.remove(leaves(held, strategy))
        held.append(target)


def test_there_is_nothing_before_the_first_frame() -> None:
    with pytest.raises(ValueError, match="no frames before"):
        sample_reference_frames(0)
