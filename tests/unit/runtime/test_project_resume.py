"""Work goes on after a project was closed, or the program killed, as if nothing had been in between."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from engine.object_state import ObjectState
from engine.project.bank_state import export_bank, import_bank
from engine.project.project_file import open_project
from engine.project.state import BankState
from engine.runtime import keeper
from engine.runtime.commands import SaveBank
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

    def start_work(self, clip: Path, mask: Mask, object_ids: Collection[int] = (1, 2)) -> None:
        self.session.open(clip)
        self.wait(lambda: self.session._core.shown)
        self.session.set_mask(self.session._core.shown.frame, mask, object_ids)  # type: ignore[union-attr]

    def save(self, path: Path) -> None:
        self.session.save_project(path)
        self.wait(lambda: any(isinstance(e, Notice) and e.message == f"Saved {path.name}." for e in self.events))

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
    first.save(tmp_path / "balloons.livemask")
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


def test_tracking_goes_on_exactly_after_an_end_in_its_middle(
    desk: Callable[[], Desk], repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consistent copy of the file that is being written is what a killed process leaves."""
    monkeypatch.setattr(keeper, "BANK_EVERY_S", 0.0)
    clip, mask = repo_root / "assets" / "demo.mp4", read_mask(repo_root / "assets" / "demo_mask.png")
    whole = desk()
    whole.start_work(clip, mask)
    whole.session._keeper._autosave_s = 0.05
    whole.session.track(1, LAST)
    copy = tmp_path / "autosave" / "copy.livemask"
    whole.wait(lambda: last_remembered(tmp_path / "autosave") >= 6)
    (original,) = (tmp_path / "autosave").glob("demo-*.livemask")
    with contextlib.closing(sqlite3.connect(original)) as one, contextlib.closing(sqlite3.connect(copy)) as other:
        one.backup(other)
    whole.wait(lambda: whole.session.mode is Mode.FROZEN and whole.position == LAST)
    expected = whole.masks(0, LAST)

    project = open_project(copy, read_only=True)
    left = project.read()
    project.close()
    assert left.view.tracking
    assert left.bank is not None
    assert left.bank.last is not None
    again = desk()
    again.session.open_project(copy)
    again.wait(lambda: any(isinstance(e, ProjectOpened) for e in again.events))
    again.wait(lambda: again.position == left.bank.last)
    again.track(LAST)
    assert all(np.array_equal(a, b) for a, b in zip(again.masks(0, LAST), expected, strict=True))


def come_and_go(folder: Path) -> Mask:
    """22 pictures of a square that is away from the eighth to the fourteenth; returns its mask in the first."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    ground = cv2.GaussianBlur(rng.integers(60, 120, (120, 160, 3)).astype(np.uint8), (0, 0), 3)
    cloth = cv2.resize(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8), (36, 36), interpolation=cv2.INTER_NEAREST)
    for index in range(22):
        picture = ground.copy()
        if index not in range(7, 14):
            picture[40:76, 30 + index : 66 + index] = cloth
        assert cv2.imwrite(str(folder / f"{index:02}.png"), picture)
    mask = np.zeros((120, 160), np.uint8)
    mask[40:76, 30:66] = 1
    return mask


@pytest.mark.parametrize("pause_at", [6, 11])
def test_an_object_that_is_lost_is_found_again_as_without_an_end(
    desk: Callable[[], Desk], tmp_path: Path, pause_at: int
) -> None:
    """Not the masks alone: confidences and states hang on what the tracker saw of the object before."""
    clip, last = tmp_path / "frames", 21
    mask = come_and_go(clip)
    whole = desk()
    whole.start_work(clip, mask, [1])
    whole.track(last)
    states = whole.session.object_states()
    assert {states[index][1] for index in states} >= {ObjectState.LOST, ObjectState.FOUND_AGAIN}

    first = desk()
    first.start_work(clip, mask, [1])
    first.track(pause_at)
    first.save(tmp_path / "a.livemask")
    assert first.session.shutdown(TIMEOUT)
    second = desk()
    second.session.open_project(tmp_path / "a.livemask")
    second.wait(lambda: second.position == pause_at)
    assert second.session.object_states() == {i: known for i, known in states.items() if i <= pause_at}
    second.track(last)
    assert all(np.array_equal(a, b) for a, b in zip(second.masks(0, last), whole.masks(0, last), strict=True))
    assert second.session.object_states() == states
    for index in range(last + 1):
        assert second.session.confidence_at(index) == whole.session.confidence_at(index)


def last_remembered(folder: Path) -> int:
    """The frame at which the memory in the autosaved file stands."""
    for path in folder.glob("demo-*.livemask"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            row = connection.execute("SELECT facts FROM bank").fetchone()
        return -1 if row is None or json.loads(row[0])["last"] is None else int(json.loads(row[0])["last"])
    return -1


def test_another_engine_learns_the_keyframes_anew(desk: Callable[[], Desk], repo_root: Path, tmp_path: Path) -> None:
    clip, mask = repo_root / "assets" / "demo.mp4", read_mask(repo_root / "assets" / "demo_mask.png")
    first = desk()
    first.start_work(clip, mask)
    first.track(3)
    first.save(tmp_path / "a.livemask")
    assert first.session.shutdown(TIMEOUT)
    with contextlib.closing(sqlite3.connect(tmp_path / "a.livemask")) as connection:
        facts = json.loads(connection.execute("SELECT facts FROM bank").fetchone()[0])
        facts["mark"] = [-value for value in facts["mark"]]  # the same network by name, with other weights
        connection.execute("UPDATE bank SET facts = ?", [json.dumps(facts)])
        # What a stranger may put in the place of tensors is not even looked at, let alone unpickled.
        connection.execute("UPDATE bank_slots SET tensors = ?", [b"\x80\x04cposix\nsystem\n"])
        connection.commit()
    second = desk()
    second.session.open_project(tmp_path / "a.livemask")
    second.wait(lambda: any(isinstance(e, Notice) and "another engine" in e.message for e in second.events))
    second.wait(lambda: second.position == 3)
    second.track(5)
    assert second.session.mask_at(5)[1] is MaskKind.TRACKED
    assert set(np.unique(second.session.mask_at(5)[0])) == {0, 1, 2}  # type: ignore[arg-type]


def test_a_memory_that_holds_something_else_is_not_used(
    desk: Callable[[], Desk], repo_root: Path, tmp_path: Path
) -> None:
    clip, mask = repo_root / "assets" / "demo.mp4", read_mask(repo_root / "assets" / "demo_mask.png")
    first = desk()
    first.start_work(clip, mask)
    first.track(2)
    states: list[BankState | None] = []
    first.session._core.post(SaveBank(-1, lambda _revision, state: states.append(state)))
    first.wait(lambda: states)
    (state,) = states
    assert state is not None
    tracker = first.session._engine._tracker
    assert tracker is not None
    slot = state.slots[-1]
    tensors = load(slot.tensors)
    wrong = {
        "a pickle": b"\x80\x04cposix\nsystem\n(S'false'\ntR.",
        "nothing": b"",
        "too few cells": save({**tensors, "labels": tensors["labels"][:, :1].contiguous()}),
        "no numbers": save({**tensors, "embedding": torch.full_like(tensors["embedding"], float("nan"))}),
        "no labels": save({"embedding": tensors["embedding"]}),
        "double precision": save({k: v.double() for k, v in tensors.items()}),
    }
    trail = state.trails[0]
    assert len(trail.looks) == 4 * state.channels
    for looks in (trail.looks[:-4], bytes.fromhex("0000c07f") * state.channels):  # cut off, no numbers
        assert not import_bank(tracker, replace(state, trails=(replace(trail, looks=looks),)))
    for what, content in wrong.items():
        bad = replace(state, slots=(*state.slots[:-1], replace(slot, tensors=content)))
        assert not import_bank(tracker, bad), what
    assert not import_bank(tracker, replace(state, slots=(*state.slots[:-1], replace(slot, known=(9,)))))
    assert tracker.bank_frames == (1, 3)  # untouched
    assert import_bank(tracker, state)
    again = export_bank(tracker)
    assert again is not None
    assert again.slots == state.slots
    assert again.trails == state.trails
    tracker.delete_object(1)  # leaves a gap among the label columns, which nobody sees afterwards
    rest = export_bank(tracker)
    assert rest is not None
    assert rest.object_ids == (2,)
    assert import_bank(tracker, rest)
    assert tracker.object_ids == (2,)
    third = export_bank(tracker)
    assert third is not None
    assert third.slots == rest.slots
