"""The session: everything the app may ask of the engine. Every method returns at once; work happens on worker threads.

Threads: *capture* (opens, reads, seeks and releases the source), *engine* (the only one that touches tensors; imports
torch and loads the model when started), *writer* (encoders and files). The app drains `events()` and `take_display()`
from a GUI timer; the session never calls into the app.

The way of a correction: the app hands over the very `Frame` it painted on, with the whole mask and the ids that were
touched; the engine thread feeds pending keyframes to the tracker before the next frame it tracks.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from engine.runtime.config import EngineConfig
from engine.runtime.messages import DisplayItem, Event, ExportRequest, MaskKind, Mode, StatsSnapshot
from engine.types import Frame, Mask


class Session:
    """One open source, its masks, and the workers that serve them. Thread-safe; made and used by the app."""

    def __init__(self, config: EngineConfig = EngineConfig()) -> None:
        raise NotImplementedError

    # -- life cycle --------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the worker threads; the engine thread begins to import torch and load the model (EngineProgress)."""

    def shutdown(self, timeout_s: float = 5.0) -> bool:
        """Stop event, wake mailboxes, join. True when every thread ended in time. Idempotent."""

    # -- source ------------------------------------------------------------------------------------------------
    def open(self, uri: str | Path) -> None:
        """Open a file, folder, camera ("camera:0" or a camera name) or URL; replaces the present source.

        On success: SourceOpened, then the first frame in the display. Files and folders come to rest in Mode.FROZEN at
        frame 0; live sources run in Mode.PREVIEW. On failure: Notice(ERROR), and the former source stays open if it can.
        """

    def close_source(self) -> None: ...

    # -- transport ---------------------------------------------------------------------------------------------
    def seek(self, index: int) -> None:
        """File at rest: show frame `index` with its stored mask. The newest request wins (scrubbing). Pauses first."""

    def play(self) -> None:
        """File: play from the current frame at its own pace with stored masks. Live: back to the running preview."""

    def freeze(self) -> None:
        """Live: hold the frame last displayed (the source runs on, its frames are dropped and counted)."""

    def track(self, direction: int = 1, until: int | None = None) -> None:
        """Propagate from the current frame forward (+1) or backward (-1, files only) to `until` or the end.

        Live: continue with the newest frames. Frames whose stored mask is fresh are still recomputed.
        Without any painted object: Notice(WARNING) and no change of mode.
        """

    def step(self, direction: int = 1) -> None:
        """Track exactly one frame (files)."""

    def pause(self) -> None:
        """Stop playing or tracking; comes to rest (FROZEN) on the frame last shown."""

    # -- masks -------------------------------------------------------------------------------------------------
    def set_mask(self, frame: Frame, mask: Mask, touched: Collection[int]) -> None:
        """The user edited the mask of `frame`; it becomes a keyframe. `touched` are the ids whose pixels they meant.

        An edit that empties the mask of its last touched object removes the keyframe again. Stored masks of later
        tracked frames become STALE.
        """

    def clear_mask(self, frame: Frame) -> None:
        """Forget the keyframe and the stored mask of this frame (undo back to nothing)."""

    def delete_object(self, object_id: int) -> None:
        """Remove the object from memory, keyframes and every stored mask."""

    def mask_at(self, index: int) -> tuple[Mask | None, MaskKind]:
        """The stored mask of a frame (a copy-free read-only array) and its kind. Cheap: decompresses one mask."""

    def mask_kinds(self) -> dict[int, MaskKind]:
        """Every stored frame index and its kind, for the timeline."""

    def clear_tracking(self) -> None:
        """Drop every tracked mask and the engine's memory of it; keyframes stay."""

    # -- engine choices ----------------------------------------------------------------------------------------
    def configure(self, config: EngineConfig) -> None:
        """Change model, recipe, device or working size; the tracker is rebuilt and re-fed with the keyframes."""

    # -- output ------------------------------------------------------------------------------------------------
    def export(self, request: ExportRequest) -> None:
        """Write the stored masks of a file on the writer thread (own source reader). ExportProgress events."""

    def cancel_export(self) -> None: ...

    def start_recording(self, folder: Path) -> None:
        """Live: write every further tracked mask as PNG and the overlay as MP4 into `folder` until `stop_recording`."""

    def stop_recording(self) -> None: ...

    # -- pulled by the GUI timer -------------------------------------------------------------------------------
    def take_display(self) -> DisplayItem | None:
        """The newest item not yet taken, or None."""

    def events(self) -> list[Event]:
        """Every event since the last call, oldest first."""

    def stats(self) -> StatsSnapshot: ...

    @property
    def mode(self) -> Mode: ...
