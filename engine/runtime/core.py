"""What the session's threads share, under one lock: the source, the mode, the present job, the frame on display.

Lock order: `SessionCore.lock` may be held while taking the lock of the store, the statistics, the events or a mailbox,
never the other way round. Nothing that takes more than a millisecond happens with it held.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from engine.errors import UserError
from engine.preparing import Preparation
from engine.project.mask_entries import StoreChange
from engine.project.mask_store import LIVE_LIMIT, MaskStore
from engine.runtime.commands import Configure, EngineCommand, EngineFacts, Reset, SaveBank
from engine.runtime.events import EventQueue
from engine.runtime.frame_cache import FrameCache
from engine.runtime.jobs import FramePacket, Job, ShowJob, TrackJob, TrackRequest
from engine.runtime.messages import (
    DisplayItem,
    MaskKind,
    MasksChanged,
    Mode,
    ModeChanged,
    Notice,
    ObjectsChanged,
    ReplayChanged,
    Severity,
    SourceClosed,
    SourceOpened,
    TrackingFinished,
)
from engine.runtime.replay_ring import ReplayRing
from engine.runtime.stats import SessionStats
from engine.types import Mask
from engine.video.source import SourceInfo


class SessionCore:
    """Methods take the lock themselves; attributes are read and written with `lock` held."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.Condition(threading.RLock())
        self.events = EventQueue()
        self.stats = SessionStats(clock)
        self.store = MaskStore()
        self.frames = FrameCache()
        self.ring = ReplayRing()
        self.replaying = False
        self.replay_from: int | None = None  # the earliest frame corrected in the replay
        self.mode = Mode.EMPTY
        self.info: SourceInfo | None = None
        self.generation = 0
        self.source_alive = False
        self.closed = False
        self.job: Job | None = None
        self.position = 0  # the frame the next job starts from
        self.shown: DisplayItem | None = None
        self.engine_ready = False
        self.engine_failed = False
        self.wanted: TrackRequest | None = None
        self.commands: deque[EngineCommand] = deque()
        self.facts = EngineFacts()
        self.preparation: Preparation | None = None  # what the tracker will do to the next frame
        self.recorder: Callable[[DisplayItem], None] | None = None
        self.watcher: Callable[[DisplayItem], None] | None = None
        self.on_rest: Callable[[], None] | None = None  # called with the lock held; a good moment to save
        self._fresh: DisplayItem | None = None  # not yet taken by the app
        self._taken: DisplayItem | None = None  # what the app shows
        self.renamed: list[tuple[int, int]] = []  # objects deleted (0) or merged since the source was opened, into what
        self._object_ids: tuple[int, ...] = ()

    # -- jobs ------------------------------------------------------------------------------------------------------
    @property
    def live(self) -> bool:
        return self.info is not None and self.info.live

    def is_current(self, job: Job) -> bool:
        with self.lock:
            return self.job is job

    def begin(self, job: Job, mode: Mode) -> None:
        """Replace the present job."""
        with self.lock:
            self.cancel_job()
            if self.closed:
                return
            self.job = job
            self.set_mode(mode)
            self.lock.notify_all()

    def cancel_job(self) -> None:
        """Let go of the present job; frames on their way to the engine are dropped (and counted, when live)."""
        with self.lock:
            job, self.job = self.job, None
            if isinstance(job, TrackJob):
                job.mailbox.close()
                job.mailbox.clear()
                if job.live:
                    self.stats.frame_dropped(job.mailbox.dropped)
            self.lock.notify_all()

    def rest(self) -> None:
        """Come to rest on the frame last shown; what waited for the engine is no longer wanted."""
        with self.lock:
            self.wanted = None
            self.cancel_job()
            if self.mode is Mode.PREVIEW and self._fresh is not None and self._taken is not None:
                # Freeze what the user sees: a newer frame that the app has not taken yet would slip under the brush.
                self.shown, self._fresh = self._taken, None
            if self.shown is not None:
                self.position = self.shown.frame.index
            if self.info is not None:
                self.set_mode(Mode.FROZEN)
            if self.on_rest is not None:
                self.on_rest()

    def job_done(self, job: Job) -> None:
        """The job ran to its end."""
        with self.lock:
            if self.job is not job:
                return
            if isinstance(job, TrackJob) and job.error is not None:
                self.fail_job(job, job.error)
                return
            if isinstance(job, TrackJob) and job.then is not None:
                self._follow(job.then)
                return
            self.rest()
            if isinstance(job, TrackJob) and not job.single:
                self.events.put(TrackingFinished(self.position))

    def _follow(self, job: Job) -> None:
        """One run has ended, another follows; in the end the frame is shown where all was asked for (lock held)."""
        if isinstance(job, TrackJob):
            self.begin(job, Mode.TRACKING)
            self.position = job.start
            return
        self.rest()
        if isinstance(job, ShowJob):
            self.begin(job, Mode.FROZEN)
            self.position = job.index
        self.events.put(TrackingFinished(self.position))

    def fail_job(self, job: Job, error: UserError) -> None:
        """The job cannot go on; every mask stays."""
        with self.lock:
            if self.job is job:
                self.rest()
                self.say(Severity.ERROR, error.message, error.way_out)

    def post(self, command: EngineCommand) -> None:
        """Give the engine thread a command; it runs before the next frame is tracked."""
        with self.lock:
            self.commands.append(command)
            if isinstance(self.job, TrackJob):
                self.job.mailbox.wake()
            self.lock.notify_all()

    def prepare(self, packet: FramePacket) -> FramePacket:
        """Make the small picture of a frame that is about to be tracked, in the thread that read it."""
        with self.lock:
            preparation = self.preparation if isinstance(self.job, TrackJob) else None
        return packet if preparation is None else FramePacket(preparation.apply(packet.frame), packet.read_at)

    def packet_lost(self, job: TrackJob) -> None:
        """A frame the engine took was neither shown nor stored."""
        with self.lock:
            if job.live and job.generation == self.generation:
                self.stats.frame_dropped()

    # -- display ---------------------------------------------------------------------------------------------------
    def set_mode(self, mode: Mode) -> None:
        with self.lock:
            if mode is not self.mode:
                self.mode = mode
                self.events.put(ModeChanged(mode))

    def say(self, severity: Severity, message: str, way_out: str = "") -> None:
        self.events.put(Notice(severity, message, way_out))

    def show(self, job: Job, packet: FramePacket) -> bool:
        """Display a frame with its stored mask, if `job` is still the present one."""
        mask, kind = self.store.get(packet.frame.index)
        with self.lock:
            if self.job is not job:
                return False
            self.publish(packet, mask, kind)
            return True

    def show_sought(self, job: ShowJob, packet: FramePacket) -> None:
        """Display the frame a seek asked for, also when a newer seek waits already (scrubbing)."""
        mask, kind = self.store.get(packet.frame.index)
        with self.lock:
            if not isinstance(self.job, ShowJob):
                return
            position = self.position
            self.publish(packet, mask, kind)
            if self.job is job:
                self.job = None
            else:
                self.position = position

    def publish(self, packet: FramePacket, mask: Mask | None, kind: MaskKind) -> DisplayItem:
        """Put an item on display (lock held)."""
        item = DisplayItem(
            packet.frame,
            mask,
            kind,
            self.store.confidence(packet.frame.index) if mask is not None else {},
            max(0.0, self.clock() - packet.read_at),
            self.generation,
            self.store.states(packet.frame.index) if mask is not None else {},
        )
        self.shown = self._fresh = item
        self.position = packet.frame.index
        return item

    def show_again(self) -> None:
        """The stored mask of the frame at rest changed: display it anew."""
        with self.lock:
            if self.shown is None or self.mode is not Mode.FROZEN:
                return
            position = self.position
            self.publish(FramePacket(self.shown.frame, self.clock()), *self.store.get(self.shown.frame.index))
            self.position = position

    def take_display(self) -> DisplayItem | None:
        with self.lock:
            item, self._fresh = self._fresh, None
            self._taken = item or self._taken
            return item

    # -- source ----------------------------------------------------------------------------------------------------
    def adopt_source(self, info: SourceInfo, first: FramePacket | None) -> int:
        """A new source takes the place of the former one; masks and figures start anew. Returns the generation."""
        with self.lock:
            self._clean_slate(MaskStore(LIVE_LIMIT if info.live else None))
            self.info = info
            self.source_alive = True
            self.events.put(SourceOpened(info, self.generation))
            if first is not None:
                self.publish(first, None, MaskKind.NONE)
            self.set_mode(Mode.PREVIEW if info.live else Mode.FROZEN)
            return self.generation

    def drop_source(self) -> None:
        """No source any more."""
        with self.lock:
            had_one = self.info is not None
            self._clean_slate(MaskStore())
            self.info = None
            self.source_alive = False
            self.set_mode(Mode.EMPTY)
            if had_one:
                self.events.put(SourceClosed())

    def end_replay(self) -> int | None:
        """Look at it no longer; returns the earliest frame corrected meanwhile."""
        with self.lock:
            if self.replaying:
                self.replaying = False
                self.events.put(ReplayChanged())
            corrected, self.replay_from = self.replay_from, None
            return corrected

    def _clean_slate(self, store: MaskStore) -> None:
        self.end_replay()
        self.ring.clear()
        self.wanted = None
        self.cancel_job()
        self.generation += 1
        self.store = store
        self.frames.clear()
        self.stats.reset()
        self.shown = self._fresh = self._taken = None
        self.position = 0
        self.renamed.clear()
        self._object_ids = ()
        self.commands = deque(c for c in self.commands if isinstance(c, (Configure, SaveBank)))
        self.post(Reset())

    # -- live frames -----------------------------------------------------------------------------------------------
    def live_frame(self, generation: int, packet: FramePacket, source_dropped: int) -> bool:
        """A live frame arrived: preview it, track it or drop it. False when the source has been replaced."""
        with self.lock:
            if generation != self.generation:
                return False
            self.stats.frame_read(source_dropped)
            if self.mode is Mode.PREVIEW or (self.mode is Mode.FROZEN and self.shown is None):
                self.publish(packet, None, MaskKind.NONE)
                self.stats.frame_previewed()
            elif isinstance(self.job, TrackJob):
                self.job.mailbox.put(packet)
            else:
                self.stats.frame_dropped()
            return True

    @property
    def dropped(self) -> int:
        """Live frames nobody saw, since the source was opened."""
        with self.lock:
            in_job = self.job.mailbox.dropped if isinstance(self.job, TrackJob) and self.job.live else 0
            return self.stats.dropped + in_job

    # -- masks -----------------------------------------------------------------------------------------------------
    def masks_changed(self, change: StoreChange) -> None:
        """Tell the app what an edit or a result changed."""
        if change.first is not None and change.last is not None:
            self.events.put(MasksChanged(change.first, change.last))
        with self.lock:
            object_ids = self.store.object_ids
            if object_ids != self._object_ids:
                self._object_ids = object_ids
                self.events.put(ObjectsChanged(object_ids))
