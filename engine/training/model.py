"""Network and loss as one module, so that DistributedDataParallel and mixed precision see a single forward pass."""

from __future__ import annotations

import torch
from torch import nn
from torch.func import functional_call

from engine.training.config import STRIDE, TrainingConfig
from engine.training.labels import cell_labels
from engine.training.loss import ClipBatchLoss, clip_loss, frames_on_grid
from engine.training.networks import TrainableNetwork
from engine.training.rollout import rollout_loss


class ClipModel(nn.Module):
    """Clips in, loss out.

    Parameters stay in fp32, for the optimiser. With a reduced `dtype` the forward pass sees copies of the convolutions'
    parameters in it, channels last; gradients flow back through the copying. That runs the whole backward pass in the
    reduced precision without a table of operators: on a CPU with bf16 instructions it is faster than autocast, which
    casts activations again and again.
    """

    def __init__(self, network: TrainableNetwork, config: TrainingConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.dtype = dtype
        self._reduced = frozenset(network.half_precision_names()) if dtype != torch.float32 else frozenset()

    def forward(self, frames: torch.Tensor, masks: torch.Tensor, objects: int) -> ClipBatchLoss:
        """Loss of a batch.

        Args:
            frames: B x T x H x W x 3 uint8 RGB.
            masks: B x T x H x W uint8; 0 background, 1..objects, 255 ignored.
            objects: the largest object id.
        """
        clip, loss = self.config.clip, self.config.loss
        rgb = frames.permute(0, 1, 4, 2, 3).float() / 255.0  # a view: channels last in memory
        flat, upsampling = self.embed(rgb.flatten(0, 1))
        embeddings = flat.reshape(*rgb.shape[:2], *flat.shape[1:])
        if loss.kind == "tracker":
            return rollout_loss(
                embeddings,
                None if upsampling is None else upsampling.reshape(*rgb.shape[:2], *upsampling.shape[1:]),
                masks,
                objects,
                logit_scale=self.network.logit_scale,
                references=clip.references,
                config=loss,
            )
        labels, decided = cell_labels(masks, objects, clip.labels)
        return clip_loss(
            embeddings,
            labels,
            decided,
            logit_scale=self.network.logit_scale,
            targets=clip.targets,
            config=loss,
            edges=frames_on_grid(rgb, STRIDE) if loss.flow_smoothness else None,
        )

    def embed(self, rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """N x 3 x H x W in 0..1 -> what the network makes of it, in the module's precision."""
        if not self._reduced:
            return self.network(rgb)  # type: ignore[no-any-return]
        copies = {
            name: parameter.to(self.dtype) if name in self._reduced else parameter
            for name, parameter in self.network.named_parameters()
        }
        return functional_call(self.network, copies, (rgb,))  # type: ignore[no-any-return]
