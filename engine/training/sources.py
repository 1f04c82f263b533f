"""Where training data lies: DAVIS 2016 and 2017, YouTube-VOS, folders of stills with masks."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import SourceError

Kind = Literal["davis2016", "davis2017", "youtube-vos", "stills"]
KINDS: tuple[Kind, ...] = ("davis2016", "davis2017", "youtube-vos", "stills")

_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_RESOLUTIONS = ("480p", "Full-Resolution")
# Where the folder has no lists of splits, these are recognised by name: one must not train on what is measured.
DAVIS_VALIDATION = frozenset(
    [
        "blackswan",
        "bmx-trees",
        "breakdance",
        "camel",
        "car-roundabout",
        "car-shadow",
        "cows",
        "dance-twirl",
        "dog",
        "drift-chicane",
        "drift-straight",
        "goat",
        "horsejump-high",
        "kite-surf",
        "libby",
        "motocross-jump",
        "paragliding-launch",
        "parkour",
        "scooter-black",
        "soapbox",
        "bike-packing",
        "dogs-jump",
        "gold-fish",
        "india",
        "judo",
        "lab-coat",
        "loading",
        "mbike-trick",
        "pigs",
        "shooting",
    ]
)


@dataclass(frozen=True)
class VideoSequence:
    """Annotated frames of one video, in order.

    Attributes:
        name: folder name.
        images, masks: paths, pairwise.
        binary: the masks tell object from background only (DAVIS 2016); otherwise pixels are object ids.
    """

    name: str
    images: tuple[str, ...]
    masks: tuple[str, ...]
    binary: bool

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class DataSource:
    """One `--data` folder as found on disk.

    Attributes:
        kind, folder: as given.
        weight: share of the clips it contributes, relative to the other sources.
        sequences: videos (empty for stills).
        stills: (image, mask) paths (empty for videos).
        missing: what lacks a mask, as (name, reason); left out of the above.
    """

    kind: Kind
    folder: str
    weight: float
    sequences: tuple[VideoSequence, ...] = ()
    stills: tuple[tuple[str, str], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def files(self) -> int:
        """Annotated pictures, those without their mask included."""
        return sum(len(sequence) for sequence in self.sequences) + len(self.stills) + len(self.missing)


def find_data(folder: Path, kind: Kind, weight: float = 1.0) -> DataSource:
    """Look through a data set's folder; reads names only.

    Raises:
        SourceError: the folder is missing, has another layout, or holds nothing.
    """
    if not folder.is_dir():
        raise SourceError(f"There is no folder {folder}.", "Check the path given with --data.")
    if kind == "stills":
        source = _find_stills(folder, weight)
    elif kind == "youtube-vos":
        source = _find_youtube_vos(folder, weight)
    else:
        source = _find_davis(folder, kind, weight)
    if not source.sequences and not source.stills:
        raise SourceError(f"{folder} holds no annotated pictures of the layout {kind}.", "See docs/training.md.")
    return source


def hold_out(
    sources: Sequence[DataSource], names: Collection[str]
) -> tuple[list[DataSource], tuple[VideoSequence, ...]]:
    """Take the sequences of these names out of all sources: (the rest, the held-out ones)."""
    kept, held = [], []
    for source in sources:
        held += [sequence for sequence in source.sequences if sequence.name in names]
        sequences = tuple(sequence for sequence in source.sequences if sequence.name not in names)
        kept.append(DataSource(source.kind, source.folder, source.weight, sequences, source.stills, source.missing))
    return kept, tuple(held)


def _find_davis(folder: Path, kind: Kind, weight: float) -> DataSource:
    resolution = next((name for name in _RESOLUTIONS if (folder / "JPEGImages" / name).is_dir()), None)
    if resolution is None:
        raise SourceError(
            f"{folder} is no DAVIS folder: JPEGImages/480p is missing.", "Name the folder that holds JPEGImages."
        )
    images, masks = folder / "JPEGImages" / resolution, folder / "Annotations" / resolution
    names = _davis_split(folder, kind)
    if names is None:
        names = [path.name for path in _folders(images) if path.name not in DAVIS_VALIDATION]
    return _videos(folder, kind, weight, images, masks, names, binary=kind == "davis2016")


def _davis_split(folder: Path, kind: Kind) -> list[str] | None:
    """Names of the training sequences, None where the folder has no lists."""
    for year in ("2016", "2017") if kind == "davis2016" else ("2017", "2016"):
        listing = folder / "ImageSets" / year / "train.txt"
        if listing.is_file():
            return sorted(set(_read_text(listing).split()))
    listing = folder / "ImageSets" / "480p" / "train.txt"  # DAVIS 2016: a line per frame, "/JPEGImages/480p/bear/0.jpg"
    if listing.is_file():
        lines = _read_text(listing).splitlines()
        return sorted({Path(line.split()[0]).parent.name for line in lines if line.strip()})
    return None


def _find_youtube_vos(folder: Path, weight: float) -> DataSource:
    root = next((path for path in (folder, folder / "train") if (path / "JPEGImages").is_dir()), None)
    if root is None:
        raise SourceError(
            f"{folder} is no YouTube-VOS folder: JPEGImages is missing.", "Name the folder that holds train/."
        )
    names = [path.name for path in _folders(root / "JPEGImages")]
    annotated: dict[str, set[str]] | None = None
    listing = root / "meta.json"
    if listing.is_file():
        annotated = _youtube_frames(listing)
        names = sorted(annotated.keys())
    return _videos(folder, "youtube-vos", weight, root / "JPEGImages", root / "Annotations", names, False, annotated)


def _youtube_frames(listing: Path) -> dict[str, set[str]]:
    """Video -> stems of the frames that show one of its objects."""
    try:
        videos = json.loads(_read_text(listing))["videos"]
        return {
            str(name): {str(frame) for entry in video["objects"].values() for frame in entry["frames"]}
            for name, video in videos.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{listing} is not YouTube-VOS's meta.json.", "Unpack the data set again.") from error


def _videos(
    folder: Path,
    kind: Kind,
    weight: float,
    images: Path,
    masks: Path,
    names: Iterable[str],
    binary: bool,
    annotated: dict[str, set[str]] | None = None,
) -> DataSource:
    sequences, missing = [], []
    for name in names:
        found = {path.stem: path for path in _pictures(images / name)}
        marked = {path.stem: path for path in _pictures(masks / name)}
        if not found:
            missing.append((name, "no frames"))
            continue
        wanted = found
        if kind == "youtube-vos":  # every fifth frame is annotated; the others are no fault
            wanted = marked if annotated is None else dict.fromkeys(annotated[name], Path())
        whole = []
        for stem in sorted(wanted):
            if stem not in marked:
                missing.append((f"{name}/{stem}", "no mask"))
            elif stem not in found:
                missing.append((f"{name}/{stem}", "no frame"))
            else:
                whole.append(stem)
        sequences.append(
            VideoSequence(
                name, tuple(str(found[s]) for s in whole), tuple(str(marked[s]) for s in whole), binary=binary
            )
        )
    return DataSource(kind, str(folder), weight, sequences=tuple(sequences), missing=tuple(missing))


def _find_stills(folder: Path, weight: float) -> DataSource:
    sets = (
        [folder] if (folder / "images").is_dir() else [path for path in _folders(folder) if (path / "images").is_dir()]
    )
    pairs, missing = [], []
    for one in sets:
        masks = {path.stem: path for path in _pictures(one / "masks")}
        for image in _pictures(one / "images"):
            mask = masks.get(image.stem)
            if mask is None:
                missing.append((f"{one.name}/{image.name}", "no mask"))
            else:
                pairs.append((str(image), str(mask)))
    return DataSource("stills", str(folder), weight, stills=tuple(pairs), missing=tuple(missing))


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir())


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in _IMAGES and not p.name.startswith("."))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"The list {path} cannot be read.", "Unpack the data set again.") from error
