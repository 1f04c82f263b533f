"""Annotated data sets in their official layouts: DAVIS 2016, DAVIS 2017 and YouTube-VOS. No torch here."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from engine.errors import UserError
from engine.evaluation.annotations import object_ids, read_annotation
from engine.video.folder import images_in

_DAVIS_RESOLUTIONS = ("480p", "1080p", "Full-Resolution")  # the benchmark is defined on the first
_DAVIS_SPLIT, _YOUTUBE_SPLIT = "val", "valid"


class DatasetError(UserError):
    """A data set or a sample of it is missing, incomplete or broken."""


@dataclass(frozen=True)
class Protocol:
    """Which frames of an object count.

    Attributes:
        name: as on the command line.
        later_objects: objects that are absent from the first frame count from their first annotated frame on; otherwise
            only those of the first frame count.
        skip_seed: the frame whose mask is given does not count.
        skip_last: the last frame of a sequence does not count.
    """

    name: str
    later_objects: bool
    skip_seed: bool
    skip_last: bool


DAVIS = Protocol("davis", later_objects=False, skip_seed=True, skip_last=True)
YOUTUBE_VOS = Protocol("youtube-vos", later_objects=True, skip_seed=True, skip_last=False)
ALL_FRAMES = Protocol("all", later_objects=True, skip_seed=False, skip_last=False)
PROTOCOLS = {protocol.name: protocol for protocol in (DAVIS, YOUTUBE_VOS, ALL_FRAMES)}


@dataclass(frozen=True)
class VideoSequence:
    """One video of a data set.

    Attributes:
        name: one folder name.
        frames: image files in order.
        annotations: mask file of each frame, None where there is none.
        objects: the ids that count, None: all that the annotations hold.
        merge_objects: all ids are one object, 1 (DAVIS 2016).
        folder: of its results, below those of the data set; None: its name.
        categories: object id -> what it is, where the data set says so (YouTube-VOS).
    """

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path | None, ...]
    objects: frozenset[int] | None = None
    merge_objects: bool = False
    folder: str | None = None
    categories: Mapping[int, str] = field(default_factory=dict, hash=False)

    def results_in(self, results: Path) -> Path:
        """Where its masks are, below the results of the data set."""
        return results / (self.name if self.folder is None else self.folder)


@dataclass(frozen=True)
class Dataset:
    """Sequences and the rules by which they are scored.

    Attributes:
        kind: "davis2016", "davis2017" or "youtube-vos".
        split: name of the split, "" when every folder counts.
        result_folder: where the official layout of results has the sequences, below the output folder.
        seen: categories that the training split has; None when that is not known.
    """

    kind: str
    root: Path
    split: str
    sequences: tuple[VideoSequence, ...]
    protocol: Protocol
    result_folder: str = ""
    seen: frozenset[str] | None = None

    @property
    def title(self) -> str:
        return f"{self.kind} {self.split}".strip()


def load_dataset(kind: str, root: Path, split: str | None = None, only: Sequence[str] = ()) -> Dataset:
    """Find the sequences of a data set and look whether they are complete.

    Layouts, below `root`:
      - davis2016, davis2017: JPEGImages/480p/SEQ, Annotations/480p/SEQ, ImageSets/2016 or 2017/SPLIT.txt (default split
        val). Without the folder ImageSets every sequence counts.
      - youtube-vos: JPEGImages/SEQ, Annotations/SEQ and meta.json in `root` or in root/SPLIT (default split valid, also
        called val). The categories of root/train/meta.json, or of one beside `root`, are the seen ones.

    Args:
        only: names of the sequences wanted, empty for all of the split.

    Raises:
        DatasetError: the layout, a split, a sequence or one of its files is missing.
        MaskError: the first annotation of a DAVIS sequence cannot be read.
        SourceError: a folder cannot be listed.
    """
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root}.", "Check --data.")
    return LAYOUTS[kind](root, split, only)


# -- DAVIS -----------------------------------------------------------------------------------------------------------
def _load_davis(kind: str, year: str, root: Path, split: str | None, only: Sequence[str]) -> Dataset:
    pictures, masks = _davis_folders(root)
    lists = _davis_lists(root, year)
    if lists is None:
        if split is not None:
            raise DatasetError(f"There is no ImageSets/{year} in {root}.", "Leave out --split to use every sequence.")
        names = _subfolders(pictures)
    else:
        split = split or _DAVIS_SPLIT
        names = _names_in(lists, split)
    merge = kind == "davis2016"
    sequences = tuple(
        _davis_sequence(pictures / name, masks / name, merge_objects=merge) for name in _chosen(names, only)
    )
    return Dataset(kind, root, split or "", sequences, DAVIS)


def _davis_folders(root: Path) -> tuple[Path, Path]:
    for resolution in _DAVIS_RESOLUTIONS:
        pictures, masks = (root / part / resolution for part in ("JPEGImages", "Annotations"))
        if pictures.is_dir() and masks.is_dir():
            return pictures, masks
    raise DatasetError(
        f"{root} is not laid out as DAVIS: it has no JPEGImages/480p with Annotations/480p.", "Check --data."
    )


def _davis_lists(root: Path, year: str) -> Path | None:
    sets = root / "ImageSets"
    if not sets.is_dir():
        return None
    # The first release of DAVIS 2016 names its lists after the resolution.
    folders = [sets / year] + ([sets / "480p"] if year == "2016" else [])
    found = next((folder for folder in folders if folder.is_dir()), None)
    if found is None:
        raise DatasetError(
            f"There is no ImageSets/{year} in {root}.",
            "Add the official lists, or choose --dataset of the year they are for.",
        )
    return found


def _names_in(lists: Path, split: str) -> list[str]:
    known = sorted(path.stem for path in lists.glob("*.txt"))
    if split not in known:
        raise DatasetError(f"There is no split {split} in {lists}.", f"There is: {', '.join(known) or 'nothing'}.")
    path = lists / f"{split}.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The list {path} cannot be read.", "Replace it with the official one.") from error
    # DAVIS 2017: a name per line. DAVIS 2016: the image and mask path of every frame.
    names = (line.split()[0] for line in lines if line.strip())
    return list(dict.fromkeys(PurePosixPath(name).parent.name if "/" in name else name for name in names))


def _davis_sequence(pictures: Path, masks: Path, *, merge_objects: bool) -> VideoSequence:
    frames, annotations = _pair(pictures, masks)
    name = pictures.name
    if annotations[0] is None:
        raise DatasetError(
            f"The sequence {name} has no mask of its first frame: {masks / frames[0].stem}.png is missing.",
            "Complete the data set or leave the sequence out.",
        )
    if not object_ids(read_annotation(annotations[0], merge_objects=merge_objects).ids):
        raise DatasetError(
            f"The sequence {name} cannot be tracked: its first mask {annotations[0]} holds no object.",
            "Leave the sequence out.",
        )
    return VideoSequence(name, frames, annotations, merge_objects=merge_objects)


# -- YouTube-VOS -----------------------------------------------------------------------------------------------------
def _load_youtube(root: Path, split: str | None, only: Sequence[str]) -> Dataset:
    folder = root
    if not (root / "JPEGImages").is_dir():
        split = split or _YOUTUBE_SPLIT
        if split == _DAVIS_SPLIT and not (root / split).is_dir():
            split = _YOUTUBE_SPLIT
        folder = root / _plain_name(split)
    if not all((folder / part).is_dir() for part in ("JPEGImages", "Annotations")):
        raise DatasetError(
            f"{folder} is not laid out as YouTube-VOS: it has no JPEGImages with Annotations.",
            "Check --data and --split.",
        )
    objects = _meta_objects(folder / "meta.json")
    sequences = []
    for name in _chosen(sorted(objects), only):
        frames, annotations = _pair(folder / "JPEGImages" / name, folder / "Annotations" / name)
        if not any(annotations):
            raise DatasetError(
                f"The sequence {name} has no mask in {folder / 'Annotations' / name}.", "Complete the data set."
            )
        categories = {i: category for i, category in objects[name].items() if category}
        sequences.append(VideoSequence(name, frames, annotations, frozenset(objects[name]), categories=categories))
    seen = _seen_categories(folder)
    return Dataset("youtube-vos", root, split or "", tuple(sequences), YOUTUBE_VOS, "Annotations", seen)


def _seen_categories(folder: Path) -> frozenset[str] | None:
    """The categories of the training split, which lies beside the one in `folder`; None without it."""
    training = folder.absolute().parent / "train" / "meta.json"
    if not training.is_file():
        return None
    return frozenset(category for video in _meta_objects(training).values() for category in video.values() if category)


def _meta_objects(path: Path) -> dict[str, dict[int, str]]:
    """Sequence name -> object id -> category ("" where none is given).

    Of {"videos": {SEQ: {"objects": {ID: {"category": ..., "frames": [...]}}}}}.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: {int(i): str(thing.get("category", "")) for i, thing in video["objects"].items()}
            for name, video in content["videos"].items()
        }
    except FileNotFoundError:
        raise DatasetError(f"There is no {path}.", "YouTube-VOS needs it to know the objects.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} cannot be read as the meta.json of YouTube-VOS.", "Unpack it again.") from error


# -- what they share -------------------------------------------------------------------------------------------------
def _pair(pictures: Path, masks: Path) -> tuple[tuple[Path, ...], tuple[Path | None, ...]]:
    if not pictures.is_dir():
        raise DatasetError(
            f"The sequence {pictures.name} is missing: there is no folder {pictures}.", "Complete the data set."
        )
    frames = tuple(images_in(pictures))
    if not frames:
        raise DatasetError(f"The sequence {pictures.name} has no frames in {pictures}.", "Complete the data set.")
    by_stem = {path.stem: path for path in (images_in(masks) if masks.is_dir() else ())}
    strangers = by_stem.keys() - {frame.stem for frame in frames}
    if strangers:
        raise DatasetError(
            f"The sequence {pictures.name} has a mask without a frame: {by_stem[min(strangers)]}.",
            "Complete the data set.",
        )
    return frames, tuple(by_stem.get(frame.stem) for frame in frames)


def _subfolders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _chosen(names: Iterable[str], only: Sequence[str]) -> list[str]:
    names = [_plain_name(name) for name in names]
    if not names:
        raise DatasetError("The data set holds no sequences.", "Check --data and --split.")
    for name in only:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"It begins with {', '.join(names[:5])}."
            raise DatasetError(f"The data set has no sequence {name}.", hint)
    return [name for name in names if name in only] if only else names


def _plain_name(name: str) -> str:
    """A name that stays inside its folder: results are written under it."""
    if not name or set(name) & set("/\\:\0") or name.startswith("."):
        raise DatasetError(f"The data set names a sequence {name!r}, which is no folder name.", "Unpack it again.")
    return name


Loader = Callable[[Path, "str | None", Sequence[str]], Dataset]

LAYOUTS: Mapping[str, Loader] = {
    "davis2016": lambda root, split, only: _load_davis("davis2016", "2016", root, split, only),
    "davis2017": lambda root, split, only: _load_davis("davis2017", "2017", root, split, only),
    "youtube-vos": _load_youtube,
}
