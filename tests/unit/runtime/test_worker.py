from __future__ import annotations

import logging
import threading

import pytest

from engine.errors import SourceError
from engine.runtime.messages import Severity, WorkerState
from engine.runtime.worker import Worker

TIMEOUT = 10.0


class Waiter(Worker):
    """Waits until it is stopped; `ignores` makes it deaf, `error` makes it fail."""

    def __init__(self, notices, error=None, ignores=None):
        super().__init__("waiter", notices.append)
        self.error = error
        self.ignores = ignores
        self.running = threading.Event()
        self.woken = threading.Event()
        self.saw = None

    def run(self):
        self.running.set()
        if self.error is not None:
            raise self.error
        self.woken.wait(TIMEOUT)
        if self.ignores is not None:
            self.ignores.wait(TIMEOUT)

    def wake(self):
        self.woken.set()

    def faulted(self, error):
        self.saw = error


def test_a_worker_goes_through_its_life():
    worker = Waiter([])
    assert worker.state is WorkerState.STOPPED
    worker.start()
    assert worker.running.wait(TIMEOUT)
    assert worker.state is WorkerState.RUNNING
    worker.set_paused(True)
    assert worker.state is WorkerState.PAUSED
    worker.set_paused(False)
    assert worker.state is WorkerState.RUNNING
    worker.stop()
    assert worker.join(TIMEOUT)
    assert worker.state is WorkerState.STOPPED
    worker.stop()
    with pytest.raises(RuntimeError):
        worker.start()


def test_a_deaf_worker_is_given_up_in_time_and_never_keeps_the_process_alive():
    release = threading.Event()
    worker = Waiter([], ignores=release)
    worker.start()
    worker.stop()
    assert not worker.join(0.02)
    assert worker.state is WorkerState.STOPPING
    assert worker._thread.daemon
    release.set()
    assert worker.join(TIMEOUT)


def test_a_bug_becomes_one_sentence_and_a_traceback_in_the_log(caplog):
    notices = []
    worker = Waiter(notices, error=KeyError("secret detail"))
    with caplog.at_level(logging.ERROR):
        worker.start()
        assert worker.join(TIMEOUT)
    assert worker.state is WorkerState.FAULTED
    assert isinstance(worker.saw, KeyError)
    [notice] = notices
    assert notice.severity is Severity.ERROR
    assert notice.message.count(".") == 1
    assert "secret detail" not in notice.message + notice.way_out
    assert "secret detail" in caplog.text
    assert "Traceback" in caplog.text


def test_an_error_for_the_user_keeps_its_own_words():
    notices = []
    worker = Waiter(notices, error=SourceError("The camera is gone.", "Plug it in."))
    worker.start()
    assert worker.join(TIMEOUT)
    assert (notices[0].message, notices[0].way_out) == ("The camera is gone.", "Plug it in.")
