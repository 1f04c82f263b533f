from __future__ import annotations

import numpy as np

from engine.runtime.frame_cache import ALWAYS_KEPT, FrameCache
from engine.types import Frame


def frame(index, side=10):
    return Frame(index, 0.0, np.zeros((side, side, 3), np.uint8))


def test_the_oldest_pictures_go_when_the_budget_is_used_up():
    cache = FrameCache(budget_bytes=300 * 6)
    for index in range(10):
        cache.put(frame(index))
    assert [i for i in range(10) if cache.get(i) is not None] == [4, 5, 6, 7, 8, 9]
    assert cache.nbytes == 1800


def test_a_picture_stored_again_counts_once_and_as_the_newest():
    cache = FrameCache(budget_bytes=300 * 6)
    for index in range(6):
        cache.put(frame(index))
    cache.put(frame(0))
    cache.put(frame(6))
    assert cache.get(0) is not None
    assert cache.get(1) is None
    cache.discard(0)
    cache.discard(0)
    assert cache.nbytes == 1500
    cache.clear()
    assert cache.nbytes == 0


def test_a_few_pictures_stay_however_large_they_are():
    cache = FrameCache(budget_bytes=1)
    for index in range(10):
        cache.put(frame(index, side=100))
    assert sum(cache.get(i) is not None for i in range(10)) == ALWAYS_KEPT
