"""kill -9 at random moments of painting, tracking, saving and exporting, on files and on a camera."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.project.project_file import open_project
from engine.project.recovery import find_leftovers
from tests.support.clips import Clip
from tests.support.servers import MjpegServer

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


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_a_killed_window_leaves_every_stroke_to_recover(
    repo_root: Path, disc_clip: Clip, tmp_path: Path, kind: str
) -> None:
    """The window itself, with a mouse that paints, on a file and on a stream."""
    chance = random.Random(kind)
    server = MjpegServer() if kind == "stream" else None
    source = disc_clip.path if server is None else server.url()
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.killed_window", str(source), str(tmp_path)]
    window = subprocess.Popen(command, cwd=repo_root, stdout=subprocess.PIPE, text=True)
    try:
        assert window.stdout is not None
        said = [window.stdout.readline() for _ in range(7)]
        time.sleep(chance.random() * 0.05)
    finally:
        window.kill()
        rest = window.communicate()[0]
        if server is not None:
            server.die()
    done = [int(line.split()[1]) for line in [*said, *rest.splitlines(keepends=True)] if line.endswith("\n")]
    assert len(done) >= 7
    (leftover,) = find_leftovers(tmp_path / "data")
    project = open_project(leftover.path)
    state = project.read()
    project.close()
    if kind == "file":
        assert set(state.contents.keyframes) >= set(done)
    else:
        assert len(state.contents.keyframes) >= len(set(done))
