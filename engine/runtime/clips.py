"""Which clips a batch has, what they are called, and where their first masks are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SourceError
from engine.video.folder import IMAGE_SUFFIXES, images_in
from engine.video.open import classify


@dataclass(frozen=True)
class ClipFile:
    """A clip of a batch.

    Attributes:
        name: path below the folder all clips have in common, without the ending; the masks go there, below --out.
        source: video file or folder of frames.
        mask: of the first frame; None when there is none.
    """

    name: str
    source: Path
    mask: Path | None


def find_clips(what: Path, masks: Path) -> list[ClipFile]:
    """The clips of a folder or of a list, sorted by name.

    A folder: every video below it, and every folder below it that holds images; links are followed. A list: a text
    file with a path per line, taken from the folder of the list where it is relative; empty lines and those that begin
    with # are left out.

    The mask of a clip is masks/NAME.png (or another image), or the first image of the folder masks/NAME, as DAVIS has
    it.

    Raises:
        SourceError: nothing is there, it cannot be read, or it names no clip.
    """
    if what.is_dir():
        root, sources = what, _below(what)
    else:
        sources = _listed(what)
        root = _common_folder(sources)
    if not sources:
        raise SourceError(f"There are no clips in {what}.", "Name a folder of videos, or a list of them.")
    names = _names(root, sources)
    return sorted(
        (ClipFile(name, source, _mask_of(name, masks)) for name, source in zip(names, sources, strict=True)),
        key=lambda clip: clip.name,
    )


def _below(folder: Path) -> list[Path]:
    found = []
    for path, folders, files in os.walk(folder, followlinks=True):
        here = Path(path)
        if _leads_back(here, folder):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = [here / name for name in sorted(files) if not name.startswith(".")]
        if here != folder and any(file.suffix.lower() in IMAGE_SUFFIXES for file in shown):
            found.append(here)
            folders.clear()
            continue
        found += [file for file in shown if classify(file) == "video"]
    return found


def _leads_back(here: Path, root: Path) -> bool:
    """Whether a link brought the walk into a folder it is below of, where it would go round for ever."""
    return here != root and any(os.path.samefile(here, above) for above in here.parents if above.is_relative_to(root))


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"The list {path} cannot be read as text.", "Write a path per line into it.") from error
    wanted = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return list(dict.fromkeys(Path(os.path.abspath(path.parent / Path(line).expanduser())) for line in wanted))


def _common_folder(sources: Sequence[Path]) -> Path:
    try:
        return Path(os.path.commonpath([source.parent for source in sources])) if sources else Path()
    except ValueError:  # on several Windows drives
        raise SourceError("The clips of a list must lie on one drive.", "Make a list for each.") from None


def _names(root: Path, sources: Sequence[Path]) -> list[str]:
    """Paths below `root` without endings; with them where two would be the same."""
    whole = [source.relative_to(root).as_posix() for source in sources]
    endings = ("" if source.is_dir() else source.suffix for source in sources)
    short = [name[: len(name) - len(ending)] for name, ending in zip(whole, endings, strict=True)]
    counts = Counter(short)
    return [long if counts[name] > 1 else name for long, name in zip(whole, short, strict=True)]


def _mask_of(name: str, masks: Path) -> Path | None:
    folder = masks / name
    if folder.is_dir():
        return next(iter(images_in(folder)), None)
    return next((path for suffix in sorted(IMAGE_SUFFIXES) if (path := Path(f"{folder}{suffix}")).is_file()), None)
