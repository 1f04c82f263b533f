"""Which objects are there: from the labels of a step to confidences and states."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from engine.object_state import ObjectState, StateWatch
from engine.propagation.confidence import ConfidenceMeter, Look


class Presence:
    """Follows the objects of one tracker. One thread owns it."""

    def __init__(self) -> None:
        self.meter = ConfidenceMeter()
        self.watch = StateWatch()

    def learn(self, cells: torch.Tensor, labels: torch.Tensor, columns: Mapping[int, int]) -> None:
        """The user has said where these objects are in a frame.

        Args:
            cells: h x w x C embedding.
            labels: h x w x object columns.
            columns: object id -> column, of the objects that were meant.
        """
        if not columns:
            return
        chosen = labels[..., list(columns.values())].permute(2, 0, 1)
        looks = _looks(cells, chosen)
        for object_id, plane, look in zip(columns, chosen.float().cpu().numpy(), looks, strict=True):
            self.meter.start(object_id, plane, look)
            self.watch.set(object_id, present=bool(plane.any()))

    def look(
        self,
        cells: torch.Tensor,
        labels: torch.Tensor,
        from_keyframes: torch.Tensor | None,
        object_ids: Sequence[int],
    ) -> tuple[dict[int, float], dict[int, ObjectState]]:
        """Confidences and states of the objects in the next frame.

        Args:
            cells: h x w x C embedding.
            labels: d x h x w, one per object id.
            from_keyframes: the same by the keyframes' votes alone; None where no keyframe votes.
        """
        voted = None if from_keyframes is None else list(from_keyframes.float().cpu().numpy())
        planes = list(labels.float().cpu().numpy())
        confidence = self.meter.measure(planes, voted, _looks(cells, labels), object_ids)
        return confidence, self.watch.update(confidence)

    def jump(self) -> None:
        """The next frame does not follow the last one."""
        self.meter.jump()
        self.watch.forget()

    def forget(self, object_ids: Collection[int] | None = None) -> None:
        """These objects (None: all) are gone for good."""
        self.meter.forget(object_ids)
        self.watch.forget(object_ids)


def _looks(cells: torch.Tensor, planes: torch.Tensor) -> list[Look]:
    """Mean embedding of each plane's cells, each C float32."""
    flat = planes.flatten(1).float()
    weights = flat / flat.sum(1, keepdim=True).clamp_min(1e-6)
    means = weights.to(cells.dtype) @ cells.flatten(0, 1)
    return list(means.float().cpu().numpy())
