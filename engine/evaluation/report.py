"""Scores and speeds as text, JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import ExportError
from engine.evaluation.failures import BadFrame, count_kinds
from engine.evaluation.generalisation import Generalisation
from engine.evaluation.metrics import Statistics
from engine.evaluation.provenance import Provenance
from engine.evaluation.record import SequenceRun
from engine.evaluation.scoring import ObjectScore, Summary, summarise
from engine.evaluation.stability import ObjectStability
from engine.video.atomic import replacing

# The column names and decimals of the DAVIS-2017 evaluation code.
_GLOBAL = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")
_PER_SEQUENCE = ("Sequence", "J-Mean", "F-Mean")


@dataclass(frozen=True)
class Report:
    """Everything a run or a comparison found.

    Attributes:
        title: such as "davis2016 val".
        protocol: which frames counted; a name of `engine.evaluation.datasets.PROTOCOLS`.
        runs, provenance: empty and None where masks were compared that somebody else made.
        generalisation: G of YouTube-VOS, None where the data set does not tell seen from unseen categories.
        stability: T of every scored object.
        failures: every scored frame in which an object failed.
    """

    title: str
    protocol: str
    scores: tuple[ObjectScore, ...]
    runs: tuple[SequenceRun, ...] = ()
    provenance: Provenance | None = None
    generalisation: Generalisation | None = None
    stability: tuple[ObjectStability, ...] = ()
    failures: tuple[BadFrame, ...] = ()

    @property
    def summary(self) -> Summary | None:
        return summarise(self.scores)

    @property
    def fps(self) -> float | None:
        """Tracked frames per second of tracker time, over all sequences; decoding and writing are not in it."""
        seconds = sum(run.seconds for run in self.runs)
        return sum(run.tracked for run in self.runs) / seconds if seconds else None

    @property
    def stage_ms(self) -> dict[str, float]:
        """Median over the sequences of each stage's median milliseconds."""
        names = dict.fromkeys(name for run in self.runs for name in run.stage_ms)
        return {name: statistics.median(r.stage_ms[name] for r in self.runs if name in r.stage_ms) for name in names}


# -- for people ------------------------------------------------------------------------------------------------------
def as_text(report: Report) -> str:
    """A table with a row per object and the mean of all, and what made the masks."""
    return "\n".join([*text_table(table(report)), "", *notes(report)])


def text_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table for the terminal: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return [line.rstrip() for line in lines]


def as_markdown(report: Report) -> str:
    """The same as a Markdown table."""
    return "\n".join([*markdown_table(table(report)), "", *(f"- {note}" for note in notes(report)), ""])


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table; the first row is the header, the first column text and the others figures."""
    header, *rest = rows
    return [f"| {' | '.join(row)} |" for row in (header, ["---", *["---:"] * (len(header) - 1)], *rest)]


def table(report: Report) -> list[list[str]]:
    """A header, a row per object, a row per sequence without scores, and the mean."""
    names = ["J&F", "J", "J recall", "J decay", "F", "F recall", "F decay"]
    stability = {(one.sequence, one.object_id): one.found for one in report.stability}
    steady = ["T"] if stability else []
    speeds = {run.name: f"{run.fps:.1f}" for run in report.runs}
    rows = [["sequence", "object", *names, *steady, *(["fps"] if speeds else [])]]
    for score in report.scores:
        rows.append([score.sequence, str(score.object_id), *_figures(score)])
        if steady:
            rows[-1].append(figure(stability.get((score.sequence, score.object_id))))
        if speeds:
            rows[-1].append(speeds.get(score.sequence, ""))
    scored = {score.sequence for score in report.scores}
    empty = ["-"] * len([*names, *steady])
    rows += [[run.name, "", *empty, speeds[run.name]] for run in report.runs if run.name not in scored]
    if report.summary is not None:
        rows.append(["all", str(report.summary.objects), *_figures(report.summary)])
        if steady:
            rows[-1].append(figure(_mean(one.found for one in report.stability)))
        if speeds:
            rows[-1].append("" if report.fps is None else f"{report.fps:.1f}")
    return rows


def figure(value: float | None) -> str:
    """Three decimals, or a dash."""
    return "-" if value is None else f"{value:.3f}"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _figures(score: ObjectScore | Summary) -> list[str]:
    return [f"{value:.3f}" for value in _values(score)]


def _values(score: ObjectScore | Summary) -> list[float]:
    """In the order of `_GLOBAL`."""
    return [score.mean, *(v for s in (score.region, score.contour) for v in (s.mean, s.recall, s.decay))]


def notes(report: Report) -> list[str]:
    """What the table does not say, a line each: what was scored, what made the masks, and how fast."""
    lines = [f"{report.title}, {report.protocol} protocol"]
    if not report.scores:
        lines.append("no scores: there is no ground truth for these frames")
    if report.generalisation is not None:
        lines.append(_generalisation_text(report.generalisation))
    if report.stability:
        found, true = _mean(one.found for one in report.stability), _mean(one.true for one in report.stability)
        jitter = statistics.fmean(one.jitter for one in report.stability)
        lines.append(
            f"temporal stability T {figure(found)} (the ground truth's own {figure(true)}; lower is steadier), "
            f"J changes by {jitter:.3f} from frame to frame"
        )
    if report.scores:
        kinds = ", ".join(f"{kind.word} {count}" for kind, count in count_kinds(report.failures).items())
        lines.append(f"failures, in frames: {kinds or 'none'}")
    made = report.provenance
    if made is not None:
        sizes = sorted({f"{r.working_size[0]} x {r.working_size[1]}" for r in report.runs if r.working_size})
        lines += [
            f"model {made.model}, weights sha256 {made.weights_sha256}",
            f"recipe {made.recipe}",
            f"device {made.device}, {made.dtype}, PyTorch {made.torch}, embedded at {', '.join(sizes) or 'no size'}",
            f"machine {made.machine}",
            f"LiveMask {made.version}, commit {made.commit}, code {made.code}",
        ]
    if report.fps is not None:
        stages = ", ".join(f"{name} {value:.1f}" for name, value in report.stage_ms.items())
        together = max(run.workers for run in report.runs)
        shared = f", up to {together} processes at a time" if together > 1 else ""
        lines.append(
            f"{report.fps:.1f} frames per second (tracker alone{shared}; the clock waits for the device); "
            f"median milliseconds: {stages}"
        )
    return lines


def _generalisation_text(parts: Generalisation) -> str:
    def text(name: str, summary: Summary | None) -> str:
        if summary is None:
            return f"{name} categories: no objects"
        return f"{name} J {summary.region.mean:.3f} F {summary.contour.mean:.3f} ({summary.objects} objects)"

    return f"G {figure(parts.overall)}: {text('seen', parts.seen)}, {text('unseen', parts.unseen)}"


# -- for programs ----------------------------------------------------------------------------------------------------
def as_dict(report: Report) -> dict[str, Any]:
    """Everything, for JSON; the values of every frame too."""
    summary = report.summary
    return {
        "title": report.title,
        "protocol": report.protocol,
        "provenance": asdict(report.provenance) if report.provenance else None,
        "speed": {"fps": report.fps, "stage_ms": report.stage_ms} if report.runs else None,
        "summary": {"objects": summary.objects, **_as_dict(summary)} if summary else None,
        "generalisation": _generalisation_dict(report.generalisation),
        "objects": [
            {
                "sequence": score.sequence,
                "object": score.object_id,
                **_as_dict(score),
                "frames": list(score.frames),
                "J_values": list(score.region_values),
                "F_values": list(score.contour_values),
            }
            for score in report.scores
        ],
        "sequences": [{**asdict(run), "fps": run.fps} for run in report.runs],
        "stability": [asdict(one) for one in report.stability],
        "failures": [{**asdict(bad), "kind": bad.kind.word} for bad in report.failures],
    }


def _generalisation_dict(parts: Generalisation | None) -> dict[str, Any] | None:
    if parts is None:
        return None
    return {
        "G": parts.overall,
        "seen": _as_dict(parts.seen) if parts.seen else None,
        "unseen": _as_dict(parts.unseen) if parts.unseen else None,
    }


def _as_dict(score: ObjectScore | Summary) -> dict[str, Any]:
    def parts(values: Statistics) -> dict[str, float]:
        return {"mean": values.mean, "recall": values.recall, "decay": values.decay}

    return {"J&F": score.mean, "J": parts(score.region), "F": parts(score.contour)}


def global_csv(report: Report) -> str:
    """One row of means over objects, laid out as the DAVIS-2017 evaluation code does."""
    return _csv(_GLOBAL, [_figures(report.summary)] if report.summary else [])


def per_sequence_csv(report: Report) -> str:
    """A row per object (named SEQ_ID), laid out as the DAVIS-2017 evaluation code does."""
    rows = [[f"{s.sequence}_{s.object_id}", f"{s.region.mean:.3f}", f"{s.contour.mean:.3f}"] for s in report.scores]
    return _csv(_PER_SEQUENCE, rows)


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write a report file, replacing one of that name.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ExportError(
            f"{path} could not be written: {error.strerror or error}.", "Choose another place."
        ) from error
