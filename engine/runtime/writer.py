"""The writer thread: exports of stored masks, and recordings of what is tracked live. One at a time."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import ExportError, UserError
from engine.export.masks import MaskSequence
from engine.export.request import ExportRequest
from engine.export.runner import run_export
from engine.project.recorder import Recorder
from engine.runtime.capture import Opener
from engine.runtime.core import SessionCore
from engine.runtime.mailbox import Mailbox, MailboxClosed, Policy
from engine.runtime.messages import DisplayItem, ExportProgress, Severity
from engine.runtime.worker import Worker
from engine.video.source import SourceInfo

log = logging.getLogger(__name__)

RECORD_CAPACITY = 8  # tracked frames that may wait for the encoder; beyond that the engine waits and drops live frames


@dataclass(eq=False)
class _Export:
    info: SourceInfo
    masks: MaskSequence
    request: ExportRequest
    cancel: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False)
class _Recording:
    info: SourceInfo
    folder: Path
    palette: NDArray[np.uint8] | None
    mailbox: Mailbox[DisplayItem] = field(default_factory=lambda: Mailbox(RECORD_CAPACITY, Policy.BLOCK))

    def take(self, item: DisplayItem) -> None:
        self.mailbox.put(item)


class WriterWorker(Worker):
    """Encoders and files belong to this thread."""

    def __init__(self, core: SessionCore, opener: Opener) -> None:
        super().__init__("writer", lambda notice: core.events.put(notice))
        self._core = core
        self._opener = opener
        self._changed = threading.Condition()
        self._task: _Export | _Recording | None = None

    # -- asked by the session --------------------------------------------------------------------------------------
    def export(self, info: SourceInfo, masks: MaskSequence, request: ExportRequest) -> None:
        self._begin(_Export(info, masks, request))

    def cancel_export(self) -> None:
        with self._changed:
            if isinstance(self._task, _Export):
                self._task.cancel.set()

    def start_recording(self, info: SourceInfo, folder: Path, palette: NDArray[np.uint8] | None) -> None:
        recording = _Recording(info, folder, palette)
        if self._begin(recording):
            with self._core.lock:
                self._core.recorder = recording.take

    def stop_recording(self) -> None:
        """Finish the files of a recording with what has been tracked up to now; no-op when none runs."""
        with self._core.lock:
            self._core.recorder = None
        with self._changed:
            if isinstance(self._task, _Recording):
                self._task.mailbox.close()

    def _begin(self, task: _Export | _Recording) -> bool:
        with self._changed:
            if self.stopping or self._task is not None:
                self._core.say(Severity.WARNING, "Another export or recording is still running.", "Wait or stop it.")
                return False
            self._task = task
            self._changed.notify_all()
            return True

    # -- the thread ------------------------------------------------------------------------------------------------
    def run(self) -> None:
        while (task := self._next_task()) is not None:
            try:
                if isinstance(task, _Export):
                    self._export(task)
                else:
                    self._record(task)
            except Exception as error:
                self._fail(task, error)
            finally:
                self._finish(task)

    def wake(self) -> None:
        with self._changed:
            if isinstance(self._task, _Export):
                self._task.cancel.set()
            elif self._task is not None:
                self._task.mailbox.close()  # what was tracked up to now is still written
            self._changed.notify_all()

    def _next_task(self) -> _Export | _Recording | None:
        with self._changed:
            self.set_paused(True)
            while self._task is None and not self.stopping:
                self._changed.wait()
            self.set_paused(False)
            return self._task

    def _finish(self, task: _Export | _Recording) -> None:
        if isinstance(task, _Recording):
            with self._core.lock:
                if self._core.recorder == task.take:
                    self._core.recorder = None
            task.mailbox.close()
            task.mailbox.clear()
        with self._changed:
            self._task = None

    def _fail(self, task: _Export | _Recording, error: Exception) -> None:
        if isinstance(error, UserError):
            message, way_out = error.message, error.way_out
        else:
            log.exception("writing failed")
            message, way_out = "Writing failed because of an unexpected error.", "The details are in the log file."
        self._core.say(Severity.ERROR, message, way_out)
        self._core.events.put(ExportProgress(0, None, finished=True, ok=False, text=message, way_out=way_out))

    def _export(self, task: _Export) -> None:
        events = self._core.events
        done = 0

        def progress(frames: int, total: int | None) -> None:
            nonlocal done
            done = frames
            events.put(ExportProgress(frames, total))

        outcome = run_export(task.info.uri, task.masks, task.request, progress, task.cancel.is_set, opener=self._opener)
        frames, total = outcome.frames, outcome.frames if outcome.complete else None
        if outcome.complete:
            text = " ".join([f"{frames} frames exported to {outcome.target}.", *outcome.notes])
        else:
            kept = f" {frames} of them are kept, to continue from." if frames else " Nothing was written."
            text = f"Stopped after {done} frames.{kept}"
        events.put(ExportProgress(frames, total, True, outcome.complete, text, cancelled=not outcome.complete))

    def _record(self, task: _Recording) -> None:
        events = self._core.events
        done = 0
        with Recorder(task.folder, task.info, task.palette) as recorder:
            while True:
                try:
                    item = task.mailbox.get()
                except MailboxClosed:
                    break
                if item is None or item.mask is None:
                    continue
                recorder.write(item.frame, item.mask)
                done += 1
                events.put(ExportProgress(done, None, text="Recording"))
        if not done:
            raise ExportError("Nothing was tracked while recording, so nothing was written.")
        events.put(ExportProgress(done, done, finished=True, ok=True, text=f"{done} frames recorded in {task.folder}"))
