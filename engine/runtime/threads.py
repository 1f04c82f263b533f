"""How PyTorch's CPU threads share the machine with the window, the decoder and everything else that runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

NICER = 4


def let_waiting_threads_sleep() -> None:
    """Call before torch is first imported; afterwards OpenMP no longer looks.

    By default OpenMP threads spin while they wait for each other. As soon as another thread wants one of the cores
    (there always is one: the decoder, the window, the encoder) the spinning ones keep it from the thread they wait for.
    Measured on two cores with other work running: 1.4 frames per second spinning, 14.7 sleeping.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def helpers_give_way() -> Iterator[None]:
    """Threads that start inside get less claim on a core than the window and the capture. Linux only.

    Meant for the helpers that PyTorch starts at its first parallel work. The thread that asks them to work keeps its
    claim: it holds the interpreter's lock now and then, and the window must not wait for somebody who waits for a core.
    """
    before = _threads()
    yield
    for thread in _threads() - before:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICER))


def _threads() -> set[int]:
    """Every thread of this process; none where the system does not tell."""
    if sys.platform != "linux":
        return set()
    with suppress(OSError):
        return {int(name) for name in os.listdir("/proc/self/task")}
    return set()


def thread_count() -> int:
    """CPU threads for tensors: all cores but one, which the window and the decoder share; on one or two cores all.

    OMP_NUM_THREADS, where set, is obeyed.
    """
    wish = os.environ.get("OMP_NUM_THREADS", "")
    if wish.isascii() and wish.isdigit() and int(wish) > 0:
        return int(wish)
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    return cores - 1 if cores > 2 else cores
