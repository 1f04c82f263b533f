"""The protocol every embedding network satisfies."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from models.logits import Upsampling


@runtime_checkable
class Embedder(Protocol):
    """Turns frames into embeddings on a stride-8 grid (ALGORITHM: section 4).

    Attributes:
        name: registry name, such as ``resnet50-half``.
        channels: C, the number of embedding channels.
        stride: pixels per grid cell, always 8.
        cosine: True when `embed` returns features for cosine logits (each cell, or each stage inside a cell,
            L2-normalised); False when the raw dot product is the logit (the paper's trained embedding).
        logit_scale: factor on the dot product before the softmax (the inverse temperature) that suits this model.
        device: where the weights live and where `embed` wants its input.
        dtype: dtype of the returned embedding.

    One that has an attribute `takes_all_cores` and sets it leaves no core to others while it runs.
    """

    name: str
    channels: int
    stride: int
    cosine: bool
    logit_scale: float

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """Embed one frame.

        Args:
            rgb: 1 x 3 x H x W float32 in 0..1, RGB, on `device`. Normalisation (ImageNet mean/std, BGR means) is the
                embedder's own affair. Any H, W >= 16; they need not be multiples of 8.

        Returns:
            C x ceil(H/8) x ceil(W/8) tensor of `dtype` on `device`.
        """
        ...


@runtime_checkable
class DetailedEmbedder(Embedder, Protocol):
    """An embedder that may also say how labels are enlarged from its grid."""

    def embed_detailed(self, rgb: torch.Tensor) -> tuple[torch.Tensor, Upsampling | None]:
        """As `embed`, and what enlarges labels from its grid (None: bilinear interpolation).

        Args:
            rgb: as for `embed`, or the same as uint8 in 0..255, which saves a pass over it.
        """
        ...
