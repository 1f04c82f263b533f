"""Tracking without a window: from a source and a first mask to a folder of masks. What `main.py track` runs.

Decoding, tracking and writing overlap on three threads; the tracker sees the same steps as in the window, so the masks
are the same to the byte.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import ExportError, SourceError
from engine.runtime.config import EngineConfig
from engine.runtime.embed_ahead import EmbedAhead, busy_seconds
from engine.runtime.jobs import FramePacket
from engine.runtime.mailbox import Mailbox, MailboxClosed, Policy
from engine.runtime.threads import prepare_computing
from engine.runtime.tuner import Tuner
from engine.types import Frame, Mask, SegmentationResult
from engine.video.masks import davis_palette, read_mask
from engine.video.open import open_source
from engine.video.overlay import compose_overlay
from engine.video.sinks import MaskFolderWriter, OverlayVideoWriter
from engine.video.source import FrameSource

if TYPE_CHECKING:
    from engine.tracker import Tracker

DECODED_AHEAD = 3
UNWRITTEN = 8
_LOOK_UP_S = 0.2  # a wait without end could not be interrupted with Ctrl-C on Windows

ModelProgress = Callable[[str, "float | None"], None]


@dataclass(frozen=True)
class TrackReport:
    """What a run did.

    Attributes:
        frames: masks written.
        seconds: wall time from the first step to the last file closed; decoding and writing are in it, loading the
            model is not.
        stage_seconds: mean seconds per frame of each stage of the tracker; stages of other threads overlap with them.
        recipe: every field of the recipe (`Recipe.describe`).
        dropped: live frames nobody tracked; 0 for files.
        interrupted: Ctrl-C ended the run; the files hold what was tracked until then.
        notes: where quality had to give way, in words for the user.
    """

    frames: int
    seconds: float
    stage_seconds: dict[str, float] = field(default_factory=dict)
    model: str = ""
    recipe: str = ""
    device: str = ""
    working_size: tuple[int, int] | None = None
    dropped: int = 0
    interrupted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def mean_fps(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        size = f" at {self.working_size[0]} x {self.working_size[1]}" if self.working_size else ""
        lines = [
            f"{self.frames} frames in {self.seconds:.1f} s, {self.mean_fps:.2f} frames per second",
            f"model {self.model}, {self.device}{size}",
            f"recipe {self.recipe}",
        ]
        if self.stage_seconds:
            stages = ", ".join(f"{name} {seconds * 1000:.1f}" for name, seconds in self.stage_seconds.items())
            lines.append(f"milliseconds per frame: {stages}")
        if self.dropped:
            lines.append(f"{self.dropped} live frames were dropped")
        if self.interrupted:
            lines.append("interrupted: the files hold what was tracked until then")
        lines.extend(self.notes)
        return "\n".join(lines)


def _create_tracker(config: EngineConfig, progress: ModelProgress) -> Tracker:
    prepare_computing()
    from engine.runtime.factory import create_tracker

    return create_tracker(config, progress)


def track_file(
    source_spec: str | Path,
    first_mask: Path,
    out_dir: Path,
    *,
    config: EngineConfig | None = None,
    overlay: Path | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
    on_model_progress: ModelProgress | None = None,
    resize_mask: bool = False,
    overwrite: bool = False,
    opacity: float = 0.5,
    opener: Callable[[str | Path], FrameSource] = open_source,
    create_tracker: Callable[[EngineConfig, ModelProgress], Tracker] = _create_tracker,
) -> TrackReport:
    """Carry `first_mask` through the source and write one palette PNG per frame into `out_dir`.

    Live sources run until Ctrl-C (KeyboardInterrupt), which also ends files early; what was tracked is kept.

    Args:
        source_spec: whatever `engine.video.open.open_source` takes.
        first_mask: mask of the first frame; see `engine.video.masks.read_mask`.
        overlay: MP4 to write, None for none.
        on_progress: called after each frame with (done, total); total None when unknown. `on_model_progress`: text and
            fraction while the model loads.
        resize_mask: scale a mask of another size instead of refusing it.
        overwrite: write into a folder that is not empty, replace an overlay that exists.

    Raises:
        UserError: bad source, mask, target, model or device; or the source, the tracker or the disk failed on the way:
            then the masks written so far stay.
    """
    config = config or EngineConfig()
    source = opener(source_spec)
    with ExitStack() as stack:
        stack.callback(source.close)
        first = source.read()
        if first is None:
            raise SourceError(f"{source.info.name} holds no frames.", "Choose another file.")
        mask = read_mask(first_mask, (first.width, first.height), resize_mask)
        if overlay is not None and overlay.exists() and not overwrite:
            raise ExportError(f"{overlay} exists already.", "Choose another name or allow overwriting.")
        output = _Output(source, out_dir, overlay, overwrite, opacity)
        stack.callback(output.finish)
        tracker = create_tracker(config, on_model_progress or (lambda text, fraction: None))
        run = _Run(source, tracker, output, on_progress, config)
        return run.track(first, mask)


class _Output:
    """The thread that writes masks and overlay."""

    def __init__(self, source: FrameSource, out_dir: Path, overlay: Path | None, overwrite: bool, opacity: float):
        info = source.info
        self._masks = MaskFolderWriter(out_dir, overwrite)
        self._video = OverlayVideoWriter(overlay, info.width, info.height, info.fps) if overlay is not None else None
        self._opacity = opacity
        self._mailbox: Mailbox[SegmentationResult] = Mailbox(UNWRITTEN, Policy.BLOCK)
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._write_all, name="livemask-writer", daemon=True)
        self._thread.start()

    def put(self, result: SegmentationResult) -> bool:
        """False when writing has failed."""
        while not self._mailbox.put(result, _LOOK_UP_S):
            if self._mailbox.closed:
                return False
        return True

    def finish(self) -> None:
        """Write what waits and close the files. Idempotent."""
        self._mailbox.close()
        self._thread.join()

    @property
    def frames_written(self) -> int:
        return self._masks.frames_written

    def _write_all(self) -> None:
        palette = davis_palette()
        try:
            while True:
                result = self._mailbox.get()
                if result is None:
                    continue
                frame = result.frame
                self._masks.write(frame.index, result.mask)
                if self._video is not None:
                    self._video.write(compose_overlay(frame.rgb, result.mask, palette, self._opacity), frame.time_s)
        except MailboxClosed:
            self._close_video()
        except Exception as error:  # raised again by the main thread
            self.error = error
            self._close_video()
        finally:
            self._mailbox.close()
            self._mailbox.clear()

    def _close_video(self) -> None:
        if self._video is not None:
            try:
                self._video.close()
            except ExportError as error:
                self.error = self.error or error


class _Run:
    """One pass over the source."""

    def __init__(
        self,
        source: FrameSource,
        tracker: Tracker,
        output: _Output,
        on_progress: Callable[[int, int | None], None] | None,
        config: EngineConfig,
    ) -> None:
        self._source = source
        self._tracker = tracker
        self._output = output
        self._on_progress = on_progress or (lambda done, total: None)
        live = source.info.live
        self._notes: list[str] = []
        self._tuner = Tuner(lambda message, way_out: self._notes.append(message), time.monotonic)
        self._tuner.begin(tracker, config, source.info, live=live)
        self._frames: Mailbox[FramePacket] = Mailbox(1, Policy.NEWEST) if live else Mailbox(DECODED_AHEAD, Policy.BLOCK)
        self._read_error: Exception | None = None
        self._done = 0
        self._stages: defaultdict[str, float] = defaultdict(float)

    def track(self, first: Frame, mask: Mask) -> TrackReport:
        reader = threading.Thread(target=self._read_all, name="livemask-decoder", daemon=True)
        self._first = first, mask
        started = time.perf_counter()
        interrupted = False
        reader.start()
        try:
            self._take(self._tuner.attempt(self._tracker, lambda: self._tracker.step(first, mask)))
            self._learnt_at = self._tracker.short_side
            with EmbedAhead(self._frames, lambda: self._tracker) as ahead:
                while (packet := self._next_frame()) is not None:
                    with ahead.step():
                        result = self._step(packet)
                    if not self._take(result):
                        break
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self._frames.close()
            self._frames.clear()
            self._source.close()  # wakes a reader that waits for a camera
            self._output.finish()
            reader.join()
        for error in (self._output.error, None if interrupted else self._read_error):
            if error is not None:
                raise error
        return TrackReport(
            frames=self._output.frames_written,
            seconds=time.perf_counter() - started,
            stage_seconds={name: total / max(1, self._done) for name, total in self._stages.items()},
            model=self._tracker.embedder.name,
            recipe=self._tracker.recipe.describe(),
            device=self._tracker.device_text,
            working_size=self._tracker.working_size,
            dropped=self._source.dropped + self._frames.dropped if self._source.info.live else 0,
            interrupted=interrupted,
            notes=tuple(self._notes),
        )

    def _step(self, packet: FramePacket) -> SegmentationResult:
        if self._tracker.short_side != self._learnt_at:
            self._learnt_at, (first, mask) = self._tracker.short_side, self._first
            ids = [int(i) for i in np.unique(mask) if i]
            self._tuner.attempt(self._tracker, lambda: self._tracker.refresh(first, mask, ids))
        started = time.perf_counter()
        result = self._tuner.attempt(self._tracker, lambda: self._tracker.step(packet.frame, embedded=packet.embedded))
        self._tuner.measured(self._tracker, busy_seconds(packet, time.perf_counter() - started))
        return result

    def _take(self, result: SegmentationResult) -> bool:
        if not self._output.put(result):
            return False
        self._done += 1
        for name, seconds in result.timings.items():
            self._stages[name] += seconds
        self._on_progress(self._done, self._source.info.frame_count)
        return True

    def _next_frame(self) -> FramePacket | None:
        while True:
            try:
                packet = self._frames.get(_LOOK_UP_S)
            except MailboxClosed:
                return None
            if packet is not None:
                return packet

    def _read_all(self) -> None:
        try:
            while (frame := self._source.read()) is not None:
                if not self._frames.put(FramePacket(self._tracker.preparation.apply(frame), time.monotonic())):
                    return
        except Exception as error:  # raised again by the main thread
            if not self._frames.closed:
                self._read_error = error
        finally:
            self._frames.close()
