"""The tracker: one `step` per frame (the Python API; the command line and the session use nothing else)."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.embedding import Embedded, embed_frame
from engine.errors import MaskError, OutOfMemoryError, SizeMismatchError
from engine.object_state import ObjectState
from engine.preparing import Preparation, working_size
from engine.propagation.confidence import Evidence
from engine.propagation.labels import PlanePart, labels_to_mask, mask_to_labels, stored_labels
from engine.propagation.presence import Presence
from engine.propagation.propagator import Propagator
from engine.propagation.recipe import Recipe
from engine.types import Frame, Mask, SegmentationResult
from models.device import describe_backend, describe_device
from models.embedder import Embedder
from models.enlarging import enlarge
from models.upsampler import FACTOR

if TYPE_CHECKING:
    from engine.runtime.config import EngineConfig

AUTO_WORKING_SIZE = 480
AUTO_LIVE_CPU_WORKING_SIZE = 320  # a mask that lags behind a live picture helps less than a coarser one in time
_SHORTAGE = ("out of memory", "allocate memory", "ALLOC_FAILED")


class Tracker:
    """Carries masks from frame to frame. Not thread-safe: one thread owns it.

    Example::

        tracker = Tracker.load()
        result = tracker.step(first_frame, first_mask)
        for frame in frames:
            result = tracker.step(frame)
    """

    def __init__(self, embedder: Embedder, recipe: Recipe, *, working_size: int | None = None) -> None:
        """`working_size`: short side in pixels the embedder sees; None: see `set_live`. Smaller frames keep theirs."""
        self.embedder = embedder
        self.recipe = recipe
        self._chosen_short_side = working_size
        self._short_side = working_size or AUTO_WORKING_SIZE
        self._working_size: tuple[int, int] | None = None
        self._propagator: Propagator | None = None
        self._columns: dict[int, int] = {}  # object id -> label column
        self._last_evicted: int | None = None
        self._references: int | None = None
        self.notice = ""  # what the user should know of how this tracker was made
        self._presence = Presence()

    @classmethod
    def load(cls, config: EngineConfig | None = None) -> Tracker:
        """The tracker `config` asks for, with its network loaded; the bundled one on the best device by default.

        Raises:
            UserError: as `engine.runtime.factory.create_tracker`.
        """
        from engine.runtime.config import EngineConfig
        from engine.runtime.factory import create_tracker

        return create_tracker(config or EngineConfig())

    # -- the one step ------------------------------------------------------------------------------------------
    def step(
        self,
        frame: Frame,
        mask: Mask | None = None,
        *,
        touched: Collection[int] | None = None,
        embedded: Embedded | None = None,
    ) -> SegmentationResult:
        """Segment `frame`; with `mask`, `frame` becomes (or replaces) a keyframe.

        Args:
            frame: any frame; indices may jump (corrections in the past, backward tracking, dropped live frames).
            mask: H x W uint8 object ids given by the user for this frame.
            touched: ids the user meant with `mask`; None means every id in `mask` and every id known so far. Objects
                that are not touched keep what the tracker remembers of this frame; if it remembers nothing, their
                pixels in `mask` are taken over as shown, and it learns nothing of those without pixels.
            embedded: what `embed_ahead` made of `frame`; made anew where it does not fit any more.

        Returns:
            The frame with its mask. For a keyframe the mask is the user's own, byte for byte.

        Raises:
            MaskError: nothing was painted yet, or `mask` holds no object and none is known.
            SizeMismatchError: `mask` has another size than `frame`.
            OutOfMemoryError: nothing is lost; `set_quality` to less and try again.
        """
        if mask is not None:
            self._check(frame, mask)
        elif not self._columns or not self._has_references():
            raise MaskError("Nothing is painted yet.", "Paint an object on a frame first.")
        with _memory_errors(self.embedder.device), torch.inference_mode():
            if mask is None:
                return self._track(frame, embedded)
            return self._learn(frame, mask, touched, embedded)

    def _check(self, frame: Frame, mask: Mask) -> None:
        if mask.shape != frame.rgb.shape[:2]:
            raise SizeMismatchError(
                (mask.shape[1], mask.shape[0]), (frame.width, frame.height), "Resize the mask to the frame."
            )
        if not self._columns and not mask.any():
            raise MaskError("The mask holds no object.", "Paint an object first.")

    def _has_references(self) -> bool:
        bank = self._propagator and self._propagator.bank
        return bool(bank and (bank.recent or bank.keyframes))

    def _learn(
        self, frame: Frame, mask: Mask, touched: Collection[int] | None, embedded: Embedded | None
    ) -> SegmentationResult:
        timings: dict[str, float] = {}
        cells = self._embed(frame, timings, embedded).cells
        started = time.perf_counter()
        propagator = self._propagator_for(cells)
        bank = propagator.bank
        present = [int(i) for i in np.unique(mask) if i]
        meant = set(present) | set(self._columns) if touched is None else set(touched)
        self._register(present + sorted(meant))

        labels = self._labels_of(mask, cells)
        touched_columns = self._column_flags(meant)
        # The objects that were not meant keep what the tracker itself remembers of this frame. Of a frame it does not
        # remember it learns where the mask shows them; a mask that does not show them says nothing about them.
        former = bank.find_recent(frame.index)
        if former is None:
            known = touched_columns | self._column_flags(present)
        else:
            known = touched_columns | former.known
            _, old = bank.cells(former)
            room = (1 - (labels * touched_columns.to(labels.device)).sum(-1, keepdim=True)).clamp_min(0)
            kept = torch.minimum(old.to(labels.dtype), room)
            labels = torch.where(touched_columns.to(labels.device), labels, kept)
        # What recent frames believed of the corrected objects is what the user has just called wrong.
        bank.forget_objects(touched_columns, keep_frame=frame.index)
        bank.add_recent(frame.index, cells, labels, known, is_keyframe=True)
        if self.recipe.keyframes:
            evicted = bank.set_keyframe(frame.index, cells, labels, touched_columns)
            self._last_evicted = evicted.frame_index if evicted else None
        self._presence.learn(cells, labels, {i: c for i, c in self._columns.items() if i in meant})
        timings["propagate"] = time.perf_counter() - started
        confidence = dict.fromkeys(present, 1.0)
        states = dict.fromkeys(present, ObjectState.SURE)
        return SegmentationResult(frame, mask.copy(), confidence, timings, is_keyframe=True, states=states)

    def _recall(self, frame: Frame, mask: Mask, object_ids: Collection[int]) -> None:
        if self._propagator is not None:
            former = self._propagator.bank.find_recent(frame.index)
            registered = all(object_id in self._columns for object_id in object_ids)
            if former is not None and registered and bool(former.known[self._column_flags(object_ids)].all()):
                return  # the labels of that very run are still there, finer than the mask
        cells = self._embed(frame, {}).cells
        propagator = self._propagator_for(cells)
        self._register(sorted(object_ids))
        known = self._column_flags(object_ids)
        propagator.bank.add_recent(frame.index, cells, self._labels_of(mask, cells), known)

    def _refresh(self, frame: Frame, mask: Mask, touched: Collection[int]) -> None:
        held = [] if self._propagator is None else self._propagator.bank.keyframes
        if all(slot.frame_index != frame.index for slot in held):
            return
        cells = self._embed(frame, {}).cells
        propagator = self._propagator_for(cells)
        bank, painted = propagator.bank, self._labels_of(mask, cells)
        flags = self._column_flags(touched)
        before, processed = (list(bank.keyframes), list(bank.recent)), bank.processed
        order = [slot.frame_index for slot in bank.keyframes]
        former, recent = bank.keyframes[order.index(frame.index)], bank.find_recent(frame.index)
        try:
            bank.set_keyframe(frame.index, cells, painted, former.known & flags)  # what it knows of others stays
            bank.keyframes.sort(key=lambda slot: order.index(slot.frame_index))
            if recent is not None:
                own = bank.cells(recent)[1]
                labels = torch.where(flags.to(own.device), painted.to(own.dtype), own)
                new = bank.add_recent(frame.index, cells, labels, recent.known, recent.is_keyframe)
                new.position, bank.processed = recent.position, processed
                bank.recent.sort(key=lambda slot: slot.position)
        except BaseException:  # memory ran out: what was remembered is still there
            bank.keyframes[:], bank.recent[:] = before
            bank.processed = processed
            raise

    def _track(self, frame: Frame, embedded: Embedded | None) -> SegmentationResult:
        timings: dict[str, float] = {}
        embedded = self._embed(frame, timings, embedded)
        cells, upsampling = embedded.cells, embedded.upsampling
        started = time.perf_counter()
        propagator = self._propagator_for(cells)
        labels, mass = propagator.propagate(cells, frame.index)
        ids = list(self._columns)
        columns = list(self._columns.values())
        shown, part = labels[columns], None
        if upsampling is not None:
            enlarged = enlarge(shown, upsampling)
            shown, labels[columns] = enlarged.planes, enlarged.means
            part = PlanePart(*(FACTOR * n for n in (enlarged.top, enlarged.left, *labels.shape[1:])))
        voted = propagator.from_keyframes
        confidence, states = self._presence.look(cells, labels[columns], None if voted is None else voted[columns], ids)
        lost = [i for i in ids if states[i] is ObjectState.LOST] if self.recipe.keyframes else []
        if lost:
            shown[[ids.index(i) for i in lost]] = 0
            labels[[self._columns[i] for i in lost]] = 0
        stored = stored_labels(labels, mass, self.recipe.label_power)
        # Frames in which an object is lost do not speak about it, or they would outvote its keyframes when it is back.
        known = self._column_flags([i for i in ids if i not in lost])
        propagator.bank.add_recent(frame.index, cells, stored, known)
        planes = shown.float().cpu().numpy()
        mass_plane = None if self.recipe.renormalise else mass.float().cpu().numpy()
        timings["propagate"] = time.perf_counter() - started

        started = time.perf_counter()
        mask = labels_to_mask(planes, mass_plane, ids, frame.height, frame.width, part)
        timings["upsample"] = time.perf_counter() - started
        return SegmentationResult(frame, mask, confidence, timings, states=states)

    @torch.inference_mode()
    def look_at(self, frame: Frame) -> tuple[Propagator, torch.Tensor, dict[int, int]]:
        """What a step would compare if `frame` came next; remembers nothing.

        Returns:
            (the memory and its rules, h x w x C embedding of the frame, object id -> label column).
        """
        cells = self.embed(frame)
        return self._propagator_for(cells), cells, dict(self._columns)

    def set_live(self, live: bool) -> None:
        """Tell whether the frames to come are live. Decides the automatic working size: 480, on a live CPU 320."""
        self.set_quality(self._short_side)
        if self._chosen_short_side is None:
            slow = live and self.embedder.device.type == "cpu"
            self._short_side = AUTO_LIVE_CPU_WORKING_SIZE if slow else AUTO_WORKING_SIZE

    def choose_working_size(self, short_side: int | None) -> None:
        """As `working_size` of the constructor, from the next frame on; the memory comes along, resampled."""
        self._chosen_short_side = short_side
        self._short_side = short_side or AUTO_WORKING_SIZE

    def set_quality(self, short_side: int, references: int | None = None) -> None:
        """Work at this short side from the next frame on, until `set_live` or `choose_working_size`.

        `references`: how many recent reference frames vote at most, the newest ones; None: all of the recipe's.
        """
        self._short_side = short_side
        self._references = references
        if self._propagator is not None:
            self._propagator.most_references = references

    def release_memory(self) -> None:
        """Give back to the device what is merely kept for later."""
        if self.embedder.device.type == "cuda":
            torch.cuda.empty_cache()

    # -- objects and memory ------------------------------------------------------------------------------------
    @torch.inference_mode()
    def delete_object(self, object_id: int) -> None:
        """Remove an object from every reference; its pixels count as background from now on."""
        column = self._columns.pop(object_id, None)
        self._presence.forget([object_id])
        if column is not None and self._propagator is not None:
            self._propagator.bank.clear_column(column)

    @torch.inference_mode()
    def merge_objects(self, object_id: int, into: int) -> None:
        """Make one object a part of another in every reference (no-op when it is not known)."""
        column = self._columns.pop(object_id, None)
        self._presence.forget([object_id, into])  # neither looks as the whole does
        if column is None:
            return
        if into not in self._columns:
            self._columns[into] = column
        elif self._propagator is not None:
            self._propagator.bank.merge_columns(column, self._columns[into])

    @torch.inference_mode()
    def forget_keyframe(self, frame_index: int) -> None:
        """Remove a keyframe from memory (no-op when it is none)."""
        if self._propagator is not None:
            self._propagator.bank.drop_keyframe(frame_index)

    @torch.inference_mode()
    def rewind(self, frame_index: int, direction: int) -> None:
        """Going on from `frame_index` towards +1 or -1: keep the recent frames a run that way would hold there.

        Frames further along would else be references for their own past, with all the tracker's errors on the way.
        """
        self._presence.jump()
        if self._propagator is not None:
            self._propagator.bank.rewind(frame_index, direction)

    def recall(self, frame: Frame, mask: Mask, object_ids: Collection[int]) -> None:
        """Remember a frame with the mask it was given by an earlier run, as if `step` had just tracked it.

        Args:
            mask: H x W uint8 object ids.
            object_ids: ids the run knew; those without pixels in `mask` count as absent.

        Raises:
            SizeMismatchError, OutOfMemoryError: as `step`.
        """
        self._check(frame, mask)
        with _memory_errors(self.embedder.device), torch.inference_mode():
            self._recall(frame, mask, {int(i) for i in np.unique(mask) if i} | set(object_ids))

    def refresh(self, frame: Frame, mask: Mask, touched: Collection[int]) -> None:
        """Embed a keyframe anew after a change of the working size: resampled embeddings track worse.

        Nothing happens when the memory does not hold it. `mask` and `touched` as they were given to `step`.

        Raises:
            SizeMismatchError, OutOfMemoryError: as `step`.
        """
        self._check(frame, mask)
        with _memory_errors(self.embedder.device), torch.inference_mode():
            self._refresh(frame, mask, touched)

    @torch.inference_mode()
    def forget_tracked(self) -> None:
        """Drop every recent (tracked) reference; keyframes stay."""
        self._presence.jump()
        if self._propagator is not None:
            self._propagator.bank.drop_recent()

    @torch.inference_mode()
    def reset(self) -> None:
        """Forget everything; keeps the model and the allocated memory."""
        self._presence.forget()
        self._columns.clear()
        if self._propagator is not None:
            self._propagator.bank.clear()

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Known object ids, ascending."""
        return tuple(sorted(self._columns))

    @property
    def evicted_keyframe(self) -> int | None:
        """Frame index of the keyframe that gave way in the last step with a mask because the bank was full, or None."""
        return self._last_evicted

    @property
    def evidence(self) -> Mapping[int, Evidence]:
        """Object id -> what the confidence of the last tracked frame was made of."""
        return self._presence.meter.evidence

    @property
    def bank_bytes(self) -> int:
        """Bytes of the preallocated memory bank (0 before the first step)."""
        return 0 if self._propagator is None else self._propagator.nbytes

    @property
    def bank_frames(self) -> tuple[int, int]:
        """(keyframes, recent frames) held now."""
        if self._propagator is None:
            return 0, 0
        return len(self._propagator.bank.keyframes), len(self._propagator.bank.recent)

    @property
    def working_size(self) -> tuple[int, int] | None:
        """(width, height) the embedder sees, None before the first step."""
        return self._working_size

    @property
    def short_side(self) -> int:
        """Short side in pixels the embedder sees at most."""
        return self._short_side

    @property
    def preparation(self) -> Preparation:
        """What whoever reads frames may do to them ahead of `step`."""
        return Preparation(self._short_side, self.recipe.align)

    @property
    def device_text(self) -> str:
        """Such as "cpu (bf16, PyTorch)" or "cuda:0 NVIDIA H100 (fp16, PyTorch)"."""
        return describe_device(self.embedder.device, describe_backend(self.embedder))

    # -- for projects, which keep the memory (engine.project.bank_state) ---------------------------------------
    @property
    def propagator(self) -> Propagator | None:
        """Propagation on the present grid, with its memory bank; None before the first step."""
        return self._propagator

    @property
    def presence(self) -> Presence:
        """What confidences and states come from."""
        return self._presence

    @property
    def columns(self) -> Mapping[int, int]:
        """Object id -> label column, in the order of their registration."""
        return self._columns

    @torch.inference_mode()
    def prepare(self, height: int, width: int, size: tuple[int, int], object_ids: Collection[int]) -> Propagator:
        """Make room for a grid of height x width cells and these objects, as a step at working size `size` would."""
        self._working_size = size
        propagator = self._propagator_for(torch.empty(height, width, self.embedder.channels, device="meta"))
        self._register(object_ids)
        return propagator

    def embed_ahead(self, frame: Frame) -> Embedded:
        """Do the part of `step` that asks only for the frame. The one method another thread may call meanwhile."""
        return embed_frame(self.embedder, self.recipe, self._short_side, frame)

    @property
    def embeds_ahead(self) -> bool:
        """Whether `embed_ahead` beside a step wins time: on a CPU, unless the network takes all cores anyway."""
        return self.embedder.device.type == "cpu" and not getattr(self.embedder, "takes_all_cores", False)

    # -- parts of a step ---------------------------------------------------------------------------------------
    @torch.inference_mode()
    def embed(self, frame: Frame) -> torch.Tensor:
        """The frame's embedding at the working size, h x w x C cells; remembers nothing.

        Raises:
            OutOfMemoryError: as `step`.
        """
        with _memory_errors(self.embedder.device):
            return self._embed(frame, {}).cells

    def _embed(self, frame: Frame, timings: dict[str, float], embedded: Embedded | None = None) -> Embedded:
        """The frame's embedding at the present working size: `embedded` where it is that, else made now."""
        self._working_size = size = working_size(frame.width, frame.height, self._short_side, self.recipe.align)
        known = embedded is not None and embedded.frame is frame and embedded.embedder is self.embedder
        if embedded is None or not known or embedded.size != size:
            embedded = embed_frame(self.embedder, self.recipe, self._short_side, frame)
        timings.update(embedded.timings)
        return embedded

    def _propagator_for(self, cells: torch.Tensor) -> Propagator:
        """The propagator of this grid; to another grid (the source changed size) the memory comes along, resampled."""
        height, width, channels = cells.shape
        former = self._propagator
        if former is not None and (former.height, former.width) == (height, width):
            return former
        scale = self.recipe.logit_scale
        propagator = Propagator(
            self.recipe,
            height=height,
            width=width,
            channels=channels,
            logit_scale=self.embedder.logit_scale if scale is None else scale,
            dtype=self.embedder.dtype,
            device=self.embedder.device,
        )
        propagator.most_references = self._references
        if former is not None:
            propagator.bank.take_over(former.bank)
        self._propagator = propagator
        return propagator

    def _register(self, object_ids: Collection[int]) -> None:
        for object_id in object_ids:
            if object_id not in self._columns:
                taken = set(self._columns.values())
                self._columns[object_id] = next(c for c in range(len(taken) + 1) if c not in taken)
        if self._propagator is not None and self._columns:
            self._propagator.bank.reserve_objects(max(self._columns.values()) + 1)

    def _labels_of(self, mask: Mask, cells: torch.Tensor) -> torch.Tensor:
        """The mask on the grid: h x w x columns float32."""
        assert self._propagator is not None
        height, width, _ = cells.shape
        ids = list(self._columns)
        planes = mask_to_labels(mask, ids, height, width, area=self.recipe.keyframes > 0).to(cells.device)
        labels = torch.zeros(height, width, self._propagator.bank.objects, device=cells.device)
        labels[..., [self._columns[i] for i in ids]] = planes
        return labels

    def _column_flags(self, object_ids: Collection[int] | Mapping[int, int]) -> torch.Tensor:
        assert self._propagator is not None
        flags = torch.zeros(self._propagator.bank.objects, dtype=torch.bool)
        flags[[self._columns[i] for i in object_ids if i in self._columns]] = True
        return flags


@contextmanager
def _memory_errors(device: torch.device) -> Iterator[None]:
    """Turn every way of saying that memory ran out into an OutOfMemoryError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # torch.OutOfMemoryError is a RuntimeError; the CPU's allocator and the vendors' libraries raise plain ones.
        short = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not short and not any(mark in str(error) for mark in _SHORTAGE):
            raise
        raise OutOfMemoryError(f"The device {device} ran out of memory.", "Choose a smaller working size.") from error
