"""Where a project's video is: noted when the project is saved, looked for and recognised when it is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import SourceError
from engine.project.fingerprint import fingerprint
from engine.project.state import ProjectError, SourceReference
from engine.video.source import SourceInfo


@dataclass(frozen=True)
class FoundSource:
    """A file or folder that may be the project's; `same` tells whether its content is the one the project knows."""

    path: Path
    same: bool


def reference_to(info: SourceInfo) -> SourceReference:
    """The open source as a project notes it. Reads parts of it (`engine.project.fingerprint`)."""
    path = Path(info.uri)
    try:
        mark = fingerprint(path, info.frame_count)
    except (OSError, SourceError):
        mark = None
    return SourceReference(info.kind, str(path), info.name, info.width, info.height, mark)


def seen_from(reference: SourceReference, project: Path) -> SourceReference:
    """The reference with the source's place relative to a project file, where it lies in or below its folder."""
    if reference.own:
        return reference
    folder, path = project.parent.resolve(), Path(reference.path).resolve()
    beside = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
    return replace(reference, beside=beside)


def find_source(reference: SourceReference, project: Path) -> FoundSource | None:
    """The project's source: beside the project first, for the two may have moved together, then where it was.

    A project from a stranger names no more than files: addresses, cameras and network shares are not touched, and what
    it calls "beside" stays inside the project's folder, also when links lead out of it.
    """
    if reference.own:
        return FoundSource(project, same=True)
    candidates = (_beside(reference.beside, project.parent), _absolute(reference.path))
    found = [recognise(reference, candidate) for candidate in candidates if candidate is not None]
    there = sorted((one for one in found if one is not None), key=lambda one: not one.same)
    return there[0] if there else None


def recognise(reference: SourceReference, path: Path) -> FoundSource | None:
    """Compare a file or folder with what the project knows; None when it cannot be read."""
    try:
        mark = fingerprint(path)
    except (OSError, ValueError, SourceError):
        return None
    return FoundSource(path, reference.fingerprint is None or reference.fingerprint.same_content(mark))


def check_fits(reference: SourceReference, info: SourceInfo, last_frame: int | None, *, same: bool) -> None:
    """
    Args:
        last_frame: the last frame of the project that has a mask.

    Raises:
        ProjectError: the masks cannot belong to this source.
    """
    if (info.width, info.height) != (reference.width, reference.height):
        raise ProjectError(
            f"{info.name} is {info.width} x {info.height}, but the project's masks are "
            f"{reference.width} x {reference.height}.",
            "Choose the video the project was made with.",
        )
    # What a container says of its length is a promise: trusted only where the content is not known to be the same.
    if not same and last_frame is not None and info.frame_count is not None and last_frame >= info.frame_count:
        raise ProjectError(
            f"{info.name} has {info.frame_count} frames, but the project has a mask on frame {last_frame}.",
            "Choose the video the project was made with.",
        )


def _beside(relative: str, folder: Path) -> Path | None:
    part = Path(relative)
    if not relative or part.is_absolute() or ".." in part.parts or "\0" in relative:
        return None
    path = (folder / part).resolve()
    return path if path.is_relative_to(folder.resolve()) else None


def _absolute(text: str) -> Path | None:
    if "\0" in text or text.startswith(("//", "\\\\")):
        return None
    path = Path(text)
    return path if path.is_absolute() else None
