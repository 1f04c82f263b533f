"""Whatever the user does, in whatever order: no deadlock, no lost or mixed-up mask."""

from __future__ import annotations

import random

import numpy as np
import pytest

from engine.runtime.config import EngineConfig
from engine.runtime.messages import MaskKind, Mode
from tests.unit.runtime.fakes import FakeFile, FakeLive, index_of, square


class User:
    """Random commands; remembers what was painted where since the source was opened."""

    def __init__(self, driver, seed: int) -> None:
        self.driver = driver
        self.session = driver.session
        self.random = random.Random(seed)
        self.painted: dict[int, np.ndarray] = {}
        self.emptied: set[int] = set()
        self.generation = -1
        self.live = driver.sources["camera:0"]

    def act(self) -> None:
        choice = self.random.choice
        command = choice(
            [self.paint] * 5
            + [self.track] * 5
            + [self.seek] * 3
            + [self.push] * 4
            + [self.session.pause, self.session.play, self.session.freeze, self.session.step]
            + [self.session.clear_tracking, self.delete, self.clear, self.configure, self.open, self.look]
        )
        command()

    def let_the_workers_come_somewhere(self) -> None:
        """Wait for the next tracked frame, if there is to be one."""
        shown = self.driver.shown
        if self.session.mode is Mode.TRACKING:
            self.push()
            self.driver.wait(lambda: self.driver.shown != shown or self.session.mode is not Mode.TRACKING)

    def push(self) -> None:
        if not self.live.closed:
            self.live.push(self.random.randint(1, 3))

    def track(self) -> None:
        self.session.track(self.random.choice([1, 1, -1]), self.random.choice([None, None, 3]))

    def seek(self) -> None:
        self.session.seek(self.random.randint(-1, 14))

    def open(self) -> None:
        if self.random.random() < 0.7:
            return
        self.session.open(self.random.choice(["clip.mp4", "missing.mp4"]))

    def configure(self) -> None:
        if self.random.random() < 0.3:
            self.session.configure(EngineConfig(model=self.random.choice(["a", "b"])))

    def look(self) -> None:
        self.driver.events.extend(self.session.events())
        self.session.take_display()
        self.session.stats()
        self.session.mask_kinds()

    def paint(self) -> None:
        core = self.session._core
        with core.lock:  # as in one GUI thread: nothing is opened between looking and painting
            if core.shown is None:
                return
            if core.generation != self.generation:
                self.painted.clear()
                self.emptied.clear()
                self.generation = core.generation
            frame = core.shown.frame
            object_id = self.random.choice([1, 2])
            mask = square(object_id, x=self.random.randint(0, 18), y=self.random.randint(0, 11))
            self.session.set_mask(frame, mask, [object_id])
            self.painted[frame.index] = mask
            self.emptied.discard(frame.index)

    def delete(self) -> None:
        if self.random.random() < 0.3:
            object_id = self.random.choice([1, 2])
            self.session.delete_object(object_id)
            # An empty keyframe may stay, where it says that the other object is not there.
            self.emptied |= {i for i, m in self.painted.items() if (m == object_id).any()}
            self.painted = {i: m for i, m in self.painted.items() if i not in self.emptied}

    def clear(self) -> None:
        core = self.session._core
        with core.lock:
            if core.shown is not None:
                self.session.clear_mask(core.shown.frame)
                if core.generation == self.generation:
                    self.painted.pop(core.shown.frame.index, None)


def belongs(index, mask, driver):
    """The tracker made this mask for this very frame (apart from objects deleted since)."""
    made = [m for tracker in driver.trackers for m in tracker.results.get(index, [])]
    return any(((mask == m) | (mask == 0)).all() for m in made)


@pytest.mark.parametrize("seed", range(20))
def test_random_commands_keep_every_promise(drive, seed):
    live = FakeLive()
    driver = drive({"camera:0": live, "clip.mp4": lambda: FakeFile(12, interval_s=0.001)})
    user = User(driver, seed)
    driver.open("camera:0" if seed % 2 else "clip.mp4")
    live.push(1)
    for _ in range(100):
        user.act()
        if user.random.random() < 0.5:
            user.let_the_workers_come_somewhere()
    assert driver.session.shutdown(10.0)
    core = driver.session._core
    for item in driver.items:
        assert index_of(item.frame.rgb) == item.frame.index
        assert (item.mask is None) == (item.kind is MaskKind.NONE)
        if item.kind is MaskKind.TRACKED:
            assert belongs(item.frame.index, item.mask, driver)
    tracked = {i for tracker in driver.trackers for kind, i in tracker.calls if kind in ("step", "key")}
    if core.generation == user.generation:
        kinds = driver.session.mask_kinds()
        for index, mask in user.painted.items():
            stored, kind = driver.session.mask_at(index)
            assert np.array_equal(stored, mask)
            # To paint just what the tracker had made there says nothing: the frame counts as tracked again.
            assert kind is MaskKind.KEYFRAME or belongs(index, stored, driver)
        for index, kind in kinds.items():
            assert index in user.painted.keys() | user.emptied if kind is MaskKind.KEYFRAME else index in tracked
    if core.live:
        stats = core.stats
        assert stats.processed + stats.previewed + core.dropped <= live.pushed
