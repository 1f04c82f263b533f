"""The states of objects: what each change takes, and that nothing flickers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.object_state import ObjectState, StateRules, StateWatch

SURE, UNSURE, LOST, FOUND = ObjectState.SURE, ObjectState.UNSURE, ObjectState.LOST, ObjectState.FOUND_AGAIN
RULES = StateRules(
    unsure_below=0.5,
    sure_above=0.7,
    lost_below=0.2,
    lost_after=3,
    found_above=0.6,
    found_after=2,
    certain=0.95,
    found_for=4,
)
VALUES = st.lists(st.floats(0, 1), max_size=60)


def run(values: list[float], watch: StateWatch | None = None) -> list[ObjectState]:
    watch = watch or StateWatch(RULES)
    return [watch.update({1: value})[1] for value in values]


def test_a_life() -> None:
    watch = StateWatch(RULES)
    watch.set(1, present=True)
    told = [
        (0.9, SURE), (0.55, SURE),  # not yet below
        (0.4, UNSURE), (0.65, UNSURE),  # not yet sure again
        (0.75, SURE),
        (0.1, UNSURE), (0.1, UNSURE), (0.1, LOST),
        (0.9, LOST), (0.1, LOST),  # one good frame is none
        (0.8, LOST), (0.8, FOUND), (0.8, FOUND), (0.8, FOUND), (0.8, FOUND), (0.8, SURE),
    ]  # fmt: skip
    assert run([value for value, _ in told], watch) == [state for _, state in told]


def test_found_and_doubtful_again() -> None:
    watch = StateWatch(RULES)
    watch.set(1, present=False)
    assert run([0.8, 0.8, 0.3, 0.8], watch) == [LOST, FOUND, UNSURE, SURE]


def test_what_is_certainly_there_is_found_at_once() -> None:
    watch = StateWatch(RULES)
    watch.set(1, present=False)
    assert run([0.94, 0.1, 0.95, 0.8], watch) == [LOST, LOST, FOUND, FOUND]


@pytest.mark.parametrize(("value", "state"), [(0.0, LOST), (0.19, LOST), (0.2, UNSURE), (0.49, UNSURE), (0.5, SURE)])
def test_after_a_jump_the_first_figure_decides(value: float, state: ObjectState) -> None:
    watch = StateWatch(RULES)
    watch.set(1, present=True)
    watch.forget()
    assert run([value], watch) == [state]


def test_objects_do_not_mix() -> None:
    watch = StateWatch(RULES)
    watch.set(1, present=True)
    watch.set(2, present=True)
    for _ in range(4):
        states = watch.update({1: 0.0, 2: 0.9})
    assert states == {1: LOST, 2: SURE}
    watch.forget([1])
    assert watch.states == {2: SURE}


@given(values=VALUES)
def test_changes_are_earned(values: list[float]) -> None:
    """Checked against the rules as one would read them, looking back over the figures."""
    states = run(values)
    for t in range(1, len(values)):
        before, now, value = states[t - 1], states[t], values[t]
        if now is LOST and before is not LOST:
            assert all(v < RULES.lost_below for v in values[t - RULES.lost_after + 1 : t + 1])
        if before is LOST and now is not LOST:
            assert now is FOUND
            again = all(v >= RULES.found_above for v in values[t - RULES.found_after + 1 : t + 1])
            assert again or value >= RULES.certain
        if before is SURE and now is SURE:
            assert value >= RULES.unsure_below
        if before is UNSURE and now is SURE:
            assert value >= RULES.sure_above
        if before is SURE:
            assert now is not FOUND
        if now is FOUND and before is FOUND:
            assert value >= RULES.unsure_below
    streak = 0
    for state in states:
        streak = streak + 1 if state is FOUND else 0
        assert streak <= RULES.found_for


@given(values=VALUES, more=VALUES)
def test_better_figures_never_lose_more(values: list[float], more: list[float]) -> None:
    lifted = [min(v + m, 1.0) for v, m in zip(values, more, strict=False)]
    count = len(lifted)
    assert run(lifted).count(LOST) <= run(values[:count]).count(LOST)


def test_rules_that_contradict_themselves_are_refused() -> None:
    for broken in (
        {"unsure_below": 0.8, "sure_above": 0.6}, {"lost_below": 0.7}, {"found_above": 0.01}, {"lost_after": 0},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"rise|positive"):
            StateRules(**broken)  # type: ignore[arg-type]
