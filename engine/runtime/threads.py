"""How PyTorch's CPU threads share the machine with the window, the decoder and everything else that runs."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

import psutil

NICER = 4


def let_waiting_threads_sleep() -> None:
    """Call before torch is first imported; afterwards OpenMP no longer looks.

    By default OpenMP threads spin while they wait for each other. As soon as another thread wants one of the cores
    (there always is one: the decoder, the window, the encoder) the spinning ones keep it from the thread they wait for.
    Measured on two cores with other work running: 1.4 frames per second spinning, 14.7 sleeping.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def let_others_go_first() -> None:
    """The calling thread, and those it starts from now on, give way to the window and the capture. Linux only.

    Elsewhere threads do not have a niceness of their own; there the window keeps the core that `thread_count` leaves.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICER))


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
