"""Everything a finished evaluation leaves beside its masks: tables for programs, pages for people, zips for servers."""

from __future__ import annotations

import json
from pathlib import Path

from engine.evaluation.datasets import Dataset
from engine.evaluation.failures import count_kinds
from engine.evaluation.pages import Picture, Section, file_name, write_pages
from engine.evaluation.paper import QUALITY_AND_SPEED
from engine.evaluation.plots import iou_curves, plots_available, quality_and_speed
from engine.evaluation.report import Report, as_dict, global_csv, notes, per_sequence_csv, table, write_text
from engine.evaluation.strips import encode_png, worst_strips

MOST_CURVES = 60  # sequences; the page holds its pictures, and YouTube-VOS has 474


def publish(report: Report, dataset: Dataset, out: Path, *, suffix: str = "", with_frames: bool = True) -> None:
    """Write global_results.csv, per-sequence_results.csv, report.json, report.md and report.html into `out`.

    Without matplotlib the pages come without plots and say so.

    Args:
        suffix: goes before the ending of each name, such as "-val".
        with_frames: False leaves out the worst frames, which are pictures of the data.

    Raises:
        UserError: a file cannot be written, or a frame cannot be read again for a picture.
    """
    write_text(out / f"global_results{suffix}.csv", global_csv(report))
    write_text(out / f"per-sequence_results{suffix}.csv", per_sequence_csv(report))
    write_text(out / f"report{suffix}.json", json.dumps(as_dict(report), indent=1))
    sections = sections_of(report, dataset, out, with_frames=with_frames)
    write_pages(out, f"report{suffix}", f"LiveMask on {report.title}", sections)


def sections_of(report: Report, dataset: Dataset, out: Path, *, with_frames: bool = True) -> list[Section]:
    """The parts of the page."""
    sections = [Section("Figures", points=tuple(notes(report)), tables=(table(report),))]
    if report.scores and not plots_available():
        sections.append(Section("Plots", ("They need the package matplotlib: pip install matplotlib.",)))
    elif report.scores:
        sections += _plots(report)
    if report.failures:
        sections.append(_failures(report))
    strips = worst_strips(dataset, out / dataset.result_folder, report.scores) if with_frames else ()
    if strips:
        sections.append(
            Section(
                "Worst frames",
                ("From left to right: the frame, what was found, the ground truth.",),
                pictures=tuple(
                    Picture(
                        file_name(f"worst-{strip.sequence}-{strip.object_id}"),
                        encode_png(strip.picture),
                        f"{strip.sequence}, object {strip.object_id}, frame {strip.frame}: J {strip.region:.3f}",
                    )
                    for strip in strips
                ),
            )
        )
    return sections


def _plots(report: Report) -> list[Section]:
    sections = []
    if report.fps and report.summary is not None and report.provenance is not None:
        label = f"{report.provenance.model}, {report.title}"
        told = "; ".join(f"{p.name}: {p.mean:.3f} at {p.fps:g} fps on {p.hardware}" for p in QUALITY_AND_SPEED)
        picture = Picture(
            "quality-and-speed", quality_and_speed({label: (report.fps, report.summary.mean)}), "J&F, fps"
        )
        sections.append(
            Section("Quality against speed", (f"Hollow: published by their authors, not measured here. {told}.",),
                    pictures=(picture,))
        )  # fmt: skip
    names = list(dict.fromkeys(score.sequence for score in report.scores))
    curves = []
    for name in names[:MOST_CURVES]:
        of_sequence = [score for score in report.scores if score.sequence == name]
        curves.append(Picture(file_name(f"iou-{name}"), iou_curves(of_sequence), f"J over the frames of {name}"))
    left_out = len(names) - len(curves)
    text = (f"{left_out} more sequences are in report.json only.",) if left_out else ()
    return [*sections, Section("J from frame to frame", text, pictures=tuple(curves))]


def _failures(report: Report) -> Section:
    kinds = count_kinds(report.failures)
    words = [kind.word for kind in kinds]
    rows = [["sequence, object", *words, "first failure"]]
    for score in report.scores:
        mine = [b for b in report.failures if (b.sequence, b.object_id) == (score.sequence, score.object_id)]
        if mine:
            own = count_kinds(mine)
            first = f"{mine[0].kind.word} at {mine[0].frame}"
            rows.append([f"{score.sequence} {score.object_id}", *(str(own.get(k, 0)) for k in kinds), first])
    rows.append(["all", *(str(count) for count in kinds.values()), ""])
    return Section("Failures", ("Frames in which J or F is at most one half.",), tuple(k.value for k in kinds), (rows,))
