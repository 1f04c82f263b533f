"""Every strategy at every position: references lie in the past, ascending, without repeats, within the history kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.propagation.sampling import Sampling, history_length, sample_reference_frames


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
    assert chosen[0] >= max(0, target - history_length(strategy, references=references, reach=reach))
    assert len(chosen) <= max(references, 3)


def test_there_is_nothing_before_the_first_frame() -> None:
    with pytest.raises(ValueError, match="no frames before"):
        sample_reference_frames(0)
