"""Starts ``main.py`` as a user does, in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TIMEOUT_S = 100

RunMain = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run_main(repo_root: Path) -> RunMain:
    """Runs ``main.py`` with the arguments given (paths may be Path objects) and returns what came of it."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(repo_root / "main.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **options)  # type: ignore[call-overload, no-any-return]

    return run


@pytest.fixture
def closed_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
