"""By what a source is known again: its size and parts of its content, never its name, place or date."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from engine.project.state import Fingerprint
from engine.video.folder import images_in

PART = 64 * 1024  # bytes read at the head, in the middle and at the tail


def fingerprint(path: Path, frame_count: int | None = None) -> Fingerprint:
    """The fingerprint of a video file or of a folder of pictures. Reads at most three parts of each of three files.

    Raises:
        OSError: missing, unreadable, or neither a regular file nor a folder (a device would never end).
        SourceError: the folder cannot be listed.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return _of_folder(path, frame_count)
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is no regular file")
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    _add_parts(digest, path, size)
    return Fingerprint(size, digest.hexdigest(), frame_count)


def _of_folder(path: Path, frame_count: int | None) -> Fingerprint:
    files = images_in(path)
    sizes = [file.stat().st_size for file in files]
    digest = hashlib.sha256()
    for file, size in zip(files, sizes, strict=True):
        digest.update(f"{file.name}\0{size}\0".encode(errors="surrogateescape"))
    for place in sorted({0, len(files) // 2, len(files) - 1} if files else ()):
        _add_parts(digest, files[place], sizes[place])
    return Fingerprint(sum(sizes), digest.hexdigest(), frame_count)


def _add_parts(digest: hashlib._Hash, path: Path, size: int) -> None:
    with path.open("rb") as file:
        for offset in sorted({0, max(0, size // 2 - PART // 2), max(0, size - PART)}):
            file.seek(offset)
            digest.update(file.read(PART))
