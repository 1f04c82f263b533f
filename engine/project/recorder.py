"""Recording what is tracked live: a folder of palette PNGs and an overlay video."""

from __future__ import annotations

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

MASKS_FOLDER, OVERLAY_FILE = "masks", "overlay.mp4"  # what a recording puts into its folder
RECORDING_OPACITY = 0.5


class Recorder:
    """Writes what is tracked live: `masks/00000.png`, ... and `overlay.mp4` in a folder. Refuses to overwrite.

    As a context manager it finishes the video on leaving, or drops it when an error passes through.

    Raises:
        ExportError: the folder already holds a recording or cannot be written.
    """

    def __init__(self, folder: Path, info: SourceInfo, palette: NDArray[np.uint8] | None = None) -> None:
        """`palette`: see `ExportRequest`."""
        overlay = folder / OVERLAY_FILE
        if overlay.exists():
            raise ExportError(f"The folder {folder} already holds a recording.", "Choose another folder.")
        self._masks = MaskFolderWriter(folder / MASKS_FOLDER)
        self._video = OverlayVideoWriter(overlay, info.width, info.height, info.fps)
        self._palette = davis_palette() if palette is None else palette

    def write(self, frame: Frame, mask: Mask) -> None:
        """Add a tracked frame."""
        self._masks.write(frame.index, mask)
        self._video.write(compose_overlay(frame.rgb, mask, self._palette, RECORDING_OPACITY), frame.time_s)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._video.__exit__(kind, error, trace)
