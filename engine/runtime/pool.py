"""Jobs spread over worker processes. A job that kills its worker is tried once more and costs the others nothing.

`concurrent.futures` gives up the whole pool when one process dies (out of memory, a crash in a decoder), so the few
lines of scheduling are our own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from engine.errors import UserError

ATTEMPTS = 2  # of a job whose worker dies
_JOIN_S = 5.0

Setup = TypeVar("Setup")
Job = TypeVar("Job")
Result = TypeVar("Result")
Progress = Callable[[int], None]
"""Called by a job with the number of steps it has done since the last call."""
Work = Callable[[Job, Progress], Result]


@dataclass(frozen=True)
class Outcome(Generic[Job, Result]):
    """What came of a job.

    Attributes:
        value: what the work returned; None when it failed.
        error: why it failed, in a sentence for the user; None when it did not.
    """

    job: Job
    value: Result | None = None
    error: str | None = None


class WorkerError(UserError):
    """No worker could be started."""


@dataclass
class _Worker:
    """A process, our end of its pipe, and the job it has."""

    process: BaseProcess
    pipe: Connection
    setup: Any
    job: int | None = None
    ready: bool = False


def run_jobs(
    jobs: Sequence[Job],
    setups: Sequence[Setup],
    start: Callable[[Setup], Work[Job, Result]],
    *,
    on_progress: Progress | None = None,
) -> Iterator[Outcome[Job, Result]]:
    """Do every job in one of len(setups) processes; yields outcomes as they come.

    Args:
        setups: one per process, such as the device it shall use.
        start: a function of a module (it is pickled) that makes the work of a process from its setup.
        on_progress: called with the steps that jobs report.

    A UserError of the work is that job's failure; any other exception too, with its type named. An error of `start`
    ends everything, as every further process would run into it.

    Raises:
        UserError: `start` failed.
        WorkerError: a process died while it started.
    """
    context = multiprocessing.get_context("spawn")
    waiting = deque(range(len(jobs)))
    attempts = [0] * len(jobs)
    workers: list[_Worker] = []

    def launch(setup: Setup) -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, start, setup), daemon=True)
        process.start()
        theirs.close()  # so that our end sees the end of file when the process dies
        workers.append(_Worker(process, ours, setup))

    def hand_out(worker: _Worker) -> None:
        if waiting:
            worker.job = waiting.popleft()
            attempts[worker.job] += 1
            with contextlib.suppress(OSError):  # it has just died, which reading its pipe tells
                worker.pipe.send(jobs[worker.job])
        else:
            _dismiss(worker)
            workers.remove(worker)

    try:
        for setup in setups[: len(jobs)]:
            launch(setup)
        while workers:
            ready_pipes = wait([worker.pipe for worker in workers])
            for worker in [w for w in workers if w.pipe in ready_pipes]:
                try:
                    kind, content = worker.pipe.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    worker.process.join()
                    if not worker.ready:
                        raise WorkerError(
                            f"A worker process died while it started (exit code {worker.process.exitcode}).",
                            "Use fewer --workers; memory may be short.",
                        ) from None
                    if worker.job is not None:
                        if attempts[worker.job] < ATTEMPTS:
                            waiting.appendleft(worker.job)
                        else:
                            yield Outcome(jobs[worker.job], error=_epitaph(worker.process.exitcode))
                    if waiting:
                        launch(worker.setup)
                    continue
                if kind == "progress":
                    if on_progress is not None:
                        on_progress(content)
                elif kind == "ready":
                    worker.ready = True
                    hand_out(worker)
                elif kind == "unfit":
                    raise content
                else:
                    assert worker.job is not None
                    job, worker.job = jobs[worker.job], None
                    outcome = Outcome(job, value=content) if kind == "done" else Outcome(job, error=content)
                    hand_out(worker)
                    yield outcome
    finally:
        for worker in workers:
            worker.process.terminate()
            _dismiss(worker)


def _dismiss(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.join(_JOIN_S)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.process.close()


def _epitaph(exit_code: int | None) -> str:
    how = f"was killed by signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"ended with {exit_code}"
    return f"Its worker process {how}, {ATTEMPTS} times; memory may be short, or the file breaks the decoder."


def describe_failure(error: Exception) -> str:
    """One line on why a job failed: the words of a UserError, else the type and the place of the exception."""
    if isinstance(error, UserError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
    where = f" ({place.filename}, line {place.lineno})" if place else ""
    return f"Unexpected {type(error).__name__}: {error}{where}"


def _serve(pipe: Connection, start: Callable[[Any], Work[Any, Any]], setup: Any) -> None:
    """The worker's side: set up once, then one job after the other until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    try:
        work = start(setup)
    except UserError as error:
        pipe.send(("unfit", UserError(error.message, error.way_out)))
        return
    except Exception as error:
        pipe.send(("unfit", RuntimeError(describe_failure(error))))
        return
    pipe.send(("ready", None))
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            value = work(job, lambda steps: pipe.send(("progress", steps)))
        except Exception as error:
            pipe.send(("failed", describe_failure(error)))
        else:
            pipe.send(("done", value))
