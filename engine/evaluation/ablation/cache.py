"""Results under a name made of everything that decides them, so that an interrupted ablation goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import ExportError
from engine.evaluation.datasets import DatasetError, VideoSequence
from engine.evaluation.report import write_text
from engine.evaluation.scoring import ObjectScore
from engine.propagation.recipe import Recipe

_FORMAT = 1


@dataclass(frozen=True)
class Trial:
    """One sequence under one recipe.

    Attributes:
        scores: of every object of the first frame.
        propagate_ms: median milliseconds of the propagation of a frame; the rest of a step is the same for all recipes.
    """

    scores: tuple[ObjectScore, ...]
    propagate_ms: float


def content_of(sequence: VideoSequence) -> str:
    """SHA-256 over the frames and annotations of a sequence.

    Raises:
        DatasetError: a file cannot be read.
    """
    digest = hashlib.sha256(str(sequence.merge_objects).encode())
    for path in (*sequence.frames, *(path for path in sequence.annotations if path is not None)):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}.", "Complete the data set.") from error
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


class TrialCache:
    """A folder of trials.

    Args:
        made_by: what all trials share: code, network, weights, device, working size.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, str]) -> None:
        self._folder = folder
        self._made_by = dict(made_by)

    def key(self, recipe: Recipe, content: str) -> str:
        """The name of a trial. The name of the recipe does not count, nor does the place of the data."""
        numbers = {name: str(value) for name, value in asdict(recipe).items() if name != "name"}
        whole = {"format": _FORMAT, "made by": self._made_by, "recipe": numbers, "content": content}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def find(self, key: str) -> Trial | None:
        """The trial, None when it is not there or damaged."""
        try:
            content: Any = json.loads(self._path(key).read_text(encoding="utf-8"))
            scores = [
                ObjectScore(
                    str(row["sequence"]), int(row["object_id"]), *(tuple(row[name]) for name in _SERIES)
                )
                for row in content["scores"]
            ]  # fmt: skip
            return Trial(tuple(scores), float(content["propagate_ms"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, key: str, trial: Trial) -> None:
        """Store a trial.

        Raises:
            ExportError: it cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExportError(f"{self._folder} cannot be made: {error.strerror}.", "Choose another --out.") from error
        write_text(self._path(key), json.dumps(asdict(trial)))

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


_SERIES = ("frames", "region_values", "contour_values")
