"""The life of a worker thread: start, stop (event, wake, join), and an honest end when something unexpected happens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from engine.errors import UserError
from engine.runtime.messages import Notice, Severity, WorkerState

log = logging.getLogger(__name__)


class Worker:
    """A daemon thread with a WorkerState. Subclasses write `run`, look at `stopping`, and wake their waits in `wake`.

    The thread is a daemon, so that a driver that hangs in C code never keeps the process alive.
    """

    def __init__(self, name: str, notify: Callable[[Notice], None]) -> None:
        """`name` is one word for logs and statistics; `notify` takes the notice of a fault, in the dying thread."""
        self.name = name
        self._notify = notify
        self._stop_event = threading.Event()
        self._state = WorkerState.STOPPED
        self._state_lock = threading.Lock()
        self._thread: threading.Thread | None = None

    # -- for subclasses ------------------------------------------------------------------------------------------
    def run(self) -> None:
        """The work; returns soon after `stopping` turns true."""
        raise NotImplementedError

    def wake(self) -> None:
        """Wake every wait of `run`, so that it sees `stopping`. Called by any thread; must not block."""

    def faulted(self, error: BaseException) -> None:
        """Called in the dying thread after an unexpected error, before the notice goes out."""

    @property
    def stopping(self) -> bool:
        return self._stop_event.is_set()

    def set_paused(self, paused: bool) -> None:
        """Show PAUSED instead of RUNNING while there is nothing to do. No-op unless running."""
        with self._state_lock:
            if self._state in (WorkerState.RUNNING, WorkerState.PAUSED):
                self._state = WorkerState.PAUSED if paused else WorkerState.RUNNING

    # -- life cycle ----------------------------------------------------------------------------------------------
    @property
    def state(self) -> WorkerState:
        with self._state_lock:
            return self._state

    @property
    def alive(self) -> bool:
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Start the thread. Once in a worker's life."""
        with self._state_lock:
            if self._thread is not None:
                raise RuntimeError(f"worker {self.name} was started before")
            self._state = WorkerState.STARTING
            self._thread = threading.Thread(target=self._main, name=f"livemask-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end and wake it; returns at once. Idempotent."""
        self._stop_event.set()
        with self._state_lock:
            if self._state in (WorkerState.STARTING, WorkerState.RUNNING, WorkerState.PAUSED):
                self._state = WorkerState.STOPPING
        self.wake()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; False when the thread is still alive after `timeout` seconds."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _main(self) -> None:
        with self._state_lock:
            if self._state is WorkerState.STARTING:
                self._state = WorkerState.RUNNING
        try:
            self.run()
        except BaseException as error:
            with self._state_lock:
                self._state = WorkerState.FAULTED
            log.exception("worker %s faulted", self.name)
            self.faulted(error)
            if isinstance(error, UserError):
                self._notify(Notice(Severity.ERROR, error.message, error.way_out))
            else:
                self._notify(
                    Notice(
                        Severity.ERROR,
                        f"The {self.name} thread stopped because of an unexpected error.",
                        "Your masks are kept; the details are in the log file.",
                    )
                )
        else:
            with self._state_lock:
                self._state = WorkerState.STOPPED
