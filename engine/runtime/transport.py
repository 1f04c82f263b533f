"""Seek, play, freeze, track, step, pause: which job follows from which wish."""

from __future__ import annotations

from dataclasses import replace

from engine.runtime.core import SessionCore
from engine.runtime.jobs import PlayJob, ShowJob, TrackJob, TrackRequest
from engine.runtime.messages import EngineProgress, Mode, Severity
from engine.runtime.retrack import plan, stretches
from engine.runtime.sources import SourceManager


class Transport:
    """The session's transport methods; documented at `engine.runtime.session.Session`."""

    def __init__(self, core: SessionCore, sources: SourceManager) -> None:
        self._core = core
        self._sources = sources
        self._engine_text = "The engine is starting"

    def set_engine_text(self, text: str) -> None:
        """What the engine said last, repeated to a user who asks for tracking before it is ready."""
        with self._core.lock:
            self._engine_text = text

    def seek(self, index: int) -> None:
        core = self._core
        with core.lock:
            if self._sources.after_open(lambda: self.seek(index)) or core.info is None or core.live:
                return
            if not self._source_works():
                return
            last = core.info.frame_count - 1 if core.info.frame_count else None
            index = max(0, index if last is None else min(index, last))
            core.wanted = None
            core.begin(ShowJob(index), Mode.FROZEN)
            core.position = index

    def play(self) -> None:
        core = self._core
        with core.lock:
            if self._sources.after_open(self.play) or core.info is None or not self._source_works():
                return
            core.wanted = None
            if core.live:
                core.end_replay()
                core.cancel_job()
                core.set_mode(Mode.PREVIEW)
            elif core.mode is not Mode.PLAYING:
                self._settle_position()
                core.begin(PlayJob(core.position), Mode.PLAYING)

    def freeze(self) -> None:
        with self._core.lock:
            if self._core.live:
                self.pause()

    def pause(self) -> None:
        core = self._core
        with core.lock:
            self._sources.forget_wish()
            core.wanted = None
            if core.mode in (Mode.PREVIEW, Mode.PLAYING, Mode.TRACKING):
                core.rest()

    def track(self, direction: int, until: int | None) -> None:
        self._request(TrackRequest(1 if direction >= 0 else -1, until, single=False))

    def step(self, direction: int) -> None:
        with self._core.lock:
            if not self._core.live:
                self._request(TrackRequest(1 if direction >= 0 else -1, None, single=True))

    def retrack_from(self, index: int) -> None:
        """Files, while tracking: a mask at or behind the present frame changed, so track again from there."""
        core = self._core
        with core.lock:
            job = core.job
            if not isinstance(job, TrackJob) or job.live:
                return
            if job.stretch is not None:
                if index in job.stretch.ends or job.stretch.first <= index <= job.stretch.last:
                    self.retrack(index)
                return
            if job.behind(core.position, index):
                return
            again = replace(job, start=index, error=None)
            core.begin(again, Mode.TRACKING)
            core.position = index

    def retrack(self, index: int | None) -> None:
        core = self._core
        with core.lock:
            if core.info is None or core.live:
                core.say(Severity.INFO, "Only videos and folders can be tracked again between keyframes.")
                return
            if not self._source_works():
                return
            if core.engine_failed:
                core.say(Severity.ERROR, "The engine is not running.", "Choose another model or device.")
                return
            if not core.engine_ready:
                core.say(Severity.INFO, "The engine is not ready yet.", "Ask again in a moment.")
                return
            home = core.position if index is None else index
            parts = stretches(core.store.keyframes(), core.store.kinds().keys(), home)
            job = plan(core.generation, parts, home)
            if job is None:
                core.say(
                    Severity.INFO,
                    "There is nothing to track again here.",
                    "Paint a keyframe on both sides, or track forward from one.",
                )
                return
            core.wanted = None
            core.begin(job, Mode.TRACKING)
            core.position = job.start

    def start_wanted(self) -> None:
        """The engine is ready: do what waited for it."""
        core = self._core
        with core.lock:
            request, core.wanted = core.wanted, None
            if request is not None:
                self._request(request)

    def _request(self, request: TrackRequest) -> None:
        core = self._core
        with core.lock:
            if self._sources.after_open(lambda: self._request(request)):
                return
            if core.info is None:
                core.say(Severity.WARNING, "There is nothing to track yet.", "Open a video or a camera first.")
            elif core.live and not core.source_alive and core.replay_from is not None and core.engine_ready:
                # The camera is gone; what was corrected in the replay can still be carried on to its last frame.
                job = TrackJob(core.generation, live=True, replay_from=core.end_replay())
                job.mailbox.close()
                core.begin(job, Mode.TRACKING)
            elif not self._source_works():
                pass
            elif core.live and request.direction < 0:
                core.say(Severity.INFO, "A live source can only be tracked forward.")
            elif not core.store.painted_ids:
                core.say(Severity.WARNING, "No object is painted yet.", "Paint one on this frame, then track.")
            elif core.engine_failed:
                core.say(Severity.ERROR, "The engine is not running.", "Choose another model or device.")
            elif not core.engine_ready:
                if core.mode is Mode.PLAYING:
                    core.rest()
                core.wanted = request
                core.events.put(EngineProgress(self._engine_text, ready=False))
            else:
                self._begin(request)

    def _begin(self, request: TrackRequest) -> None:
        core = self._core
        job = core.job
        if isinstance(job, TrackJob) and (
            job.live or (job.direction, job.until, job.single) == (request.direction, request.until, request.single)
        ):
            return
        if core.live:
            core.begin(TrackJob(core.generation, live=True, replay_from=core.end_replay()), Mode.TRACKING)
            return
        start = core.position
        until = start + request.direction if request.single else request.until
        core.begin(
            TrackJob(core.generation, start=start, direction=request.direction, until=until, single=request.single),
            Mode.TRACKING,
        )

    def _settle_position(self) -> None:
        """Tracking and playing go on from the frame last shown."""
        core = self._core
        if core.mode is not Mode.FROZEN and core.shown is not None:
            core.position = core.shown.frame.index

    def _source_works(self) -> bool:
        core = self._core
        if not core.source_alive:
            name = core.info.name if core.info is not None else "The source"
            core.say(Severity.WARNING, f"{name} is no longer connected.", "Open it again.")
        return core.source_alive
