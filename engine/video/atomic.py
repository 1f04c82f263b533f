"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path


def temporary_beside(path: Path) -> Path:
    """An unused hidden name in the same folder and with the same suffix, so that `os.replace` is one step."""
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file name; what was written to it takes the place of `path`, unless the block fails."""
    temporary = temporary_beside(path)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
