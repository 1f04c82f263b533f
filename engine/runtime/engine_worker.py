"""The engine thread: builds the tracker and is the only thread that ever touches it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.errors import DeviceError, UserError
from engine.runtime import memory_exchange
from engine.runtime.capture import Opener
from engine.runtime.catching_up import catch_up
from engine.runtime.commands import (
    Configure,
    DeleteObject,
    EngineCommand,
    EngineFacts,
    Explain,
    ForgetKeyframe,
    ForgetTracked,
    LoadBank,
    MergeObjects,
    ReadMotion,
    Relearn,
    SaveBank,
    Scribble,
)
from engine.runtime.config import EngineConfig
from engine.runtime.core import SessionCore
from engine.runtime.embed_ahead import EmbedAhead, busy_seconds
from engine.runtime.explaining import MotionAnswers, explain
from engine.runtime.feeder import KeyframeFeeder
from engine.runtime.jobs import FramePacket, TrackJob
from engine.runtime.mailbox import MailboxClosed
from engine.runtime.memory_exchange import Ahead
from engine.runtime.messages import EngineProgress, MaskKind, Severity
from engine.runtime.results import StepNote, commit
from engine.runtime.retrack import blend
from engine.runtime.scribbling import ScribbleAnswers
from engine.runtime.tuner import Tuner
from engine.runtime.worker import Worker

if TYPE_CHECKING:  # importing it imports torch, which only this thread does, when it builds the tracker
    from engine.tracker import Tracker

log = logging.getLogger(__name__)

Progress = Callable[[str, "float | None"], None]


TrackerFactory = Callable[[EngineConfig, Progress], "Tracker"]


class EngineWorker(Worker):
    """Tracks what capture delivers. `on_ready` is called in this thread whenever a tracker is ready."""

    def __init__(
        self,
        core: SessionCore,
        config: EngineConfig,
        create_tracker: TrackerFactory,
        opener: Opener,
        on_ready: Callable[[], None],
        on_text: Callable[[str], None],
    ) -> None:
        super().__init__("engine", lambda notice: core.events.put(notice))
        self._core = core
        self._config = config
        self._create = create_tracker
        self._opener = opener
        self._motion = MotionAnswers()
        self._scribbles = ScribbleAnswers()
        self._on_ready = on_ready
        self._on_text = on_text
        self._tuner = Tuner(lambda message, way_out: core.say(Severity.WARNING, message, way_out), core.clock)
        self._feeder = KeyframeFeeder(core, opener, self._tuner)
        self._tuned: TrackJob | None = None  # the job the tuner has begun
        self._tracker: Tracker | None = None
        self._served: TrackJob | None = None
        self._last: int | None = None  # frame of the tracker's last step that was stored and shown
        self._ahead: Ahead | None = None
        self._stepped = False  # this tracker has tracked a frame of this source
        self._revision = 0  # another number after every change of the tracker's memory

    # -- life ------------------------------------------------------------------------------------------------------
    def run(self) -> None:
        self._build(self._config)
        while not self.stopping:
            job = self._wait()
            self._run_commands()
            if job is not None and self._tracker is not None:
                self._served = job
                self._track(job)

    def wake(self) -> None:
        core = self._core
        with core.lock:
            if isinstance(core.job, TrackJob):
                core.job.mailbox.wake()
            core.lock.notify_all()

    def faulted(self, error: BaseException) -> None:
        core = self._core
        with core.lock:
            core.engine_ready = False
            core.engine_failed = True
            core.wanted = None
            if isinstance(core.job, TrackJob):
                core.rest()
        self._tell("The engine stopped", ready=False)

    def _wait(self) -> TrackJob | None:
        core = self._core
        with core.lock:
            while not self.stopping:
                job = core.job
                if isinstance(job, TrackJob) and job is not self._served and self._tracker is not None:
                    self.set_paused(False)
                    return job
                if core.commands:
                    return None
                self.set_paused(True)
                core.lock.wait()
            return None

    # -- the tracker -----------------------------------------------------------------------------------------------
    def _build(self, config: EngineConfig) -> None:
        core = self._core
        with core.lock:
            core.engine_ready = False
            core.engine_failed = False
        self._tell("Starting the engine", ready=False)
        failure: UserError | None = None
        try:
            self._tracker = self._create(config, self._progress)
        except UserError as error:
            failure = error
        except MemoryError:
            failure = DeviceError("There is not enough memory for this model.", "Choose a smaller one.")
        except Exception:  # libraries and drivers raise what they like; the former tracker, if any, works on
            log.exception("building the tracker failed")
            failure = UserError("The engine cannot be started.", "The details are in the log file.")
        if failure is None:
            self._feeder.forget_all()
            self._scribbles.forget()
            self._tuner.forget()
            self._last = self._ahead = self._tuned = None
            self._stepped = False
            self._config = config
        else:
            core.say(Severity.ERROR, failure.message, failure.way_out)
        with core.lock:
            core.engine_ready = self._tracker is not None
            core.engine_failed = self._tracker is None
            if self._tracker is None:
                core.wanted = None
        if self._tracker is None:
            self._tell(failure.message if failure is not None else "", ready=False)
            return
        if failure is None and self._tracker.notice:
            core.say(Severity.WARNING, self._tracker.notice)
        self._publish_facts()
        self._tell("Ready", ready=True)
        self._on_ready()

    def _progress(self, text: str, fraction: float | None = None) -> None:
        self._tell(text if fraction is None else f"{text} ({fraction:.0%})", ready=False)

    def _tell(self, text: str, *, ready: bool) -> None:
        self._on_text(text)
        facts = self._core.facts
        self._core.events.put(EngineProgress(text, ready, facts.device, facts.model, facts.recipe))

    def _publish_facts(self) -> None:
        if self._tracker is None:
            return
        tracker = self._tracker
        facts = EngineFacts(
            device=tracker.device_text,
            model=tracker.embedder.name,
            recipe=tracker.recipe.name,
            bank_bytes=tracker.bank_bytes,
            bank_frames=tracker.bank_frames,
            working_size=tracker.working_size,
            live_quality=self._tuner.live_quality,
        )
        with self._core.lock:
            self._core.facts = facts
            self._core.preparation = tracker.preparation

    # -- commands --------------------------------------------------------------------------------------------------
    def _run_commands(self) -> None:
        core = self._core
        while True:
            with core.lock:
                if not core.commands:
                    return
                command = core.commands.popleft()
            if isinstance(command, SaveBank):
                self._save_bank(command)
                continue
            self._ahead = None
            self._revision += 1
            self._obey(command)

    def _save_bank(self, command: SaveBank) -> None:
        """What the engine remembers, between two frames; the tracker and a result that waits stay as they are."""
        state = None
        if self._tracker is not None and command.seen != self._revision:
            progress = memory_exchange.Progress(self._last, self._stepped, self._ahead)
            state = memory_exchange.remembered(self._tracker, self._feeder, progress)
        command.reply(self._revision, state)

    def _load_bank(self, tracker: Tracker, command: LoadBank) -> None:
        store = self._core.store
        progress = memory_exchange.recall_project(tracker, self._feeder, store, command.state, command.object_ids)
        if progress is None:
            self._core.say(
                Severity.INFO,
                "The project was tracked by another engine: this one learns its keyframes anew.",
                "Masks tracked from here on may differ a little.",
            )
        else:
            self._last, self._stepped, self._ahead = progress.last, progress.stepped, progress.ahead

    def _obey(self, command: EngineCommand) -> None:
        if isinstance(command, Configure) and not self._adapts(command.config):
            self._build(command.config)
            return
        if self._tracker is None:
            return
        tracker = self._tracker
        if isinstance(command, Configure):
            self._config = command.config
            tracker.choose_working_size(command.config.working_size)
            self._tuner.forget()
            self._tuned = None
            self._publish_facts()
            self._tell("Ready", ready=True)
            return
        if isinstance(command, DeleteObject):
            tracker.delete_object(command.object_id)
        elif isinstance(command, MergeObjects):
            tracker.merge_objects(command.object_id, command.into)
        elif isinstance(command, Relearn):
            tracker.reset()
            self._feeder.forget_all()
            self._last = None
        elif isinstance(command, ForgetKeyframe):
            tracker.forget_keyframe(command.index)
            self._feeder.forget(command.index)
        elif isinstance(command, ForgetTracked):
            tracker.forget_tracked()
            self._last = None
        elif isinstance(command, Explain):
            explain(self._core, tracker, self._opener, command)
        elif isinstance(command, ReadMotion):
            self._motion.answer(self._core, tracker, command)
        elif isinstance(command, LoadBank):
            self._load_bank(tracker, command)
        elif isinstance(command, Scribble):
            self._scribbles.answer(self._core, tracker, command)
        else:
            tracker.reset()
            self._scribbles.forget()
            self._feeder.forget_all()
            self._tuner.forget()
            self._last = self._tuned = None
            self._stepped = False
        self._publish_facts()

    def _adapts(self, config: EngineConfig) -> bool:
        """Whether the tracker there is can do what is asked, without being built anew."""
        former = self._config
        same = replace(config, working_size=former.working_size, live_rate=former.live_rate) == former
        return same and self._tracker is not None

    # -- tracking --------------------------------------------------------------------------------------------------
    def _tune(self, job: TrackJob) -> None:
        if self._tracker is None or self._tuned is job:
            return
        with self._core.lock:
            info = self._core.info
        if info is None:
            return
        self._tuner.begin(self._tracker, self._config, info, live=job.live)
        self._tuned = job
        self._publish_facts()

    def _track(self, job: TrackJob) -> None:
        with EmbedAhead(job.mailbox, lambda: None if job.single else self._tracker) as ahead:
            self._track_all(job, ahead)

    def _track_all(self, job: TrackJob, ahead: EmbedAhead) -> None:
        first = True
        while not self.stopping:
            packet, done = None, False
            self._revision += 1
            try:
                self._tune(job)
                if first and job.replay_from is not None and self._tracker is not None:
                    first = False
                    self._ahead = None
                    last = catch_up(self._core, job, self._tracker, self._feeder, self._tuner)
                    self._last = self._last if last is None else last
                if job.live and self._tracker is not None:
                    # A correction reaches the tracker at once; the frame tracked next is then the newest.
                    self._feeder.feed(self._tracker, job, self._last or 0, self._feeder.due(job, -1))
                packet = job.mailbox.get()
                self._run_commands()
                self._tune(job)
                if packet is None:
                    continue
                if self._tracker is None or not self._core.is_current(job):
                    return
                if first and not job.live and self._starts_from(job, packet, self._tracker):
                    first, done = False, True  # the mask of the frame at rest stays: begin with the next
                    continue
                first = False
                with ahead.step():
                    done = self._step(job, packet, self._tracker)
            except MailboxClosed:
                self._core.job_done(job)
                return
            except UserError as error:
                self._give_up(job, error)
                return
            except MemoryError:
                self._give_up(
                    job, DeviceError("Memory ran out while tracking.", "Choose a smaller working size and track on.")
                )
                return
            finally:
                if packet is not None and not done:
                    self._core.packet_lost(job)

    def _give_up(self, job: TrackJob, error: UserError) -> None:
        self._last = self._ahead = None
        self._core.fail_job(job, error)

    def _starts_from(self, job: TrackJob, packet: FramePacket, tracker: Tracker) -> bool:
        """Bring the tracker to the frame a run begins with; False when that frame has yet to be tracked (or learnt)."""
        core, index = self._core, packet.frame.index
        if self._goes_on_from(job, index):
            return True
        if job.stretch is not None:  # both ends have a say in every frame between them
            self._ahead = None
            self._feeder.feed(tracker, job, index, self._feeder.unseen(k for k in job.stretch.ends if k != index))
        tracker.rewind(index, job.direction)
        self._feeder.feed(tracker, job, index, self._feeder.due(job, index))
        mask, kind = core.store.get(index)
        if kind is not MaskKind.TRACKED or mask is None or not self._stepped:  # a new model makes masks of its own
            return False
        if not tracker.object_ids:
            self._feeder.feed_any(tracker, job, index)
        if not tracker.object_ids:
            return False
        known = core.store.confidence(index)
        self._tuner.attempt(tracker, lambda: tracker.recall(packet.frame, mask, known))
        self._ahead = None
        self._last = index
        core.show(job, packet)
        return True

    def _goes_on_from(self, job: TrackJob, index: int) -> bool:
        """Whether the tracker's last visible step was this very frame, and nothing has changed since."""
        store = self._core.store
        if index != self._last or self._feeder.due(job, index):
            return False
        keyframe = store.keyframe(index)
        if keyframe is not None:
            return self._feeder.has_seen(index, keyframe)
        return store.kind(index) is MaskKind.TRACKED

    def _step(self, job: TrackJob, packet: FramePacket, tracker: Tracker) -> bool:
        """Track one frame; True when its result is stored and on display."""
        core, index = self._core, packet.frame.index
        store = core.store
        due = self._feeder.due(job, index)
        if due:
            self._ahead = None
            self._feeder.feed(tracker, job, index, due)
            if not core.is_current(job):
                return False
        keyframe = store.keyframe(index)
        if keyframe is None and not tracker.object_ids:
            self._feeder.feed_any(tracker, job, index)
        version = keyframe.version if keyframe is not None else None
        note = StepNote.now(core, version)
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            self._feeder.refresh(tracker, index)
        started, plain = time.perf_counter(), False
        if ahead is not None and ahead.result.frame.index == index and ahead.keyframe_version == version:
            result = ahead.result
        elif keyframe is not None:
            result = self._feeder.learn(tracker, packet.frame, keyframe)
        else:
            result = self._tuner.attempt(tracker, lambda: tracker.step(packet.frame, embedded=packet.embedded))
            plain = not due
        self._publish_facts()
        shown = blend(store, job.stretch, result) if job.blends and job.stretch is not None else result
        item = commit(core, job, packet, shown, note)
        if item is None:
            self._ahead = None if job.live or job.stretch is not None else Ahead(result, version)
            return False
        # The tracker remembers what it tracked itself; a later run from here must begin with the blended mask.
        self._last = None if shown is not result else index
        if job.live:
            core.ring.put(packet.frame)
        self._stepped = True
        if plain:
            self._tuner.measured(tracker, busy_seconds(packet, time.perf_counter() - started))
        for take in (core.recorder, core.watcher):
            if take is not None:
                take(item)
        return True
