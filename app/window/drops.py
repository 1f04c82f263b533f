"""What a drop on the window means. Pure functions of what was dropped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from PyQt6.QtCore import QMimeData

from app.dialogs.stream_dialog import is_stream_url

MASK_SUFFIX = ".png"


class DropKind(Enum):
    NONE = "none"
    OPEN = "open"  # a source: file, folder, picture or stream
    MASK = "mask"  # a PNG that may be a mask of the shown frame; its content decides


@dataclass(frozen=True)
class Drop:
    """What to do with the first of the dropped things. `ignored`: how many others there were."""

    kind: DropKind
    uri: str = ""
    ignored: int = 0


def accepts(mime: QMimeData | None) -> bool:
    """True when the drop could be opened, as far as one can tell while it hovers."""
    return mime is not None and bool(_uris(mime))


def interpret(mime: QMimeData, *, source_open: bool) -> Drop:
    """
    Args:
        source_open: a picture is shown, so that a PNG can be a mask for it.
    """
    uris = _uris(mime)
    if not uris:
        return Drop(DropKind.NONE)
    first = uris[0]
    is_png = Path(first).suffix.lower() == MASK_SUFFIX and not is_stream_url(first)
    kind = DropKind.MASK if source_open and is_png else DropKind.OPEN
    return Drop(kind, first, len(uris) - 1)


def _uris(mime: QMimeData) -> list[str]:
    """Local paths and stream addresses, in the order they were dropped."""
    if mime.hasUrls():
        urls = (url.toLocalFile() if url.isLocalFile() else url.toString() for url in mime.urls())
        return [url for url in urls if url and (Path(url).is_absolute() or is_stream_url(url))]
    if mime.hasText():
        text = mime.text().strip()
        first = text.splitlines()[0].strip() if text else ""
        return [first] if is_stream_url(first) else []
    return []
