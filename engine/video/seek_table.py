"""Where decoding of a video file can start, and which frame that is: the tables behind frame-exact seeking.

A frame's index is its rank in presentation order. A key packet at decode position p has rank (frames before p in
decode order) + (leading frames: shown before it but stored after it). The first term is kept here; the second is read
off the packets that follow the key packet when decoding starts there.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KeyPacket:
    """A packet decoding can start at.

    Attributes:
        ident: the time stamp that tells this packet from all others (see `SeekTable.ident`).
        size: its bytes, 0 when unknown. After a seek some containers put the time stamp on a neighbouring packet.
        seek_ts: what to hand to the container's seek, in the stream's time base; then, if that leads elsewhere, a
            second one further back.
        shown_before: number of frames stored before it.
    """

    ident: int
    size: int
    seek_ts: tuple[int, int]
    shown_before: int


class SeekTable:
    """Key packets in decode order, complete from the container's index or growing as packets are read.

    Attributes:
        shown: number of frames among the packets known so far.
        complete: True when no packet is missing.
        trusted: False once the time stamps proved useless (missing, repeated, running backwards); indices can then
            only be had by counting decoded frames from the start.
    """

    def __init__(self, codec: str, *, seek_by_pts: bool, idents_are_dts: bool = False) -> None:
        self._codec = codec
        self._seek_by_pts = seek_by_pts
        self._idents_are_dts = idents_are_dts
        self._idents = array("q")
        self._sizes = array("q")
        self._seek_ts = array("q")
        self._shown_before = array("q")
        self._packets = 0
        self._newest_pts: int | None = None
        self._recent_pts: set[int] = set()
        self.shown = 0
        self.complete = False
        self.trusted = True

    def ident(self, packet: Any) -> int | None:
        """The time stamp that identifies a packet in this table: dts for container indices, else pts."""
        stamp: int | None = packet.dts if self._idents_are_dts else packet.pts
        return stamp

    def is_shown(self, packet: Any) -> bool:
        """Whether a packet becomes a frame (not one trimmed away by an edit list, nor a hidden VP8 reference)."""
        if packet.is_discard:
            return False
        return self._codec != "vp8" or packet.size == 0 or bool(memoryview(packet)[0] & 0x10)

    def add_key(self, ident: int, seek_ts: int, size: int = 0) -> None:
        self._idents.append(ident)
        self._sizes.append(size)
        self._seek_ts.append(seek_ts)
        self._shown_before.append(self.shown)

    def feed(self, position: int, packet: Any) -> None:
        """Take note of the packet at a decode position; only the next unknown one counts, others are known already."""
        if self.complete or not self.trusted or position != self._packets:
            return
        self._packets += 1
        if not self.is_shown(packet):
            return
        pts = packet.pts
        if pts is None or pts in self._recent_pts:
            self.trusted = False
            return
        if packet.is_keyframe:
            if self._newest_pts is not None and pts <= self._newest_pts:
                self.trusted = False
                return
            self._recent_pts.clear()
            dts = packet.dts
            self.add_key(pts, pts if self._seek_by_pts or dts is None else min(pts, dts), packet.size)
        self._recent_pts.add(pts)
        self._newest_pts = pts if self._newest_pts is None else max(pts, self._newest_pts)
        self.shown += 1

    def end(self, position: int) -> None:
        """The file holds no packet at this position or later."""
        if position == self._packets:
            self.complete = True

    def covers(self, rank: int) -> bool:
        """Whether the best key packet for this rank is surely known."""
        return self.complete or (len(self._shown_before) > 0 and self._shown_before[-1] > rank)

    def key_at_or_before(self, rank: int, steps_back: int = 0) -> KeyPacket | None:
        """The last key packet that can have a rank <= `rank`, or one `steps_back` before it; None: from the start."""
        at = bisect_right(self._shown_before, rank) - 1 - steps_back
        if at < 0:
            return None
        seek_ts = self._seek_ts[at], self._seek_ts[max(0, at - 1)]
        return KeyPacket(self._idents[at], self._sizes[at], seek_ts, self._shown_before[at])


def table_from_index(container: Any, stream: Any, file_size: int) -> tuple[SeekTable, int] | None:
    """The table of an MP4 or MOV from the index in its header, and the number of frames that the file lacks at its end.

    None when there is no index that covers the whole file (other containers, fragmented files, repeated edits).
    """
    entries = stream.index_entries
    if "mov" not in container.format.name or len(entries) == 0 or stream.frames != len(entries):
        return None
    table = SeekTable(stream.codec_context.name, seek_by_pts=False, idents_are_dts=True)
    last: int | None = None
    missing = 0
    for entry in entries:
        if last is not None and entry.timestamp <= last:
            return None
        last = entry.timestamp
        if missing or entry.pos + entry.size > file_size:
            missing += not entry.is_discard
            continue
        if entry.is_keyframe:
            table.add_key(entry.timestamp, entry.timestamp)
        table.shown += not entry.is_discard
    table.complete = True
    return table, missing
