"""``main.py track``: carry the mask of the first frame through a source, without a window."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.commands.arguments import add_engine_arguments, engine_config
from engine.commands.progress import ProgressBar

EXIT_DONE, EXIT_INTERRUPTED = 0, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="INPUT", help="video file, folder of frames, camera:N, stream address, or live:FILE"
    )
    parser.add_argument("--mask", type=Path, required=True, metavar="PNG", help="objects in the first frame")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for one palette PNG per frame")
    parser.add_argument("--overlay", type=Path, metavar="MP4", help="also write a video with the masks drawn over it")
    parser.add_argument("--overwrite", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--resize-mask", action="store_true", help="scale a mask that has another size than the frames")
    add_engine_arguments(parser)


def run(options: argparse.Namespace) -> int:
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
