"""How PyTorch shares the machine with the window, the decoder and everything else that runs."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

NICER = 4
_SPINS = "20000"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_KEPT_BYTES = 1 << 30


def prepare_computing() -> None:
    """Call before torch is first imported: threads that wait sleep, memory that is freed is kept for the next frame."""
    let_waiting_threads_sleep()
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let the C library keep up to a gigabyte of freed memory instead of giving each large block back to the system.

    A network frees and wants the same tens of megabytes with every frame. Given back, they come as fresh pages that the
    system clears first. Measured on a half-width ResNet-50 at 480 x 856: 40 ms a frame instead of 26. Only where the C
    library is glibc; others are left alone.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def let_waiting_threads_sleep() -> None:
    """Call before torch is first imported; afterwards OpenMP no longer looks.

    By default OpenMP threads spin while they wait for each other. As soon as another thread wants one of the cores
    (there always is one: the decoder, the window, the encoder) the spinning ones keep it from the thread they wait for.
    Measured on two cores with other work running: 1.4 frames per second spinning, 14.7 sleeping. Sleeping at once costs
    a fifth on an idle machine, where one operator follows the other within microseconds; so GNU's library, which can,
    spins for some tens of them first.
    """
    if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return
    if sys.platform == "linux":
        os.environ["GOMP_SPINCOUNT"] = _SPINS
    else:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


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
