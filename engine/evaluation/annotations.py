"""Ground truth as data sets store it: object ids, empty frames, void pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import MaskError
from engine.types import Mask
from engine.video.masks import read_mask

VOID = 255  # DAVIS: pixels the annotators left undecided


@dataclass(frozen=True, eq=False)
class Annotation:
    """One annotated frame.

    Attributes:
        ids: H x W uint8 object ids, void pixels 0.
        void: H x W bool, None when there is no void pixel.
    """

    ids: Mask
    void: NDArray[np.bool_] | None = None


def read_annotation(path: Path, *, merge_objects: bool = False) -> Annotation:
    """Read a ground-truth mask.

    Args:
        merge_objects: every pixel that is not background belongs to object 1 (DAVIS 2016); there are no void pixels.

    Raises:
        MaskError: missing or unreadable; the message names file and folder.
    """
    ids = read_ids(path)
    if merge_objects:
        return Annotation((ids != 0).astype(np.uint8))
    void = ids == VOID
    return Annotation(np.where(void, np.uint8(0), ids), void) if void.any() else Annotation(ids)


def read_ids(path: Path) -> Mask:
    """H x W uint8 object ids of a mask file, by the rules of `engine.video.masks.read_mask`; it may be empty.

    Raises:
        MaskError: missing or unreadable; the message names file and folder.
    """
    try:
        return read_mask(path, may_be_empty=True)
    except MaskError as error:
        if str(path) in error.message:
            raise
        # Every sequence has a file of this name.
        raise MaskError(f"{error.message.rstrip('.')} (in {path.parent}).", error.way_out) from error


def object_ids(ids: Mask) -> tuple[int, ...]:
    """The object ids in a mask, ascending."""
    return tuple(int(i) for i in np.flatnonzero(np.bincount(ids.ravel(), minlength=2)) if i)
