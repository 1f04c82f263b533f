"""Exports are whole or not at all, never overwrite unasked, and match the source frame for frame."""

from __future__ import annotations

import errno

import av
import numpy as np
import pytest
from PIL import Image

from engine.errors import ExportError, SourceError
from engine.project import exporter
from engine.project.exporter import Recorder, export_masks
from engine.runtime.messages import ExportRequest
from engine.types import Frame
from engine.video.sinks import MaskFolderWriter, OverlayVideoWriter
from engine.video.source import SourceInfo, SourceKind


@pytest.fixture
def masks(disc_clip):
    return dict(enumerate(disc_clip.masks))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def video_times(path):
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_pngs_are_palette_images_of_the_stored_masks(disc_clip, masks, tmp_path):
    out = tmp_path / "new" / "out"
    seen = []
    chosen = {index: masks[index] for index in (0, 7, 23)}
    assert export_masks(str(disc_clip.path), chosen, ExportRequest(out), lambda *p: seen.append(p))
    assert names(out) == ["00000.png", "00007.png", "00023.png"]
    with Image.open(out / "00007.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.array(image), masks[7])
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert names(out.parent) == ["out"]


def test_the_overlay_has_every_frame_at_its_own_time_and_size(disc_clip, masks, tmp_path):
    out, overlay = tmp_path / "out", tmp_path / "overlay.mp4"
    del masks[5]
    seen = []
    request = ExportRequest(out, overlay)
    assert export_masks(str(disc_clip.path), masks, request, lambda *p: seen.append(p))
    assert video_times(overlay) == pytest.approx(video_times(disc_clip.path), abs=1e-3)
    with av.open(str(overlay)) as a, av.open(str(disc_clip.path)) as b:
        made = [f.to_ndarray(format="rgb24").astype(int) for f in a.decode(video=0)]
        given = [f.to_ndarray(format="rgb24").astype(int) for f in b.decode(video=0)]
    inside = disc_clip.masks[6] > 0
    assert made[0].shape == given[0].shape
    assert np.abs(made[6] - given[6])[inside].mean() > 20
    assert np.abs(made[5] - given[5]).mean() < 5  # no mask: untouched but for the encoder
    assert len(names(out)) == len(masks)
    assert seen[-1] == (24, 24)


def test_the_overlay_takes_the_users_colours(disc_clip, masks, tmp_path):
    palette = np.zeros((256, 3), np.uint8)
    palette[1] = (0, 0, 255)
    overlay = tmp_path / "overlay.mp4"
    export_masks(str(disc_clip.path), masks, ExportRequest(None, overlay, opacity=1.0, palette=palette))
    with av.open(str(overlay)) as container:
        rgb = next(container.decode(video=0)).to_ndarray(format="rgb24")
    middle = np.argwhere(disc_clip.masks[0])[len(np.argwhere(disc_clip.masks[0])) // 2]
    red, green, blue = rgb[tuple(middle)].astype(int)
    assert blue > 200
    assert max(red, green) < 60


@pytest.mark.parametrize("target", ["folder", "overlay"])
def test_existing_targets_are_refused_and_stay(disc_clip, masks, tmp_path, target):
    out, overlay = tmp_path / "out", tmp_path / "overlay.mp4"
    if target == "folder":
        out.mkdir()
        (out / "00000.png").write_bytes(b"mine")
    else:
        overlay.write_bytes(b"mine")
    with pytest.raises(ExportError, match=r"not empty|exists already"):
        export_masks(str(disc_clip.path), masks, ExportRequest(out, overlay))
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert set(left.values()) == {b"mine"}


def test_overwriting_replaces_files_of_the_same_name_only(disc_clip, masks, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "00000.png").write_bytes(b"old")
    (out / "notes.txt").write_bytes(b"mine")
    assert export_masks(str(disc_clip.path), {0: masks[0]}, ExportRequest(out, overwrite=True))
    assert (out / "notes.txt").read_bytes() == b"mine"
    with Image.open(out / "00000.png") as image:
        assert np.array_equal(np.array(image), masks[0])


@pytest.mark.parametrize("with_overlay", [False, True])
def test_cancelling_leaves_nothing_half_written(disc_clip, masks, tmp_path, with_overlay):
    out, overlay = tmp_path / "out", tmp_path / "overlay.mp4"
    overlay.write_bytes(b"old")
    asked = iter(range(100))
    request = ExportRequest(out, overlay if with_overlay else None, overwrite=True)
    assert not export_masks(str(disc_clip.path), masks, request, None, lambda: next(asked) >= 5)
    assert names(tmp_path) == ["overlay.mp4"]
    assert overlay.read_bytes() == b"old"


def full_disk(*args, **kwargs):
    raise ExportError("out could not be written: the disk is full.", "Make room.")


@pytest.mark.parametrize("where", [MaskFolderWriter, OverlayVideoWriter])
def test_a_full_disk_keeps_the_old_state(disc_clip, masks, tmp_path, monkeypatch, where):
    out, overlay = tmp_path / "out", tmp_path / "overlay.mp4"
    out.mkdir()
    (out / "00000.png").write_bytes(b"old")
    overlay.write_bytes(b"old")
    write, count = where.write, iter(range(100))
    monkeypatch.setattr(where, "write", lambda *a: write(*a) if next(count) < 10 else full_disk())
    with pytest.raises(ExportError, match="disk is full"):
        export_masks(str(disc_clip.path), masks, ExportRequest(out, overlay, overwrite=True))
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == [
        "out/00000.png",
        "overlay.mp4",
    ]
    assert overlay.read_bytes() == (out / "00000.png").read_bytes() == b"old"


def test_a_move_that_fails_is_told_as_an_export_error(disc_clip, masks, tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(exporter.Path, "replace", refuse)
    with pytest.raises(ExportError, match="Permission denied"):
        exporter._put_in_place(disc_clip.path.parent, tmp_path / "out")


def test_the_source_is_never_overwritten(disc_clip, masks, tmp_path):
    before = disc_clip.path.read_bytes()
    with pytest.raises(ExportError, match="source itself"):
        export_masks(str(disc_clip.path), masks, ExportRequest(None, disc_clip.path, overwrite=True))
    assert disc_clip.path.read_bytes() == before


@pytest.mark.parametrize(
    ("masks", "request_", "error"),
    [
        ({}, ExportRequest(None), "no masks"),
        ({0: np.ones((2, 2), np.uint8)}, ExportRequest(None), "Nothing was chosen"),
    ],
)
def test_nothing_to_do_is_told(masks, request_, error):
    with pytest.raises(ExportError, match=error):
        export_masks("clip.mp4", masks, request_)


def test_a_source_that_is_gone_is_told(masks, tmp_path):
    with pytest.raises(SourceError):
        export_masks(str(tmp_path / "gone.mp4"), masks, ExportRequest(None, tmp_path / "overlay.mp4"))
    assert names(tmp_path) == []


def test_a_recording_never_writes_over_an_earlier_one(tmp_path):
    info = SourceInfo(SourceKind.CAMERA, "camera:0", "Camera", 32, 24, 30.0)
    frame, mask = Frame(4, 1.0, np.zeros((24, 32, 3), np.uint8)), np.ones((24, 32), np.uint8)
    with Recorder(tmp_path, info) as recorder:
        recorder.write(frame, mask)
    assert names(tmp_path) == ["masks", "overlay.mp4"]
    assert names(tmp_path / "masks") == ["00004.png"]
    with pytest.raises(ExportError, match="already holds a recording"):
        Recorder(tmp_path, info)
