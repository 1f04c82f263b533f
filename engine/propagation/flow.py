"""Optical flow read off the affinity between two frames: the mean displacement of a cell's votes (paper, Fig. 7).

delta_i = sum_j s_ij (loc(j) - loc(i)), s the softmax of the scaled dot products over the cells j of the other frame
that lie within a square window. Nothing is trained for it; where a cell is alike to all its surroundings (a plain wall)
the mean is 0 and says nothing.
"""

from __future__ import annotations

import torch

RADIUS = 8  # cells: 64 pixels of the working size between adjacent frames


def affinity_flow(
    first: torch.Tensor, second: torch.Tensor, *, logit_scale: float, radius: int = RADIUS, sigma: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the cells of the first frame are in the second.

    Args:
        first, second: C x h x w embeddings, as the recipe compares them (unit length for cosine logits).
        logit_scale: factor on the dot products.
        radius: cells beyond this distance along either axis do not vote.
        sigma: spatial prior exp(-d^2 / sigma^2), d in cells; None for none.

    Returns:
        (flow, certainty), float32: flow is 2 x h x w, displacements (x, y) in cells; certainty is h x w in 0..1, one
        minus the entropy of the votes over that of even votes.

    Raises:
        ValueError: the embeddings differ in shape, or `radius` < 1.
    """
    if first.shape != second.shape or first.ndim != 3:
        raise ValueError(f"embeddings of one shape are needed, got {tuple(first.shape)} and {tuple(second.shape)}")
    if radius < 1:
        raise ValueError("the radius must be at least one cell")
    _, height, width = first.shape
    query, key = first.float() * logit_scale, second.float()
    offsets = [(dy, dx) for dy in range(-radius, radius + 1) for dx in range(-radius, radius + 1)]
    offsets = [(dy, dx) for dy, dx in offsets if abs(dy) < height and abs(dx) < width]
    logits = query.new_full((len(offsets), height, width), float("-inf"))
    for number, (dy, dx) in enumerate(offsets):
        # Cells whose counterpart at this offset is on the grid.
        rows, columns = slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx))
        moved = key[:, max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
        logits[number, rows, columns] = (query[:, rows, columns] * moved).sum(0)
        if sigma is not None:
            logits[number] -= (dy * dy + dx * dx) / sigma**2
    votes = logits.softmax(0)  # offsets x h x w
    steps = torch.tensor(offsets, dtype=torch.float32, device=votes.device)  # offsets x (y, x)
    flow = torch.einsum("ohw,oc->chw", votes, steps).flip(0)
    possible = torch.isfinite(logits).sum(0).float().clamp_min(2)
    entropy = -(votes * votes.clamp_min(1e-30).log()).sum(0)
    return flow, (1 - entropy / possible.log()).clamp(0, 1)


def flow_in_pixels(flow: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """2 x h x w flow in cells -> H x W x 2 float32 in pixels of a frame of that size, bilinear between cells."""
    scale = torch.tensor([width / flow.shape[2], height / flow.shape[1]], device=flow.device)
    enlarged = torch.nn.functional.interpolate(flow[None], (height, width), mode="bilinear", align_corners=False)[0]
    return (enlarged * scale[:, None, None]).permute(1, 2, 0).contiguous()
