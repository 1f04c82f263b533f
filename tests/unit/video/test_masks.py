"""Mask files: what pixels mean, and that writing and reading agree."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as npst
from PIL import Image

from engine.errors import MaskError, SizeMismatchError
from engine.video.masks import davis_palette, read_mask, write_mask

DISC = np.zeros((12, 16), np.uint8)
DISC[3:9, 4:10] = 1


def save(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def test_the_palette_is_davis() -> None:
    palette = davis_palette()
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 5: (128, 0, 128)}
    known |= {8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128), 21: (128, 64, 128), 255: (224, 224, 192)}
    assert {i: tuple(int(v) for v in palette[i]) for i in known} == known
    assert len({tuple(row) for row in palette.tolist()}) == 256


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mask=npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_a_written_mask_reads_back(tmp_path: Path, mask: np.ndarray) -> None:
    mask = mask.copy()
    mask[0, 0] = 7
    write_mask(tmp_path / "mask.png", mask)
    assert (read_mask(tmp_path / "mask.png") == mask).all()
    assert [p.name for p in tmp_path.iterdir()] == ["mask.png"]


def test_a_written_mask_is_an_8_bit_palette_png_that_others_read(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    mask = np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2), np.ones((100, 100), np.uint8))
    write_mask(path, mask)
    head = path.read_bytes()[:26]
    assert head[24:26] == b"\x08\x03"  # bit depth 8, colour type 3: palette
    assert path.stat().st_size < 2000
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert (bgr[..., ::-1] == davis_palette()[mask]).all()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mask.png"
    write_mask(path, DISC)
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space"):
        write_mask(path, DISC * 2)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_greys(tmp_path: Path) -> None:
    def ids(grey: np.ndarray) -> np.ndarray:
        return read_mask(save(tmp_path / "grey.png", Image.fromarray(grey)))

    assert (ids(DISC * 255) == DISC).all()
    several = DISC.copy()
    several[5:7, 5:7] = 3  # id 2 may be out of sight
    assert (ids(several) == several).all()
    assert (ids(DISC * 38) == DISC * 38).all()
    soft = cv2.GaussianBlur(np.kron(DISC, np.ones((8, 8), np.uint8)) * 255, (9, 9), 0)
    assert (ids(soft) == (soft > 127)).all()
    void = several.copy()
    void[0, 0] = 255
    assert (ids(void) == void).all()
    assert (ids(DISC.astype(np.uint16) * 65535) == DISC).all()


def test_bilevel(tmp_path: Path) -> None:
    assert (read_mask(save(tmp_path / "a.png", Image.fromarray(DISC.astype(bool)))) == DISC).all()


def test_palette_indices_are_ids_whatever_their_colours(tmp_path: Path) -> None:
    mask = DISC.copy()
    mask[0, 0] = 200
    image = Image.fromarray(mask)
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    assert (read_mask(save(tmp_path / "a.png", image)) == mask).all()


def test_grey_image_stored_with_a_ramp_palette_counts_as_grey(tmp_path: Path) -> None:
    image = Image.fromarray(DISC * 255)
    image.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    path = save(tmp_path / "a.png", image)
    with Image.open(path) as stored:
        assert stored.mode == "P"
    assert (read_mask(path) == DISC).all()


def test_colours(tmp_path: Path) -> None:
    def ids(rgb: np.ndarray) -> np.ndarray:
        return read_mask(save(tmp_path / "colour.png", Image.fromarray(rgb)))

    several = DISC.copy()
    several[5:7, 5:7] = 19
    assert (ids(davis_palette()[several]) == several).all()
    rgb = np.zeros((12, 16, 3), np.uint8)
    rgb[2:4, 3:5] = (255, 40, 200)  # seen first
    rgb[6:9, 1:9] = (1, 2, 3)
    expected = np.zeros((12, 16), np.uint8)
    expected[2:4, 3:5] = 1
    expected[6:9, 1:9] = 2
    assert (ids(rgb) == expected).all()
    assert (ids(np.repeat(DISC[..., None] * 255, 3, axis=2)) == DISC).all()
    with pytest.raises(MaskError, match="photograph"):
        ids(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))


def test_alpha(tmp_path: Path) -> None:
    cut_out = np.random.default_rng(0).integers(0, 256, (12, 16, 4), np.uint8)
    cut_out[..., 3] = DISC * 200
    assert (read_mask(save(tmp_path / "a.png", Image.fromarray(cut_out))) == DISC).all()
    opaque = np.dstack([davis_palette()[DISC * 5], np.full_like(DISC, 255)])
    assert (read_mask(save(tmp_path / "b.png", Image.fromarray(opaque))) == DISC * 5).all()


def test_sizes(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    write_mask(path, DISC)
    assert read_mask(path, frame_size=(16, 12)).shape == (12, 16)
    with pytest.raises(SizeMismatchError) as caught:
        read_mask(path, frame_size=(32, 24))
    assert (caught.value.mask_size, caught.value.frame_size) == ((16, 12), (32, 24))
    doubled = read_mask(path, frame_size=(32, 24), resize=True)
    assert (doubled == np.kron(DISC, np.ones((2, 2), np.uint8))).all()
    dot = np.zeros((100, 100), np.uint8)
    dot[1, 1] = 1
    write_mask(path, dot)
    with pytest.raises(MaskError, match="vanish"):
        read_mask(path, frame_size=(5, 5), resize=True)


@pytest.mark.parametrize(("data", "word"), [(b"", "empty"), (b"not an image", "cannot be read")])
def test_unreadable_files(tmp_path: Path, data: bytes, word: str) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(data)
    with pytest.raises(MaskError, match=word):
        read_mask(path)


def test_missing_truncated_and_empty_masks(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="no file"):
        read_mask(tmp_path / "none.png")
    with pytest.raises(MaskError, match="cannot be read"):
        read_mask(tmp_path)
    path = tmp_path / "mask.png"
    write_mask(path, DISC)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(MaskError, match="cannot be read"):
        read_mask(path)
    write_mask(path, np.zeros((4, 4), np.uint8))
    with pytest.raises(MaskError, match="no object"):
        read_mask(path)


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.int64), np.zeros((4, 4, 1), np.uint8)])
def test_writing_anything_but_h_by_w_uint8_is_refused(tmp_path: Path, bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="H x W uint8"):
        write_mask(tmp_path / "mask.png", bad)


def test_what_is_opaque_in_palette_colours_keeps_its_ids_and_a_transparent_colour_counts(tmp_path):
    ids = np.zeros((8, 12), np.uint8)
    ids[1:4, 1:5], ids[5:7, 6:10] = 1, 2
    rgba = np.dstack([davis_palette()[ids], np.where(ids > 0, 255, 0).astype(np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "objects.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "objects.png"), ids)
    rgba[..., 0] = 77  # a cut-out of the thing itself: one object
    Image.fromarray(rgba).save(tmp_path / "cutout.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "cutout.png"), ids > 0)
    keyed = np.where(ids[..., None] > 0, (9, 200, 30), (255, 0, 255)).astype(np.uint8)
    Image.fromarray(keyed).save(tmp_path / "keyed.png", transparency=(255, 0, 255))
    np.testing.assert_array_equal(read_mask((tmp_path / "keyed.png").read_bytes()), ids > 0)
