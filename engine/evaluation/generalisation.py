"""G of YouTube-VOS: the mean of J and F over the categories that training has seen and those it has not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.evaluation.datasets import Dataset
from engine.evaluation.scoring import ObjectScore, Summary, summarise


@dataclass(frozen=True)
class Generalisation:
    """Means over the objects of seen and of unseen categories; None where there is no such object."""

    seen: Summary | None
    unseen: Summary | None

    @property
    def overall(self) -> float | None:
        """G: the mean of the four figures; None unless there are all four."""
        if self.seen is None or self.unseen is None:
            return None
        return (self.seen.mean + self.unseen.mean) / 2


def generalisation(dataset: Dataset, scores: Sequence[ObjectScore]) -> Generalisation | None:
    """G and its parts; None when the data set does not tell what training has seen.

    Objects without a category count for neither part.
    """
    if dataset.seen is None:
        return None
    categories = {
        (sequence.name, object_id): category
        for sequence in dataset.sequences
        for object_id, category in sequence.categories.items()
    }
    known = [(score, categories.get((score.sequence, score.object_id))) for score in scores]
    return Generalisation(
        seen=summarise([score for score, category in known if category is not None and category in dataset.seen]),
        unseen=summarise([score for score, category in known if category is not None and category not in dataset.seen]),
    )
