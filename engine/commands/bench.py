"""``main.py bench``: how fast this machine tracks, and where the time goes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.arguments import add_engine_arguments, at_least_one, check_folder, engine_config
from engine.commands.progress import ProgressBar

if TYPE_CHECKING:
    from engine.bench.report import BenchReport, Comparison
    from engine.runtime.live_report import LiveReport

EXIT_DONE = 0
_ASSETS = Path(__file__).resolve().parents[2] / "assets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="INPUT", help="video file or folder of frames; default: the demo")
    parser.add_argument("--mask", type=Path, metavar="FILE", help="mask of the first frame; default: an ellipse")
    parser.add_argument("--objects", type=at_least_one, default=1, metavar="N", help="cut the mask into N objects")
    parser.add_argument(
        "--frames",
        type=at_least_one,
        metavar="N",
        help="frames to measure (default 100; --compare 40; others 300)",
    )
    parser.add_argument("--warm-up", type=at_least_one, default=15, metavar="N", help="frames before that (default 15)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--compare", action="store_true", help="time propagation against the paper's plain recipe")
    what.add_argument("--live", action="store_true", help="play INPUT as a camera and track it live")
    what.add_argument("--painting", action="store_true", help="time strokes in the window, from the event to the pixel")
    what.add_argument("--window", action="store_true", help="time how late the window's event loop is meanwhile")
    parser.add_argument("--fps", type=float, default=30.0, metavar="F", help="rate of the camera (--live; default 30)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="length of the live run (default 60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    add_engine_arguments(parser)


def run(options: argparse.Namespace) -> int:
    from engine.errors import UserError

    check_folder(options.json)
    if options.frames is not None and options.frames < 10 and not options.compare:
        raise UserError("A benchmark takes at least 10 frames.", "Ask for more with --frames.")
    if min(options.fps, options.seconds) <= 0:
        raise UserError("--fps and --seconds must be positive.", "Leave them out for 30 and 60.")
    source, mask = options.source, options.mask
    if source is None:
        source, mask = str(_ASSETS / "demo.mp4"), mask or _ASSETS / "demo_mask.png"
    report: LiveReport | BenchReport | Comparison
    report = _live(options, source, mask) if options.live else _tracker_run(options, source, mask)
    print(report)
    if options.json is not None:
        from dataclasses import asdict

        from engine.bench.report import BenchReport
        from engine.evaluation.report import write_text

        values = report.as_dict() if isinstance(report, BenchReport) else asdict(report)
        write_text(options.json, json.dumps(values, indent=2, default=str) + "\n")
    return EXIT_DONE


def _live(options: argparse.Namespace, source: str, mask: Path | None) -> LiveReport:
    from engine.runtime.live_run import run_live

    with ProgressBar("Live") as bar:
        return run_live(
            source,
            fps=options.fps,
            seconds=options.seconds,
            config=engine_config(options),
            mask=mask,
            on_progress=lambda done: bar.update(int(done), int(options.seconds)),
        )


def _tracker_run(options: argparse.Namespace, source: str, mask: Path | None) -> BenchReport | Comparison:
    from engine.runtime.threads import prepare_computing

    prepare_computing()
    from engine.bench.compare import compare_recipes
    from engine.bench.run import run_bench
    from engine.propagation.recipe import get_recipe
    from engine.runtime.factory import create_tracker

    with ProgressBar("Bench") as bar:
        tracker = create_tracker(engine_config(options), bar.announce)
        if options.compare:
            return compare_recipes(
                source,
                tracker,
                get_recipe("dense"),
                mask=mask,
                frames=options.frames or 40,
                on_progress=bar.update,
            )
        return run_bench(
            source,
            tracker,
            mask=mask,
            frames=options.frames or 100,
            warm_up=options.warm_up,
            objects=options.objects,
            on_progress=bar.update,
        )
