"""``main.py explain``: where a pixel's label comes from."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.arguments import add_engine_arguments, engine_config
from engine.commands.progress import ProgressBar

EXIT_DONE = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="INPUT", help="video file or folder of frames")
    parser.add_argument("--mask", type=Path, required=True, metavar="PNG", help="objects in the first frame")
    parser.add_argument("--frame", type=int, required=True, metavar="N", help="the frame in question, counted from 0")
    parser.add_argument("--at", type=_pixel, required=True, metavar="X,Y", help="the pixel in question")
    parser.add_argument("--object", type=int, metavar="ID", help="whose label; default: the strongest there")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="picture with the references lit")
    add_engine_arguments(parser)


def _pixel(text: str) -> tuple[int, int]:
    x, comma, y = text.partition(",")
    if not (comma and x.strip().isdecimal() and y.strip().isdecimal()):
        raise argparse.ArgumentTypeError(f"must be X,Y in pixels, not {text!r}")
    return int(x), int(y)


def run(options: argparse.Namespace) -> int:
    from engine.errors import SourceError, UserError
    from engine.evaluation.strips import encode_png
    from engine.insight.reading import read_frames, write_bytes
    from engine.insight.votes import describe, votes_picture
    from engine.propagation.trace import trace_pixel
    from engine.runtime.factory import create_tracker
    from engine.video.masks import davis_palette, read_mask
    from engine.video.open import open_source
    from engine.video.overlay import compose_overlay

    if options.frame < 1:
        raise UserError("The first frame was given, not tracked.", "Choose a --frame from 1.")
    x, y = options.at
    source = open_source(options.input)
    try:
        if source.info.live:
            raise SourceError(f"{source.info.name} is live and would be gone.", "Choose a file or a folder.")
        first = source.read()
        if first is None:
            raise SourceError(f"{source.info.name} holds no frames.", "Choose another file.")
        if x >= first.width or y >= first.height:
            raise UserError(f"There is no pixel {x},{y} in a frame of {first.width} x {first.height}.", "Change --at.")
        mask = read_mask(options.mask, (first.width, first.height))
        with ProgressBar("Tracking") as bar:
            tracker = create_tracker(engine_config(options), bar.announce)
            tracker.step(first, mask)
            frame = source.read()
            while frame is not None and frame.index < options.frame:
                tracker.step(frame)
                bar.update(frame.index, options.frame)
                frame = source.read()
        if frame is None:
            raise SourceError(f"{source.info.name} has no frame {options.frame}.", "Choose an earlier one.")
    finally:
        source.close()
    trace = trace_pixel(tracker, frame, x, y, options.object)  # before the step, which would be its own witness
    result = tracker.step(frame)
    print(f"pixel {x},{y} of frame {frame.index} is object {int(result.mask[y, x])} (0: background)")
    print("\n".join(describe(trace)))
    target = compose_overlay(frame.rgb, result.mask, davis_palette(), 0.4)
    picture = votes_picture(trace, target, x, y, lambda index: read_frames(options.input, index, 1)[0])
    write_bytes(options.out, encode_png(picture))
    return EXIT_DONE
