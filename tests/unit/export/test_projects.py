"""Exports from a project file: its own video, masks, names and colours, and the way out when the video is elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

import main
from engine.export.from_project import read_project
from engine.project.mask_codec import encode_mask
from engine.project.mask_entries import Keyframe, StoreContents, Tracked
from engine.project.project_file import create, open_project
from engine.project.source_place import reference_to, seen_from
from engine.project.state import ProjectError, ProjectObject, ProjectState
from engine.types import Mask
from engine.video.open import open_source
from tests.unit.export.material import HEIGHT, WIDTH

# Raised inside pycocotools by NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

NAMES = (ProjectObject(2, "dog", (10, 20, 30)), ProjectObject(1, "cat", (200, 100, 0)))


def _mask(x: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:20, x : x + 15] = 1
    mask[30:50, x : x + 10] = 2
    return mask


MASKS = {index: _mask(4 * index) for index in range(4)}


@pytest.fixture
def project(media: Callable[[str], Path], tmp_path: Path) -> Path:
    """work.livemask with its video beside it: a keyframe and three tracked masks."""
    clip, path = tmp_path / "clip.mp4", tmp_path / "work.livemask"
    shutil.copy(media("sound.mp4"), clip)
    source = open_source(str(clip))
    reference = seen_from(reference_to(source.info), path)
    source.close()
    tracked = {index: Tracked(encode_mask(mask), {1: 0.5, 2: 0.75}) for index, mask in MASKS.items() if index}
    keyframes = {0: Keyframe(encode_mask(MASKS[0]), frozenset([1, 2]), frozenset(), 1)}
    create(path, ProjectState(reference, StoreContents(keyframes, tracked, frozenset(), 1), NAMES)).close()
    return path


def _exported(answer: Path) -> dict[int, tuple[str, Mask]]:
    """Annotation number -> (category name, mask) of a COCO file, read with pycocotools."""
    data = json.loads(answer.read_text("utf-8"))
    names = {category["id"]: category["name"] for category in data["categories"]}
    return {
        number: (names[one["category_id"]], coco_mask.decode(one["segmentation"]))
        for number, one in enumerate(data["annotations"])
    }


def test_a_project_is_all_an_export_needs(project: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    code = main.main(["export", str(project), "--format", "coco", "--out", str(target), "--names", "1=tiger"])
    assert code == 0
    found = list(_exported(target).values())
    wanted = [(name, mask == i) for mask in MASKS.values() for i, name in ((1, "tiger"), (2, "dog"))]
    assert len(found) == len(wanted)
    for name, area in wanted:
        assert any(other == name and np.array_equal(there, area) for other, there in found)


def test_a_project_that_a_window_has_open_is_read_and_left_as_it_is(project: Path) -> None:
    opened = open_project(project)
    try:
        before = project.read_bytes()
        export = read_project(project)
        assert project.read_bytes() == before
    finally:
        opened.close()
    assert {index: export.masks.mask(index).tolist() for index in export.masks.indices} == {
        index: mask.tolist() for index, mask in MASKS.items()
    }
    assert export.masks.confidence(2) == {1: 0.5, 2: 0.75}
    assert {named.id: named.name for named in export.objects} == {1: "cat", 2: "dog"}
    assert export.palette[2].tolist() == [10, 20, 30]
    assert Path(export.source) == project.parent / "clip.mp4"


def test_reading_leaves_nothing_beside_a_project(project: Path) -> None:
    before, content = sorted(project.parent.iterdir()), project.read_bytes()
    read_project(project)
    assert sorted(project.parent.iterdir()) == before
    assert project.read_bytes() == content


def test_a_video_that_has_gone_or_changed_must_be_named(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, elsewhere = tmp_path / "clip.mp4", tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = elsewhere / "other name.mp4"
    shutil.copy(clip, moved)
    clip.write_bytes(clip.read_bytes() + b"\0")
    with pytest.raises(ProjectError, match="has changed since"):
        read_project(project)
    clip.unlink()
    arguments = ["--format", "masks", "--out", str(tmp_path / "out")]
    assert main.main(["export", str(project), *arguments]) == 2
    assert "is not where it was. Name the video too: main.py export VIDEO" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main.main(["export", str(moved), str(project), *arguments]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == len(MASKS)


def test_masks_are_named_once(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--format", "csv", "--out", str(tmp_path / "out.csv")]
    assert main.main(["export", str(project), str(tmp_path), *arguments]) == 2
    assert "A project brings its own masks." in capsys.readouterr().err
    assert main.main(["export", str(tmp_path / "clip.mp4"), *arguments]) == 2
    assert "There are no masks to export." in capsys.readouterr().err
