"""Runs an export: part by part beside its target, whole or not at all, cancelled and continued at will.

Beside the target `clip.mp4` lies `clip.mp4.unfinished/` while the export runs: a file `job.json` that says what is
being made, and the finished parts. It stays when the export is cancelled, the disk fills up or the machine dies, and
the same request goes on from the last finished part; any other request for that target begins anew. Only when
everything is made does the result take its place under the final name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av.error
import numpy as np
import psutil

from engine.errors import ExportError, MaskError
from engine.export.clock import SourceClock, clock_of
from engine.export.formats import ExportFormat, find_format, writer_of
from engine.export.masks import MaskSequence
from engine.export.request import ExportOutcome, ExportRequest, Progress
from engine.export.writer import ExportContext, ExportItem, FormatWriter
from engine.types import Frame, Mask
from engine.video.atomic import replacing
from engine.video.open import open_source
from engine.video.sinks import export_error
from engine.video.source import FrameSource, SourceInfo

PART_FRAMES = 120  # what at most is done again after an interruption
_JOB = "job.json"
_LAYOUT = 1  # of the parts; another number makes unfinished exports of older versions begin anew


class _CancelledError(Exception):
    """Leaves the work wherever it is."""


def unfinished_beside(target: Path) -> Path:
    """Where the parts of an unfinished export are kept."""
    absolute = target.absolute()
    return absolute.with_name(f"{absolute.name}.unfinished")


def discard_unfinished(target: Path) -> None:
    """Remove what an interrupted export has left beside its target; nothing else is ever touched."""
    folder = unfinished_beside(target)
    if (folder / _JOB).is_file() and not folder.is_symlink() and not _someone_else_in(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _job_in(folder: Path) -> dict[str, Any]:
    """What is being made there; empty where nothing is, or nothing that can be read."""
    try:
        job = json.loads((folder / _JOB).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return job if isinstance(job, dict) else {}


def _someone_else_in(folder: Path) -> bool:
    """Whether another program that is still running makes these parts."""
    process = _job_in(folder).get("process")
    return isinstance(process, int) and process != os.getpid() and psutil.pid_exists(process)


def with_suffix(target: Path, format_: ExportFormat) -> Path:
    """The target with the suffix of its format."""
    if format_.makes_folder or target.suffix.lower() == format_.suffix:
        return target
    return target.with_name(target.name + format_.suffix)


def run_export(
    source_uri: str,
    masks: MaskSequence,
    request: ExportRequest,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    *,
    opener: Callable[[str], FrameSource] = open_source,
    part_frames: int = PART_FRAMES,
) -> ExportOutcome:
    """Write masks of a file or folder as the request asks.

    Args:
        progress: called with (done, total) frames; total None when the source does not know its length. The first call
            may come with done > 0: then an interrupted export goes on.
        cancelled: asked before each frame.

    Returns:
        The outcome; `complete` False when cancelled, with the finished parts kept.

    Raises:
        ExportError: nothing to write, the target exists and `request.overwrite` is False, the disk is full, ...
        OptionError: an unknown format or option.
        MaskError: a mask does not fit its frame or cannot be read.
        SourceError: the source cannot be read.
    """
    format_ = find_format(request.format)
    options = format_.complete(request.options)
    request = replace(request, target=with_suffix(request.target, format_))
    _refuse_bad_request(source_uri, masks, request, format_)
    writer_type = writer_of(format_)
    job = _Job(source_uri, masks, request, format_, options, writer_type, progress, cancelled, opener, part_frames)
    try:
        return job.run()
    except (av.error.FFmpegError, OSError) as error:
        raise export_error(request.target, error) from error


class _Job:
    """One run of an export."""

    def __init__(
        self,
        source_uri: str,
        masks: MaskSequence,
        request: ExportRequest,
        format_: ExportFormat,
        options: Any,
        writer_type: type[FormatWriter],
        progress: Progress | None,
        cancelled: Callable[[], bool] | None,
        opener: Callable[[str], FrameSource],
        part_frames: int,
    ) -> None:
        self._uri, self._masks, self._request, self._format = source_uri, masks, request, format_
        self._options, self._writer_type, self._opener = options, writer_type, opener
        self._progress = progress or (lambda done, total: None)
        self._cancelled = cancelled or (lambda: False)
        self._part_frames = part_frames
        self._staging = unfinished_beside(request.target)
        self._part_ticks: list[list[int]] = []
        self._next = request.first or 0  # the frame to go on with
        self._prepared = False
        self._done = 0
        self._total: int | None = None

    def run(self) -> ExportOutcome:
        if not self._request.target.absolute().parent.is_dir():
            raise ExportError(
                f"The folder {self._request.target.absolute().parent} does not exist.", "Make it or choose another."
            )
        source = self._opener(self._uri) if self._writer_type.needs_frames else None
        writer: FormatWriter | None = None
        try:
            self._prepare_staging()
            resumed = self._done = sum(map(len, self._part_ticks))
            context = self._context(source)
            writer = self._writer_type(context)
            self._write_parts(writer, source)
            writer.finish()
            writer.close()
            self._check()
            self._put_in_place(context.out)
            return ExportOutcome(True, self._done, self._request.target, resumed, tuple(context.notes))
        except _CancelledError:
            return ExportOutcome(False, sum(map(len, self._part_ticks)), self._request.target)
        finally:
            if writer is not None:
                writer.close()
            if source is not None:
                source.close()
            if self._prepared and not self._part_ticks:  # nothing to go on with
                shutil.rmtree(self._staging, ignore_errors=True)
            elif self._prepared and self._staging.is_dir():
                self._let_go()

    def _check(self) -> None:
        if self._cancelled():
            raise _CancelledError

    def _context(self, source: FrameSource | None) -> ExportContext:
        info: SourceInfo | None = None
        clock: SourceClock | None = None
        if source is not None:
            info, clock = source.info, clock_of(source.info)
            first, last = self._request.first or 0, self._request.last
            if info.frame_count is not None:
                if first >= info.frame_count:
                    raise ExportError(f"{info.name} ends at frame {info.frame_count - 1}.", "Choose another range.")
                self._total = min(info.frame_count - 1, info.frame_count if last is None else last) - first + 1
            elif last is not None:
                self._total = last - first + 1
            if first:
                clock = clock.starting_at(self._time_of(source, first))
        else:
            self._total = len(self._wanted())
        return ExportContext(
            self._request,
            self._format,
            self._options,
            self._find_objects,
            self._staging,
            info,
            clock,
            self._part_ticks,
            self._check,
        )

    def _find_objects(self) -> tuple[int, ...]:
        chosen = self._request.object_ids
        return tuple(i for i in self._masks.object_ids if chosen is None or i in chosen)

    @staticmethod
    def _time_of(source: FrameSource, index: int) -> float:
        source.seek(index)
        frame = source.read()
        if frame is None:
            raise ExportError(f"{source.info.name} has no frame {index}.", "Choose another range.")
        return frame.time_s

    # -- parts -------------------------------------------------------------------------------------------------
    def _write_parts(self, writer: FormatWriter, source: FrameSource | None) -> None:
        clock = writer.context.clock
        ticks: list[int] = []
        self._progress(self._done, self._total)
        for item in self._items(source, clock):
            self._check()
            if not ticks:
                writer.begin_part(len(self._part_ticks))
            before = (ticks or (self._part_ticks[-1:] or [[]])[0])[-1:]
            if clock is not None and before and item.ticks <= before[0]:
                item = replace(item, ticks=before[0] + clock.step)  # a damaged file whose times do not rise
            writer.write(item)
            ticks.append(item.ticks)
            self._next = item.index + 1
            self._done += 1
            self._progress(self._done, self._total)
            if len(ticks) >= self._part_frames:
                self._end_part(writer, ticks)
                ticks = []
        if ticks:
            self._end_part(writer, ticks)
        if not self._part_ticks:
            raise ExportError("There are no frames in this range.", "Choose another range.")

    def _end_part(self, writer: FormatWriter, ticks: list[int]) -> None:
        writer.end_part()
        done = {"ticks": ticks, "next": self._next}
        with replacing(self._staging / f"{len(self._part_ticks):05d}.done") as temporary:
            temporary.write_text(json.dumps(done), "utf-8")
        self._part_ticks.append(ticks)

    def _items(self, source: FrameSource | None, clock: SourceClock | None) -> Iterator[ExportItem]:
        """What is still to be written."""
        if source is None or clock is None:
            for index in self._wanted():
                if index >= self._next:
                    yield ExportItem(index, 0.0, index, None, self._mask(index, None), self._confidence(index))
            return
        source.seek(self._next)
        last = self._request.last
        while (frame := source.read()) is not None:
            if last is not None and frame.index > last:
                return
            index = frame.index
            mask, confidence = self._mask(index, frame), self._confidence(index)
            yield ExportItem(index, frame.time_s, clock.ticks(frame.time_s), frame.rgb, mask, confidence)

    def _wanted(self) -> list[int]:
        first, last = self._request.first or 0, self._request.last
        return [i for i in self._masks.indices if i >= first and (last is None or i <= last)]

    def _mask(self, index: int, frame: Frame | None) -> Mask | None:
        mask = self._masks.mask(index)
        if mask is None:
            return None
        if frame is not None and mask.shape != (frame.height, frame.width):
            raise MaskError(
                f"The mask of frame {index} is {mask.shape[1]} x {mask.shape[0]} but the frame is {frame.width} x "
                f"{frame.height}.",
                "Export with the masks that were made for this video.",
            )
        chosen = self._request.object_ids
        if chosen is None:
            return mask
        kept = np.zeros(256, np.uint8)
        kept[sorted(chosen)] = sorted(chosen)
        return kept[mask]

    def _confidence(self, index: int) -> dict[int, float]:
        chosen = self._request.object_ids
        return {i: c for i, c in self._masks.confidence(index).items() if chosen is None or i in chosen}

    # -- what is kept between runs -----------------------------------------------------------------------------
    def _prepare_staging(self) -> None:
        """Go on with the parts of the same job, or begin with an empty folder."""
        key = self._key()
        if self._staging.is_symlink() or (self._staging.exists() and not (self._staging / _JOB).is_file()):
            raise ExportError(f"{self._staging} is in the way.", "Remove it or choose another name.")
        if _someone_else_in(self._staging):
            raise ExportError(
                f"{self._request.target} is being exported already.",
                f"Wait for it; if that is not so, delete {self._staging}.",
            )
        if _job_in(self._staging).get("key") != key:
            discard_unfinished(self._request.target)
        self._staging.mkdir(exist_ok=True)
        self._prepared = True
        with replacing(self._staging / _JOB) as temporary:
            temporary.write_text(json.dumps({"key": key, "process": os.getpid()}), "utf-8")
        while (record := self._read_part(len(self._part_ticks))) is not None:
            self._part_ticks.append([int(tick) for tick in record["ticks"]])
            self._next = int(record["next"])

    def _let_go(self) -> None:
        """Nobody works on the parts any more."""
        with contextlib.suppress(OSError), replacing(self._staging / _JOB) as temporary:
            temporary.write_text(json.dumps({"key": self._key(), "process": None}), "utf-8")

    def _read_part(self, number: int) -> Any:
        try:
            record = json.loads((self._staging / f"{number:05d}.done").read_text("utf-8"))
            return record if record["ticks"] and int(record["next"]) >= 0 else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _key(self) -> str:
        """Everything that decides how the result looks."""
        request = self._request
        path = Path(self._uri)
        stat = path.stat() if path.exists() else None
        facts = [
            _LAYOUT, self._part_frames, self._uri, stat and (stat.st_size, stat.st_mtime_ns), self._masks.digest(),
            self._format.key, sorted(self._options.items()), request.first, request.last,
            request.object_ids and sorted(request.object_ids), [(o.id, o.name) for o in request.objects],
            None if request.palette is None else request.palette.tobytes().hex(),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    # -- the end -----------------------------------------------------------------------------------------------
    def _put_in_place(self, out: Path) -> None:
        target = self._request.target
        _refuse_occupied(target, self._format, self._request.overwrite)  # something may have appeared meanwhile
        if not self._format.makes_folder:
            with out.open("rb+") as file:
                os.fsync(file.fileno())
            out.replace(target)
        elif not target.exists():
            out.replace(target)
        else:
            for path in sorted(out.rglob("*")):  # files of the same name are replaced, all others stay
                place = target / path.relative_to(out)
                if path.is_dir():
                    place.mkdir(exist_ok=True)
                else:
                    path.replace(place)
        with contextlib.suppress(OSError):
            shutil.rmtree(self._staging)


def _refuse_bad_request(source_uri: str, masks: MaskSequence, request: ExportRequest, format_: ExportFormat) -> None:
    if not masks.indices:
        raise ExportError("There are no masks to export yet.", "Paint an object and track it first.")
    if request.object_ids is not None and not request.object_ids.intersection(masks.object_ids):
        known = ", ".join(map(str, masks.object_ids)) or "none"
        raise ExportError("None of the chosen objects is in the masks.", f"Objects that are there: {known}.")
    first, last = request.first, request.last
    if (first is not None and first < 0) or (last is not None and last < (first or 0)):
        raise ExportError(f"The range {first or 0} to {last} holds no frame.", "Choose another range.")
    source, target = Path(source_uri), request.target
    if source.exists() and target.exists() and os.path.samefile(source, target):
        raise ExportError(f"{target} is the source itself.", "Choose another place for the export.")
    _refuse_occupied(target, format_, request.overwrite)


def _refuse_occupied(target: Path, format_: ExportFormat, overwrite: bool) -> None:
    if format_.makes_folder:
        if target.exists() and not target.is_dir():
            raise ExportError(f"{target} is a file, not a folder.", "Choose another folder.")
        if not overwrite and target.exists() and any(target.iterdir()):
            raise ExportError(f"The folder {target} is not empty.", "Choose another folder or allow overwriting.")
    elif target.is_dir():
        raise ExportError(f"{target} is a folder, not a file.", "Choose another name.")
    elif target.exists() and not overwrite:
        raise ExportError(f"{target} exists already.", "Choose another name or allow overwriting.")
