"""The bundled clip, its exact masks, and the bundled network on it."""

from __future__ import annotations

import importlib
from itertools import islice
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from engine.runtime.config import EngineConfig
from engine.runtime.factory import create_tracker
from engine.types import Frame
from tests.support.clips import iou, read_indexed_png


@pytest.fixture(scope="module")
def make_demo(repo_root: Path) -> ModuleType:
    """The script that rendered the clip; it knows the exact mask of every frame."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(repo_root / "assets"))
        return importlib.import_module("make_demo")


def decoded(repo_root: Path, count: int) -> list[Frame]:
    with av.open(str(repo_root / "assets" / "demo.mp4")) as container:
        pictures = islice(container.decode(video=0), count)
        return [Frame(i, i / 24, picture.to_ndarray(format="rgb24")) for i, picture in enumerate(pictures)]


def test_the_clip_is_what_the_script_renders(repo_root: Path, make_demo: ModuleType) -> None:
    frames = decoded(repo_root, 1000)
    assert len(frames) == make_demo.FRAME_COUNT
    assert (frames[0].width, frames[0].height) == (make_demo.WIDTH, make_demo.HEIGHT)
    rendered = make_demo.render(100).astype(int)
    distances = [np.abs(frames[index].rgb - rendered).mean() for index in (99, 100, 101)]
    assert distances[1] < 4 < min(distances[0], distances[2])  # compression noise against a frame off by one


def test_the_first_mask_is_exact(repo_root: Path, make_demo: ModuleType) -> None:
    mask = read_indexed_png(repo_root / "assets" / "demo_mask.png")
    np.testing.assert_array_equal(mask, make_demo.ground_truth(0))
    assert set(np.unique(mask)) == {0, 1, 2}


def test_the_bundled_network_follows_both_balloons(repo_root: Path, make_demo: ModuleType) -> None:
    tracker = create_tracker(EngineConfig(device="cpu", working_size=360))
    frames = decoded(repo_root, 17)
    result = tracker.step(frames[0], make_demo.ground_truth(0))
    for frame in frames[1:]:
        result = tracker.step(frame)
    truth = make_demo.ground_truth(16)
    for object_id in (1, 2):
        assert iou(result.mask == object_id, truth == object_id) > 0.85
        assert result.confidence[object_id] > 0.5
