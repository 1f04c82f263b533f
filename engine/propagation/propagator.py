"""One grid's propagation: the memory bank, the kernels a recipe needs, and the choice of references."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.propagation.affinity import DenseKernel, Votes, WindowedKernel, group_by_voice, query_cells
from engine.propagation.grid import TileLayout
from engine.propagation.lattice import Speakers, all_votes, lattice_votes
from engine.propagation.memory import MemoryBank, Slot
from engine.propagation.recipe import Recipe
from engine.propagation.reference_cache import ReferenceCache
from engine.propagation.sampling import is_dense, sample_reference_frames


class Propagator:
    """Propagates labels on a fixed h x w grid. Embeddings come in as h x w x C cells of the bank's dtype."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        height: int,
        width: int,
        channels: int,
        logit_scale: float,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.recipe = recipe
        self.logit_scale = logit_scale
        self.most_references: int | None = None  # recent ones that vote at most, the newest; None: all of the recipe's
        self.from_keyframes: torch.Tensor | None = None  # columns x h x w, what they alone said of the last frame
        self.bank = MemoryBank(
            height=height,
            width=width,
            channels=channels,
            recent=recipe.history,
            keyframes=recipe.keyframes,
            sampling=recipe.sampling,
            dtype=dtype,
            device=device,
        )
        sigmas = [recipe.sigma_dense, recipe.sigma_sparse]
        self._dense = DenseKernel(height, width, sigmas, device)
        self._windowed: list[tuple[WindowedKernel, ReferenceCache]] = []
        self._whole: ReferenceCache | None = None
        self._keyframes: ReferenceCache | None = None
        if not recipe.renormalise:
            return  # the plain softmax multiplies straight from the bank
        references = min(recipe.references, recipe.history)
        if recipe.window is None:
            self._whole = ReferenceCache(self.bank, references, recipe.pool_recent)
        else:
            fine = references if recipe.pool_recent == 1 else min(recipe.fine_references, references)
            for slots, pool in ((fine, 1), (references - fine, recipe.pool_recent)):
                if slots:
                    layout = TileLayout(height, width, recipe.window, pool=pool)
                    kernel = WindowedKernel(layout, sigmas, dtype, device)
                    self._windowed.append((kernel, ReferenceCache(self.bank, slots, pool, layout)))
        if recipe.keyframes:
            self._keyframes = ReferenceCache(self.bank, recipe.keyframes, recipe.pool_keyframes)

    @property
    def nbytes(self) -> int:
        """Bytes that are allocated, once for all: the memory bank and the kernels' copies of it."""
        caches = [self._whole, self._keyframes, *(cache for _, cache in self._windowed)]
        return self.bank.nbytes + sum(cache.nbytes for cache in caches if cache is not None)

    @property
    def height(self) -> int:
        return self.bank.height

    @property
    def width(self) -> int:
        return self.bank.width

    def recent_references(self, frame_index: int) -> list[tuple[Slot, float]]:
        """Sampled recent slots with their sigma, oldest first; frames too far away in time are left out."""
        recipe, held = self.recipe, self.bank.recent
        if not held:
            return []
        target = self.bank.processed
        positions = sample_reference_frames(target, recipe.sampling, references=recipe.references, reach=recipe.reach)
        by_position = {slot.position: slot for slot in held}
        chosen = [by_position[position] for position in positions if position in by_position]
        if self.most_references is not None:
            chosen = chosen[-self.most_references :]
        references = []
        for rank, slot in enumerate(reversed(chosen)):
            dense = not recipe.motion_prior or is_dense(target, rank)
            references.append((slot, recipe.sigma_dense if dense else recipe.sigma_sparse))
        references.reverse()
        if recipe.max_gap is not None:
            references = [(s, sigma) for s, sigma in references if abs(s.frame_index - frame_index) <= recipe.max_gap]
        return references

    def propagate(self, cells: torch.Tensor, frame_index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels of the target frame.

        Args:
            cells: h x w x C embedding of the target.

        Returns:
            (object labels, columns x h x w; mass h x w), float32. Background is mass - sum of objects.
        """
        recent = self.recent_references(frame_index)
        if self.recipe.renormalise:
            return self._weighted_mean(cells, recent, frame_index)
        return self._softmax(cells, recent)

    def _weighted_mean(
        self, cells: torch.Tensor, recent: list[tuple[Slot, float]], frame_index: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        votes = Votes.empty(self.height, self.width, self.bank.objects, cells.device)
        self.from_keyframes = None
        held = self._hold_windowed(recent[::-1])
        if self._whole is not None:
            self._add_whole(votes, self._whole, cells, recent)
        keyframes = self.bank.keyframes
        if self._keyframes is not None and keyframes:
            spoken = keyframe_voices(keyframes, frame_index, self.recipe.far_keyframe_voice)
            self._add_keyframes(votes, self._keyframes, cells, spoken, held)
            if self._whole is None:  # else they are mixed with the recent ones already
                self.from_keyframes = votes.share()
        if self._windowed:
            self._add_windowed(votes, cells, recent[::-1], held)
        return votes.share(), torch.ones(self.height, self.width, device=cells.device)

    def _hold_windowed(self, references: Sequence[tuple[Slot, float]]) -> list[list[int]]:
        """Per windowed kernel the cache numbers of its references, the newest first."""
        held, share = [], references
        for _, cache in self._windowed:
            held.append(cache.hold([slot for slot, _ in share[: cache.slots]]))
            share = share[cache.slots :]
        return held

    def _add_keyframes(
        self,
        votes: Votes,
        cache: ReferenceCache,
        cells: torch.Tensor,
        spoken: torch.Tensor,
        held: Sequence[Sequence[int]],
    ) -> None:
        """Votes of the keyframes, which speak with the voices `spoken`; `held` as `_hold_windowed` gives it."""
        speakers = _speakers(cache, cache.hold(self.bank.keyframes), spoken)
        if not speakers:
            return
        query = query_cells(cells, self.logit_scale, self.recipe.sigma_keyframe)
        spacing = self.recipe.keyframe_lattice
        # Only on a CPU: how many cells are asked about depends on the picture, and a GPU would have to wait for it.
        if spacing == 1 or not self._windowed or self.bank.device.type != "cpu":
            votes.merge(all_votes(self._dense, query, speakers))
            return
        shown = torch.zeros(self.height, self.width, dtype=torch.bool)
        for (_, recent), slots in zip(self._windowed, held, strict=True):
            if slots:
                shown |= recent.strongest(slots) > self.recipe.trace
        votes.merge(lattice_votes(self._dense, query, speakers, shown, spacing, self.recipe.trace))

    def _add_windowed(
        self,
        votes: Votes,
        cells: torch.Tensor,
        references: Sequence[tuple[Slot, float]],
        held: Sequence[Sequence[int]],
    ) -> None:
        """Votes of recent references, the newest first; `votes` holds the keyframes' already."""
        if not references:
            return
        query = query_cells(cells, self.logit_scale)
        spans = self._spans(held)
        share = references
        for (kernel, cache), numbers in zip(self._windowed, held, strict=True):
            own, share = share[: cache.slots], share[cache.slots :]
            if not own:
                continue
            tiles = kernel.layout.query_tiles(query)
            sums = [
                kernel(tiles, cache.keys[number], cache.columns[number], sigma, spans)
                for number, (_, sigma) in zip(numbers, own, strict=True)
            ]
            for voice, members in group_by_voice(torch.stack([slot.known.float() for slot, _ in own])):
                total = torch.stack([sums[member] for member in members]).sum(0, dtype=torch.float32)
                votes.add(kernel.layout.untile(total), voice.to(cells.device))

    def _spans(self, held: Sequence[Sequence[int]]) -> list[tuple[int, int]] | None:
        """Tiles worth computing, per row of tiles (first, last + 1); None: all.

        Where neither a recent reference within reach nor the keyframes show more than a trace of any object, the mean
        of both is a trace as well, and what the recent ones say need not be known. Only on a CPU: asking costs a GPU
        more than computing.
        """
        if self.bank.device.type != "cpu":
            return None
        layout = self._windowed[0][0].layout
        peaks = torch.stack(
            [cache.peaks(numbers) for (_, cache), numbers in zip(self._windowed, held, strict=True) if numbers]
        ).amax(0)
        wanted = peaks > self.recipe.trace
        if self.from_keyframes is not None:
            wanted |= layout.query_tiles(self.from_keyframes.amax(0)[..., None]).amax((-2, -1)) > self.recipe.trace
        spans = []
        for row in wanted:
            columns = row.nonzero().flatten().tolist()
            spans.append((columns[0], columns[-1] + 1) if columns else (0, 0))
        return spans

    def _add_whole(
        self,
        votes: Votes,
        cache: ReferenceCache,
        cells: torch.Tensor,
        references: Sequence[tuple[Slot, float]],
    ) -> None:
        """Votes of whole recent references; one query per distinct sigma, because the query carries the prior."""
        numbers = cache.hold([slot for slot, _ in references])
        for sigma in {sigma for _, sigma in references}:
            members = [member for member, (_, its_sigma) in enumerate(references) if its_sigma == sigma]
            voices = torch.stack([references[member][0].known.float() for member in members])
            speakers = _speakers(cache, [numbers[member] for member in members], voices)
            if speakers:
                votes.merge(all_votes(self._dense, query_cells(cells, self.logit_scale, sigma), speakers))

    def _softmax(self, cells: torch.Tensor, recent: list[tuple[Slot, float]]) -> tuple[torch.Tensor, torch.Tensor]:
        flat = cells.reshape(-1, cells.shape[-1]) * self.logit_scale
        sums = self._dense.softmax(
            flat,
            [slot.keys for slot, _ in recent],
            [torch.cat([slot.labels, torch.ones_like(slot.labels[:, :1])], 1) for slot, _ in recent],
            [sigma for _, sigma in recent],
            top_k=self.recipe.top_k,
        )
        votes = Votes.empty(self.height, self.width, self.bank.objects, cells.device)
        for (slot, _), part in zip(recent, sums, strict=True):
            votes.add(part, slot.known.float().to(cells.device))
        mass = sums[..., -1].sum(0)
        return votes.share() * mass, mass


def _speakers(cache: ReferenceCache, numbers: Sequence[int], voices: torch.Tensor) -> list[Speakers]:
    """Those of the references in these slots that have a say, grouped by their voices (one row each)."""
    return [
        Speakers(voice, [cache.keys[numbers[m]] for m in members], [cache.columns[numbers[m]] for m in members])
        for voice, members in group_by_voice(voices)
        if bool(voice.any())
    ]


def keyframe_voices(keyframes: list[Slot], frame_index: int, far: float) -> torch.Tensor:
    """How much each keyframe's word counts: 1 for the keyframe nearest in time that knows the object, `far` for others.

    Two keyframes that call alike cells different things (the user corrected the tracker) would otherwise cancel each
    other, and the correction would fade.

    Returns:
        keyframes x object columns float32.
    """
    known = torch.stack([slot.known for slot in keyframes])
    distance = torch.tensor([abs(slot.frame_index - frame_index) for slot in keyframes], dtype=torch.float32)
    reach = torch.where(known, distance[:, None], torch.inf)
    nearest = reach == reach.amin(0, keepdim=True)
    return torch.where(nearest, 1.0, far) * known
