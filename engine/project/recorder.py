"""Recording what is tracked live: the source as video, the same with its overlay, and a folder of palette PNGs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engine.errors import ExportError
from engine.types import Frame, Mask
from engine.video.masks import davis_palette
from engine.video.overlay import compose_overlay
from engine.video.sinks import MaskFolderWriter, OverlayVideoWriter
from engine.video.source import SourceInfo

MASKS_FOLDER, OVERLAY_FILE, SOURCE_FILE = "masks", "overlay.mp4", "source.mp4"  # what a recording puts into its folder
RECORDING_OPACITY = 0.5


class Recorder:
    """Writes what is tracked live: `masks/00000.png`, ..., `source.mp4` and `overlay.mp4` in a folder, as many frames
    in each, the n-th of one belonging to the n-th of the others. Refuses to overwrite.

    As a context manager it finishes the videos on leaving, or drops them when an error passes through.

    Raises:
        ExportError: the folder already holds a recording or cannot be written.
    """

    def __init__(self, folder: Path, info: SourceInfo, palette: NDArray[np.uint8] | None = None) -> None:
        """`palette`: see `ExportRequest`."""
        source, overlay = folder / SOURCE_FILE, folder / OVERLAY_FILE
        if source.exists() or overlay.exists():
            raise ExportError(f"The folder {folder} already holds a recording.", "Choose another folder.")
        self._masks = MaskFolderWriter(folder / MASKS_FOLDER)
        with ExitStack() as opened:
            self._source = opened.enter_context(OverlayVideoWriter(source, info.width, info.height, info.fps))
            self._overlay = opened.enter_context(OverlayVideoWriter(overlay, info.width, info.height, info.fps))
            self._files = opened.pop_all()
        self._palette = davis_palette() if palette is None else palette

    def write(self, frame: Frame, mask: Mask) -> None:
        """Add a tracked frame."""
        self._masks.write(frame.index, mask)
        self._source.write(frame.rgb, frame.time_s)
        self._overlay.write(compose_overlay(frame.rgb, mask, self._palette, RECORDING_OPACITY), frame.time_s)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)
