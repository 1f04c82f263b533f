"""Work that an unexpected end left behind: unnamed work in a folder of its own, and named projects that were open."""

from __future__ import annotations

import contextlib
import re
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from engine.project.project_file import in_use, open_project
from engine.project.state import SUFFIX, ProjectError, is_project

_MARKER = ".open"
_MAX_STEM = 40
_MAX_PATH = 4096


@dataclass(frozen=True)
class Leftover:
    """A project nobody closed.

    Attributes:
        path: the project file.
        name: of its video.
        saved_at: seconds since 1970 of its last save.
        keyframes, tracked: how many masks it has.
        named: the user saved it under this name; otherwise it is unnamed work in the folder of autosaves.
    """

    path: Path
    name: str
    saved_at: float
    keyframes: int
    tracked: int
    named: bool


def new_autosave(folder: Path, source_name: str) -> Path:
    """An unused name in the folder of autosaves (which is made) for work on this source."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.-]+", "_", Path(source_name).stem)[:_MAX_STEM].strip("._") or "work"
    return folder / f"{stem}-{secrets.token_hex(4)}{SUFFIX}"


def mark_open(folder: Path, project: Path) -> Path | None:
    """Note that a named project is open; returns the note, for `forget` when it is closed."""
    marker = folder / f"{secrets.token_hex(8)}{_MARKER}"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        marker.write_text(str(project), encoding="utf-8", errors="surrogateescape")
        return marker
    return None


def find_leftovers(folder: Path) -> list[Leftover]:
    """Projects that no LiveMask has open and that were never closed, newest first. Notes that are void are deleted."""
    found: dict[Path, Leftover] = {}
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    for entry in entries:
        named = entry.suffix == _MARKER
        path = _noted(entry) if named else entry
        if path is None or entry.is_symlink() or not is_project(path) or entry.name.startswith("."):
            continue
        if in_use(path):
            continue
        leftover = _look(path, named)
        if leftover is not None:
            found.setdefault(path, leftover)
        elif named:
            forget(entry)
    return sorted(found.values(), key=lambda one: -one.saved_at)


def discard(folder: Path, leftover: Leftover) -> None:
    """Delete unnamed work, or forget that a named project (which stays) was open."""
    if leftover.named:
        for note in notes_of(folder, leftover.path):
            forget(note)
    elif leftover.path.parent == folder:
        with contextlib.suppress(ProjectError, OSError):
            open_project(leftover.path).remove()


def notes_of(folder: Path, project: Path) -> list[Path]:
    """Whatever says that this project was open."""
    return [marker for marker in folder.glob(f"*{_MARKER}") if _noted(marker) == project]


def forget(marker: Path | None) -> None:
    if marker is not None:
        with contextlib.suppress(OSError):
            marker.unlink()


def _noted(marker: Path) -> Path | None:
    try:
        with marker.open(encoding="utf-8", errors="surrogateescape") as file:
            path = Path(file.read(_MAX_PATH))
    except OSError:
        return None
    return path if path.is_absolute() else None


def _look(path: Path, named: bool) -> Leftover | None:
    """What is in a project; None when there is nothing to recover from it."""
    try:
        project = open_project(path)
    except ProjectError:
        return None
    try:
        name, keyframes, tracked = project.summary()
        return Leftover(path, name, path.stat().st_mtime, keyframes, tracked, named)
    except (ProjectError, OSError, sqlite3.Error):
        return None
    finally:
        project.close()
