"""A phone's video (a quarter turned, uneven times, with sound) through every format: count, times, size, masks."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image, ImageSequence
from pycocotools import mask as coco_mask

from engine.export.formats import FORMATS
from engine.export.request import ExportRequest
from engine.export.runner import run_export
from tests.unit.export.material import HEIGHT, WIDTH, decode, frame_times, masks_for, probe

# Its decoder is a little behind numpy; the encoder, which the exports use, is not.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

SIZE = (HEIGHT, WIDTH)  # upright: width and height change places
ALPHA = {"webm": ("-c:v", "libvpx-vp9")}


@pytest.fixture(scope="module")
def phone(media):
    path = media("phone.mp4")
    (stream,) = probe(path, "stream=width,height:stream_side_data=rotation")
    assert (stream["width"], stream["height"]) == (WIDTH, HEIGHT)  # as it is stored
    assert abs(stream["side_data_list"][0]["rotation"]) == 90
    steps = np.diff(frame_times(path))
    assert steps.max() > 1.5 * steps.min()
    assert probe(path, "stream=codec_name", "a")
    return path


def pictures(folder):
    sizes = []
    for path in (*folder.rglob("*.jpg"), *folder.rglob("*.png")):
        with Image.open(path) as image:
            sizes.append(image.size)
    return sizes


def check_video(path, target, times, masks, format_):
    assert frame_times(target) == pytest.approx(times, abs=6e-4 if format_ == "webm" else 1e-6)
    (stream,) = probe(target, "stream=width,height:stream_side_data=rotation")
    assert (stream["width"], stream["height"]) == SIZE
    assert "side_data_list" not in stream
    given, heard = (probe(p, "packet=pts_time", "a:0") for p in (path, target))
    assert float(heard[-1]["pts_time"]) == pytest.approx(float(given[-1]["pts_time"]), abs=0.06)
    if format_ in ("webm", "prores4444"):
        shown = decode(target, "rgba", 4, *ALPHA.get(format_, ()))[..., 3]
        for index, mask in masks.items():
            assert (((shown[index] > 127) == (mask > 0)).mean()) > 0.99


def check_gif(path, target, times, masks, format_):
    with Image.open(target) as image:
        assert image.size == SIZE
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    assert np.cumsum(durations[:-1]) / 1000 == pytest.approx(np.array(times[1:]) - times[0], abs=0.0101)


def check_folder(path, target, times, masks, format_):
    sizes = pictures(target)
    assert set(sizes) == {SIZE}
    per_frame = {"masks": 1, "rgba-png": 1, "labelme": 1}.get(format_, 2)
    assert len(sizes) == per_frame * len(times)
    annotations = sorted(p for p in target.rglob("*.png"))
    for index, file in enumerate(annotations):
        with Image.open(file) as image:
            pixels = np.array(image)
        there = pixels[..., 3] > 0 if format_ == "rgba-png" else pixels > 0
        assert (there == (masks[index] > 0)).all()


def check_coco(path, target, times, masks, format_):
    data = json.loads(target.read_text("utf-8"))
    if format_ == "youtube-vis":
        (video,) = data["videos"]
        assert (video["width"], video["height"], video["length"]) == (*SIZE, len(times))
        runs = {(i, a["category_id"]): r for a in data["annotations"] for i, r in enumerate(a["segmentations"]) if r}
    else:
        assert [image["time_s"] for image in data["images"]] == pytest.approx(np.array(times) - times[0], abs=1e-5)
        assert {(image["width"], image["height"]) for image in data["images"]} == {SIZE}
        frames = {image["id"]: image["frame_id"] for image in data["images"]}
        runs = {(frames[a["image_id"]], a["track_id"]): a["segmentation"] for a in data["annotations"]}
    assert runs.keys() == {(i, int(o)) for i, mask in masks.items() for o in np.unique(mask) if o}
    for (index, object_id), run in runs.items():
        assert (coco_mask.decode(run).astype(bool) == (masks[index] == object_id)).all()


def check_table(path, target, times, masks, format_):
    with target.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["frame"]) for row in rows} == set(masks)
    for row in rows:
        index = int(row["frame"])
        assert float(row["time_s"]) == pytest.approx(times[index] - times[0], abs=1e-5)
        assert int(row["area"]) == (masks[index] == int(row["object"])).sum()


def check_arrays(path, target, times, masks, format_):
    with np.load(target, allow_pickle=False) as data:
        assert data["times"] == pytest.approx(np.array(times) - times[0], abs=1e-6)
        assert (data["masks"] == np.stack(list(masks.values()))).all()


def check_cvat(path, target, times, masks, format_):
    root = ET.parse(target).getroot()
    assert root.findtext(".//task/size") == str(len(times))
    assert {(int(i.get("width")), int(i.get("height"))) for i in root.findall("image")} == {SIZE}
    assert len(root.findall("image")) == len(times)


CHECKS = {"gif": check_gif, "csv": check_table, "numpy": check_arrays, "cvat": check_cvat,
          "coco": check_coco, "youtube-vis": check_coco}  # fmt: skip


@pytest.mark.parametrize("format_", list(FORMATS))
def test_a_phones_video_comes_out_upright_and_in_time(phone, tmp_path, format_):
    masks = masks_for(phone)
    target = tmp_path / f"out{FORMATS[format_].suffix}"
    outcome = run_export(str(phone), masks, ExportRequest(format_, target), part_frames=5)
    times = frame_times(phone)
    assert outcome.frames == len(times) == len(masks)
    video = FORMATS[format_].suffix in (".mp4", ".mov", ".webm")
    check = CHECKS.get(format_, check_video if video else check_folder)
    check(phone, target, times, dict(masks), format_)
