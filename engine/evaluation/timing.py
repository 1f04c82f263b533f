"""Timings that wait for the device: on a graphics card a call returns before its work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from engine.tracker import Tracker
    from models.embedder import Embedder


class WaitingEmbedder:
    """An embedder whose `embed` returns when the embedding is there, so that the next stage is not charged for it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.channels = embedder.channels
        self.stride = embedder.stride
        self.cosine = embedder.cosine
        self.logit_scale = embedder.logit_scale

    @property
    def device(self) -> torch.device:
        return self._embedder.device

    @property
    def dtype(self) -> torch.dtype:
        return self._embedder.dtype

    def embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """As `Embedder.embed`."""
        _wait_for(self.device)  # for the upload, which belongs to the stage before
        embedding = self._embedder.embed(rgb)
        _wait_for(self.device)
        return embedding


def _wait_for(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def time_exactly(tracker: Tracker) -> None:
    """Have the stages of a tracker on a graphics card timed with the device idle in between.

    The last stage of a step works on the processor, so a step as a whole is timed right in any case.
    """
    if tracker.embedder.device.type != "cpu":
        tracker.embedder = WaitingEmbedder(tracker.embedder)
