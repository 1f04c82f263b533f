"""One pass of the decoder through a video file, from the start or from a key packet, giving numbered pictures."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import av.error

from engine.video.seek_table import KeyPacket, SeekTable

_PROBATION = 64  # frames; an unexplained gap this early means the time stamps do not match the frames
_MAX_DEMUX_ERRORS = 8
_MAX_FLUSH_ERRORS = 64


class CannotStartHereError(Exception):
    """The container's seek did not lead to the wanted key packet."""


def packets_of(container: Any, stream: Any, on_damage: Callable[[], None]) -> Iterator[Any]:
    """Packets of a stream in file order, then an empty one (or None) that ends it; damaged stretches are stepped over.

    Args:
        on_damage: called for every error in the container; after a few of them the rest of the file is given up.
    """
    for _ in range(_MAX_DEMUX_ERRORS):
        try:
            yield from container.demux(stream)
            return
        except (av.error.InvalidDataError, av.error.PatchWelcomeError):
            on_damage()
    yield None


class DecodeRun:
    """Iterates over (index, picture) in presentation order.

    Numbering: while the table is trusted, a picture's index is the rank of its time stamp among the packets', so that
    it is the same whether read in sequence or after a seek, and a picture that is too damaged to decode leaves a gap.
    Otherwise pictures are counted from the start.

    Args:
        container, stream: freshly opened (start None) or to be positioned at `start`.
        base: rank of the first picture that can be decoded at all, None while unknown (run from the start).
        cancelled: polled between packets; True ends the run.

    Attributes:
        next_index: the index the next picture will have if nothing is damaged.
        base: as above, known after the first picture.
        damaged: packets that could not be decoded.
        finished: the end of the file was reached.
        lost: the pictures do not match the packets (a run from a key packet cannot go on then).
        packets_read: packets demuxed so far.
    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        table: SeekTable,
        *,
        start: KeyPacket | None = None,
        base: int | None = None,
        cancelled: Callable[[], bool],
    ) -> None:
        self._container = container
        self._stream = stream
        self._table = table
        self._from_start = start is None
        # Transport streams mark every packet after a lost one; most of them decode well.
        self._tolerates_corruption = "mpegts" in container.format.name
        self._cancelled = cancelled
        self._expected: list[int] = []  # heap of time stamps of packets that have not come out of the decoder yet
        self._anchor_pts: int | None = None
        self._head: deque[Any] = deque()
        self._ready: deque[Any] = deque()
        self.next_index = 0
        self.base = base
        self.damaged = 0
        self.finished = False
        self.lost = False
        self.packets_read = 0
        self._flush_errors = 0
        self._packets = self._read_packets()
        if start is not None:
            self._begin_at(start)

    # -- packets -----------------------------------------------------------------------------------------------
    def _read_packets(self) -> Iterator[Any]:
        position = 0
        for packet in packets_of(self._container, self._stream, self._note_damage):
            if packet is not None and packet.size:
                self.packets_read += 1
                if self._from_start:
                    self._table.feed(position, packet)
                position += 1
            elif self._from_start:
                self._table.end(position)
            yield packet
            if self._cancelled():
                return

    def _note_damage(self) -> None:
        self.damaged += 1

    def _begin_at(self, start: KeyPacket) -> None:
        """Seek, find the very key packet, and number it (see `seek_table` for the rule)."""
        key = self._reach(start, start.seek_ts[0]) or self._reach(start, start.seek_ts[1])
        if key is None or key.pts is None:
            raise CannotStartHereError
        self._anchor_pts = key.pts
        self._head.append(key)
        leading = 0
        for packet in self._packets:
            self._head.append(packet)
            if packet is None or not packet.size or packet.pts is None or packet.pts > key.pts:
                break
            leading += self._table.is_shown(packet)
        self.next_index = start.shown_before + leading - (self.base or 0)

    def _reach(self, start: KeyPacket, seek_ts: int) -> Any:
        """The key packet, with the demuxer just behind it; None when the seek led past it."""
        try:
            self._container.seek(seek_ts, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            return None
        self._packets = self._read_packets()
        for packet in self._packets:
            if packet is None or not packet.size:
                return None
            ident = self._table.ident(packet)
            if packet.is_keyframe and ident is not None:
                if ident == start.ident and start.size in (0, packet.size):
                    return packet
                if ident > start.ident:
                    return None
        return None

    # -- pictures ----------------------------------------------------------------------------------------------
    def __iter__(self) -> DecodeRun:
        return self

    def __next__(self) -> tuple[int, Any]:
        while True:
            while self._ready:
                picture = self._ready.popleft()
                index = self._number(picture)
                if index is not None and not self.lost:
                    return index, picture
            if self.lost or self.finished or not self._decode_more():
                raise StopIteration

    def _decode_more(self) -> bool:
        """Feed one packet to the decoder; False when there is none left."""
        packet = self._head.popleft() if self._head else next(self._packets, None)
        if packet is None and self._cancelled():
            return False
        try:
            if packet is None or not packet.size:
                self._ready.extend(self._stream.codec_context.decode(None))
                self.finished = True
                return bool(self._ready)
            if packet.is_corrupt and not self._tolerates_corruption:
                self.damaged += 1  # half a picture at the end of a file that was cut off
                return True
            if self._is_expected(packet):
                heapq.heappush(self._expected, packet.pts)
            self._ready.extend(packet.decode())
        except av.error.EOFError:
            self.finished = True
        except av.error.FFmpegError:  # the decoder has its own words for nonsense; the disk was read before
            self.damaged += 1
            if packet is None or not packet.size:  # what follows may still come out; but not for ever
                self._flush_errors += 1
                self.finished = self._flush_errors >= _MAX_FLUSH_ERRORS
        return True

    def _is_expected(self, packet: Any) -> bool:
        if packet.pts is None or not self._table.is_shown(packet):
            return False
        return self._anchor_pts is None or packet.pts >= self._anchor_pts

    def _number(self, picture: Any) -> int | None:
        """The index of a picture that came out of the decoder; None for one that is not part of the sequence."""
        if not self._table.trusted and self._from_start:
            return self._count()
        pts = picture.pts
        if pts is not None and self._anchor_pts is not None and pts < self._anchor_pts:
            return None  # a leading picture, whose references lie before the start of this run
        skipped = 0
        while self._expected and pts is not None and self._expected[0] < pts:
            heapq.heappop(self._expected)
            skipped += 1
        if pts is None or not self._expected or self._expected[0] != pts:
            return self._distrust()
        if self.base is None:
            self.base, skipped = skipped, 0
        elif skipped and self._from_start and not self.damaged and self.next_index < _PROBATION:
            return self._distrust()
        heapq.heappop(self._expected)
        index = self.next_index + skipped
        self.next_index = index + 1
        return index if index >= 0 else None

    def _distrust(self) -> int | None:
        self._table.trusted = False
        if self._from_start:
            return self._count()
        self.lost = True
        return None

    def _count(self) -> int:
        self._expected.clear()
        self.base = self.base or 0
        self.next_index += 1
        return self.next_index - 1
