"""What every writer of a format is given and has to offer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.export.clock import SourceClock
from engine.export.formats import ExportFormat
from engine.export.looks import LOOKS, Picture
from engine.export.request import ExportObject, ExportRequest, Value
from engine.types import Mask, Rgb
from engine.video.atomic import replacing
from engine.video.masks import davis_palette
from engine.video.source import SourceInfo


@dataclass(frozen=True, eq=False)
class ExportItem:
    """A frame on its way out.

    Attributes:
        ticks: its time on the clock of the result.
        mask: H x W ids, objects that are left out already gone; None when the frame has none.
    """

    index: int
    time_s: float
    ticks: int
    rgb: Rgb | None
    mask: Mask | None
    confidence: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ExportContext:
    """One export, for its writer.

    Attributes:
        info, clock: of the source; None for writers that do not read it.
        options: complete.
        find_objects: gives the ids that may occur; for masks in files that takes reading them all.
        staging: folder of the unfinished export; what is finished goes to `out` (a file or a folder in it).
        part_ticks: times of the frames of each finished part, filled by the runner.
        check: to be called now and then in `finish`; raises when the export is cancelled.
    """

    request: ExportRequest
    format: ExportFormat
    options: Mapping[str, Value]
    find_objects: Callable[[], tuple[int, ...]]
    staging: Path
    info: SourceInfo | None = None
    clock: SourceClock | None = None
    part_ticks: list[list[int]] = field(default_factory=list)
    check: Callable[[], None] = lambda: None
    notes: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.staging / f"out{self.format.suffix}"

    @property
    def source(self) -> SourceInfo:
        if self.info is None:
            raise ValueError("this writer does not read the source")
        return self.info

    @property
    def palette(self) -> NDArray[np.uint8]:
        return davis_palette() if self.request.palette is None else self.request.palette

    @property
    def video_name(self) -> str:
        """Of this video in a data set: letters, digits, "-" and "_" only, so that it is one folder everywhere."""
        given = str(self.options.get("name", "")) or (Path(self.info.name).stem if self.info is not None else "video")
        return re.sub(r"[^\w-]+", "_", given, flags=re.ASCII).strip("_") or "video"

    @property
    def title(self) -> str:
        """The source's name as text."""
        return readable(self.source.name)

    def object_name(self, object_id: int) -> str:
        names = {known.id: known.name for known in self.request.objects}
        return readable(names.get(object_id) or f"object {object_id}")

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids that may occur, ascending."""
        return self.find_objects()

    @property
    def objects(self) -> list[ExportObject]:
        return [ExportObject(i, self.object_name(i)) for i in self.object_ids]

    def part_file(self, number: int, suffix: str) -> Path:
        return self.staging / f"{number:05d}{suffix}"

    def picture(self, item: ExportItem) -> Picture:
        """The frame as the format shows it."""
        assert item.rgb is not None
        mask = np.zeros(item.rgb.shape[:2], np.uint8) if item.mask is None else item.mask
        return LOOKS[self.format.look](item.rgb, mask, self.options, self.palette)


def readable(text: str) -> str:
    """Names of files may hold bytes that are no text, names of objects whatever was pasted; no file should."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class FormatWriter:
    """Writes one export. Frames come in parts; a part that is ended is never written again, not even after a crash.

    Life: for each part `begin_part`, `write`..., `end_part`; at last `finish`. An interrupted run drops its last part;
    the next one begins it again with a new writer. `close` comes last whatever happened and releases everything.

    Attributes:
        needs_frames: False for writers that want nothing but the masks that there are (`rgb` is then None).
    """

    needs_frames = True

    def __init__(self, context: ExportContext) -> None:
        self.context = context

    def begin_part(self, number: int) -> None: ...

    def write(self, item: ExportItem) -> None:
        raise NotImplementedError

    def end_part(self) -> None: ...

    def finish(self) -> None:
        """Make `context.out` of the parts."""

    def close(self) -> None: ...


class RecordWriter(FormatWriter):
    """For formats that are made of facts about frames: the facts of a part are kept as lines of JSON."""

    def __init__(self, context: ExportContext) -> None:
        super().__init__(context)
        self._number = 0
        self._lines: list[str] = []

    def begin_part(self, number: int) -> None:
        self._number, self._lines = number, []

    def write(self, item: ExportItem) -> None:
        self._lines.append(json.dumps(self.record(item), separators=(",", ":")))

    def record(self, item: ExportItem) -> Any:
        """What is to be kept of a frame; anything that JSON can hold."""
        raise NotImplementedError

    def end_part(self) -> None:
        with replacing(self.context.part_file(self._number, ".jsonl")) as temporary:
            temporary.write_text("\n".join(self._lines) + "\n", "utf-8")

    def records(self) -> Iterator[Any]:
        """The facts of all parts, in the order of the frames."""
        for number in range(len(self.context.part_ticks)):
            with self.context.part_file(number, ".jsonl").open(encoding="utf-8") as file:
                for line in file:
                    self.context.check()
                    if line.strip():
                        yield json.loads(line)
