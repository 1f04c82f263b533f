"""Builds the tracker: the only engine module that knows which models there are. Importing it imports torch."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from engine.errors import DeviceError
from engine.propagation.recipe import get_recipe
from engine.runtime.backends import load_backend
from engine.runtime.config import EngineConfig
from engine.runtime.threads import helpers_give_way, thread_count
from engine.tracker import Tracker
from models.device import best_dtype, resolve_device
from models.registry import DEFAULT_MODEL, get_spec, load_embedder

log = logging.getLogger(__name__)


def create_tracker(config: EngineConfig, progress: Callable[[str, float | None], None] | None = None) -> Tracker:
    """The tracker `config` asks for, its weights loaded (and downloaded first, if need be).

    Args:
        progress: called with a text and the fraction done (None where it is unknown).

    Raises:
        ModelError: unknown model, absent device, weights missing, wrong or untrained; the backend asked for by name
            cannot run here.
        UserError: unknown recipe.
        DeviceError: the model does not fit into the device's memory, or the device's driver fails.
    """
    spec = get_spec(config.model or DEFAULT_MODEL)
    recipe = get_recipe(config.recipe or spec.default_recipe)
    device = resolve_device(config.device)
    if device.type == "cpu":
        torch.set_num_threads(thread_count())
        with helpers_give_way():
            torch.ones(1 << 20).add_(1)  # large enough for every helper to be started
    try:
        loaded = load_backend(
            config,
            device,
            lambda: load_embedder(spec.name, device, best_dtype(device), config.weights, progress),
            progress,
        )
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"The model {spec.name} does not fit into the memory of {device}.", "Choose a smaller one or --device cpu."
        ) from error
    except RuntimeError as error:
        if device.type == "cpu":
            raise
        reason = str(error).splitlines()[0]
        raise DeviceError(f"The device {device} failed: {reason}.", "Update its driver or use --device cpu.") from error
    tracker = Tracker(loaded.embedder, recipe, working_size=config.working_size)
    tracker.notice = loaded.notice
    if loaded.notice:
        log.warning("%s", loaded.notice)  # stderr on the command line; the window shows it and keeps it in its log
    return tracker
