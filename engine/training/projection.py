"""First projection of the half network where the start weights have none: fitted to clips, without labels."""

from __future__ import annotations

import torch

from engine.training.clips import ClipDataset
from engine.training.networks import HalfNetwork
from models.conversion.fit_projection import fit, paired_cells

_CELLS_PER_CLIP = 256


@torch.no_grad()
def fit_projection(network: HalfNetwork, clips: ClipDataset, device: torch.device) -> None:
    """Set the projection to the means and principal axes of the stages over the last frames of the first clips."""
    generator = torch.Generator().manual_seed(clips.seed)
    stages: list[list[torch.Tensor]] = [[], []]
    for number in range(network.config.projection_clips):
        frame = torch.from_numpy(clips[number].frames[-1]).to(device)
        outputs = paired_cells(network.net(frame.permute(2, 0, 1)[None].float() / 255.0))
        chosen = torch.randperm(len(outputs[0]), generator=generator)[:_CELLS_PER_CLIP]
        for kept, output in zip(stages, outputs, strict=True):
            kept.append(output.cpu()[chosen])
    state = fit(torch.cat(stages[0]), torch.cat(stages[1]), network.config.projection_channels)
    network.projection.load_state_dict(state)
