"""Tiny data sets in the official layouts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from engine.runtime.threads import let_waiting_threads_sleep
from tests.support.clips import Bytes, disc_frames, write_palette_png

let_waiting_threads_sleep()  # before any test of this folder imports torch

COUNT, WIDTH, HEIGHT = 10, 160, 112


def write_frames(folder: Path, frames: list[Bytes], step: int = 1) -> None:
    folder.mkdir(parents=True)
    for index, rgb in enumerate(frames):
        cv2.imwrite(str(folder / f"{index * step:05}.jpg"), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def write_masks(folder: Path, masks: list[Bytes], step: int = 1, *, binary: bool = False) -> None:
    folder.mkdir(parents=True)
    for index, mask in enumerate(masks):
        path = folder / f"{index * step:05}.png"
        if binary:
            cv2.imwrite(str(path), (mask > 0) * 255)
        else:
            write_palette_png(mask, path)


@pytest.fixture(scope="session")
def discs() -> Callable[[int], tuple[list[Bytes], list[Bytes]]]:
    """Frames and masks of `objects` discs."""
    made = {objects: disc_frames(COUNT, WIDTH, HEIGHT, objects) for objects in (1, 2)}
    return lambda objects: made[objects]


@pytest.fixture
def davis2016(tmp_path, discs) -> Path:
    return make_davis2016(tmp_path / "davis2016", discs)


def make_davis2016(root: Path, discs) -> Path:
    """Sequences alpha and beta, 0/255 masks, no ImageSets: as a hand-made subset looks. Beta has two discs."""
    for objects, name in ((1, "alpha"), (2, "beta")):
        frames, masks = discs(objects)
        write_frames(root / "JPEGImages" / "480p" / name, frames)
        write_masks(root / "Annotations" / "480p" / name, masks, binary=True)
    return root


@pytest.fixture
def davis2017(tmp_path, discs) -> Path:
    """As released: palette masks and lists. Split val holds pair, train holds single; stray belongs to neither."""
    root = tmp_path / "davis2017"
    for objects, name in ((2, "pair"), (1, "single"), (1, "stray")):
        frames, masks = discs(objects)
        write_frames(root / "JPEGImages" / "480p" / name, frames)
        write_masks(root / "Annotations" / "480p" / name, masks)
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("pair\n\n")
    (lists / "train.txt").write_text("single\n")
    return root


@pytest.fixture
def youtube(tmp_path, discs) -> Path:
    """valid/: every fifth frame, object 1 from the second frame on and object 2 from the fifth; a stray id 3."""
    root = tmp_path / "youtube"
    frames, masks = discs(2)
    shown = []
    for index, mask in enumerate(masks):
        mask = mask.copy()
        mask[mask == 1] *= index >= 1
        mask[mask == 2] *= index >= 4
        mask[:4, :4] = 3
        shown.append(mask)
    write_frames(root / "valid" / "JPEGImages" / "0a1b", frames, 5)
    write_masks(root / "valid" / "Annotations" / "0a1b", shown, 5)
    objects = {"1": {"category": "ball", "frames": ["00005"]}, "2": {"category": "ball", "frames": ["00020"]}}
    (root / "valid" / "meta.json").write_text(json.dumps({"videos": {"0a1b": {"objects": objects}}}))
    return root
