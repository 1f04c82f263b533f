"""The file beside the results that says what is finished and what made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from engine.errors import ExportError
from engine.evaluation.datasets import Dataset, VideoSequence
from engine.evaluation.provenance import Provenance
from engine.video.atomic import replacing

FILE_NAME = "livemask-run.json"
_FORMAT = 1


@dataclass(frozen=True)
class SequenceRun:
    """One tracked sequence.

    Attributes:
        frames: masks written; `tracked`: those of them that the tracker found without help.
        seconds: what the tracker took for the tracked ones; decoding and writing are not in it.
        stage_ms: median milliseconds of each stage of the tracker.
        working_size: (width, height) the embedder saw.
        workers: processes that tracked at the same time; on a processor they take speed from each other.
    """

    name: str
    frames: int
    tracked: int
    seconds: float
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    working_size: tuple[int, int] | None = None
    workers: int = 1

    @property
    def fps(self) -> float:
        return self.tracked / self.seconds if self.seconds > 0 else 0.0


class RunRecord:
    """What an output folder holds. Written after each sequence, so that an interrupted run can go on."""

    def __init__(self, path: Path, data: str, provenance: Provenance, runs: dict[str, SequenceRun]) -> None:
        self._path = path
        self._data = data
        self.provenance = provenance
        self.runs = runs

    @classmethod
    def check(cls, out: Path, *, overwrite: bool) -> None:
        """Refuse an output folder before anything slow happens.

        Raises:
            ExportError: `out` is a file, or a folder with something that no evaluation wrote.
        """
        try:
            foreign = out.exists() and any(out.iterdir()) and not (out / FILE_NAME).exists()
        except NotADirectoryError:
            raise ExportError(f"{out} is a file, not a folder.", "Choose another folder.") from None
        except OSError as error:
            raise ExportError(f"{out} cannot be read: {error.strerror}.", "Choose another folder.") from error
        if foreign and not overwrite:
            raise ExportError(
                f"The folder {out} holds something else than the results of an evaluation.",
                "Choose another folder or pass --overwrite.",
            )

    @classmethod
    def open(cls, out: Path, dataset: Dataset, provenance: Provenance, *, overwrite: bool) -> RunRecord:
        """The record in `out`, or a new one. `overwrite` forgets the sequences of `dataset`, and all of other settings.

        Raises:
            ExportError: it was made with other settings or data and `overwrite` is False, or it cannot be read or
                written.
        """
        data = f"{dataset.kind} in {dataset.root.resolve()}"
        path = out / FILE_NAME
        record = cls(path, data, provenance, {})
        if path.exists():
            record.runs = record._reusable(out, {sequence.name for sequence in dataset.sequences}, overwrite)
        # At once: masks about to be replaced must not count as finished any more.
        record._write()
        return record

    def _reusable(self, out: Path, chosen: set[str], overwrite: bool) -> dict[str, SequenceRun]:
        try:
            data, provenance, runs = _parse(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            if overwrite:
                return {}
            raise ExportError(f"The record {self._path} cannot be read.", "Pass --overwrite to start anew.") from error
        difference = _difference(provenance, self.provenance) or (f"data: {data}" if data != self._data else "")
        if difference and not overwrite:
            raise ExportError(
                f"The results in {out} were made with other settings ({difference}).",
                "Choose another folder or pass --overwrite.",
            )
        if overwrite:
            return {} if difference else {name: run for name, run in runs.items() if name not in chosen}
        return runs

    def is_finished(self, sequence: VideoSequence, results: Path) -> bool:
        """True when the sequence was tracked to its end and every mask is still there."""
        run = self.runs.get(sequence.name)
        return (
            run is not None
            and run.frames == len(sequence.frames)
            and all((sequence.results_in(results) / f"{frame.stem}.png").is_file() for frame in sequence.frames)
        )

    def add(self, run: SequenceRun) -> None:
        """Note a finished sequence.

        Raises:
            ExportError: the file cannot be written.
        """
        self.runs[run.name] = run
        self._write()

    def _write(self) -> None:
        content = {
            "format": _FORMAT,
            "data": self._data,
            "provenance": asdict(self.provenance),
            "sequences": [asdict(self.runs[name]) for name in sorted(self.runs)],
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as temporary:
                temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        except OSError as error:
            raise ExportError(
                f"{self._path} could not be written: {error.strerror or error}.", "Make room or choose another folder."
            ) from error


def _parse(content: Any) -> tuple[str, Provenance, dict[str, SequenceRun]]:
    if content["format"] != _FORMAT:
        raise ValueError("another format")
    runs = {}
    for row in content["sequences"]:
        size = row.pop("working_size")
        runs[row["name"]] = SequenceRun(**row, working_size=(size[0], size[1]) if size else None)
    return str(content["data"]), Provenance(**content["provenance"]), runs


def _difference(old: Provenance, new: Provenance) -> str:
    """The first field in which they differ, with its old value; "" when they agree.

    The commit may differ as long as the code that decides the masks does not.
    """
    names = [part.name for part in fields(Provenance) if part.name != "commit"]
    name = next((name for name in names if getattr(old, name) != getattr(new, name)), None)
    return "" if name is None else f"{name.replace('_', ' ')}: {getattr(old, name)}"
