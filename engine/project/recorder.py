"""Recording what is tracked live: a folder of palette PNGs, an overlay video and the video as the camera gave it."""

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
    """Writes what is tracked live: `masks/00000.png`, ..., `overlay.mp4` and `source.mp4` in a folder.

    Both videos have the same frames at the same times. Refuses to overwrite. As a context manager it finishes the
    videos on leaving, or drops them when an error passes through; one that fails does not keep the other from its end.

    Raises:
        ExportError: the folder already holds a recording or cannot be written.
    """

    def __init__(self, folder: Path, info: SourceInfo, palette: NDArray[np.uint8] | None = None) -> None:
        """`palette`: see `ExportRequest`."""
        files = (folder / OVERLAY_FILE, folder / SOURCE_FILE)
        if any(path.exists() for path in files):
            raise ExportError(f"The folder {folder} already holds a recording.", "Choose another folder.")
        self._masks = MaskFolderWriter(folder / MASKS_FOLDER)
        self._palette = davis_palette() if palette is None else palette
        self._overlay = OverlayVideoWriter(files[0], info.width, info.height, info.fps)
        try:
            self._source = OverlayVideoWriter(files[1], info.width, info.height, info.fps)
        except BaseException:
            self._overlay.abort()
            raise

    def write(self, frame: Frame, mask: Mask) -> None:
        """Add a tracked frame."""
        self._masks.write(frame.index, mask)
        self._overlay.write(compose_overlay(frame.rgb, mask, self._palette, RECORDING_OPACITY), frame.time_s)
        self._source.write(frame.rgb, frame.time_s)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as ends:  # calls all, whichever raises
            for video in (self._source, self._overlay):
                ends.callback(video.close if error is None else video.abort)
