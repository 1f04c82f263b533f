"""Image folders and single images."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.errors import SourceError
from engine.video.folder import ImageFolderSource, natural_key
from engine.video.source import SourceKind


def picture(value: int, width: int = 20, height: int = 10) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def write(path: Path, rgb: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def test_natural_order_over_every_image_format(tmp_path: Path) -> None:
    names = ["shot1.png", "shot2.bmp", "shot9.tif", "shot10.PNG", "shot11.webp", "shot100.jpg"]
    for value, name in enumerate(names):
        write(tmp_path / name, picture(value * 20))
    write(tmp_path / ".hidden.png", picture(0))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    with closing(ImageFolderSource(tmp_path)) as source:
        info = source.info
        assert (info.kind, info.width, info.height, info.frame_count, info.fps) == (SourceKind.FOLDER, 20, 10, 6, 24.0)
        frames = [source.read() for _ in names]
        assert source.read() is None
    for index, frame in enumerate(frames):
        assert frame is not None
        assert (frame.index, frame.time_s) == (index, index / 24)
        assert abs(int(frame.rgb.mean()) - index * 20) <= 2


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=10, unique=True))
def test_numbers_in_names_sort_by_value(numbers: list[int]) -> None:
    names = [f"img{n}.png" for n in numbers]
    assert sorted(names, key=natural_key) == [f"img{n}.png" for n in sorted(numbers)]


def test_seek_and_end(tmp_path: Path) -> None:
    for value in range(5):
        write(tmp_path / f"{value}.png", picture(value))
    with closing(ImageFolderSource(tmp_path)) as source:
        source.seek(3)
        assert [f.index for f in (source.read(), source.read()) if f is not None] == [3, 4]
        source.seek(9)
        assert source.read() is None
        source.seek(0)
        first = source.read()
        assert first is not None
        assert first.index == 0
        with pytest.raises(ValueError, match="-2"):
            source.seek(-2)
        source.close()
        assert source.read() is None


def test_one_image_is_a_source_of_one_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "still ü.png", picture(77))
    write(tmp_path / "other.png", picture(1))
    with closing(ImageFolderSource(path)) as source:
        assert source.info.frame_count == 1
        frame = source.read()
        assert frame is not None
        assert (frame.rgb == 77).all()
        assert source.read() is None


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    rgb = picture(0)
    rgb[:, :10] = 255  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: left becomes top
    Image.fromarray(rgb).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    with closing(ImageFolderSource(tmp_path)) as source:
        frame = source.read()
    assert frame is not None
    assert (frame.width, frame.height) == (10, 20)
    assert frame.rgb[:8].mean() > 240
    assert frame.rgb[12:].mean() < 15


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "P"])
def test_grey_alpha_16_bit_and_palette_images_become_rgb(tmp_path: Path, mode: str) -> None:
    grey = np.tile(np.arange(0, 200, 10, dtype=np.uint8), (10, 1))
    if mode == "I;16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a.png")
    else:
        Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
    with closing(ImageFolderSource(tmp_path)) as source:
        frame = source.read()
    assert frame is not None
    assert np.abs(frame.rgb.astype(int) - grey[..., None]).max() <= 1


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"x")
    with pytest.raises(SourceError, match="no images"):
        ImageFolderSource(tmp_path)


@pytest.mark.parametrize(("data", "word"), [(b"", "empty"), (b"not an image", "damaged")])
def test_an_unreadable_image_in_the_middle_is_named(tmp_path: Path, data: bytes, word: str) -> None:
    for name in ("1.png", "3.png"):
        write(tmp_path / name, picture(5))
    (tmp_path / "2.png").write_bytes(data)
    with closing(ImageFolderSource(tmp_path)) as source:
        assert source.read() is not None
        with pytest.raises(SourceError, match=rf"2\.png.*{word}"):
            source.read()
        source.seek(2)
        assert source.read() is not None


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    write(tmp_path / "1.png", picture(5))
    write(tmp_path / "2.png", picture(5, width=30))
    with closing(ImageFolderSource(tmp_path)) as source:
        source.read()
        with pytest.raises(SourceError, match=r"2\.png is 30 x 10 but the first one is 20 x 10"):
            source.read()
