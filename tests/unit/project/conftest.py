from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.object_state import ObjectState
from engine.project.mask_codec import encode_mask
from engine.project.mask_entries import Keyframe, StoreContents, Tracked
from engine.project.state import (
    AheadState,
    BankState,
    Fingerprint,
    ProjectEngine,
    ProjectObject,
    ProjectState,
    ProjectView,
    SlotState,
    SourceReference,
    TrailState,
)
from engine.types import Mask
from engine.video.source import SourceKind

WIDTH, HEIGHT = 24, 16


def square(object_id: int = 1, x: int = 2, y: int = 2) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y : y + 4, x : x + 4] = object_id
    return mask


def make_state(folder: Path, *, frames: int = 5, bank: bool = True) -> ProjectState:
    """Two keyframes (one corrects a tracked mask), tracked frames, and everything else a project can hold."""
    origin = Tracked(encode_mask(square(1, 9)), {1: 0.25}, stale=True, states={1: ObjectState.UNSURE})
    keyframes = {
        0: Keyframe(encode_mask(square() + square(7, 12)), frozenset([1, 7]), frozenset(), 1),
        3: Keyframe(encode_mask(square(1, 8)), frozenset([1]), frozenset([7]), 4, origin),
    }
    states = {1: ObjectState.FOUND_AGAIN, 7: ObjectState.LOST}
    tracked = {i: Tracked(encode_mask(square(1, i)), {1: 1 / (i + 1)}, states=states) for i in range(4, 4 + frames)}
    source = SourceReference(
        SourceKind.FILE, str(folder / "clip.mp4"), "clip.mp4", WIDTH, HEIGHT, Fingerprint(123, "ab" * 32, 50)
    )
    slots = (
        SlotState("keyframe", 0, 0, 0, True, (1, 7), b"first"),
        SlotState("recent", 0, 3, 3, True, (1,), b"second"),
        SlotState("recent", 1, 4, 4, False, (1, 7), b"third"),
    )
    return ProjectState(
        source,
        StoreContents(keyframes, tracked, frozenset([5]), 4),
        (ProjectObject(7, "Ball", (255, 0, 10)), ProjectObject(1, "Hänsel <b>", (0, 1, 2), False, True)),
        ProjectEngine("resnet50-half", None, 240),
        ProjectView(4, False, 1, 9),
        BankState(
            "net; robust", (0.6, 0.8), (7, 1), 2, 3, 128, (24, 16), 5, 4, True, {0: 1, 3: 4}, slots,
            AheadState(5, encode_mask(square(1, 5)), {1: 0.5}, None, {1: ObjectState.SURE}),
            (TrailState(1, ObjectState.LOST, 2, 6, (3.5, 1 / 3), (0.9,), b"look"),
             TrailState(7, None, 0, 1, (), (), b"")),
        )
        if bank
        else None,
    )  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> ProjectState:
    return make_state(tmp_path)


@pytest.fixture
def project_path(tmp_path: Path) -> Path:
    return tmp_path / "work.livemask"


MakeState = Callable[..., ProjectState]
