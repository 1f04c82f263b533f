"""The embedder around a torch network: normalisation, dtype and memory format in one place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from models.fuse import fold_batchnorm


class NetworkEmbedder:
    """Makes an `Embedder` (see `models.embedder`) of a network 1 x 3 x H x W -> 1 x C x ceil(H/8) x ceil(W/8).

    BatchNorm is folded, weights are cast to `dtype` and laid out channels-last; the network is changed in place and
    belongs to the embedder from then on.
    """

    stride = 8

    def __init__(
        self,
        name: str,
        network: nn.Module,
        *,
        channels: int,
        cosine: bool,
        logit_scale: float,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.name = name
        self.channels = channels
        self.cosine = cosine
        self.logit_scale = logit_scale
        self._device = device
        self._dtype = dtype
        folded = fold_batchnorm(network).requires_grad_(False)
        self._network = folded.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32, device=device).view(1, 3, 1, 1)

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    @torch.inference_mode()
    def embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """1 x 3 x H x W float RGB in 0..1 -> C x ceil(H/8) x ceil(W/8) of `dtype`."""
        x = (rgb - self._mean) / self._std  # in fp32: half precision would round the mean
        x = x.to(dtype=self._dtype, memory_format=torch.channels_last)
        features: torch.Tensor = self._network(x)[0]
        return features


def unit_length(features: torch.Tensor) -> torch.Tensor:
    """L2-normalise N x C x h x w over C. The sum of squares is in fp32: 1024 squares overflow fp16."""
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True, dtype=torch.float32)
    normalised: torch.Tensor = features / norm.clamp_min(1e-12)
    return normalised.to(features.dtype)
