"""Work goes on after a project was closed, or the program killed, as if nothing had been in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.runtime.config import EngineConfig
from engine.runtime.messages import Event, MaskKind, Mode, Notice, ProjectOpened
from engine.runtime.session import Session
from engine.types import Mask
from engine.video.masks import read_mask
from tests.support.clips import iou

TIMEOUT = 60.0
CONFIG = EngineConfig(device="cpu", working_size=112)
MIDDLE, LAST = 16, 28


class Desk:
    """A session with the bundled network, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.session = Session(CONFIG, autosave_dir=folder)
        self.session.start()
        self.events: list[Event] = []

    def wait(self, state: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not state():
            self.events += self.session.events()
            assert time.monotonic() < deadline, self.events[-5:]
            time.sleep(0.005)

    def start_work(self, clip: Path, mask: Mask) -> None:
        self.session.open(clip)
        self.wait(lambda: self.session._core.shown)
        self.session.set_mask(self.session._core.shown.frame, mask, [1, 2])  # type: ignore[union-attr]

    def track(self, until: int) -> None:
        self.session.track(1, until)
        self.wait(lambda: self.session.mode is Mode.FROZEN and self.position == until)

    @property
    def position(self) -> int:
        shown = self.session._core.shown
        return -1 if shown is None else shown.frame.index

    def masks(self, first: int, last: int) -> list[Mask]:
        found = [self.session.mask_at(index)[0] for index in range(first, last + 1)]
        assert all(mask is not None for mask in found)
        return found  # type: ignore[return-value]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[[], Desk]]:
    made: list[Desk] = []

    def make() -> Desk:
        made.append(Desk(tmp_path / "autosave"))
        return made[-1]

    yield make
    for one in made:
        assert one.session.shutdown(TIMEOUT)


def test_tracking_goes_on_exactly_after_closing(desk: Callable[[], Desk], repo_root: Path, tmp_path: Path) -> None:
    clip, mask = repo_root / "assets" / "demo.mp4", read_mask(repo_root / "assets" / "demo_mask.png")
    whole = desk()
    whole.start_work(clip, mask)
    whole.track(LAST)
    expected = whole.masks(MIDDLE + 1, LAST)

    first = desk()
    first.start_work(clip, mask)
    first.track(5)
    first.session.track(1, MIDDLE)
    first.wait(lambda: first.position > 8)
    first.session.pause()  # in the middle of a step: its result waits, and is part of the project
    first.wait(lambda: first.session.mode is Mode.FROZEN)
    paused_at = first.position
    first.session.save_project(tmp_path / "balloons.livemask")
    first.wait(lambda: any(isinstance(e, Notice) and e.message == "Saved balloons.livemask." for e in first.events))
    assert first.session.shutdown(TIMEOUT)

    second = desk()
    second.session.open_project(tmp_path / "balloons.livemask")
    second.wait(lambda: any(isinstance(e, ProjectOpened) for e in second.events))
    second.wait(lambda: second.position == paused_at)
    assert second.session.mask_kinds() == {
        0: MaskKind.KEYFRAME,
        **dict.fromkeys(range(1, paused_at + 1), MaskKind.TRACKED),
    }
    second.track(LAST)
    for mine, theirs in zip(second.masks(MIDDLE + 1, LAST), expected, strict=True):
        for object_id in (1, 2):
            assert iou(mine == object_id, theirs == object_id) >= 0.99
    assert all(np.array_equal(a, b) for a, b in zip(second.masks(MIDDLE + 1, LAST), expected, strict=True))
    assert not [e for e in second.events if isinstance(e, Notice)]
