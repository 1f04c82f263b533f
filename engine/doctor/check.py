"""One finding of the doctor."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    OK = "ok"
    WARN = "warn"  # LiveMask works, but something is slow, missing or about to fail
    FAIL = "fail"  # something LiveMask needs is broken


@dataclass(frozen=True)
class Check:
    """A finding.

    Attributes:
        name: what was looked at, a few words.
        detail: what was found.
        remedy: the command or step that mends it; "" when nothing is wrong.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.status is not Status.OK and not self.remedy:
            raise ValueError(f"{self.name}: a problem without a remedy helps nobody")


def pip_command(*arguments: str) -> str:
    """The command line that runs pip in the very Python that runs now."""
    words = [sys.executable, "-m", "pip", *arguments]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def pip_install(*arguments: str) -> str:
    return pip_command("install", *arguments)


def gibibytes(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"


def mebibytes(count: float) -> str:
    return f"{count / 2**20:.0f} MiB"
