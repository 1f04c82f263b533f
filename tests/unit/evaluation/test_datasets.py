"""Official layouts are found; what is missing or broken is named."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from engine.commands.eval import DATASETS
from engine.commands.score import PROTOCOLS as SCORE_PROTOCOLS
from engine.errors import MaskError, UserError
from engine.evaluation.annotations import object_ids, read_annotation
from engine.evaluation.datasets import LAYOUTS, PROTOCOLS, DatasetError, load_dataset
from tests.support.clips import write_palette_png
from tests.unit.evaluation.conftest import COUNT


def names(dataset):
    return [sequence.name for sequence in dataset.sequences]


def test_the_command_line_offers_what_there_is():
    assert set(DATASETS) == set(LAYOUTS)
    assert set(SCORE_PROTOCOLS) == set(PROTOCOLS)


def test_without_image_sets_every_folder_counts(davis2016):
    dataset = load_dataset("davis2016", davis2016)
    assert names(dataset) == ["alpha", "beta"]
    assert dataset.split == ""
    for sequence in dataset.sequences:
        assert [frame.name for frame in sequence.frames] == [f"{i:05}.jpg" for i in range(COUNT)]
        assert [mask.name for mask in sequence.annotations] == [f"{i:05}.png" for i in range(COUNT)]


def test_splits_of_davis_2017(davis2017):
    assert names(load_dataset("davis2017", davis2017)) == ["pair"]
    assert names(load_dataset("davis2017", davis2017, "train")) == ["single"]
    with pytest.raises(DatasetError, match=r"no split test-dev in .*There is: train, val\."):
        load_dataset("davis2017", davis2017, "test-dev")


@pytest.mark.parametrize("folder", ["2016", "480p"])
def test_lists_of_davis_2016_old_and_new(davis2016, folder):
    lists = davis2016 / "ImageSets" / folder
    lists.mkdir(parents=True)
    rows = ["beta"]
    if folder == "480p":
        rows = [f"/JPEGImages/480p/beta/{i:05}.jpg /Annotations/480p/beta/{i:05}.png" for i in range(COUNT)]
    (lists / "val.txt").write_text("\n".join(rows))
    assert names(load_dataset("davis2016", davis2016)) == ["beta"]


def test_davis_2016_has_one_object_whatever_the_ids(davis2017):
    shutil.rmtree(davis2017 / "ImageSets")
    sequence = load_dataset("davis2016", davis2017, only=["pair"]).sequences[0]
    assert object_ids(read_annotation(sequence.annotations[0], merge_objects=sequence.merge_objects).ids) == (1,)


def test_youtube_vos_takes_objects_from_its_meta_file(youtube):
    for root, split in ((youtube, None), (youtube, "valid"), (youtube / "valid", None)):
        sequence = load_dataset("youtube-vos", root, split).sequences[0]
        assert sequence.name == "0a1b"
        assert sequence.objects == {1, 2}
        assert sequence.frames[1].name == "00005.jpg"


def test_single_sequences_can_be_chosen(davis2016):
    assert names(load_dataset("davis2016", davis2016, only=["beta"])) == ["beta"]
    with pytest.raises(DatasetError, match=r"no sequence alhpa\. Did you mean alpha\?"):
        load_dataset("davis2016", davis2016, only=["alhpa"])


# -- what is broken --------------------------------------------------------------------------------------------------
def break_davis(root, how):
    frames, masks = (root / part / "480p" / "beta" for part in ("JPEGImages", "Annotations"))
    if how == "first mask missing":
        (masks / "00000.png").unlink()
    elif how == "first mask empty":
        cv2.imwrite(str(masks / "00000.png"), np.zeros((8, 8), np.uint8))
    elif how == "first mask damaged":
        (masks / "00000.png").write_bytes(b"no image")
    elif how == "mask without frame":
        shutil.copy(masks / "00000.png", masks / "00077.png")
    elif how == "no frames":
        for path in frames.iterdir():
            path.unlink()
    elif how == "no masks":
        shutil.rmtree(masks)


@pytest.mark.parametrize(
    "how",
    ["first mask missing", "first mask empty", "first mask damaged", "mask without frame", "no frames", "no masks"],
)
def test_a_broken_davis_sequence_is_named(davis2016, how):
    break_davis(davis2016, how)
    with pytest.raises(UserError, match="beta"):
        load_dataset("davis2016", davis2016)
    assert names(load_dataset("davis2016", davis2016, only=["alpha"])) == ["alpha"]


def test_a_listed_sequence_that_is_missing_is_named(davis2017):
    (davis2017 / "ImageSets" / "2017" / "val.txt").write_text("pair\nlost\n")
    with pytest.raises(DatasetError, match="lost"):
        load_dataset("davis2017", davis2017)


@pytest.mark.parametrize("name", ["..", "a/../../b c", "..\\up", ".hidden"])
def test_no_list_leads_out_of_the_data_set(davis2017, name):
    (davis2017 / "ImageSets" / "2017" / "val.txt").write_text(name)
    with pytest.raises(DatasetError):
        load_dataset("davis2017", davis2017)


@pytest.mark.parametrize("name", ["../../up", "/abs", ""])
def test_no_meta_file_leads_out_of_the_data_set(youtube, name):
    (youtube / "valid" / "meta.json").write_text(json.dumps({"videos": {name: {"objects": {}}}}))
    with pytest.raises(DatasetError, match="no folder name"):
        load_dataset("youtube-vos", youtube)


@pytest.mark.parametrize(
    "content", [None, "{", "[]", '{"videos": {"a": 1}}', '{"videos": {"a": {"objects": {"x": 0}}}}']
)
def test_a_bad_meta_file_is_named(youtube, content):
    path = youtube / "valid" / "meta.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(DatasetError, match=r"meta\.json"):
        load_dataset("youtube-vos", youtube)


@pytest.mark.parametrize("kind", DATASETS)
def test_a_folder_that_is_no_data_set_is_told(tmp_path, kind):
    with pytest.raises(DatasetError, match="no folder"):
        load_dataset(kind, tmp_path / "missing")
    with pytest.raises(DatasetError, match="not laid out"):
        load_dataset(kind, tmp_path)


def test_a_split_of_a_data_set_without_lists_is_refused(davis2016):
    with pytest.raises(DatasetError, match="Leave out --split"):
        load_dataset("davis2016", davis2016, "val")


def test_void_pixels_and_empty_masks_are_read(tmp_path):
    ids = np.zeros((6, 8), np.uint8)
    empty = read_annotation(write_palette_png(ids, tmp_path / "empty.png"))
    assert not empty.ids.any()
    assert empty.void is None
    ids[0, :3] = 255, 2, 2
    annotation = read_annotation(write_palette_png(ids, tmp_path / "void.png"))
    assert object_ids(annotation.ids) == (2,)
    assert np.argwhere(annotation.void).tolist() == [[0, 0]]
    with pytest.raises(MaskError, match="gone"):
        read_annotation(tmp_path / "gone.png")
