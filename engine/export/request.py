"""What an export is asked to do and how it went. Light: the command line's --help imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = str | int | bool  # of an option

Progress = Callable[[int, "int | None"], None]


@dataclass(frozen=True)
class ExportObject:
    """An object as it is named in data sets; `id` is the value of its pixels."""

    id: int
    name: str


@dataclass(frozen=True)
class ExportRequest:
    """What to write, and where.

    Attributes:
        format: key of `engine.export.formats.FORMATS`.
        target: the file or, for formats that make many files, the folder.
        options: key -> value of the format's options; those left out have their defaults.
        first, last: frame indices, both inclusive; None means from the start, to the end.
        object_ids: only these objects, the others count as background; None for all.
        objects: names of objects; one that is missing here is called "object N".
        overwrite: False refuses a file that exists and a folder that holds anything.
        palette: 256 x 3 uint8 RGB colours of overlays, row = object id; None takes the DAVIS palette. Palette PNGs
            always carry the DAVIS palette.
    """

    format: str
    target: Path
    options: Mapping[str, Value] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    object_ids: frozenset[int] | None = None
    objects: tuple[ExportObject, ...] = ()
    overwrite: bool = False
    palette: NDArray[np.uint8] | None = field(default=None, compare=False)

    @property
    def whole(self) -> bool:
        """True when no frame and no object is left out."""
        return self.first is None and self.last is None and self.object_ids is None


@dataclass(frozen=True)
class ExportOutcome:
    """How an export ended.

    Attributes:
        complete: False when it was cancelled; finished parts then wait for the same request (`engine.export.runner`).
        frames: frames that are written, those of an earlier, interrupted run included.
        resumed: frames of them that an earlier run had written.
        notes: what the user should know about the result, one sentence each.
    """

    complete: bool
    frames: int
    target: Path
    resumed: int = 0
    notes: tuple[str, ...] = ()
