"""One grid's propagation: the memory bank, the kernels a recipe needs, and the choice of references."""

from __future__ import annotations

import torch

from engine.propagation.affinity import DenseKernel, Votes, WindowedKernel, group_by_voice, with_shift
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
        self.bank = MemoryBank(
            height=height,
            width=width,
            channels=channels,
            recent=recipe.history,
            keyframes=recipe.keyframes,
            window=recipe.window,
            shifted=recipe.renormalise,
            dtype=dtype,
            device=device,
        )
        sigmas = [recipe.sigma_dense, recipe.sigma_sparse, recipe.sigma_keyframe]
        self._dense = DenseKernel(height, width, [s for s in sigmas if s is not None], device)
        layout = self.bank.layout
        self._windowed = None if layout is None else WindowedKernel(layout, sigmas[:2], dtype, device)

    @property
    def height(self) -> int:
        return self.bank.height

    @property
    def width(self) -> int:
        return self.bank.width

    def stored_keys(self, cells: torch.Tensor) -> torch.Tensor:
        """h x w x C embedding -> what the bank keeps."""
        return with_shift(cells, as_query=False) if self.recipe.renormalise else cells

    def recent_references(self, frame_index: int) -> list[tuple[Slot, float]]:
        """Sampled recent slots with their sigma, oldest first; frames too far away in time are left out."""
        recipe, held = self.recipe, self.bank.recent
        if not held:
            return []
        positions = sample_reference_frames(
            len(held) + self._aged(held), recipe.sampling, references=recipe.references, reach=recipe.reach
        )
        offset = self._aged(held)
        chosen = [held[position - offset] for position in positions if position >= offset]
        target = len(held) + offset
        references = []
        for rank, slot in enumerate(reversed(chosen)):
            dense = not recipe.motion_prior or is_dense(target, rank)
            references.append((slot, recipe.sigma_dense if dense else recipe.sigma_sparse))
        references.reverse()
        if recipe.max_gap is not None:
            references = [(s, sigma) for s, sigma in references if abs(s.frame_index - frame_index) <= recipe.max_gap]
        return references

    def _aged(self, held: list[Slot]) -> int:
        """Frames that were processed and have left the ring; the sampling counts them."""
        return max(self.bank.processed - len(held), 0)

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
        query = with_shift(cells, as_query=True, logit_scale=self.logit_scale)
        votes = Votes.empty(self.height, self.width, self.bank.objects, cells.device)
        flat = query.reshape(-1, query.shape[-1])
        keyframes = [(slot, self.recipe.sigma_keyframe) for slot in self.bank.keyframes]
        for references, is_recent in ((recent, True), (keyframes, False)):
            if not references:
                continue
            if is_recent:
                voices = torch.stack([slot.known.float() for slot, _ in references])
            else:
                voices = keyframe_voices(self.bank.keyframes, frame_index, self.recipe.far_keyframe_voice)
            for row, members in group_by_voice(voices):
                chosen = [references[member] for member in members]
                keys = [slot.keys for slot, _ in chosen]
                columns = [slot.columns for slot, _ in chosen]
                sigmas = [sigma for _, sigma in chosen]
                if is_recent and self._windowed is not None:
                    sums = self._windowed(query, keys, columns, sigmas)
                else:
                    sums = self._dense(flat, keys, columns, sigmas)
                votes.add(sums, row.to(cells.device))
        return votes.share(), torch.ones(self.height, self.width, device=cells.device)

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
