"""A video file as a frame source: every frame in presentation order, frame-exact seeking, nothing written to disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av.error

from engine.errors import SourceError
from engine.types import Frame
from engine.video.decode import RgbConverter, check_readable, open_video
from engine.video.decode_run import CannotStartHereError, DecodeRun, packets_of
from engine.video.seek_table import KeyPacket, SeekTable, table_from_index
from engine.video.source import SourceInfo, SourceKind

_NEAR = 32  # frames; closer ahead than this, decoding on beats seeking


class VideoFileSource:
    """Reads a video file with PyAV.

    Seeking is frame-exact, also with B-frames and variable frame rate: MP4 and MOV through their index, other
    containers through a table of packets that grows while reading or, at the first far jump, by a scan of the packets
    up to there (no decoding; `close` cancels it). Where time stamps are useless (raw H.264), frames are counted from
    the start. Recently decoded pictures are kept, so single steps back are cheap.

    `Frame.time_s` is the presentation time since the first frame. In a damaged file a frame that cannot be decoded
    leaves a gap in `Frame.index`; seeking to it gives the next one.

    Args:
        path: the file. Opening decodes the first frame only.
        cache_bytes: memory for decoded pictures that are kept for steps back (at least two are kept).

    Raises:
        SourceError: see `engine.video.decode.open_video`; also when no frame can be decoded.

    Attributes:
        warning: what the user should know (file cut off, damaged frames skipped), or None.
        status: what a long read is busy with, or "".
        sample_aspect_ratio: width : height of a stored pixel; frames are delivered as stored.
        packets_read: packets demuxed since opening, scans included.
    """

    def __init__(self, path: Path, *, cache_bytes: int = 96 << 20) -> None:
        self._path = path.absolute()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._cursor = 0
        self._scanner: _Scanner | None = None
        self._finished_packets = 0
        self._cache: OrderedDict[int, Any] = OrderedDict()
        self.warning: str | None = None
        self.status = ""
        self._container, self._stream = open_video(self._path)
        try:
            self._table = self._make_table()
            self._run = self._new_run()
            first = next(self._run, None)
            if first is None:
                raise SourceError(
                    f"{self._path.name} contains no frame that can be decoded.", "Convert it to MP4 (H.264)."
                )
            picture = first[1]
            self._base = self._run.base or 0
            self._cache[0] = picture
            self._cache_size = max(2, cache_bytes // max(1, sum(p.buffer_size for p in picture.planes)))
            self._convert = RgbConverter(picture)
            self._first_pts: int | None = picture.pts
            self._first_dts: int | None = picture.dts
            self.sample_aspect_ratio = Fraction(self._stream.codec_context.sample_aspect_ratio or 1)
            # A transport stream may hold one packet per field: then packets are no measure of frames.
            if "mpegts" in self._container.format.name and picture.interlaced_frame:
                self._table.trusted = False
            self._info = self._describe()
        except BaseException:
            self._container.close()
            raise

    # -- the source protocol -----------------------------------------------------------------------------------
    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def dropped(self) -> int:
        return 0

    @property
    def packets_read(self) -> int:
        scanned = self._scanner.position if self._scanner is not None else 0
        return self._finished_packets + self._run.packets_read + scanned

    def read(self) -> Frame | None:
        """The next frame, or None at the end and after `close`.

        Raises:
            SourceError: the disk or network share failed.
        """
        with self._lock:
            if self._closed.is_set():
                return None
            try:
                found = self._find(self._cursor)
                if found is None:
                    return None
                index, picture = found
                self._cursor = index + 1
                return Frame(index, self._time_of(index, picture), self._convert(picture))
            except (av.error.FFmpegError, OSError) as error:
                raise SourceError(
                    f"{self._path.name} cannot be read any further than frame {self._cursor}: "
                    f"{getattr(error, 'strerror', None) or error}.",
                    "Check the disk or the connection and open it again.",
                ) from error

    def seek(self, index: int) -> None:
        """Make frame `index` the next one read. Costs nothing by itself; past the end, `read` gives None.

        Raises:
            ValueError: `index` is negative.
        """
        if index < 0:
            raise ValueError(f"frame {index} does not exist")
        self._cursor = index

    def seek_point(self, index: int) -> int:
        """The nearest frame at or before `index` that is had without decoding others; `index` where that is not known.

        Reads nothing: a file without an index knows only of what it has passed.
        """
        with self._lock:
            key = self._table.key_at_or_before(index + self._base) if self._table.trusted else None
            return index if key is None else min(max(key.shown_before - self._base, 0), index)

    def close(self) -> None:
        """Release the file; a read that is busy in another thread ends after the packet at hand."""
        self._closed.set()
        with self._lock:
            self._cache.clear()
            self._container.close()
            if self._scanner is not None:
                self._scanner.close()

    # -- finding a picture -------------------------------------------------------------------------------------
    def _find(self, target: int) -> tuple[int, Any] | None:
        """The picture with this index, or the next one there is."""
        count = self._known_count()
        if count is not None and target >= count:
            self._note_end(count)
            return None
        if target in self._cache:
            self._cache.move_to_end(target)
            return target, self._cache[target]
        if not self._run_leads_to(target):
            self._go_before(target)
            if target in self._cache:
                return target, self._cache[target]
        while (item := self._next_picture()) is not None:
            if item[0] >= target:
                return item
        return None

    def _next_picture(self) -> tuple[int, Any] | None:
        item = next(self._run, None)
        if item is None and self._run.lost and not self._closed.is_set():
            wanted = self._run.next_index  # the time stamps failed: from now on frames are counted from the start
            self._restart()
            while (item := next(self._run, None)) is not None and item[0] < wanted:
                self._remember(*item)
        if item is not None:
            self._remember(*item)
        elif self._run.finished:
            count = self._known_count()
            self._note_end(self._run.next_index if count is None else count)
        return item

    def _remember(self, index: int, picture: Any) -> None:
        self._cache[index] = picture
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)

    def _run_leads_to(self, target: int) -> bool:
        """Whether decoding on from here is the way to `target` (against seeking)."""
        here = self._run.next_index
        if self._run.lost or target < here:
            return False
        if target - here <= _NEAR or self._run.finished or not self._table.trusted:
            return True
        self._extend_table(target)
        key = self._table.key_at_or_before(target + self._base)
        return key is None or key.shown_before - self._base <= here

    def _go_before(self, target: int) -> None:
        """Position the decoder so that it comes to `target`, at the nearest key packet that proves good."""
        back = 0
        while self._table.trusted and not self._closed.is_set():
            self._extend_table(target)
            key = self._table.key_at_or_before(target + self._base, back)
            if key is None:
                break
            back = 2 * back + 1
            try:
                self._replace_run(self._new_run(key))
            except CannotStartHereError:
                continue
            if self._run.next_index > target:  # an open group of pictures: the target is a leading frame of this key
                continue
            first = self._next_picture()
            if first is not None and first[0] <= target:
                return
        if not self._closed.is_set():
            self._restart()

    def _new_run(self, start: KeyPacket | None = None) -> DecodeRun:
        return DecodeRun(
            self._container,
            self._stream,
            self._table,
            start=start,
            base=None if start is None else self._base,
            cancelled=self._closed.is_set,
        )

    def _replace_run(self, run: DecodeRun) -> None:
        self._finished_packets += self._run.packets_read
        self._run = run

    def _restart(self) -> None:
        """Reopen the file: raw streams cannot seek to their start."""
        container, stream = open_video(self._path)
        self._container.close()
        self._container, self._stream = container, stream
        self._replace_run(self._new_run())

    # -- the seek table ----------------------------------------------------------------------------------------
    def _make_table(self) -> SeekTable:
        context = self._stream.codec_context
        indexed = table_from_index(self._container, self._stream, check_readable(self._path))
        if indexed is not None:
            table, missing = indexed
            if missing:
                self.warning = (
                    f"{self._path.name} is cut off: {table.shown} of {table.shown + missing} frames are there."
                )
            return table
        formats = self._container.format.name
        table = SeekTable(context.name, seek_by_pts="matroska" in formats)
        # AVI stores no presentation order, and a transport stream may hold one packet per field.
        if "avi" in formats and context.has_b_frames:
            table.trusted = False
        return table

    def _extend_table(self, target: int) -> None:
        """Know the key packets up to `target`, if need be by reading packets ahead with a second demuxer."""
        rank = target + self._base
        if self._table.covers(rank) or not self._table.trusted:
            return
        self.status = f"Reading ahead in {self._path.name} to find frame {target}"
        try:
            if self._scanner is None:
                self._scanner = _Scanner(self._path)
            while not (self._table.covers(rank) or self._closed.is_set()) and self._table.trusted:
                self._scanner.step(self._table)
        finally:
            self.status = ""

    # -- what is known of the file -----------------------------------------------------------------------------
    def _describe(self) -> SourceInfo:
        stream, container = self._stream, self._container
        duration: float | None = None
        if stream.duration:
            duration = float(stream.duration * stream.time_base)
        elif container.duration:
            duration = container.duration / av.time_base
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        entries = stream.index_entries
        if container.format.name == "avi" and len(entries) > 1:
            ticks = min(later.timestamp - earlier.timestamp for earlier, later in pairwise(entries[:50]))
            fps = float(1 / (stream.time_base * max(1, ticks)))  # the header's rate may be that of fields
        return SourceInfo(
            SourceKind.FILE,
            str(self._path),
            self._path.name,
            self._convert.width,
            self._convert.height,
            fps=fps if 0 < fps <= 1000 else None,
            frame_count=self._known_count(),
            duration_s=duration,
        )

    def _known_count(self) -> int | None:
        table = self._table
        return table.shown - self._base if table.complete and table.trusted else None

    def _time_of(self, index: int, picture: Any) -> float:
        unit = self._stream.time_base
        if self._table.trusted and picture.pts is not None and self._first_pts is not None:
            return float((picture.pts - self._first_pts) * unit)
        if picture.dts is not None and self._first_dts is not None:
            return float((picture.dts - self._first_dts) * unit)
        return index / (self._info.fps or 25.0)

    def _note_end(self, count: int) -> None:
        """At the end the count is known, and so is what was missing on the way."""
        if self._info.frame_count is None:
            self._info = replace(self._info, frame_count=count)
        if self.warning is not None:
            return
        if self._run.damaged:
            self.warning = f"{self._path.name} is damaged: frames that could not be decoded were skipped."
        elif self._run.finished and (promised := _tagged_duration(self._stream)) is not None:
            newest = max(self._cache, default=None)
            reached = promised if newest is None else self._time_of(newest, self._cache[newest])
            if reached < promised - 0.5:
                self.warning = f"{self._path.name} is cut off: it ends at {reached:.1f} s of {promised:.1f} s."


class _Scanner:
    """A second demuxer that reads packets ahead of the decoder for the seek table; decodes nothing."""

    def __init__(self, path: Path) -> None:
        self._container, stream = open_video(path)
        self._packets = packets_of(self._container, stream, on_damage=lambda: None)
        self.position = 0

    def step(self, table: SeekTable) -> None:
        """Feed the next packet to the table, or end it."""
        packet = next(self._packets, None)
        if packet is None or not packet.size:
            table.end(self.position)
        else:
            table.feed(self.position, packet)
            self.position += 1

    def close(self) -> None:
        self._container.close()


def _tagged_duration(stream: Any) -> float | None:
    """Seconds from Matroska's per-track DURATION tag ("00:00:04.000000000"), None without one."""
    parts = str(stream.metadata.get("DURATION", "")).split(":")
    try:
        hours, minutes, seconds = (float(p) for p in parts)
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds
