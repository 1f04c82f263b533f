"""Propagation by the paper's plain recipe and by ours, frame by frame in turn on the same embeddings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from engine.bench.report import Comparison
from engine.bench.run import split_mask
from engine.errors import SourceError
from engine.propagation.labels import mask_to_labels, stored_labels
from engine.propagation.propagator import Propagator
from engine.propagation.recipe import Recipe
from engine.runtime.live_run import first_mask
from engine.tracker import Tracker
from engine.types import Mask
from engine.video.open import open_source
from models.device import synchronise


def compare_recipes(
    source: str | Path,
    tracker: Tracker,
    plain: Recipe,
    *,
    mask: Mask | Path | None = None,
    frames: int = 40,
    warm_up: int = 10,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Time `plain` against the tracker's own recipe.

    Args:
        frames: compared after `warm_up` others, by which both memories have their full number of references.

    Raises:
        SourceError: the source has too few frames.
        UserError: bad source or mask.
    """
    video = open_source(source)
    lanes: list[_Lane] = []
    agreements: list[float] = []
    try:
        for number in range(warm_up + frames + 1):
            frame = video.read()
            if frame is None:
                raise SourceError(f"{source} has only {number} frames.", "Ask for fewer with --frames.")
            cells = tracker.embed(frame)
            if not lanes:
                seed = split_mask(first_mask(mask, frame.width, frame.height), 1)
                lanes = [_Lane(recipe, tracker, cells, seed) for recipe in (plain, tracker.recipe)]
                continue
            # In turn, and each first half of the time: what one leaves in the caches must not favour the other.
            for lane in lanes if number % 2 else lanes[::-1]:
                lane.step(cells, number)
            if number > warm_up:
                one, other = (lane.label > 0.5 for lane in lanes)
                agreements.append(float((one == other).float().mean()))
            on_progress(number, warm_up + frames)
    finally:
        video.close()
    plain_s, ours_s = (np.array(lane.seconds[warm_up:]) for lane in lanes)
    return Comparison(
        working_size=tracker.working_size or (0, 0),
        plain=plain.name,
        ours=tracker.recipe.name,
        device=tracker.device_text,
        frames=frames,
        plain_ms=float(np.median(plain_s)) * 1000,
        ours_ms=float(np.median(ours_s)) * 1000,
        ratio=float(np.median(plain_s / ours_s)),
        agreement=float(np.mean(agreements)),
    )


class _Lane:
    """One recipe with a memory of its own."""

    def __init__(self, recipe: Recipe, tracker: Tracker, cells: torch.Tensor, seed: Mask) -> None:
        embedder = tracker.embedder
        height, width, channels = cells.shape
        self.recipe, self.device = recipe, embedder.device
        self.propagator = Propagator(
            recipe,
            height=height,
            width=width,
            channels=channels,
            logit_scale=embedder.logit_scale,
            dtype=embedder.dtype,
            device=embedder.device,
        )
        bank = self.propagator.bank
        self.known = torch.arange(bank.objects) < 1
        labels = torch.zeros(height, width, bank.objects, device=embedder.device)
        labels[..., :1] = mask_to_labels(seed, [1], height, width, area=recipe.keyframes > 0).to(embedder.device)
        bank.add_recent(0, cells, labels, self.known, is_keyframe=True)
        if recipe.keyframes:
            bank.set_keyframe(0, cells, labels, self.known)
        self.label = labels[..., 0]
        self.seconds: list[float] = []

    @torch.inference_mode()
    def step(self, cells: torch.Tensor, number: int) -> None:
        started = time.perf_counter()
        labels, mass = self.propagator.propagate(cells, number)
        stored = stored_labels(labels, mass, self.recipe.label_power)
        self.propagator.bank.add_recent(number, cells, stored, self.known)
        synchronise(self.device)
        self.seconds.append(time.perf_counter() - started)
        self.label = labels[0]
