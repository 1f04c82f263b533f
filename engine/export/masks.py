"""Where masks come from. One seam, `MaskSequence`: a folder of PNGs, the window's store, a project."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.errors import MaskError
from engine.project.mask_entries import MaskSnapshot
from engine.types import Mask
from engine.video.masks import read_mask


class MaskSequence(Protocol):
    """The masks of one video, by frame index. Read by one thread; nothing in it changes while an export runs."""

    @property
    def indices(self) -> Sequence[int]:
        """Frames that have a mask, ascending."""
        ...

    @property
    def object_ids(self) -> Sequence[int]:
        """Ids that may occur, ascending, without the background."""
        ...

    def mask(self, index: int) -> Mask | None:
        """H x W uint8 object ids at the frame's own size, None where there is none. MaskError: it cannot be read."""
        ...

    def confidence(self, index: int) -> Mapping[int, float]:
        """Object id -> 0..1 as far as it is known."""
        ...

    def digest(self) -> str:
        """Differs whenever any mask or confidence does: an interrupted export goes on only with the same masks."""
        ...


class StoredMasks:
    """What the window's store held at one moment."""

    def __init__(self, snapshot: MaskSnapshot) -> None:
        self._snapshot = snapshot

    @property
    def indices(self) -> Sequence[int]:
        return tuple(self._snapshot)

    @property
    def object_ids(self) -> Sequence[int]:
        return self._snapshot.object_ids

    def mask(self, index: int) -> Mask | None:
        return self._snapshot.get(index, None)

    def confidence(self, index: int) -> Mapping[int, float]:
        return self._snapshot.confidence(index)

    def digest(self) -> str:
        return self._snapshot.digest()


class FolderMasks:
    """A folder of masks named by frame index (00000.png, ...), as `main.py track --out` and the format `masks` make it.

    Raises:
        MaskError: the folder is missing or holds no such PNG.
    """

    def __init__(self, folder: Path, frame_size: tuple[int, int] | None = None) -> None:
        """`frame_size`: (width, height) that every mask must have; see `read_mask`."""
        if not folder.is_dir():
            raise MaskError(f"There is no folder {folder}.", "Name the folder that main.py track --out has filled.")
        self._size = frame_size
        self._files = {int(path.stem): path for path in sorted(folder.glob("*.png")) if _is_number(path.stem)}
        if not self._files:
            raise MaskError(
                f"There are no masks in {folder}.", "They are PNG files named by frame index: 00000.png, 00001.png, ..."
            )
        self._indices = tuple(sorted(self._files))
        self._ids: tuple[int, ...] | None = None

    @property
    def indices(self) -> Sequence[int]:
        return self._indices

    @property
    def object_ids(self) -> Sequence[int]:
        """Reads every mask once, at the first call."""
        if self._ids is None:
            found: set[int] = set()
            for index in self._indices:
                mask = self.mask(index)
                found.update([] if mask is None else ids_in(mask))
            self._ids = tuple(sorted(found))
        return self._ids

    def mask(self, index: int) -> Mask | None:
        path = self._files.get(index)
        return None if path is None else read_mask(path, self._size, may_be_empty=True)

    def confidence(self, index: int) -> Mapping[int, float]:
        return {}

    def digest(self) -> str:
        known = hashlib.sha256()
        for index in self._indices:
            stat = self._files[index].stat()
            known.update(f"{index} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return known.hexdigest()


def open_masks(path: Path) -> MaskSequence:
    """The masks that a path on the command line names: a folder of PNGs."""
    return FolderMasks(path)


def _is_number(stem: str) -> bool:
    return stem.isascii() and stem.isdigit() and len(stem) <= 9


def ids_in(mask: Mask) -> list[int]:
    """Values that occur in a mask, ascending, the background left out."""
    return [int(i) for i in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)) if i]
