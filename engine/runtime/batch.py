"""Many clips, one after the other or side by side: what `main.py track --batch` runs.

A clip's masks appear under its name when they are complete. A record beside them says which clips are finished and with
which settings, so the same call goes on where an earlier one stopped; a clip that fails is noted and costs the others
nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import ExportError, MaskError, UserError
from engine.runtime.clips import ClipFile
from engine.runtime.config import EngineConfig
from engine.runtime.offline import track_file
from engine.runtime.placement import Place, places
from engine.runtime.pool import Outcome, Progress, run_jobs

RECORD = "livemask-batch.jsonl"
FAILURES = "livemask-failures.txt"
_FORMAT = 1
_PART = ".part"


@dataclass(frozen=True)
class ClipJob:
    """A clip, and the folder of its masks."""

    clip: ClipFile
    out: Path


@dataclass(frozen=True)
class ClipDone:
    """What a worker says of a finished clip; `seconds` are those of tracking."""

    frames: int
    seconds: float


Runner = Callable[[list[ClipJob], EngineConfig], Iterator["Outcome[ClipJob, ClipDone]"]]
"""Does jobs somewhere and yields what came of them, in any order."""


@dataclass
class BatchReport:
    """What a run did.

    Attributes:
        tracked: clips, with their frames; `finished_before`: how many needed nothing.
        failures: name of a clip -> why it failed.
    """

    tracked: dict[str, int] = field(default_factory=dict)
    finished_before: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"{len(self.tracked)} clips tracked, {sum(self.tracked.values())} frames"]
        if self.finished_before:
            parts.append(f"{self.finished_before} were finished before")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        return "; ".join(parts)


def track_batch(
    clips: Iterable[ClipFile],
    out: Path,
    *,
    config: EngineConfig | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    resize_mask: bool = False,
    runner: Runner | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BatchReport:
    """Carry the first mask of every clip through it, into out/NAME/00000.png and so on.

    Args:
        workers: processes; None: one per CUDA device, or one on the processor.
        overwrite: track finished clips again, replace what is there of other settings or programs.
        resize_mask: scale masks of another size instead of refusing them.
        runner: does the jobs elsewhere; None: in processes of this machine.
        on_progress: called with (clips done, all of them), those finished before included.

    Raises:
        UserError: `out` holds results of other settings, or the model or device cannot be used. What fails for one clip
            only is in the report.
    """
    config = config or EngineConfig()
    chosen = list(clips)
    record = _Record.open(out, _settings(config, resize_mask), overwrite=overwrite)
    report = BatchReport()
    jobs = []
    marks: dict[str, str] = {}
    for clip in chosen:
        try:
            marks[clip.name] = _mark(clip)
        except UserError as error:
            report.failures[clip.name] = str(error)
            continue
        target = out / clip.name
        if not overwrite and record.is_finished(clip.name, marks[clip.name], target):
            report.finished_before += 1
        elif not overwrite and target.exists() and clip.name not in record.names:
            report.failures[clip.name] = f"{target} exists already. Choose another folder or pass --overwrite."
        else:
            jobs.append(ClipJob(clip, target))

    def tell() -> None:
        if on_progress is not None:
            on_progress(report.finished_before + len(report.tracked) + len(report.failures), len(chosen))

    tell()
    record.plan([job.clip.name for job in jobs])
    run = runner or (lambda todo, wanted: run_here(todo, wanted, workers, resize_mask))
    for outcome in run(jobs, config) if jobs else ():
        name = outcome.job.clip.name
        if outcome.value is None:
            report.failures[name] = outcome.error or "unknown"
        else:
            report.tracked[name] = outcome.value.frames
            record.add(name, marks[name], outcome.value)
        tell()
    _write_failures(out / FAILURES, report.failures)
    return report


def run_here(
    jobs: list[ClipJob], config: EngineConfig, workers: int | None, resize_mask: bool
) -> Iterator[Outcome[ClipJob, ClipDone]]:
    """The runner of one machine."""
    setups = [BatchSetup(place, resize_mask) for place in places(config, workers)]
    return run_jobs(jobs, setups, start_batch_worker)


def run_on_ray(address: str, resize_mask: bool) -> Runner:
    """The runner of a Ray cluster. A worker gets a graphics card where the cluster has any, and sees no other."""

    def run(jobs: list[ClipJob], config: EngineConfig) -> Iterator[Outcome[ClipJob, ClipDone]]:
        from engine.runtime.ray_pool import run_jobs_on_ray

        # Files are found from any folder, and by machines that start workers in another one.
        jobs = [_absolute(job) for job in jobs]
        gpus = False if config.device == "cpu" else None
        return run_jobs_on_ray(jobs, BatchSetup(Place(config, 1), resize_mask), start_batch_worker, address, gpus=gpus)

    return run


def _absolute(job: ClipJob) -> ClipJob:
    clip = job.clip
    mask = None if clip.mask is None else clip.mask.absolute()
    return ClipJob(ClipFile(clip.name, clip.source.absolute(), mask), job.out.absolute())


@dataclass(frozen=True)
class BatchSetup:
    """What a worker needs to know besides its clips."""

    place: Place
    resize_mask: bool


def start_batch_worker(setup: BatchSetup) -> Callable[[ClipJob, Progress], ClipDone]:
    """What a worker process does with a clip. The model is loaded once."""
    setup.place.settle()
    from engine.runtime.factory import create_tracker
    from engine.tracker import Tracker

    config = setup.place.config
    first = create_tracker(config)

    def work(job: ClipJob, progress: Progress) -> ClipDone:
        assert job.clip.mask is not None  # clips without one never become jobs
        target, part = job.out, job.out.with_name(f".{job.out.name}{_PART}")
        try:
            shutil.rmtree(part, ignore_errors=True)  # of an interrupted run
            part.parent.mkdir(parents=True, exist_ok=True)
            report = track_file(
                job.clip.source,
                job.clip.mask,
                part,
                config=config,
                resize_mask=setup.resize_mask,
                # A new one, so that masks do not depend on the clips before; the network is shared.
                create_tracker=lambda *_: Tracker(first.embedder, first.recipe, working_size=config.working_size),
            )
            if target.exists():
                shutil.rmtree(target)
            part.replace(target)
        except OSError as error:
            raise ExportError(
                f"The masks could not be written to {target}: {error.strerror or error}.", "Make room."
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return ClipDone(report.frames, report.seconds)

    return work


# -- the record ------------------------------------------------------------------------------------------------------
class _Record:
    """Lines of JSON: the settings, then a line per clip that is about to be written and one per finished clip.

    A line cut off by a crash counts for nothing.
    """

    def __init__(self, path: Path, clips: dict[str, dict[str, Any]]) -> None:
        self._path = path
        self._clips = clips

    @classmethod
    def open(cls, out: Path, settings: dict[str, str], *, overwrite: bool) -> _Record:
        path = out / RECORD
        try:
            out.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            header, clips = _parse(lines)
            if header is not None and header != settings:
                name = next(name for name in {**header, **settings} if header.get(name) != settings.get(name))
                if not overwrite:
                    raise ExportError(
                        f"The masks in {out} were made with other settings ({name}: {header.get(name)}).",
                        "Choose another folder or pass --overwrite.",
                    )
                header, clips = None, {}
            if header is None:
                path.write_text(json.dumps({"format": _FORMAT, "settings": settings}) + "\n", encoding="utf-8")
            elif lines and not path.read_text(encoding="utf-8").endswith("\n"):
                with path.open("a", encoding="utf-8") as file:
                    file.write("\n")
        except OSError as error:
            raise ExportError(f"{out} cannot be used: {error.strerror or error}.", "Choose another folder.") from error
        return cls(path, clips)

    @property
    def names(self) -> set[str]:
        """Clips that this program has written here, or was about to."""
        return set(self._clips)

    def is_finished(self, name: str, mark: str, folder: Path) -> bool:
        """True when the clip was tracked, has not changed since, and every mask is still there."""
        row = self._clips.get(name)
        return (
            row is not None
            and row.get("mark") == mark
            and folder.is_dir()
            and sum(1 for file in folder.iterdir() if file.suffix == ".png") == row.get("frames")
        )

    def plan(self, names: list[str]) -> None:
        """Note clips before they are written: a crash must not leave folders that look like somebody else's."""
        self._append([{"name": name} for name in names])

    def add(self, name: str, mark: str, done: ClipDone) -> None:
        """Note a finished clip."""
        self._append([{"name": name, "mark": mark, "frames": done.frames, "seconds": round(done.seconds, 3)}])

    def _append(self, rows: list[dict[str, Any]]) -> None:
        self._clips |= {row["name"]: row for row in rows}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
        except OSError as error:
            raise ExportError(f"{self._path} could not be written: {error.strerror}.", "Make room.") from error


def _parse(lines: list[str]) -> tuple[dict[str, str] | None, dict[str, dict[str, Any]]]:
    header: dict[str, str] | None = None
    clips: dict[str, dict[str, Any]] = {}
    for line in lines:
        try:
            row = json.loads(line)
            if "settings" in row:
                header = dict(row["settings"]) if row.get("format") == _FORMAT else {}
            else:
                clips[str(row["name"])] = row
        except (ValueError, KeyError, TypeError):
            continue
    return header, clips


def _settings(config: EngineConfig, resize_mask: bool) -> dict[str, str]:
    """What decides the masks, whatever the machine."""
    from engine.evaluation.provenance import code_fingerprint, weights_sha256
    from models.registry import DEFAULT_MODEL, get_spec

    spec = get_spec(config.model or DEFAULT_MODEL)
    return {
        "code": code_fingerprint(),
        "model": spec.name,
        "weights": weights_sha256(config),
        "recipe": config.recipe or spec.default_recipe,
        "size": str(config.working_size or "auto"),
        "backend": config.backend,
        "resize mask": str(resize_mask),
    }


def _mark(clip: ClipFile) -> str:
    """Changes when the clip or its mask does: sizes and times of the frames' files, the content of the mask.

    Raises:
        MaskError, UserError: either is missing.
    """
    digest = hashlib.sha256()
    try:
        files = sorted(clip.source.iterdir()) if clip.source.is_dir() else [clip.source]
        for file in files:
            status = file.stat()
            digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    except OSError as error:
        raise UserError(f"{clip.source} cannot be read: {error.strerror}.", "Check the path.") from error
    if clip.mask is None:
        raise MaskError(f"There is no mask for {clip.name}.", "Name it like the clip, in the folder of --masks.")
    try:
        digest.update(clip.mask.read_bytes())
    except OSError as error:
        raise MaskError(f"The mask {clip.mask} cannot be read: {error.strerror}.", "Check the path.") from error
    return digest.hexdigest()


def _write_failures(path: Path, failures: dict[str, str]) -> None:
    try:
        if failures:
            path.write_text("".join(f"{name}\t{why}\n" for name, why in failures.items()), encoding="utf-8")
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"{path} could not be written: {error.strerror}.", "Make room.") from error
