"""The one door: what each text opens, and what a dropped file is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.errors import SourceError
from engine.video import open as opening
from engine.video.camera import CameraDescription
from engine.video.file import VideoFileSource
from engine.video.folder import ImageFolderSource
from engine.video.open import classify, open_source
from engine.video.paced import PacedFileSource
from tests.support.servers import MjpegServer, free_port

Clip = Callable[..., Path]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "pictures" / "a b.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), np.zeros((6, 8, 3), np.uint8))
    return path


def test_files_folders_images_and_file_addresses(clip: Clip, image: Path) -> None:
    video = clip("b_frames.mp4")
    for spec, kind in [
        (video, VideoFileSource),
        (str(video), VideoFileSource),
        (f"  {video} ", VideoFileSource),
        (video.as_uri(), VideoFileSource),
        (image, ImageFolderSource),
        (image.as_uri(), ImageFolderSource),
        (image.parent, ImageFolderSource),
        (f"live:{video}", PacedFileSource),
    ]:
        with closing(open_source(spec)) as source:
            assert isinstance(source, kind)
            assert source.read() is not None


def test_what_info_calls_a_source_opens_it_again(clip: Clip, image: Path) -> None:
    for spec in (clip("b_frames.mp4"), image, image.parent, f"live:{clip('b_frames.mp4')}"):
        with closing(open_source(spec)) as source, closing(open_source(source.info.uri)) as again:
            assert again.info == source.info


def test_stream_address() -> None:
    server = MjpegServer()
    try:
        with closing(open_source(server.url())) as source:
            assert source.info.live
            assert source.read() is not None
    finally:
        server.die()
    with pytest.raises(SourceError, match="Nothing listens"):
        open_source(f"http://127.0.0.1:{free_port()}/x")


def test_every_way_to_name_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def fake_camera(index: int, **_: object) -> None:
        asked.append(index)

    monkeypatch.setattr(opening, "CameraSource", fake_camera)
    monkeypatch.setattr(opening, "list_cameras", lambda: [CameraDescription(4, "HD Webcam")])
    for spec in (2, "2", "camera:2", "camera:hd webcam", "HD Webcam"):
        open_source(spec)
    assert asked == [2, 2, 2, 4, 4]
    with pytest.raises(SourceError, match="no camera named 'Desk'") as caught:
        open_source("camera:Desk")
    assert "HD Webcam" in caught.value.way_out


def test_a_file_named_like_a_number_wins_over_the_camera(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0").write_bytes(clip("b_frames.mp4").read_bytes())
    with closing(open_source("0")) as source:
        assert isinstance(source, VideoFileSource)


@pytest.mark.parametrize(
    "spec", ["", "   ", "nowhere.mp4", "no such thing", "x" * 5000, "a\x00b", "63", "live:none.mp4"]
)
def test_what_cannot_be_opened_is_a_clear_error(spec: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(spec)
    assert caught.value.message.endswith(".")
    assert caught.value.way_out.endswith(".")


def test_classify(clip: Clip, image: Path, tmp_path: Path) -> None:
    assert classify(image.parent) == "folder"
    assert classify(image) == "image"
    assert classify(clip("b_frames.mp4")) == "video"
    assert classify(Path("anything.MOV")) == "video"
    assert classify(Path("missing")) == "other"
    for name, source, kind in [
        ("film", clip("b_frames.mp4"), "video"),
        ("film.unknown", clip("vfr.mkv"), "video"),
        ("film.bin", clip("intra.avi"), "video"),
        ("picture", image, "image"),
    ]:
        copy = tmp_path / name
        copy.write_bytes(source.read_bytes())
        assert classify(copy) == kind
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    assert classify(text) == "other"
