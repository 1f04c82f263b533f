"""Where an export is kept until it is whole: the finished parts of `clip.mp4` are in `clip.mp4.unfinished/` beside it.

`job.json` says what is being made and by which process, `00000.done` that a part is finished. The folder is in plain
sight: whoever wants the room back sees what to delete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import psutil

from engine.errors import ExportError
from engine.export.formats import ExportFormat
from engine.video.atomic import replacing

_JOB = "job.json"


def unfinished_beside(target: Path) -> Path:
    """Where the parts of an unfinished export are kept."""
    absolute = target.absolute()
    return absolute.with_name(f"{absolute.name}.unfinished")


def discard_unfinished(target: Path) -> None:
    """Remove what an interrupted export has left beside its target; nothing else is ever touched."""
    folder = unfinished_beside(target)
    if (folder / _JOB).is_file() and not folder.is_symlink() and not _someone_else_in(folder):
        shutil.rmtree(folder, ignore_errors=True)


def refuse_occupied(target: Path, format_: ExportFormat, overwrite: bool) -> None:
    """Raise ExportError when something is there that may not be replaced."""
    if format_.makes_folder:
        if target.exists() and not target.is_dir():
            raise ExportError(f"{target} is a file, not a folder.", "Choose another folder.")
        if not overwrite and target.exists() and any(target.iterdir()):
            raise ExportError(f"The folder {target} is not empty.", "Choose another folder or allow overwriting.")
    elif target.is_dir():
        raise ExportError(f"{target} is a folder, not a file.", "Choose another name.")
    elif target.exists() and not overwrite:
        raise ExportError(f"{target} exists already.", "Choose another name or allow overwriting.")


class Staging:
    """The unfinished export of one target. Errors of the file system (OSError) pass through.

    Attributes:
        parts: times of the frames of each finished part, in ticks.
        next: the frame to go on with.
    """

    def __init__(self, target: Path, key: str, first: int) -> None:
        """`key`: everything that decides how the result looks; parts made under another one are thrown away."""
        self.folder = unfinished_beside(target)
        self._target, self._key = target, key
        self._open = False
        self.parts: list[list[int]] = []
        self.next = first

    def open(self) -> None:
        """Go on with the parts of the same job, or begin with an empty folder.

        Raises:
            ExportError: something else is there, or another process is at work.
        """
        if self.folder.is_symlink() or (self.folder.exists() and not (self.folder / _JOB).is_file()):
            raise ExportError(f"{self.folder} is in the way.", "Remove it or choose another name.")
        if _someone_else_in(self.folder):
            raise ExportError(
                f"{self._target} is being exported already.", f"Wait for it; if that is not so, delete {self.folder}."
            )
        if _job_in(self.folder).get("key") != self._key:
            discard_unfinished(self._target)
        self.folder.mkdir(exist_ok=True)
        self._open = True
        self._note(os.getpid())
        while (record := self._read_part(len(self.parts))) is not None:
            self.parts.append([int(tick) for tick in record["ticks"]])
            self.next = int(record["next"])

    def end_part(self, ticks: list[int], following: int) -> None:
        """The files of the next part are complete; `following`: the frame after it."""
        number = len(self.parts)
        for path in self.folder.glob(f"{number:05d}*"):  # on the disk before the mark that says so
            _flush(path)
        with replacing(self._mark(number)) as temporary:
            temporary.write_text(json.dumps({"ticks": ticks, "next": following}), "utf-8")
        self.parts.append(ticks)

    def put_in_place(self, out: Path, format_: ExportFormat, overwrite: bool) -> None:
        """Give the result its final name; in a folder that exists, files of the same name are replaced, others stay."""
        refuse_occupied(self._target, format_, overwrite)  # something may have appeared meanwhile
        if not format_.makes_folder:
            _flush(out)
            out.replace(self._target)
        elif not self._target.exists():
            out.replace(self._target)
        else:
            for path in sorted(out.rglob("*")):
                place = self._target / path.relative_to(out)
                if path.is_dir():
                    place.mkdir(exist_ok=True)
                else:
                    path.replace(place)
        self.parts.clear()

    def close(self) -> None:
        """Keep the finished parts for the next run, or leave nothing when there are none. Idempotent."""
        if not self._open:
            return
        self._open = False
        if not self.parts:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self.folder.is_dir():
            with contextlib.suppress(OSError):
                self._note(None)

    def _note(self, process: int | None) -> None:
        with replacing(self.folder / _JOB) as temporary:
            temporary.write_text(json.dumps({"key": self._key, "process": process}), "utf-8")

    def _mark(self, number: int) -> Path:
        return self.folder / f"{number:05d}.done"

    def _read_part(self, number: int) -> Any:
        try:
            record = json.loads(self._mark(number).read_text("utf-8"))
            return record if record["ticks"] and int(record["next"]) >= 0 else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _job_in(folder: Path) -> dict[str, Any]:
    """What is being made there; empty where nothing is, or nothing that can be read."""
    try:
        job = json.loads((folder / _JOB).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return job if isinstance(job, dict) else {}


def _someone_else_in(folder: Path) -> bool:
    """Whether another program that is still running makes these parts."""
    process = _job_in(folder).get("process")
    return isinstance(process, int) and process != os.getpid() and psutil.pid_exists(process)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
