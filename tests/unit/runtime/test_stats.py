from __future__ import annotations

import pytest

from engine.runtime.stats import AGES, Rate, SessionStats


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.mark.parametrize("fps", [1.5, 25.0, 240.0])
def test_the_rate_of_a_steady_source(clock, fps):
    rate = Rate(clock)
    for _ in range(int(5 * fps)):
        clock.now += 1 / fps
        rate.mark()
    assert rate.value() == pytest.approx(fps, rel=1e-6)


def test_the_rate_follows_within_two_seconds(clock):
    rate = Rate(clock)
    for _ in range(300):
        clock.now += 0.01
        rate.mark()
    for _ in range(21):
        clock.now += 0.1
        rate.mark()
    assert rate.value() == pytest.approx(10)


def test_a_source_that_stops_fades_to_nothing(clock):
    rate = Rate(clock)
    for _ in range(50):
        clock.now += 0.02
        rate.mark()
    clock.now += 0.99
    assert rate.value() < 26
    clock.now += 2.0
    assert rate.value() is None


def test_there_is_no_rate_before_the_second_event(clock):
    rate = Rate(clock)
    assert rate.value() is None
    rate.mark()
    assert rate.value() is None


def test_memory_is_bounded(clock):
    rate, stats = Rate(clock), SessionStats(clock)
    for _ in range(20000):
        rate.mark()
        stats.result(0.1)
    assert len(rate._marks) < 5000
    assert len(stats._ages) == AGES


def test_ages_are_over_the_last_120_results(clock):
    stats = SessionStats(clock)
    assert stats.ages() == (None, None)
    for _ in range(500):
        stats.result(9.0)
    for i in range(AGES):
        stats.result(i / 100)
    p50, p95 = stats.ages()
    assert p50 == pytest.approx(0.595)
    assert p95 == pytest.approx(1.1305)


def test_counters_are_exact_and_start_anew(clock):
    stats = SessionStats(clock)
    stats.frame_read(3)
    stats.frame_dropped(2)
    stats.frame_read(7)
    stats.frame_dropped()
    stats.frame_previewed()
    stats.result(0.0)
    assert (stats.dropped, stats.previewed, stats.processed) == (10, 1, 1)
    stats.reset()
    assert (stats.dropped, stats.previewed, stats.processed) == (0, 0, 0)
    assert stats.rates() == (None, None)
