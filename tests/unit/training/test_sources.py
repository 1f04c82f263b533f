import json
from pathlib import Path

import pytest

from engine.errors import SourceError
from engine.training.sources import find_data, hold_out


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _davis(root: Path, *names: str) -> None:
    for name in names:
        for stem in ("00000", "00001"):
            _touch(root / f"JPEGImages/480p/{name}/{stem}.jpg", root / f"Annotations/480p/{name}/{stem}.png")


def test_davis_follows_its_lists_of_the_asked_year(tmp_path: Path) -> None:
    _davis(tmp_path, "bear", "bus", "cat")
    _touch(tmp_path / "ImageSets/2016/train.txt", tmp_path / "ImageSets/2017/train.txt")
    (tmp_path / "ImageSets/2016/train.txt").write_text("bear\n")
    (tmp_path / "ImageSets/2017/train.txt").write_text("bear\nbus\n")
    assert [s.name for s in find_data(tmp_path, "davis2016").sequences] == ["bear"]
    source = find_data(tmp_path, "davis2017")
    assert [s.name for s in source.sequences] == ["bear", "bus"]
    assert [s.binary for s in source.sequences] == [False, False]


def test_davis_2016_in_its_first_layout(tmp_path: Path) -> None:
    _davis(tmp_path, "bear", "bus")
    listing = tmp_path / "ImageSets/480p/train.txt"
    _touch(listing)
    listing.write_text(
        "/JPEGImages/480p/bus/00000.jpg /Annotations/480p/bus/00000.png\n"
        "/JPEGImages/480p/bus/00001.jpg /Annotations/480p/bus/00001.png\n"
    )
    source = find_data(tmp_path, "davis2016")
    assert [(s.name, len(s), s.binary) for s in source.sequences] == [("bus", 2, True)]


def test_without_lists_the_validation_sequences_of_davis_are_left_out(tmp_path: Path) -> None:
    _davis(tmp_path, "bear", "blackswan", "soapbox", "gold-fish")
    assert [s.name for s in find_data(tmp_path, "davis2016").sequences] == ["bear"]


def test_a_frame_without_a_mask_is_named_and_left_out(tmp_path: Path) -> None:
    _davis(tmp_path, "bear")
    (tmp_path / "Annotations/480p/bear/00001.png").unlink()
    source = find_data(tmp_path, "davis2017")
    assert len(source.sequences[0]) == 1
    assert source.missing == (("bear/00001", "no mask"),)
    assert source.files == 2


def test_youtube_vos_takes_the_annotated_frames_of_meta_json(tmp_path: Path) -> None:
    train = tmp_path / "train"
    for stem in ("00000", "00005", "00010"):
        _touch(train / f"Annotations/abc/{stem}.png")
    for index in range(11):
        _touch(train / f"JPEGImages/abc/{index:05}.jpg")
    _touch(train / "JPEGImages/unlisted/00000.jpg", train / "Annotations/unlisted/00000.png")
    meta = {"videos": {"abc": {"objects": {"1": {"frames": ["00000", "00005"]}, "2": {"frames": ["00005", "00015"]}}}}}
    (train / "meta.json").write_text(json.dumps(meta))
    source = find_data(tmp_path, "youtube-vos")
    assert [s.name for s in source.sequences] == ["abc"]
    assert [Path(p).stem for p in source.sequences[0].images] == ["00000", "00005"]
    assert source.missing == (("abc/00015", "no mask"),)


def test_stills_are_found_in_one_set_or_in_several(tmp_path: Path) -> None:
    _touch(tmp_path / "A/images/1.jpg", tmp_path / "A/masks/1.png", tmp_path / "B/images/2.jpg")
    source = find_data(tmp_path, "stills")
    assert len(source.stills) == 1
    assert source.missing == (("B/2.jpg", "no mask"),)
    assert len(find_data(tmp_path / "A", "stills").stills) == 1


def test_held_out_sequences_leave_the_training_data(tmp_path: Path) -> None:
    _davis(tmp_path, "bear", "bus")
    kept, held = hold_out([find_data(tmp_path, "davis2016")], ["bus", "never-seen"])
    assert [s.name for s in kept[0].sequences] == ["bear"]
    assert [s.name for s in held] == ["bus"]


def test_wrong_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no folder"):
        find_data(tmp_path / "nowhere", "stills")
    with pytest.raises(SourceError, match="JPEGImages"):
        find_data(tmp_path, "davis2017")
    with pytest.raises(SourceError, match="JPEGImages"):
        find_data(tmp_path, "youtube-vos")
    with pytest.raises(SourceError, match="no annotated pictures"):
        find_data(tmp_path, "stills")
    _touch(tmp_path / "JPEGImages/abc/00000.jpg")
    (tmp_path / "meta.json").write_text("[]")
    with pytest.raises(SourceError, match=r"meta\.json"):
        find_data(tmp_path, "youtube-vos")
