"""Measures the backends while the window has nothing to do, in a process of its own that tracking ends at once.

Nobody waits for it: the first start uses PyTorch, and what was measured holds from the next start of the engine on.
Only with backend "auto", once for each model and device, and only after the engine has been idle for a while.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import psutil

from engine.runtime.config import EngineConfig
from engine.runtime.core import SessionCore
from engine.runtime.jobs import PlayJob, TrackJob
from engine.runtime.messages import Severity
from engine.runtime.worker import Worker

IDLE_S = 30.0
_LOOK_EVERY_S = 1.0
_MOST_TRIES = 3  # of one configuration: who tracks all the time is not disturbed for ever
_END_TIMEOUT_S = 2.0
_NICE = 10
_MAIN = Path(__file__).resolve().parents[2] / "main.py"


class Process(Protocol):
    """What is needed of `subprocess.Popen`."""

    def poll(self) -> int | None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


def tune_command(config: EngineConfig) -> list[str]:
    """``main.py tune`` for `config`."""
    command = [sys.executable, str(_MAIN), "tune", "--device", config.device]
    if config.model is not None:
        command += ["--model", config.model]
    if config.weights is not None:
        command += ["--weights", str(config.weights.absolute())]
    if config.working_size is not None:
        command += ["--size", str(config.working_size)]
    return command


def start_tuning(config: EngineConfig) -> Process:
    """Raises OSError."""
    process = subprocess.Popen(
        tune_command(config), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process(process.pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else _NICE)
    return process


def chosen_backend(config: EngineConfig) -> str | None:
    """What was measured for `config`, None when nothing was. Imports torch: only asked once the engine has."""
    from engine.errors import UserError
    from engine.runtime.backends import remembered

    try:
        measured = remembered(config)
    except UserError:
        return None
    return measured.chosen if measured is not None else None


class IdleTune(Worker):
    """Watches the session and starts the measuring; `look` is one look, called again and again by the thread."""

    def __init__(
        self,
        core: SessionCore,
        config: Callable[[], EngineConfig],
        *,
        start: Callable[[EngineConfig], Process] = start_tuning,
        chosen: Callable[[EngineConfig], str | None] = chosen_backend,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`start`, `chosen` and `clock` are replaced by tests."""
        super().__init__("idle-tune", lambda notice: None)  # what fails here is in the log and harms nobody
        self._core = core
        self._asked = config
        self._begin = start
        self._chosen = chosen
        self._clock = clock
        self._woken = threading.Event()
        self._busy_at = clock()
        self._process: Process | None = None
        self._config: EngineConfig | None = None  # what is being, or was last, measured
        self._tries = 0

    def run(self) -> None:
        try:
            while not self.stopping:
                self.look()
                self._woken.wait(_LOOK_EVERY_S)
        finally:
            self._end()

    def wake(self) -> None:
        self._woken.set()

    def look(self) -> None:
        """Start, end or take the result of the measuring, as the moment asks."""
        now = self._clock()
        config = self._asked()
        with self._core.lock:
            idle = self._core.engine_ready and not isinstance(self._core.job, (TrackJob, PlayJob))
        if not idle:
            self._busy_at = now
            self._end()
        elif self._process is not None:
            if self._process.poll() is not None:
                self._process = None
                self._tries = _MOST_TRIES
                self._tell()
        elif now - self._busy_at >= IDLE_S:
            self._consider(config)

    def _consider(self, config: EngineConfig) -> None:
        subject = _subject(config)
        if self._config is None or _subject(self._config) != subject:
            self._tries = 0
        exported = config.weights is not None and config.weights.suffix.lower() == ".onnx"
        if config.backend != "auto" or exported:
            return
        if self._tries >= _MOST_TRIES:
            return
        self._config = config
        if self._chosen(config) is not None:
            self._tries = _MOST_TRIES
            return
        self._tries += 1
        with contextlib.suppress(OSError):  # no process can be started: the next idle time comes
            self._process = self._begin(config)

    def _tell(self) -> None:
        assert self._config is not None
        chosen = self._chosen(self._config)
        if chosen not in (None, "torch"):
            self._core.say(
                Severity.INFO,
                f"The backend {chosen} was measured to be the fastest here; it is used from the next start on.",
                "Menu Engine, Backend changes it at once.",
            )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _subject(config: EngineConfig) -> tuple[str | None, Path | None, str]:
    return config.model, config.weights, config.device
