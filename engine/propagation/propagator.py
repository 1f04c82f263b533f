"""One grid's propagation: the memory bank, the kernels a recipe needs, and the choice of references."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.propagation.affinity import DenseKernel, Votes, WindowedKernel, group_by_voice, key_cells, query_cells
from engine.propagation.memory import MemoryBank, Slot
from engine.propagation.recipe import Recipe
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
        self.bank = MemoryBank(
            height=height,
            width=width,
            channels=channels,
            recent=recipe.history,
            keyframes=recipe.keyframes,
            window=recipe.window,
            sampling=recipe.sampling,
            extended=recipe.renormalise,
            dtype=dtype,
            device=device,
        )
        sigmas = [recipe.sigma_dense, recipe.sigma_sparse]
        self._dense = DenseKernel(height, width, sigmas, device)
        layout = self.bank.layout
        self._windowed = None if layout is None else WindowedKernel(layout, sigmas, recipe.history, dtype, device)

    @property
    def height(self) -> int:
        return self.bank.height

    @property
    def width(self) -> int:
        return self.bank.width

    def stored_keys(self, cells: torch.Tensor) -> torch.Tensor:
        """h x w x C embedding -> what the bank keeps."""
        return key_cells(cells) if self.recipe.renormalise else cells

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
        if recent and self._windowed is not None:
            votes += self._windowed_votes(cells, recent)
        elif recent:
            spoken = torch.stack([slot.known.float() for slot, _ in recent])
            for voice, members in group_by_voice(spoken):
                sums = self._dense_votes(cells, [recent[member] for member in members])
                votes.add(sums, voice.to(cells.device))
        keyframes = self.bank.keyframes
        if keyframes:
            spoken = keyframe_voices(keyframes, frame_index, self.recipe.far_keyframe_voice)
            for voice, members in group_by_voice(spoken):
                sums = self._dense_votes(cells, [(keyframes[member], self.recipe.sigma_keyframe) for member in members])
                votes.add(sums, voice.to(cells.device))
        return votes.share(), torch.ones(self.height, self.width, device=cells.device)

    def _windowed_votes(self, cells: torch.Tensor, recent: Sequence[tuple[Slot, float]]) -> Votes:
        assert self._windowed is not None
        keys, columns = self.bank.recent_pool
        voices = torch.zeros(len(keys), self.bank.objects)
        sigmas = [self.recipe.sigma_dense] * len(keys)
        for slot, sigma in recent:
            voices[slot.number] = slot.known.float()
            sigmas[slot.number] = sigma
        query = query_cells(cells, self.logit_scale)
        return self._windowed(query, keys, columns, voices.to(cells.device), sigmas)

    def _dense_votes(self, cells: torch.Tensor, references: Sequence[tuple[Slot, float | None]]) -> torch.Tensor:
        """Votes of whole references; one query per distinct sigma, because the query carries the prior."""
        sums = torch.zeros(self.height, self.width, self.bank.objects + 1, device=cells.device)
        for sigma in {sigma for _, sigma in references}:
            query = query_cells(cells, self.logit_scale, sigma).flatten(0, 1)
            slots = [slot for slot, own in references if own == sigma]
            sums += self._dense(query, [slot.keys for slot in slots], [slot.columns for slot in slots])
        return sums

    def _softmax(self, cells: torch.Tensor, recent: list[tuple[Slot, float]]) -> tuple[torch.Tensor, torch.Tensor]:
        flat = cells.reshape(-1, cells.shape[-1]) * self.logit_scale
        sums = self._dense.softmax(
            flat,
            [slot.keys for slot, _ in recent],
            [slot.columns for slot, _ in recent],
            [sigma for _, sigma in recent],
        )
        votes = Votes.empty(self.height, self.width, self.bank.objects, cells.device)
        for (slot, _), part in zip(recent, sums, strict=True):
            votes.add(part, slot.known.float().to(cells.device))
        mass = sums[..., -1].sum(0)
        return votes.share() * mass, mass


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
