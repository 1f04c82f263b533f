"""What a run trains on and validates with: sources, clips, held-out sequences, and the count of broken samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.errors import SourceError
from engine.training.clips import ClipDataset
from engine.training.config import TrainingConfig
from engine.training.sources import DataSource, VideoSequence, hold_out

_NAMED = 5


class BrokenDataError(SourceError):
    """Too much of the training data cannot be read."""


@dataclass
class BrokenSamples:
    """Samples that could not be used: each is named once.

    Attributes:
        total: annotated pictures in the data.
        limit: share of them above which `check` refuses to go on.
        found: name -> reason.
    """

    total: int
    limit: float
    found: dict[str, str] = field(default_factory=dict)

    def add(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Take these in; returns those that are new."""
        new = [(name, reason) for name, reason in dict(pairs).items() if name not in self.found]
        self.found.update(new)
        return new

    def check(self) -> None:
        """Raises BrokenDataError when more than the allowed share is broken."""
        if len(self.found) > self.limit * self.total:
            some = "; ".join(f"{name} ({reason})" for name, reason in list(self.found.items())[:_NAMED])
            more = f" and {len(self.found) - _NAMED} more" if len(self.found) > _NAMED else ""
            raise BrokenDataError(
                f"{len(self.found)} of {self.total} training samples are broken: {some}{more}.",
                "Mend the data, or allow more with --set clip.max_broken=SHARE.",
            )

    def summary(self) -> str:
        """One line for the end of a run, "" when all was well."""
        return f"{len(self.found)} of {self.total} samples were broken and left out." if self.found else ""


@dataclass(frozen=True)
class Material:
    """Data of a run.

    Attributes:
        sources: without the held-out sequences.
        clips: training clips by number.
        held_out: sequences to validate on.
        digest: changes when the files trained on do (their names, not their content).
    """

    sources: tuple[DataSource, ...]
    clips: ClipDataset
    held_out: tuple[VideoSequence, ...]
    digest: str

    @property
    def files(self) -> int:
        return sum(source.files for source in self.sources)

    def broken_samples(self, limit: float, known: Mapping[str, str] | None = None) -> BrokenSamples:
        """A fresh count that knows of the pictures without masks (and of what a resumed run had found)."""
        broken = BrokenSamples(self.files, limit)
        for source in self.sources:
            broken.add(source.missing)
        broken.add((known or {}).items())
        return broken

    def describe(self) -> list[str]:
        """Lines with the counts."""
        lines = []
        for source in self.sources:
            amount = (
                f"{len(source.stills)} stills"
                if source.kind == "stills"
                else f"{len(source.sequences)} sequences, {sum(map(len, source.sequences))} annotated frames"
            )
            share = f", weight {source.weight:g}" if len(self.sources) > 1 else ""
            lines.append(f"{source.kind} {source.folder}: {amount}{share}")
        lines.append(f"{len(self.clips)} different clips in a pass over the data")
        if self.clips.too_short:
            lines.append(f"{len(self.clips.too_short)} sequences are too short for a clip and left out")
        if self.held_out:
            lines.append(f"held out for validation: {', '.join(sequence.name for sequence in self.held_out)}")
        return lines


def gather_material(sources: Sequence[DataSource], config: TrainingConfig) -> Material:
    """Hold out the validation sequences and count the clips of the rest.

    Raises:
        SourceError: nothing is left to train on.
    """
    kept, held_out = hold_out(sources, config.validation.sequences)
    clips = ClipDataset(kept, config.clip, config.stills, config.run.seed)
    if not len(clips):
        raise SourceError(
            f"No sequence has the {config.clip.frames} annotated frames that a clip takes.",
            "Use other data, or fewer frames with --set clip.references=N.",
        )
    digest = hashlib.sha256()
    for source in kept:
        digest.update(f"{source.kind} {source.weight:g}\n".encode())
        for sequence in source.sequences:
            digest.update("\n".join([sequence.name, *(_tail(path) for path in sequence.images)]).encode())
        digest.update("\n".join(_tail(image) for image, _ in source.stills).encode())
    return Material(tuple(kept), clips, held_out, digest.hexdigest())


def _tail(path: str) -> str:
    """The file's name: a data set may move to another folder between a run and its continuation."""
    return path.replace("\\", "/").rpartition("/")[2]
