"""kill -9 at random moments of painting, tracking, saving and exporting, on files and on a camera."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

LIVES = 64  # every fifth with a camera


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a kill, unlike a power cut, is the same on any disk."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="livemask-") as folder:
        yield Path(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_whatever_the_moment_the_work_is_there_up_to_the_last_stroke(repo_root: Path, quick_folder: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.killed", str(quick_folder), str(LIVES), "2020"]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    lives = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lives) == LIVES
    for number, life in enumerate(lives):
        # Every stroke whose save was told is there; a stroke is told before the next one begins.
        assert life["missing"] == [], (number, life)
        assert life["broken"] == [], (number, life)
        if life["done"]:
            assert life["projects"] >= 1
            assert life["leftovers"] >= 1, (number, life)  # and the next start offers it
    # The moments were what they were meant to be.
    assert sum(life["done"] for life in lives) >= LIVES
    for what in ("begin", "done", "track", "save", "export"):
        assert any(line.startswith(what) for life in lives for line in life["said"]), what
