"""Projects on a disk that is really full, or really read-only. For `unshare --mount` (Linux):

    unshare --map-root-user --mount python -m tests.support.small_disk FOLDER

prints what came of it as one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from engine.project.project_file import ProjectFile, create, open_project
from engine.project.recovery import find_leftovers
from engine.project.state import ProjectError
from tests.unit.project.conftest import make_state

BLOCK = bytes(4096)


def fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(BLOCK)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def leave_unclosed(path: Path, frames: int) -> None:
    """A process writes and is killed: what it wrote is in the log beside the file."""
    pid = os.fork()
    if pid == 0:
        open_project(path).write(make_state(path.parent, frames=frames))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert path.with_name(path.name + "-wal").stat().st_size > 0


@contextlib.contextmanager
def opened(path: Path, *, read_only: bool = False) -> Iterator[ProjectFile]:
    project = open_project(path, read_only=read_only)
    try:
        yield project
    finally:
        project.close()


def refusal(project: ProjectFile, frames: int) -> str:
    try:
        project.write(make_state(project.path.parent, frames=frames))
    except ProjectError as error:
        return error.message
    return ""


def main(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], check=True)
    path, ballast, found = folder / "a.livemask", folder / "ballast", {}
    create(path, make_state(folder, frames=5)).close()
    for name, frames in (("closed", 5), ("unclosed", 30)):
        if name == "unclosed":
            leave_unclosed(path, frames)
            path.with_name(path.name + "-shm").unlink()
        fill(ballast)
        with opened(path, read_only=True) as project:
            exported = len(project.read().contents.tracked)
        offered = len(find_leftovers(folder))
        with opened(path) as project:
            masks = len(project.read().contents.tracked)
            told = refusal(project, 400)
            ballast.unlink()
            again = refusal(project, frames + 1)
        with opened(path) as project:
            after = len(project.read().contents.tracked)
        found[name] = [exported, offered, masks, told, again, after]
    leave_unclosed(path, 40)
    path.with_name(path.name + "-shm").unlink()
    remount(folder, "ro")
    try:
        open_project(path)
    except ProjectError as error:
        found["read-only"] = str(error)
    remount(folder, "rw")
    with opened(path) as project:
        found["writable again"] = len(project.read().contents.tracked)
    remount(folder, "ro")
    with opened(path) as project:
        found["closed, read-only"] = [project.read_only, len(project.read().contents.tracked)]
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
