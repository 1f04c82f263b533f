"""``main.py track``: carry the mask of the first frame through a source, or through many, without a window."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.commands.arguments import add_engine_arguments, at_least_one, engine_config
from engine.commands.progress import ProgressBar

EXIT_DONE, EXIT_FAILURES, EXIT_INTERRUPTED = 0, 2, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        nargs="?",
        metavar="INPUT",
        help="video, folder of frames, camera:N, stream address, screen:N, live:FILE",
    )
    parser.add_argument("--mask", type=Path, metavar="PNG", help="objects in the first frame")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for one palette PNG per frame")
    parser.add_argument("--overlay", type=Path, metavar="MP4", help="also write a video with the masks drawn over it")
    parser.add_argument("--overwrite", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--resize-mask", action="store_true", help="scale a mask that has another size than the frames")
    many = parser.add_argument_group("many clips")
    many.add_argument(
        "--batch",
        type=Path,
        metavar="LIST_OR_FOLDER",
        help="in place of INPUT: every clip of a folder, or of a text file with a path per line; the same call again "
        "goes on where it was, and clips that fail are listed at the end (exit code 2)",
    )
    many.add_argument("--masks", type=Path, metavar="DIR", help="first masks, named like the clips: NAME.png or NAME/")
    many.add_argument(
        "--workers", type=at_least_one, metavar="N", help="processes at a time; default: one per GPU, or one"
    )
    many.add_argument(
        "--ray", metavar="ADDRESS", help="on a Ray cluster: auto, HOST:PORT, or local (needs the package ray)"
    )
    add_engine_arguments(parser)


def run(options: argparse.Namespace) -> int:
    _check(options)
    return _track_batch(options) if options.batch is not None else _track_one(options)


def _check(options: argparse.Namespace) -> None:
    """What argparse cannot say: one clip takes one mask, a batch takes a folder of them."""
    from models.errors import UserError

    if options.batch is None:
        if options.input is None:
            raise UserError("There is nothing to track.", "Name an INPUT, or --batch with many of them.")
        if options.mask is None:
            raise UserError("The first mask is missing.", "Pass --mask PNG.")
        if options.masks or options.workers or options.ray:
            raise UserError("--masks, --workers and --ray are for many clips.", "Use them with --batch.")
        return
    if options.input is not None or options.mask is not None or options.overlay is not None:
        raise UserError("INPUT, --mask and --overlay are for one clip.", "Leave them out with --batch.")
    if options.masks is None:
        raise UserError("The folder of first masks is missing.", "Pass --masks DIR.")
    if options.ray and options.workers:
        raise UserError("A Ray cluster decides how many workers it has.", "Leave out --workers.")


def _track_batch(options: argparse.Namespace) -> int:
    from engine.runtime.batch import run_on_ray, track_batch
    from engine.runtime.clips import find_clips

    clips = find_clips(options.batch, options.masks)
    runner = None
    if options.ray:
        runner = run_on_ray(options.ray, options.resize_mask)
    with ProgressBar("Tracking", unit="clips") as bar:
        report = track_batch(
            clips,
            options.out,
            config=engine_config(options),
            workers=options.workers,
            overwrite=options.overwrite,
            resize_mask=options.resize_mask,
            runner=runner,
            on_progress=bar.update,
        )
    print(report)
    for name, why in report.failures.items():
        print(f"{name}: {why}", file=sys.stderr)
    return EXIT_FAILURES if report.failures else EXIT_DONE


def _track_one(options: argparse.Namespace) -> int:
    from engine.errors import SizeMismatchError
    from engine.runtime.offline import track_file

    config = engine_config(options)
    with ProgressBar("Tracking") as bar:
        try:
            report = track_file(
                options.input,
                options.mask,
                options.out,
                config=config,
                overlay=options.overlay,
                on_progress=bar.update,
                on_model_progress=bar.announce,
                resize_mask=options.resize_mask,
                overwrite=options.overwrite,
            )
        except SizeMismatchError as error:
            raise SizeMismatchError(
                error.mask_size, error.frame_size, "Pass --resize-mask to have it scaled."
            ) from error
    print(report)
    if report.interrupted:
        print("Interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return EXIT_DONE
