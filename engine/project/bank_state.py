"""The tracker's memory as a value that a project keeps, and back again. Imports torch: for the engine thread only.

Works on what every memory bank has: held slots, their embeddings and labels, and the methods that add to it; not on how
the bank lays its tensors out. Embeddings are kept in half precision, as the bank has them on all devices but old CPUs.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from engine.project.state import BankState, SlotState, TrailState
from engine.propagation.confidence import TrailMemory
from engine.tracker import Tracker
from models.embedder import Embedder

if TYPE_CHECKING:
    from engine.propagation.memory import Slot
    from engine.propagation.propagator import Propagator

log = logging.getLogger(__name__)

_HALF = (torch.bfloat16, torch.float16)
_POOLS = ("keyframe", "recent")
_ALIKE = 0.99
_marks: weakref.WeakKeyDictionary[Embedder, tuple[float, ...]] = weakref.WeakKeyDictionary()


def identity_of(tracker: Tracker) -> str:
    """What must be the same for a memory to be of use: the network and how it is used."""
    return f"{tracker.embedder.name}; {tracker.recipe.describe()}"


def mark_of(tracker: Tracker) -> tuple[float, ...]:
    """Tells one set of weights from another by what they make of a fixed picture: 16 numbers of length 1 together."""
    embedder = tracker.embedder
    if embedder not in _marks:
        ramp = torch.linspace(0, 1, 3 * 32 * 32, device=embedder.device).reshape(1, 3, 32, 32)
        with torch.inference_mode():
            means = embedder.embed(ramp).float().mean((1, 2))[:16]
        _marks[embedder] = tuple((means / means.norm().clamp_min(1e-12)).tolist())
    return _marks[embedder]


def _alike(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Devices and precisions differ in the last digits, weights in the first."""
    return len(one) == len(other) and sum(a * b for a, b in zip(one, other, strict=True)) > _ALIKE


@torch.inference_mode()
def export_bank(tracker: Tracker) -> BankState | None:
    """What the tracker remembers; None before it has seen a frame. What the session knows of it is left empty."""
    propagator = tracker.propagator
    size = tracker.working_size
    if propagator is None or size is None:
        return None
    columns = tracker.columns
    slots = []
    for pool in _POOLS:
        held = propagator.bank.keyframes if pool == "keyframe" else propagator.bank.recent
        for order, slot in enumerate(held):
            slots.append(_slot_state(tracker, propagator, pool, order, slot))
    return BankState(
        identity=identity_of(tracker),
        mark=mark_of(tracker),
        object_ids=tuple(columns),
        height=propagator.height,
        width=propagator.width,
        channels=tracker.embedder.channels,
        working_size=size,
        processed=propagator.bank.processed,
        last=None,
        stepped=False,
        fed={},
        slots=tuple(slots),
        trails=tuple(_trail_state(tracker, object_id) for object_id in columns),
    )


def _trail_state(tracker: Tracker, object_id: int) -> TrailState:
    presence = tracker.presence
    memory = presence.meter.memory(object_id)
    state, run = presence.watch.standing(object_id) or (None, 0)
    if memory is None:
        return TrailState(object_id, state, run, 1, (), (), b"")
    looks = memory.looks.astype("<f4").tobytes()
    return TrailState(object_id, state, run, memory.cells, memory.areas, memory.likenesses, looks)


def _slot_state(tracker: Tracker, propagator: Propagator, pool: str, order: int, slot: Slot) -> SlotState:
    embedding, labels = propagator.bank.cells(slot)
    columns = tracker.columns
    if embedding.dtype not in _HALF:
        embedding, labels = embedding.half(), labels.half()
    tensors = {
        "embedding": embedding.permute(2, 0, 1).contiguous().cpu(),
        "labels": labels[..., list(columns.values())].permute(2, 0, 1).contiguous().cpu(),
    }
    known = tuple(object_id for object_id, column in columns.items() if bool(slot.known[column]))
    return SlotState(pool, order, slot.frame_index, slot.position, slot.is_keyframe, known, save(tensors))


@torch.inference_mode()
def import_bank(tracker: Tracker, state: BankState) -> bool:
    """Make a tracker that remembers nothing remember `state`. False, and no change, when that is another engine's."""
    channels = tracker.embedder.channels
    if (state.channels, state.identity) != (channels, identity_of(tracker)) or not _alike(state.mark, mark_of(tracker)):
        return False
    if sum(slot.pool == "keyframe" for slot in state.slots) > tracker.recipe.keyframes:
        return False
    try:
        slots = [(slot, *_tensors(slot, state)) for slot in sorted(state.slots, key=lambda s: (s.pool, s.order))]
        trails = [(trail, _trail_memory(trail, channels)) for trail in state.trails]
    except (SafetensorError, ValueError, KeyError) as error:
        log.warning("the memory in the project is damaged: %s", error)
        return False
    tracker.reset()
    propagator = tracker.prepare(state.height, state.width, state.working_size, state.object_ids)
    bank = propagator.bank
    columns = list(tracker.columns.values())
    for slot, embedding, planes in slots:
        keys = embedding.permute(1, 2, 0).to(bank.device, bank.dtype)
        labels = torch.zeros(state.height, state.width, bank.objects, device=bank.device, dtype=bank.dtype)
        labels[..., columns] = planes.permute(1, 2, 0).to(bank.device, bank.dtype)
        known = torch.zeros(bank.objects, dtype=torch.bool)
        known[[tracker.columns[object_id] for object_id in slot.known]] = True
        if slot.pool == "keyframe":
            bank.set_keyframe(slot.frame_index, keys, labels, known)
        else:
            bank.add_recent(slot.frame_index, keys, labels, known, slot.is_keyframe).position = slot.position
    bank.processed = max(state.processed, max((s.position + 1 for s in bank.recent), default=0))
    for trail, memory in trails:
        tracker.presence.meter.restore(trail.object_id, memory)
        if trail.state is not None:
            tracker.presence.watch.restore(trail.object_id, trail.state, trail.run)
    return True


def _trail_memory(trail: TrailState, channels: int) -> TrailMemory:
    """
    Raises:
        ValueError: its looks are no embeddings.
    """
    if len(trail.looks) % (4 * channels):
        raise ValueError("a trail of another size")
    looks = np.frombuffer(trail.looks, "<f4").astype(np.float32).reshape(-1, channels)
    if not np.isfinite(looks).all():
        raise ValueError("a trail with impossible values")
    return TrailMemory(trail.cells, trail.areas, trail.likenesses, looks)


def _tensors(slot: SlotState, state: BankState) -> tuple[torch.Tensor, torch.Tensor]:
    """(C x h x w, d x h x w) of a slot.

    Raises:
        ValueError, KeyError, SafetensorError: they are not what they must be.
    """
    tensors = load(slot.tensors)
    embedding, labels = tensors["embedding"], tensors["labels"]
    grid = (state.height, state.width)
    if embedding.shape != (state.channels, *grid) or labels.shape != (len(state.object_ids), *grid):
        raise ValueError("a slot of another shape")
    if embedding.dtype not in _HALF or labels.dtype not in _HALF:
        raise ValueError("a slot of another precision")
    if not bool(embedding.isfinite().all()) or not bool(((labels >= 0) & (labels <= 1)).all()):
        raise ValueError("a slot with impossible values")
    if not set(slot.known) <= set(state.object_ids):
        raise ValueError("a slot of unknown objects")
    return embedding, labels
