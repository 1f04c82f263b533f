"""Runs an export: part by part beside its target, whole or not at all, cancelled and continued at will.

The finished parts (see `engine.export.staging`) stay when the export is cancelled, the disk fills up or the machine
dies, and the same request goes on from the last one; any other request for that target begins anew. Only when
everything is made does the result take its place under the final name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av.error
import numpy as np

from engine.errors import ExportError, MaskError
from engine.export.clock import SourceClock, clock_of
from engine.export.formats import ExportFormat, find_format, writer_of
from engine.export.masks import MaskSequence
from engine.export.request import ExportOutcome, ExportRequest, Progress
from engine.export.staging import Staging, refuse_occupied
from engine.export.writer import ExportContext, ExportItem, FormatWriter
from engine.project.state import is_project
from engine.types import Frame, Mask
from engine.video.open import open_source
from engine.video.sinks import export_error
from engine.video.source import FrameSource, SourceInfo

PART_FRAMES = 120  # what at most is done again after an interruption
_LAYOUT = 1  # of the parts; another number makes unfinished exports of older versions begin anew


class _CancelledError(Exception):
    """Leaves the work wherever it is."""


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
        self._done = 0
        self._total: int | None = None

    def run(self) -> ExportOutcome:
        if not self._request.target.absolute().parent.is_dir():
            raise ExportError(
                f"The folder {self._request.target.absolute().parent} does not exist.", "Make it or choose another."
            )
        source = self._opener(self._uri) if self._writer_type.needs_frames else None
        staging = Staging(self._request.target, self._key(), self._request.first or 0)
        writer: FormatWriter | None = None
        try:
            staging.open()
            resumed = self._done = sum(map(len, staging.parts))
            context = self._context(source, staging)
            writer = self._writer_type(context)
            self._write_parts(writer, source, staging)
            writer.finish()
            writer.close()
            self._check()
            staging.put_in_place(context.out, self._format, self._request.overwrite)
            return ExportOutcome(True, self._done, self._request.target, resumed, tuple(context.notes))
        except _CancelledError:
            return ExportOutcome(False, sum(map(len, staging.parts)), self._request.target)
        finally:
            if writer is not None:
                writer.close()
            if source is not None:
                source.close()
            staging.close()

    def _check(self) -> None:
        if self._cancelled():
            raise _CancelledError

    def _context(self, source: FrameSource | None, staging: Staging) -> ExportContext:
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
            staging.folder,
            info,
            clock,
            staging.parts,
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
    def _write_parts(self, writer: FormatWriter, source: FrameSource | None, staging: Staging) -> None:
        clock = writer.context.clock
        ticks: list[int] = []
        following = staging.next
        self._progress(self._done, self._total)
        for item in self._items(source, clock, staging.next):
            self._check()
            if not ticks:
                writer.begin_part(len(staging.parts))
            before = (ticks or (staging.parts[-1] if staging.parts else []))[-1:]
            if clock is not None and before and item.ticks <= before[0]:
                item = replace(item, ticks=before[0] + clock.step)  # a damaged file whose times do not rise
            writer.write(item)
            ticks.append(item.ticks)
            following = item.index + 1
            self._done += 1
            self._progress(self._done, self._total)
            if len(ticks) >= self._part_frames:
                writer.end_part()
                staging.end_part(ticks, following)
                ticks = []
        if ticks:
            writer.end_part()
            staging.end_part(ticks, following)
        if not staging.parts:
            raise ExportError("There are no frames in this range.", "Choose another range.")

    def _items(self, source: FrameSource | None, clock: SourceClock | None, begin: int) -> Iterator[ExportItem]:
        """What is still to be written, from frame `begin` on."""
        if source is None or clock is None:
            for index in self._wanted():
                if index >= begin:
                    yield ExportItem(index, 0.0, index, None, self._mask(index, None), self._confidence(index))
            return
        source.seek(begin)
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

    def _key(self) -> str:
        """Everything that decides how the result looks."""
        request = self._request
        path = Path(self._uri)
        stat = path.stat() if path.exists() and not is_project(path) else None  # its masks are counted already
        facts = [
            _LAYOUT, self._part_frames, self._uri, stat and (stat.st_size, stat.st_mtime_ns), self._masks.digest(),
            self._format.key, sorted(self._options.items()), request.first, request.last,
            request.object_ids and sorted(request.object_ids), [(o.id, o.name) for o in request.objects],
            None if request.palette is None else request.palette.tobytes().hex(),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


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
    refuse_occupied(target, format_, request.overwrite)
