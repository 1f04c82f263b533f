"""From a frame to its embedding: a function of the frame alone, so another thread may do it ahead of the tracker."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from engine.preparing import picture_of_size, working_size
from engine.propagation.recipe import Recipe
from engine.types import Frame
from models.embedder import DetailedEmbedder, Embedder
from models.logits import Upsampling


@dataclass(frozen=True, eq=False)
class Embedded:
    """A frame with its embedding.

    Attributes:
        frame: the very frame that was embedded.
        embedder: what embedded it.
        size: (width, height) it was embedded at.
        cells: h x w x C; unit length per stage where the recipe asks for cosines.
        upsampling: how labels are enlarged, None for bilinearly.
        timings: seconds of the stages preprocess and embed.
    """

    frame: Frame
    embedder: Embedder
    size: tuple[int, int]
    cells: torch.Tensor
    upsampling: Upsampling | None
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """All of its stages together."""
        return sum(self.timings.values())


@torch.inference_mode()
def embed_frame(embedder: Embedder, recipe: Recipe, short_side: int, frame: Frame) -> Embedded:
    """Embed a frame at a short side of at most `short_side` pixels. Any thread may call it, several at a time."""
    started = time.perf_counter()
    size = working_size(frame.width, frame.height, short_side, recipe.align)
    rgb = _to_input(frame, size, embedder.device)
    prepared = time.perf_counter()
    upsampling = None
    if isinstance(embedder, DetailedEmbedder) and recipe.cosine:
        embedding, upsampling = embedder.embed_detailed(rgb)
    else:
        embedding = embedder.embed(rgb.float().div_(255.0))
    cells = embedding.permute(1, 2, 0)
    if recipe.cosine and not embedder.cosine:
        cells = torch.nn.functional.normalize(cells.float(), dim=-1).to(cells.dtype)
    cells = cells.contiguous()
    timings = {"preprocess": prepared - started, "embed": time.perf_counter() - prepared}
    return Embedded(frame, embedder, size, cells, upsampling, timings)


def _to_input(frame: Frame, size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """H x W x 3 uint8 -> 1 x 3 x H' x W' uint8 on the device."""
    rgb = picture_of_size(frame, size)
    tensor = torch.from_numpy(rgb if rgb.flags.writeable else rgb.copy())  # torch warns about read-only arrays
    if device.type == "cuda":  # from pinned memory the card fetches it by itself, while the processor goes on
        tensor = tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device).permute(2, 0, 1)[None]
