"""Measures what runs the network fastest on this machine: a few frames on each backend in turn, about three seconds.

Taking turns, frame by frame: what else the machine does then slows all of them alike. Exporting the network comes
before and is done once.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

from engine.preparing import resize, working_size
from engine.runtime.backend_table import Measured, Row, choose, remember
from engine.runtime.backends import Progress, calibration_frames, exported_file, key_of, load_onnx
from engine.runtime.config import EngineConfig
from engine.runtime.threads import thread_count
from engine.tracker import AUTO_WORKING_SIZE
from models.backends import ONNX, ONNX_INT8, TORCH
from models.device import best_dtype, describe_backend, resolve_device, synchronise
from models.embedder import DetailedEmbedder, Embedder
from models.errors import ModelError
from models.onnx_backend import OnnxEmbedder
from models.registry import DEFAULT_MODEL, get_spec, load_embedder

BUDGET_S = 3.0
_WARM_UP, _LEAST_ROUNDS, _MOST_ROUNDS = 2, 3, 40
_WIDESCREEN = 16 / 9


def measure(
    config: EngineConfig, progress: Progress, clock: Callable[[], float] = time.perf_counter
) -> tuple[Measured, bool]:
    """Measure the backends for the model and device of `config`, and remember the fastest one.

    Returns:
        What was found, and whether it could be remembered.

    Raises:
        ModelError: unknown model, absent device, weights missing or wrong, or an exported model, which has no choice.
    """
    if exported_file(config):
        raise ModelError(f"{config.weights} is an exported model.", "Give the weights it was exported from.")
    spec = get_spec(config.model or DEFAULT_MODEL)
    device = resolve_device(config.device)
    if device.type == "cpu":
        torch.set_num_threads(thread_count())
    key = key_of(config, device)
    embedders: dict[str, Embedder] = {
        TORCH: load_embedder(spec.name, device, best_dtype(device), config.weights, progress)
    }
    rows: list[Row] = []
    for backend in (ONNX, ONNX_INT8) if device.type == "cpu" else (ONNX,):
        try:
            embedders[backend] = load_onnx(backend, config, device, progress)
        except ModelError as error:
            rows.append(Row(backend, None, error.message))
    progress("Measuring the backends", None)
    side = config.working_size or AUTO_WORKING_SIZE
    size = working_size(round(side * _WIDESCREEN), side, side, 8)
    picture = resize(calibration_frames()[0], size)
    rgb = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None]
    seconds = time_in_turn({name: _runner(embedder, rgb) for name, embedder in embedders.items()}, clock)
    rows = [_row(name, embedders[name], seconds[name]) for name in embedders] + rows
    measured = Measured(choose(rows), size, tuple(rows))
    return measured, remember(key, measured)


def _row(name: str, embedder: Embedder, seconds: float) -> Row:
    if not isinstance(embedder, OnnxEmbedder):
        return Row(name, seconds, describe_backend(embedder))
    text = describe_backend(embedder)
    if embedder.fallback_message:
        text = f"{text}: {embedder.fallback_message}"
    return Row(name, seconds, text, embedder.agreement if name == ONNX_INT8 else None)


def _runner(embedder: Embedder, rgb: torch.Tensor) -> Callable[[], None]:
    """Does what the tracker does with a frame, and waits for the result."""

    def run() -> None:
        if isinstance(embedder, DetailedEmbedder):
            embedder.embed_detailed(rgb)
        else:
            embedder.embed(rgb.float().div_(255.0))
        synchronise(rgb.device)

    return run


def time_in_turn(
    runs: Mapping[str, Callable[[], None]], clock: Callable[[], float], budget_s: float = BUDGET_S
) -> dict[str, float]:
    """Median seconds of each run, all of them taking turns until `budget_s` is spent (and at least a few times)."""
    started = clock()
    for _ in range(_WARM_UP):
        for run in runs.values():
            run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(_MOST_ROUNDS):
        if turn >= _LEAST_ROUNDS and clock() - started >= budget_s:
            break
        for name, run in runs.items():
            before = clock()
            run()
            times[name].append(clock() - before)
    return {name: statistics.median(taken) for name, taken in times.items()}
