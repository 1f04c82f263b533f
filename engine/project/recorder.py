"""Writing stored masks out: a folder of PNGs and an overlay video, whole or not at all; and recording live tracking."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engine.errors import ExportError
from engine.runtime.messages import ExportRequest
from engine.types import Frame, Mask
from engine.video.masks import davis_palette
from engine.video.open import open_source
from engine.video.overlay import compose_overlay
from engine.video.sinks import MaskFolderWriter, OverlayVideoWriter
from engine.video.source import FrameSource, SourceInfo

MASKS_FOLDER, OVERLAY_FILE = "masks", "overlay.mp4"  # what a recording puts into its folder
RECORDING_OPACITY = 0.5

Progress = Callable[[int, "int | None"], None]


def export_masks(
    source_uri: str,
    masks: Mapping[int, Mask],
    request: ExportRequest,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    *,
    opener: Callable[[str], FrameSource] = open_source,
) -> bool:
    """Write masks of a file or folder as the request asks.

    PNGs: one per stored mask, named by frame index. Overlay: every frame of the source at its own size and time, those
    without a mask untouched. Everything is made under temporary names and takes its place at the end, so that an error
    or a cancellation leaves what was there before.

    Args:
        masks: frame index -> H x W uint8 object ids; need not be in memory (`MaskStore.snapshot`).
        progress: called with (done, total) frames; total None when the source does not know its length.
        cancelled: asked before each frame.

    Returns:
        True when everything is written, False when cancelled.

    Raises:
        ExportError: nothing to write, a target exists and `request.overwrite` is False, the disk is full, ...
        SourceError: the source cannot be read for the overlay.
    """
    if not masks:
        raise ExportError("There are no masks to export yet.", "Paint an object and track it first.")
    if request.out_dir is None and request.overlay is None:
        raise ExportError("Nothing was chosen to export.", "Choose a mask folder or an overlay video.")
    _refuse_bad_targets(source_uri, request)
    progress = progress or (lambda done, total: None)
    cancelled = cancelled or (lambda: False)
    staging = None if request.out_dir is None else _staging_beside(request.out_dir)
    try:
        folder = None if staging is None else MaskFolderWriter(staging)
        if request.overlay is None:
            complete = _write_masks(masks, sorted(masks), folder, progress, cancelled)
        else:
            complete = _write_overlay(source_uri, masks, request, request.overlay, folder, progress, cancelled, opener)
        if complete and staging is not None and request.out_dir is not None:
            _put_in_place(staging, request.out_dir)
        return complete
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _write_masks(
    masks: Mapping[int, Mask],
    indices: Iterable[int],
    folder: MaskFolderWriter | None,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> bool:
    for done, index in enumerate(indices, start=1):
        if cancelled():
            return False
        if folder is not None:
            folder.write(index, masks[index])
        progress(done, len(masks))
    return True


class _CancelledError(Exception):
    """Leaves the overlay's `with` block so that its unfinished file goes."""


def _write_overlay(
    source_uri: str,
    masks: Mapping[int, Mask],
    request: ExportRequest,
    path: Path,
    folder: MaskFolderWriter | None,
    progress: Progress,
    cancelled: Callable[[], bool],
    opener: Callable[[str], FrameSource],
) -> bool:
    palette = davis_palette() if request.palette is None else request.palette
    left = set(masks)
    source = opener(source_uri)
    try:
        info = source.info
        with OverlayVideoWriter(path, info.width, info.height, info.fps) as video:
            done = 0
            while (frame := source.read()) is not None:
                if cancelled():
                    raise _CancelledError
                rgb = frame.rgb
                if frame.index in left:
                    mask = masks[frame.index]
                    left.discard(frame.index)
                    if folder is not None:
                        folder.write(frame.index, mask)
                    rgb = compose_overlay(rgb, mask, palette, request.opacity)
                video.write(rgb, frame.time_s)
                done += 1
                progress(done, info.frame_count)
            if folder is not None:  # the source may have become shorter since; its masks are not lost
                for index in sorted(left):
                    folder.write(index, masks[index])
    except _CancelledError:
        return False
    finally:
        source.close()
    return True


def _refuse_bad_targets(source_uri: str, request: ExportRequest) -> None:
    source = Path(source_uri)
    for target in (request.out_dir, request.overlay):
        if target is not None and source.exists() and target.exists() and os.path.samefile(source, target):
            raise ExportError(f"{target} is the source itself.", "Choose another place for the export.")
    if request.overlay is not None and request.overlay.exists() and not request.overwrite:
        raise ExportError(f"{request.overlay} exists already.", "Choose another name or allow overwriting.")
    if request.out_dir is None or not request.out_dir.exists():
        return
    if not request.out_dir.is_dir():
        raise ExportError(f"{request.out_dir} is a file, not a folder.", "Choose another folder.")
    if any(request.out_dir.iterdir()) and not request.overwrite:
        raise ExportError(f"The folder {request.out_dir} is not empty.", "Choose another folder or allow overwriting.")


def _staging_beside(folder: Path) -> Path:
    """A name on the same disk, so that moving the finished files costs nothing."""
    absolute = folder.absolute()
    return absolute.parent / f".{absolute.name}.{uuid.uuid4().hex[:8]}.part"


def _put_in_place(staging: Path, folder: Path) -> None:
    """Files of the same name are replaced, all others in the folder stay."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(staging.iterdir()):
            path.replace(folder / path.name)
    except OSError as error:
        raise ExportError(
            f"{folder} could not be written: {error.strerror or error}.", "Choose another folder."
        ) from error


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
