"""Data files and data sets say exactly what the masks are, as the tools that read them see it."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import sys
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from engine.evaluation.datasets import load_dataset
from engine.export.formats import DATA, FORMATS
from engine.export.masks import FolderMasks
from engine.export.request import ExportObject, ExportRequest
from engine.export.runner import run_export
from engine.export.shapes import measure, polygons, row_runs
from tests.unit.export.material import COUNT, HEIGHT, WIDTH, Masks, frame_times, masks_for

# Its decoder is a little behind numpy; the encoder, which the exports use, is not.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

NAMES = (ExportObject(1, 'dog "Rex" & co'), ExportObject(2, "Käfig"))


def export(path, target, format_, masks=None, **request):
    given_ = masks if masks is not None else masks_for(path)
    return run_export(str(path), given_, ExportRequest(format_, target, objects=NAMES, **request), part_frames=5)


def read_png(path, mode):
    with Image.open(path) as image:
        assert image.mode == mode
        return np.array(image)


# -- COCO ----------------------------------------------------------------------------------------------------------
def test_coco_loads_with_pycocotools_and_gives_the_very_masks_back(media, tmp_path, capsys):
    path = media("sound.mp4")
    export(path, tmp_path / "out.json", "coco", masks_for(path, confidence=0.25))
    coco = COCO(str(tmp_path / "out.json"))
    masks = masks_for(path)
    assert len(coco.getImgIds()) == COUNT
    for image in coco.loadImgs(coco.getImgIds()):
        assert (image["width"], image["height"], image["video_id"]) == (WIDTH, HEIGHT, 1)
        expected = masks[image["frame_id"]]
        found = np.zeros_like(expected)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            inside = coco.annToMask(annotation) > 0
            true = np.asfortranarray(expected == annotation["track_id"], np.uint8)
            assert coco_mask.iou([annotation["segmentation"]], [coco_mask.encode(true)], [0])[0, 0] == 1.0
            assert annotation["area"] == inside.sum()
            x, y, width, height = (int(v) for v in annotation["bbox"])
            assert (x, y, width, height) == cv2.boundingRect(inside.astype(np.uint8))
            assert annotation.get("score") == (0.25 if annotation["track_id"] == 1 else None)
            found[inside] = annotation["track_id"]
        assert (found == expected).all()
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == [known.name for known in NAMES]
    capsys.readouterr()  # pycocotools talks


def test_youtube_vis_has_one_entry_per_frame_and_object(media, tmp_path):
    path = media("sound.mp4")
    export(path, tmp_path / "out.json", "youtube-vis", first=2, last=8)
    data = json.loads((tmp_path / "out.json").read_text("utf-8"))
    (video,) = data["videos"]
    assert (video["length"], video["width"], video["height"]) == (7, WIDTH, HEIGHT)
    assert video["file_names"][0] == "sound/00002.jpg"
    masks = masks_for(path)
    assert [a["category_id"] for a in data["annotations"]] == [1, 2]
    for annotation in data["annotations"]:
        for position, run in enumerate(annotation["segmentations"]):
            expected = masks[position + 2] == annotation["category_id"]
            if run is None:
                assert not expected.any()
                assert annotation["bboxes"][position] is annotation["areas"][position] is None
            else:
                assert (coco_mask.decode(run).astype(bool) == expected).all()
    assert None in data["annotations"][1]["segmentations"]


# -- tables --------------------------------------------------------------------------------------------------------
def test_the_table_has_a_line_per_frame_and_object(media, tmp_path):
    path = media("uneven.mp4")
    masks = masks_for(path, confidence=0.5)
    export(path, tmp_path / "out.csv", "csv", masks)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    times = frame_times(path)
    expected = [(i, int(o)) for i in masks for o in np.unique(masks[i]) if o]
    assert [(int(row["frame"]), int(row["object"])) for row in rows] == expected
    for row in rows:
        inside = masks[int(row["frame"])] == int(row["object"])
        ys, xs = np.nonzero(inside)
        assert float(row["time_s"]) == pytest.approx(times[int(row["frame"])], abs=1e-5)
        assert [int(row[k]) for k in ("x", "y", "width", "height")] == [
            xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1,
        ]  # fmt: skip
        assert int(row["area"]) == inside.sum()
        assert float(row["centroid_x"]) == pytest.approx(xs.mean(), abs=1e-3)
        assert float(row["centroid_y"]) == pytest.approx(ys.mean(), abs=1e-3)
        assert row["confidence"] == ("0.5000" if row["object"] == "1" else "")
        assert row["name"] == NAMES[int(row["object"]) - 1].name


def test_numpy_reads_the_archive(media, tmp_path):
    path = media("uneven.mp4")
    count = len(masks_for(path))
    masks = Masks(WIDTH, HEIGHT, [i for i in range(count) if i != 4], confidence=0.75)
    export(path, tmp_path / "out.npz", "numpy", masks)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as data:
        assert data["masks"].shape == (count, HEIGHT, WIDTH)
        assert data["masks"].dtype == np.uint8
        assert data["frames"].tolist() == list(range(count))
        assert data["times"] == pytest.approx(frame_times(path), abs=1e-6)
        assert data["objects"].tolist() == [1, 2]
        assert data["names"].tolist() == [known.name for known in NAMES]
        for index in range(count):
            assert (data["masks"][index] == (masks[index] if index != 4 else 0)).all()
        assert data["has_mask"].tolist() == [i != 4 for i in range(count)]
        assert (data["confidence"][:, 0] == 0.75).all()
        assert np.isnan(data["confidence"][:, 1]).all()


# -- names ---------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(sys.platform != "linux", reason="where names of files are bytes")
@pytest.mark.parametrize("format_", [f for f in FORMATS if FORMATS[f].family == DATA] + ["youtube-vos"])
def test_names_that_are_no_text_break_no_file(media, tmp_path, format_):
    path = tmp_path / os.fsdecode(b'\xff\x1b[2J <&">.mp4')
    shutil.copy(media("sound.mp4"), path)
    target = tmp_path / f"out{FORMATS[format_].suffix}"
    objects = (ExportObject(1, 'dog \x01\x1b \ud83d <&"'), ExportObject(2, "]]>\u2028"))
    run_export(str(path), masks_for(path), ExportRequest(format_, target, last=2, objects=objects))
    files = [target] if target.is_file() else [p for p in target.rglob("*") if p.suffix == ".json"]
    assert files
    for file in files:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as data:
                assert data["names"][0] == 'dog \ufffd\ufffd \ufffd <&"'
            continue
        text = file.read_text("utf-8")
        assert not [c for c in text if not c.isprintable() and c not in "\r\n\t"]
        if file.suffix == ".xml":
            assert ET.fromstring(text).find(".//label/name").text == 'dog \ufffd\ufffd \ufffd <&"'
        elif file.suffix == ".json":
            json.loads(text)


# -- data sets -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["davis2016", "davis2017", "youtube-vos"])
def test_a_data_set_is_read_by_the_evaluation(media, tmp_path, kind):
    path = media("turned.mp4")
    target = tmp_path / "set"
    export(path, target, kind)
    (sequence,) = load_dataset(kind, target).sequences
    assert sequence.name == "turned"
    assert len(sequence.frames) == COUNT
    masks = masks_for(path)
    for index, (frame, annotation) in enumerate(zip(sequence.frames, sequence.annotations, strict=True)):
        assert read_png(frame, "RGB").shape == (WIDTH, HEIGHT, 3)
        assert annotation is not None
        ids = read_png(annotation, "L" if kind == "davis2016" else "P")
        assert (ids == (255 * (masks[index] > 0) if kind == "davis2016" else masks[index])).all()


def test_a_second_video_joins_the_data_set(media, tmp_path):
    target = tmp_path / "set"
    for name in ("sound.mp4", "uneven.mp4"):
        export(media(name), target, "davis2017", overwrite=True)
        export(media(name), target, "youtube-vos", overwrite=True, options={"pictures": False})
    assert [s.name for s in load_dataset("davis2017", target).sequences] == ["sound", "uneven"]
    meta = json.loads((target / "valid" / "meta.json").read_text("utf-8"))
    assert sorted(meta["videos"]) == ["sound", "uneven"]
    cage = meta["videos"]["sound"]["objects"]["2"]
    assert cage["category"] == "Käfig"
    assert cage["frames"] == [f"{i:05d}" for i in range(COUNT) if i % 4 != 3]
    assert not (target / "valid" / "JPEGImages").exists()


def test_the_name_in_a_data_set_is_one_folder(media, tmp_path):
    export(media("sound.mp4"), tmp_path / "set", "davis2017", options={"name": "../../et c/ü.x"})
    assert [p.name for p in (tmp_path / "set" / "Annotations" / "Full-Resolution").iterdir()] == ["et_c_x"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set"]


def test_masks_come_back_from_the_folder_as_they_went(media, tmp_path):
    path = media("sound.mp4")
    masks = Masks(WIDTH, HEIGHT, [0, 7, 12])
    export(path, tmp_path / "out", "masks", masks)
    back = FolderMasks(tmp_path / "out", (WIDTH, HEIGHT))
    assert list(back.indices) == [0, 7, 12]
    assert list(back.object_ids) == [1, 2]
    for index in masks:
        assert (back.mask(index) == masks[index]).all()
    assert back.mask(1) is None


def test_the_rgba_sequence_holds_frame_and_mask(media, tmp_path):
    path = media("sound.mp4")
    export(path, tmp_path / "out", "rgba-png")
    masks = masks_for(path)
    assert len(list((tmp_path / "out").iterdir())) == COUNT
    from engine.video.open import open_source

    source = open_source(path)
    for index in range(COUNT):
        frame = source.read()
        rgba = read_png(tmp_path / "out" / f"{index:05d}.png", "RGBA")
        inside = masks[index] > 0
        assert (rgba[..., 3] == 255 * inside).all()
        assert (rgba[..., :3][inside] == frame.rgb[inside]).all()
    source.close()


# -- labelling -----------------------------------------------------------------------------------------------------
def test_labelme_masks_are_exact(media, tmp_path):
    path = media("sound.mp4")
    export(path, tmp_path / "out", "labelme", options={"shapes": "mask"}, last=4)
    masks = masks_for(path)
    for index in range(5):
        data = json.loads((tmp_path / "out" / f"{index:05d}.json").read_text("utf-8"))
        assert (data["imageHeight"], data["imageWidth"], data["imageData"]) == (HEIGHT, WIDTH, None)
        assert (tmp_path / "out" / data["imagePath"]).is_file()
        found = np.zeros((HEIGHT, WIDTH), np.uint8)
        for shape in data["shapes"]:
            (x1, y1), (x2, y2) = shape["points"]
            with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as image:
                inside = np.array(image).astype(bool)
            assert inside.shape == (y2 - y1 + 1, x2 - x1 + 1)
            found[y1 : y2 + 1, x1 : x2 + 1][inside] = shape["group_id"]
            assert shape["label"] == NAMES[shape["group_id"] - 1].name
        assert (found == masks[index]).all()


def test_labelme_polygons_outline_the_objects(media, tmp_path):
    path = media("sound.mp4")
    export(path, tmp_path / "out", "labelme", last=0)
    data = json.loads((tmp_path / "out" / "00000.json").read_text("utf-8"))
    for shape in data["shapes"]:
        drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.fillPoly(drawn, [np.round(shape["points"]).astype(np.int32)], 1)
        true = masks_for(path)[0] == shape["group_id"]
        if shape["group_id"] == 1:  # object 2 has a hole, which an outline fills
            assert (drawn.astype(bool) & true).sum() / (drawn.astype(bool) | true).sum() > 0.95
        assert len(shape["points"]) < 40


def test_cvat_masks_are_exact(media, tmp_path):
    path = media("sound.mp4")
    export(path, tmp_path / "out.xml", "cvat")
    root = ET.parse(tmp_path / "out.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert [label.findtext("name") for label in root.iter("label")] == [known.name for known in NAMES]
    masks = masks_for(path)
    images = root.findall("image")
    assert [int(image.get("id")) for image in images] == list(range(COUNT))
    for image in images:
        found = np.zeros((HEIGHT, WIDTH), np.uint8)
        for mask in image.findall("mask"):
            x, y, width, height = (int(mask.get(key)) for key in ("left", "top", "width", "height"))
            runs = [int(run) for run in mask.get("rle").split(",")]
            flat = np.repeat(np.arange(len(runs)) % 2, runs)  # the first run is background
            found[y : y + height, x : x + width][flat.reshape(height, width) == 1] = int(mask.get("group_id"))
        assert (found == masks[int(image.get("id"))]).all()


def test_cvat_tracks_say_where_an_object_is_gone(media, tmp_path):
    path = media("sound.mp4")
    export(path, tmp_path / "out.xml", "cvat", options={"shapes": "polygon"})
    tracks = ET.parse(tmp_path / "out.xml").getroot().findall("track")
    assert [track.get("label") for track in tracks] == [known.name for known in NAMES]
    outside = {int(p.get("frame")): p.get("outside") for p in tracks[1].findall("polygon")}
    assert outside == {i: "1" if i % 4 == 3 else "0" for i in range(COUNT)}
    assert {p.get("outside") for p in tracks[0].findall("polygon")} == {"0"}


# -- measures ------------------------------------------------------------------------------------------------------
small_masks = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))


@given(small_masks)
def test_measures_are_those_of_the_pixels(mask):
    shapes = measure(mask)
    assert [shape.id for shape in shapes] == [i for i in range(1, 4) if (mask == i).any()]
    for shape in shapes:
        ys, xs = np.nonzero(mask == shape.id)
        assert shape.area == len(xs)
        assert shape.box == (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)
        assert shape.centroid == pytest.approx((xs.mean(), ys.mean()))


@given(small_masks)
def test_row_runs_give_the_region_back(mask):
    inside = mask == 1
    runs = row_runs(inside)
    assert sum(runs) == inside.size
    assert all(run > 0 for run in runs[1:])
    assert (np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(inside.shape) == inside).all()


@given(small_masks)
def test_polygons_stay_in_the_picture_and_have_corners(mask):
    for points in polygons(mask == 1):
        assert len(points) >= 3
        assert all(0 <= x < mask.shape[1] and 0 <= y < mask.shape[0] for x, y in points)
