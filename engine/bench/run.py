"""End-to-end speed: decoding, tracking and composing the overlay on their own threads, as the window has them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from engine.bench.flops import count_gflop
from engine.bench.machine import peak_bytes, resident_bytes, this_machine
from engine.bench.report import BenchReport, Spread
from engine.errors import SourceError
from engine.evaluation.timing import time_exactly
from engine.runtime.embed_ahead import EmbedAhead
from engine.runtime.jobs import FramePacket
from engine.runtime.live_run import first_mask
from engine.runtime.mailbox import Mailbox, MailboxClosed, Policy
from engine.tracker import Tracker
from engine.types import Frame, Mask, SegmentationResult
from engine.video.masks import davis_palette
from engine.video.open import open_source
from engine.video.overlay import compose_overlay
from engine.video.source import FrameSource
from models.device import synchronise

T = TypeVar("T")

AHEAD = 3
AHEAD_STAGES = ("preprocess", "embed")  # by `engine.runtime.embed_ahead` where it is used
ENGINE_STAGES = ("wait", "preprocess", "embed", "propagate", "upsample", "rest")
Progress = Callable[[int, int], None]
Seconds = dict[str, list[float]]


def run_bench(
    source: str | Path,
    tracker: Tracker,
    *,
    mask: Mask | Path | None = None,
    frames: int = 100,
    warm_up: int = 15,
    objects: int = 1,
    opener: Callable[[str | Path], FrameSource] = open_source,
    on_progress: Progress = lambda done, total: None,
) -> BenchReport:
    """Track `frames` frames after `warm_up` others and report what they took. A shorter source is played again.

    Args:
        mask: of the first frame, as ids or a file; None takes an ellipse in its middle.
        objects: the mask is cut into so many upright strips, each an object of its own.

    Raises:
        ValueError: fewer than 10 frames, or no object.
        UserError: bad source or mask, or the tracker fails.
    """
    if frames < 10 or warm_up < 1 or objects < 1:
        raise ValueError("a benchmark takes at least 10 frames, 1 of warm-up and 1 object")
    time_exactly(tracker)
    with _reading(opener, source, tracker, warm_up + frames) as (frames_read, beside):
        return _measure(frames_read, beside, tracker, str(source), mask, frames, warm_up, objects, on_progress)


def _measure(
    frames_read: Mailbox[FramePacket],
    beside: Seconds,
    tracker: Tracker,
    name: str,
    mask: Mask | Path | None,
    frames: int,
    warm_up: int,
    objects: int,
    on_progress: Progress,
) -> BenchReport:
    device = tracker.embedder.device
    packet = _next(frames_read)
    if packet is None:
        raise SourceError(f"{name} holds no frame.", "Name another file.")
    first = packet.frame
    seed = split_mask(first_mask(mask, first.width, first.height), objects)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with _composing(beside) as results, EmbedAhead(frames_read, lambda: tracker) as ahead:
        stages: Seconds = defaultdict(list)
        whole: list[float] = []
        tracker.step(first, seed)
        resident = 0
        last = first
        started = time.perf_counter()
        for number in range(warm_up + frames):
            if number == warm_up:
                stages.clear()
                for taken in list(beside.values()):
                    taken.clear()
                resident = resident_bytes()
                started = time.perf_counter()
            began = time.perf_counter()
            packet = _next(frames_read)
            if packet is None:
                raise SourceError(f"{name} ended after {number} frames.", "Name another file.")
            waited = time.perf_counter() - began
            with ahead.step():
                result = tracker.step(packet.frame, embedded=packet.embedded)
                synchronise(device)
            results.put(result)
            took = time.perf_counter() - began
            _note(stages, beside, result, waited, took, ahead=packet.embedded is not None)
            if number >= warm_up:
                whole.append(took)
            last = packet.frame
            on_progress(number + 1, warm_up + frames)
        seconds = time.perf_counter() - started
        grown = resident_bytes() - resident
    gflop = _cost(tracker, last)
    spreads = {stage: Spread.of(taken) for stage, taken in stages.items()}
    spreads_beside = {stage: Spread.of(taken) for stage, taken in beside.items() if taken}
    tenth = max(frames // 10, 1)
    return BenchReport(
        source=Path(name).name,
        frame_size=(first.width, first.height),
        working_size=tracker.working_size or (0, 0),
        model=tracker.embedder.name,
        recipe=tracker.recipe.describe(),
        device=tracker.device_text,
        objects=len(tracker.object_ids),
        frames=frames,
        warm_up=warm_up,
        seconds=seconds,
        stages=spreads,
        beside=spreads_beside,
        gflop=gflop,
        gflops={stage: cost / ((spreads | spreads_beside)[stage].p50 / 1000) for stage, cost in gflop.items()},
        drift=float(np.median(whole[-tenth:]) / np.median(whole[:tenth])),
        rss_growth_mb=grown / 1e6,
        peak_mb=peak_bytes() / 1e6,
        device_peak_mb=torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None,
        bank_mb=tracker.bank_bytes / 1e6,
        machine=this_machine(device, tracker.embedder.dtype),
    )


def _note(
    stages: Seconds, beside: Seconds, result: SegmentationResult, waited: float, took: float, *, ahead: bool
) -> None:
    """`ahead`: the frame came with its embedding, which another thread had made."""
    stages["wait"].append(waited)
    rest = took - waited
    for stage in ENGINE_STAGES[1:-1]:
        seconds = result.timings.get(stage, 0.0)
        if ahead and stage in AHEAD_STAGES:
            beside[stage].append(seconds)
        else:
            stages[stage].append(seconds)
            rest -= seconds
    stages["rest"].append(rest)


def split_mask(mask: Mask, objects: int) -> Mask:
    """The object pixels of `mask` as ids 1..`objects`, in upright strips of about the same number of pixels."""
    rows, columns = np.nonzero(mask)
    split = np.zeros_like(mask)
    order = np.argsort(columns, kind="stable")
    ids = np.arange(len(order)) * objects // max(len(order), 1) + 1
    split[rows[order], columns[order]] = ids
    return split


def _cost(tracker: Tracker, frame: Frame) -> dict[str, float]:
    """GFLOP of the two stages that multiply, counted on one more frame."""
    following = replace(frame, index=frame.index + 1)
    whole = count_gflop(lambda: tracker.step(following))
    embed = count_gflop(lambda: tracker.embed(following))
    return {"embed": embed, "propagate": whole - embed}


@contextmanager
def _reading(
    opener: Callable[[str | Path], FrameSource], name: str | Path, tracker: Tracker, count: int
) -> Iterator[tuple[Mailbox[FramePacket], Seconds]]:
    """A thread that decodes and prepares frames, numbered on when the source starts again; and what it took."""
    frames: Mailbox[FramePacket] = Mailbox(AHEAD, Policy.BLOCK)
    seconds: Seconds = defaultdict(list)
    failure: list[BaseException] = []
    source = opener(name)

    def read() -> None:
        nonlocal source
        index = 0
        try:
            while index <= count:
                began = time.perf_counter()
                frame = source.read()
                if frame is None:
                    if index == 0:
                        break
                    source.close()
                    source = opener(name)
                    continue
                decoded = time.perf_counter()
                ready = tracker.preparation.apply(replace(frame, index=index))
                seconds["decode"].append(decoded - began)
                seconds["prepare"].append(time.perf_counter() - decoded)
                index += 1
                if not frames.put(FramePacket(ready, began)):
                    return
        except BaseException as error:
            failure.append(error)
        finally:
            frames.close()

    thread = threading.Thread(target=read, name="bench-decode", daemon=True)
    thread.start()
    try:
        yield frames, seconds
    finally:
        frames.close()
        thread.join()
        source.close()
        if failure:  # rather than that no more frames came
            raise failure[0]


@contextmanager
def _composing(seconds: Seconds) -> Iterator[Mailbox[SegmentationResult]]:
    """A thread that blends every mask over its frame."""
    results: Mailbox[SegmentationResult] = Mailbox(AHEAD, Policy.BLOCK)
    taken = seconds.setdefault("overlay", [])
    palette = davis_palette()

    def compose() -> None:
        while (result := _next(results)) is not None:
            began = time.perf_counter()
            compose_overlay(result.frame.rgb, result.mask, palette, 0.5)
            taken.append(time.perf_counter() - began)

    thread = threading.Thread(target=compose, name="bench-overlay", daemon=True)
    thread.start()
    try:
        yield results
    finally:
        results.close()
        thread.join()


def _next(mailbox: Mailbox[T]) -> T | None:
    """The next item; None when nothing more will come."""
    try:
        return mailbox.get()
    except MailboxClosed:
        return None
