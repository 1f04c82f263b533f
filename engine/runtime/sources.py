"""Opening and closing sources: the former one stays until the new one has shown that it works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.errors import UserError
from engine.runtime.capture import CaptureWorker, Opener
from engine.runtime.core import SessionCore
from engine.runtime.jobs import FramePacket
from engine.runtime.messages import Mode, Severity, WorkerState
from engine.video.source import FrameSource, SourceInfo, SourceKind

CAMERA_RELEASE_S = 3.0


class Newcomer(Protocol):
    """One who has a source opened for a purpose (a project). Exactly one of `adopted` and `dropped` is called."""

    def check(self, info: SourceInfo) -> None:
        """The source is open; the former one is still there. Core's lock is held.

        Raises:
            UserError: it is not wanted after all.
        """

    def adopted(self, info: SourceInfo) -> None:
        """The source has taken the place of the former one. Core's lock is held."""

    def dropped(self) -> None:
        """It did not come to that."""


class SourceManager:
    """Keeps the capture threads: at most one that is active, one that is opening, and those on their way out."""

    def __init__(self, core: SessionCore, opener: Opener, on_replaced: Callable[[], None]) -> None:
        """`on_replaced` is called, with the core's lock held, just before masks of the former source go."""
        self._core = core
        self._opener = opener
        self._on_replaced = on_replaced
        self._workers: list[CaptureWorker] = []
        self._active: CaptureWorker | None = None
        self._opening: CaptureWorker | None = None
        self._resume = Mode.EMPTY
        self._after_open: Callable[[], None] | None = None
        self._newcomer: Newcomer | None = None
        self._said = ("", "")

    def open(self, uri: str, newcomer: Newcomer | None = None) -> None:
        core = self._core
        with core.lock:
            self._drop_newcomer()
            if core.closed:
                if newcomer is not None:
                    newcomer.dropped()
                return
            self._newcomer = newcomer
            if self._opening is not None:
                self._opening.stop()
            else:
                self._resume = core.mode if core.mode in (Mode.PREVIEW, Mode.EMPTY) else Mode.FROZEN
            self._after_open = None
            core.rest()
            core.set_mode(Mode.OPENING)
            opener = self._opener
            had_camera = core.info is not None and core.info.kind is SourceKind.CAMERA
            if self._active is not None and had_camera and _may_be_camera(uri):
                opener = self._after_release(self._active)
            worker = CaptureWorker(core, uri, opener, self._opened, self._failed)
            self._opening = worker
            self._workers = [w for w in self._workers if w.alive or w is self._active]
            self._workers.append(worker)
        worker.start()

    def close_source(self) -> None:
        core = self._core
        with core.lock:
            for worker in (self._opening, self._active):
                if worker is not None:
                    worker.stop()
            self._opening = self._active = self._after_open = None
            self._drop_newcomer()
            self._on_replaced()
            core.drop_source()

    def after_open(self, action: Callable[[], None]) -> bool:
        """While a source is being opened, keep the newest wish for afterwards. False when none is (do it now)."""
        with self._core.lock:
            if self._opening is None:
                return False
            self._after_open = action
            return True

    def forget_wish(self) -> None:
        with self._core.lock:
            self._after_open = None

    def stop(self) -> list[CaptureWorker]:
        """Ask every capture thread to end; returns those to join."""
        with self._core.lock:
            self._opening = None
            self._drop_newcomer()
            workers = list(self._workers)
        for worker in workers:
            worker.stop()
        return workers

    def poll(self) -> None:
        """Pass on what the open source says of itself (reconnecting, damaged, ...), each text once."""
        core = self._core
        with core.lock:
            if self._active is None or core.info is None:
                return
            warning, status = self._active.notes
            if warning and warning != self._said[0]:
                core.say(Severity.WARNING, warning)
            if status and status != self._said[1]:
                core.say(Severity.INFO, status)
            self._said = (warning, status)

    @property
    def status(self) -> str:
        """What the open source is busy with instead of delivering frames, "" for nothing."""
        with self._core.lock:
            return self._active.notes[1] if self._active is not None else ""

    @property
    def state(self) -> WorkerState:
        with self._core.lock:
            if self._opening is not None:
                return WorkerState.STARTING
            return self._active.state if self._active is not None else WorkerState.STOPPED

    # -- in the capture threads ------------------------------------------------------------------------------------
    def _opened(self, worker: CaptureWorker, info: SourceInfo, first: FramePacket | None) -> int | None:
        core = self._core
        with core.lock:
            if worker is not self._opening:
                return None
            newcomer = self._newcomer
            if newcomer is not None:
                try:
                    newcomer.check(info)
                except UserError as error:
                    self._failed(worker, error)
                    return None
                self._newcomer = None
            former, self._active, self._opening = self._active, worker, None
            wish, self._after_open = self._after_open, None
            self._said = ("", "")
            self._on_replaced()
            generation = core.adopt_source(info, first)
            if newcomer is not None:
                newcomer.adopted(info)
        if former is not None:
            former.stop()
        if wish is not None:
            wish()
        return generation

    def _failed(self, worker: CaptureWorker, error: UserError) -> None:
        core = self._core
        with core.lock:
            if worker is not self._opening:
                return
            self._opening = self._after_open = None
            self._drop_newcomer()
            core.say(Severity.ERROR, error.message, error.way_out)
            mode = self._resume if core.info is not None else Mode.EMPTY
            core.set_mode(Mode.FROZEN if mode is Mode.PREVIEW and not core.source_alive else mode)

    def _drop_newcomer(self) -> None:
        newcomer, self._newcomer = self._newcomer, None
        if newcomer is not None:
            newcomer.dropped()

    def _after_release(self, former: CaptureWorker) -> Opener:
        """Most cameras open only once: let the former go first. Its masks stay, should the new one fail."""

        def open_after_release(uri: str) -> FrameSource:
            former.stop()
            former.join(CAMERA_RELEASE_S)
            return self._opener(uri)

        return open_after_release


def _may_be_camera(uri: str) -> bool:
    return uri.startswith("camera:") or ("://" not in uri and not Path(uri).exists())
