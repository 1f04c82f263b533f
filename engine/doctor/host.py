"""Python, the operating system and memory."""

from __future__ import annotations

import contextlib
import platform
import struct
import sys

from engine.doctor.check import Check, Status, gibibytes
from engine.version import VERSION

_MINIMUM_PYTHON = (3, 10)
_LITTLE_MEMORY = 2 * 2**30  # PyTorch, Qt and a 480-line memory bank together stay below this


def python_version() -> list[Check]:
    detail = f"LiveMask {VERSION} on Python {platform.python_version()} ({sys.executable})"
    if sys.version_info < _MINIMUM_PYTHON:
        return [
            Check("Python", Status.FAIL, detail, "Install Python 3.10 or newer, then: make setup PYTHON=python3.12")
        ]
    if struct.calcsize("P") < 8:
        return [
            Check("Python", Status.FAIL, f"{detail}, 32 bit", "Install a 64-bit Python: PyTorch has no 32-bit build.")
        ]
    return [Check("Python", Status.OK, detail)]


def operating_system() -> list[Check]:
    detail = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, KeyError):  # without os-release the kernel line is all there is to say
            detail = f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {detail}"
    return [Check("system", Status.OK, detail)]


def memory() -> list[Check]:
    import psutil

    state = psutil.virtual_memory()
    detail = f"{gibibytes(state.available)} of {gibibytes(state.total)} free"
    if state.available < _LITTLE_MEMORY:
        return [Check("memory", Status.WARN, detail, "Close other programs, or track with --size 240.")]
    return [Check("memory", Status.OK, detail)]
