"""The capture thread: opens one source, reads and seeks it as the present job asks, and releases it.

There is one such thread per opened source, from before it is opened until after it is closed. So an address that takes
half a minute to fail keeps nobody waiting, and the former source lives on until the new one has delivered a frame.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from engine.errors import SourceError, UserError
from engine.runtime.core import SessionCore
from engine.runtime.jobs import FramePacket, Job, PlayJob, ShowJob, TrackJob
from engine.runtime.messages import Mode, Severity
from engine.runtime.worker import Worker
from engine.video.source import FrameSource, SourceInfo

log = logging.getLogger(__name__)

Opener = Callable[[str], FrameSource]

BLOCK_FRAMES = 32  # frames read forward at a time when tracking backward ...
BLOCK_BYTES = 192 * 2**20  # ... unless they would take more memory than this
LATE_S = 0.25  # playing: beyond this lag the pace starts anew instead of hurrying


class CaptureWorker(Worker):
    """Owns a source. `on_opened` and `on_failed` run in this thread."""

    def __init__(
        self,
        core: SessionCore,
        uri: str,
        opener: Opener,
        on_opened: Callable[[CaptureWorker, SourceInfo, FramePacket | None], int | None],
        on_failed: Callable[[CaptureWorker, UserError], None],
    ) -> None:
        """`on_opened` gets the first frame of a file (None: live) and returns the generation, or None to give up."""
        super().__init__("capture", lambda notice: core.events.put(notice))
        self.uri = uri
        self._core = core
        self._opener = opener
        self._on_opened = on_opened
        self._on_failed = on_failed
        self._source: FrameSource | None = None
        self._live = False
        self._generation = -1
        self._opened = False
        self._next: int | None = None  # index the source delivers next, None when unknown
        self._last: FramePacket | None = None
        self._served: Job | None = None

    @property
    def notes(self) -> tuple[str, str]:
        """(warning, status) of the source: what is wrong with it, and what a long read is busy with; "" for nothing."""
        source = self._source
        return getattr(source, "warning", None) or "", getattr(source, "status", None) or ""

    # -- life ------------------------------------------------------------------------------------------------------
    def run(self) -> None:
        try:
            source = self._opener(self.uri)
        except Exception as error:  # whatever a driver or decoder raises: the former source must come back
            self._cannot_open(error)
            return
        self._source = source
        try:
            if self.stopping:
                return
            self._live = source.info.live
            try:
                first = None if self._live else self._first_frame(source)
            except Exception as error:  # as above
                self._cannot_open(error)
                return
            generation = self._on_opened(self, source.info, first)
            if generation is None:
                return
            self._generation = generation
            self._opened = True
            if self._live:
                self._run_live(source)
            else:
                self._run_file(source)
        finally:
            source.close()
            if self._opened:
                self._source_gone()

    def _cannot_open(self, error: Exception) -> None:
        if not isinstance(error, UserError):
            log.error("opening %s failed", self.uri, exc_info=error)
            text = f"{self.uri} cannot be opened because of an unexpected error."
            error = SourceError(text, "The details are in the log file.")
        self._on_failed(self, error)

    def wake(self) -> None:
        source = self._source
        if source is not None and self._live:
            # Wakes a read that waits for a camera or the network. Drivers may hang in close, so it has its own thread.
            threading.Thread(target=self._close_quietly, args=(source,), name="livemask-close", daemon=True).start()
        with self._core.lock:
            self._core.lock.notify_all()

    @staticmethod
    def _close_quietly(source: FrameSource) -> None:
        try:
            source.close()
        except Exception:
            log.exception("closing a source failed")  # the user has moved on to another source already

    def _source_gone(self) -> None:
        with self._core.lock:
            if self._generation == self._core.generation:
                self._core.source_alive = False
                if self._core.mode is not Mode.OPENING:
                    self._core.rest()

    # -- live ------------------------------------------------------------------------------------------------------
    def _run_live(self, source: FrameSource) -> None:
        while not self.stopping:
            try:
                frame = source.read()
            except SourceError as error:
                if not self.stopping:
                    self._core.say(Severity.ERROR, error.message, error.way_out)
                return
            if frame is None:
                if not self.stopping:
                    self._core.say(Severity.WARNING, f"{source.info.name} ended.", "Open it again to go on.")
                return
            packet = self._core.prepare(FramePacket(frame, frame.time_s))
            if not self._core.live_frame(self._generation, packet, source.dropped):
                return

    # -- files -----------------------------------------------------------------------------------------------------
    def _first_frame(self, source: FrameSource) -> FramePacket:
        self._next = 0
        packet = self._read(source, 0)
        if packet is None:
            raise SourceError(f"{source.info.name} holds no frames.", "Choose another file.")
        return packet

    def _run_file(self, source: FrameSource) -> None:
        while True:
            job = self._next_job()
            if job is None:
                return
            try:
                if isinstance(job, ShowJob):
                    self._show(source, job)
                elif isinstance(job, PlayJob):
                    self._play(source, job)
                else:
                    self._deliver(source, job)
            except SourceError as error:
                self._next = None
                if isinstance(job, TrackJob):
                    job.error = error  # the engine reports it once it has worked off what was read before
                    job.mailbox.close()
                else:
                    self._core.fail_job(job, error)

    def _next_job(self) -> Job | None:
        """Wait for a job that this thread has not served; None when it is time to go."""
        core = self._core
        with core.lock:
            while True:
                if self.stopping or core.generation != self._generation:
                    return None
                if core.job is not None and core.job is not self._served:
                    self._served = core.job
                    self.set_paused(False)
                    return core.job
                self.set_paused(True)
                core.lock.wait()

    def _read(self, source: FrameSource, index: int) -> FramePacket | None:
        """Frame `index` (in a damaged file the next one there is), None past the end."""
        if self._last is not None and self._last.frame.index == index:
            return FramePacket(self._last.frame, self._core.clock())
        if self._next != index:
            self._next = None
            source.seek(index)
        frame = source.read()
        if frame is None:
            self._next = None
            return None
        self._next = frame.index + 1
        self._core.stats.frame_read()
        self._last = FramePacket(frame, self._core.clock())
        return self._last

    def _show(self, source: FrameSource, job: ShowJob) -> None:
        packet = self._read(source, job.index)
        if packet is None:
            packet = self._last_frame(source, job)
        if packet is not None:
            self._core.show_sought(job, packet)
        else:
            self._core.job_done(job)

    def _last_frame(self, source: FrameSource, job: ShowJob) -> FramePacket | None:
        """The last frame there is, for a seek beyond it (containers promise too many frames, or say no number)."""
        back, packet = 1, None
        while packet is None and self._core.is_current(job):
            packet = self._read(source, max(0, job.index - back))
            if back > job.index:
                break
            back *= 2
        while packet is not None and self._core.is_current(job):
            later = self._read(source, packet.frame.index + 1)
            if later is None:
                return packet
            packet = later
        return None

    def _play(self, source: FrameSource, job: PlayJob) -> None:
        core = self._core
        before = self._read(source, job.start)
        if before is not None and not core.show(job, before):
            return
        media_start, wall_start = (before.frame.time_s if before else 0.0), core.clock()
        index = job.start + 1
        while core.is_current(job) and not self.stopping:
            packet = self._read(source, index)
            if packet is None:
                core.job_done(job)
                return
            due = wall_start + packet.frame.time_s - media_start
            if core.clock() - due > LATE_S:
                media_start, wall_start = packet.frame.time_s, core.clock()
            elif not self._wait_until(due, job):
                return
            if not core.show(job, packet):
                return
            index = packet.frame.index + 1

    def _wait_until(self, due: float, job: PlayJob) -> bool:
        core = self._core
        with core.lock:
            while core.job is job and not self.stopping:
                remaining = due - core.clock()
                if remaining <= 0:
                    return True
                core.lock.wait(remaining)
            return False

    def _deliver(self, source: FrameSource, job: TrackJob) -> None:
        """Read every frame of the job's range, in the job's order, into its mailbox; close it at the end."""
        if job.direction < 0:
            self._deliver_backward(source, job)
        else:
            index = job.start
            while not job.beyond(index) and not self.stopping:
                packet = self._read(source, index)
                if packet is None or job.beyond(packet.frame.index):
                    break
                if not job.mailbox.put(self._core.prepare(packet)):
                    break
                index = packet.frame.index + 1
        job.mailbox.close()

    def _deliver_backward(self, source: FrameSource, job: TrackJob) -> None:
        lowest = max(0, job.until if job.until is not None else 0)
        last = job.start
        frame_bytes = max(1, source.info.width * source.info.height * 3)
        block_frames = max(1, min(BLOCK_FRAMES, BLOCK_BYTES // frame_bytes))
        while last >= lowest:
            first = max(lowest, last - block_frames + 1)
            block: list[FramePacket] = []
            index = first
            while index <= last:
                if job.mailbox.closed or self.stopping:
                    return
                packet = self._read(source, index)
                if packet is None or packet.frame.index > last:
                    break
                block.append(packet)
                index = packet.frame.index + 1
            for packet in reversed(block):
                if not job.mailbox.put(self._core.prepare(packet)):
                    return
            last = first - 1
