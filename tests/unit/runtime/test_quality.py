"""The controller of live quality against simulated machines: noise, load that comes and goes, throttling, hiccups.

Time is simulated; nothing here sleeps or measures.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from engine.preparing import SIZES
from engine.runtime.quality import HEADROOM, QualityController, ladder

LEVELS = ladder(720, references=7)


class Machine:
    """Seconds a frame takes: of the pixels, of the references, of the load at that time, and of chance.

    `full_s` is what the highest level takes when nothing else runs; `power` how steeply the cost rises with the side.
    """

    def __init__(
        self,
        full_s: float,
        *,
        power: float = 2.0,
        noise: float = 0.08,
        load: Callable[[float], float] = lambda t: 1.0,
        hiccups: float = 0.01,
        seed: int = 0,
    ) -> None:
        self.full_s, self.power, self.noise, self.load, self.hiccups = full_s, power, noise, load, hiccups
        self.rng = np.random.default_rng(seed)

    def true_s(self, level, t: float = 0.0) -> float:
        references = 1.0 if level.references is None else 0.7 + 0.3 * level.references / 7
        return self.full_s * (level.short_side / 480) ** self.power * references * self.load(t)

    def frame_s(self, level, t: float) -> float:
        factor = float(np.exp(self.rng.normal(0, self.noise)))
        if self.rng.random() < self.hiccups:
            factor *= 4
        return self.true_s(level, t) * factor


class Run:
    """A camera at `camera_fps`, an engine that always takes the newest frame, and the controller."""

    def __init__(self, machine: Machine, *, start: int, target: float = 24.0, camera_fps: float = 30.0) -> None:
        self.machine, self.camera_fps, self.target = machine, camera_fps, target
        self.controller = QualityController(LEVELS, start)
        self.controller.aim(min(target, camera_fps))
        self.t, self.taken = 0.0, -1
        self.done: list[float] = []
        self.changes: list[tuple[float, int]] = []  # (when, to which level)
        self.path = [start]

    def until(self, end: float) -> Run:
        first = not self.done
        while self.t < end:
            newest = int(self.t * self.camera_fps)
            if newest == self.taken:  # early: wait for the next
                newest += 1
                self.t = newest / self.camera_fps + 1e-9
            self.taken = newest
            level = self.controller.level
            seconds = self.machine.frame_s(level, self.t) + (1.0 if first else 0.0)  # the first allocates and compiles
            first = False
            self.t += seconds
            self.done.append(self.t)
            if self.controller.observe(seconds, self.t):
                self.changes.append((self.t, self.controller.position))
                self.path.append(self.controller.position)
        return self

    def changes_after(self, t: float) -> list[tuple[float, int]]:
        return [change for change in self.changes if change[0] > t]

    def fps(self, since: float) -> float:
        return sum(1 for t in self.done if t > since) / (self.t - since)


def position_of(size: int) -> int:
    return next(i for i, level in enumerate(LEVELS) if level.short_side == size and level.references is None)


def right(run: Run, t: float) -> bool:
    """The level holds the target, and the next one clearly would not leave room (or there is none)."""
    budget = HEADROOM / min(run.target, run.camera_fps)
    controller, machine = run.controller, run.machine
    fits = machine.true_s(controller.level, t) <= 1.12 * budget or controller.position == 0
    best = controller.at_top or machine.true_s(LEVELS[controller.position + 1], t) > 0.78 * budget
    return fits and best


def test_the_ladder_climbs_in_cost_and_ends_at_the_picture_itself() -> None:
    costs = [level.cost for level in LEVELS]
    assert costs == sorted(costs)
    assert all(b / a > 1.05 for a, b in pairwise(costs))
    assert {level.short_side for level in LEVELS} == set(SIZES)
    assert LEVELS[-1].references is None
    assert LEVELS[0].references == 4
    assert [level.short_side for level in ladder(250, references=4)] == [192, 250]
    assert [level.short_side for level in ladder(1080, top=240, references=3)] == [192, 240]
    assert [level.short_side for level in ladder(100, references=7)] == [100]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("power", [1.7, 2.0, 2.6])
@pytest.mark.parametrize("full_s", [0.02, 0.045, 0.06, 0.09, 0.15, 0.25, 0.6])
@pytest.mark.parametrize("target", [15.0, 24.0, 30.0])
def test_it_settles_in_three_seconds_where_it_should_and_stays(
    full_s: float, power: float, target: float, seed: int
) -> None:
    run = Run(Machine(full_s, power=power, seed=seed), start=position_of(320), target=target)
    run.until(4.5)  # the first second and a bit went into the very first frame
    assert right(run, run.t), (run.path, run.controller.level)
    settled = run.controller.position
    run.until(240)
    later = run.changes_after(4.5)
    assert len(later) <= 4, later
    assert all(abs(position - settled) <= 1 for _, position in later)


@pytest.mark.parametrize("seed", range(5))
def test_a_fast_gpu_keeps_everything(seed: int) -> None:
    run = Run(Machine(0.012, noise=0.3, hiccups=0.03, seed=seed), start=len(LEVELS) - 1, target=30.0)
    run.until(300)
    assert run.changes == []


def test_up_goes_one_level_at_a_time_and_down_as_far_as_needed() -> None:
    up = Run(Machine(0.01, hiccups=0), start=0).until(4.5)
    assert up.path == list(range(len(LEVELS)))
    down = Run(Machine(0.5), start=len(LEVELS) - 1).until(5)
    assert down.path[1] < len(LEVELS) - 2


@pytest.mark.parametrize("seed", range(5))
def test_load_that_comes_costs_quality_within_three_seconds_and_load_that_goes_gives_it_back(seed: int) -> None:
    def load(t: float) -> float:
        return 2.5 if 30 <= t < 60 else 1.0

    run = Run(Machine(0.03, load=load, seed=seed), start=position_of(320))
    run.until(29.9)
    assert run.controller.at_top
    run.until(33)
    assert right(run, run.t)
    reached = run.controller.position
    run.until(60)
    assert run.changes_after(33) == [] or reached == run.controller.position
    assert run.fps(34) > 22
    run.until(85)
    assert run.controller.at_top, "the load is gone"


@pytest.mark.parametrize("seed", range(5))
def test_a_machine_that_throttles_slowly_is_followed_down_without_turning_back(seed: int) -> None:
    def load(t: float) -> float:
        return 1.0 + min(max(t - 20, 0) / 60, 1.5)  # from 20 s on, to 2.5 times at 110 s

    run = Run(Machine(0.034, load=load, seed=seed), start=position_of(480)).until(240)
    assert right(run, run.t)
    falls = [b - a for a, b in pairwise(run.path) if run.path]
    assert sum(fall > 0 for fall in falls) <= 2, run.path
    assert run.fps(20) > 21.5


@pytest.mark.parametrize("seed", range(5))
def test_a_short_hiccup_changes_nothing(seed: int) -> None:
    """A third of a second in which everything is slow: opening a menu, another program that starts."""

    def load(t: float) -> float:
        return 3.0 if t % 10 > 9.7 else 1.0

    run = Run(Machine(0.03, noise=0.05, load=load, seed=seed), start=position_of(480)).until(120)
    assert len(run.changes_after(4)) <= 2


def test_a_level_that_failed_is_tried_ever_more_rarely() -> None:
    """A cliff: the highest level takes three times what its size suggests."""

    class Cliff(Machine):
        def true_s(self, level, t: float = 0.0) -> float:
            return super().true_s(level, t) * (3 if level.short_side == 480 else 1)

    run = Run(Cliff(0.03), start=position_of(320)).until(900)
    tries = [when for when, position in run.changes if position == len(LEVELS) - 1]
    assert 2 <= len(tries) <= 7
    pauses = [b - a for a, b in pairwise(tries)]
    assert pauses[0] > 15
    assert all(b > 1.5 * a for a, b in pairwise(pauses))
    at_top = sum(b - a for (a, p), (b, _) in pairwise([*run.changes, (run.t, 0)]) if p == len(LEVELS) - 1)
    assert at_top < 0.01 * run.t


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("full_s", np.linspace(0.034, 0.065, 9))
def test_it_never_oscillates_visibly_wherever_the_border_lies(full_s: float, seed: int) -> None:
    run = Run(Machine(float(full_s), noise=0.15, hiccups=0.03, seed=seed), start=position_of(320)).until(180)
    later = [when for when, _ in run.changes_after(4.5)]
    assert all(b - a > 10 for a, b in pairwise(later[1::2])), later  # a try that failed (2 changes) is rare
    assert len(later) <= 6


def test_another_target_is_reached_in_three_seconds() -> None:
    run = Run(Machine(0.045), start=position_of(320), target=15).until(10)
    assert run.controller.at_top
    run.target = 30.0
    run.controller.aim(30.0)
    run.until(13)
    assert right(run, run.t)
    assert not run.controller.at_top
    run.target = 15.0
    run.controller.aim(15.0)
    run.until(16.2)
    assert run.controller.at_top


def test_what_cannot_be_held_is_said() -> None:
    run = Run(Machine(1.0), start=position_of(320)).until(10)
    assert run.controller.position == 0
    assert run.controller.holds is False
    assert QualityController(LEVELS, 0).holds is None
    assert Run(Machine(0.02), start=position_of(320)).until(10).controller.holds


def test_beyond_what_fits_into_memory_it_never_goes_again() -> None:
    run = Run(Machine(0.02), start=position_of(480)).until(5)
    run.controller.limit(360, run.t)
    assert run.controller.level.short_side == 360
    run.until(200)
    assert run.changes == []
    run.controller.limit(100, run.t)
    assert run.controller.level == LEVELS[0]
    run.until(300)
    assert run.controller.level == LEVELS[0]


def test_a_controller_needs_a_level() -> None:
    with pytest.raises(ValueError, match="levels"):
        QualityController((), 0)
    with pytest.raises(ValueError, match="position"):
        QualityController(LEVELS, len(LEVELS))
