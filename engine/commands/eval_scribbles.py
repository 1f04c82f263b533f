"""``main.py eval-scribbles``: let simulated users scribble frames of an annotated data set and score the masks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from engine.commands.arguments import add_engine_arguments, check_folder, engine_config, names

EXIT_DONE = 0
FRAMES = "0,10,20,30"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with JPEGImages and Annotations (DAVIS 2016)"
    )
    parser.add_argument("--split", metavar="NAME", help="default: val")
    parser.add_argument("--sequences", type=names, default=(), metavar="A,B", help="only these")
    parser.add_argument("--frames", type=_numbers, default=FRAMES, metavar="N,N", help=f"default: {FRAMES}")
    parser.add_argument("--inside", type=int, choices=(1, 2, 3), default=3, help="strokes inside at most; default: 3")
    parser.add_argument("--outside", type=int, choices=(0, 1), default=1, help="strokes outside; default: 1")
    parser.add_argument("--box", action="store_true", help="a box around the object and no stroke")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every frame's score here")
    add_engine_arguments(parser)


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"must be frame numbers with commas between, not {text!r}")
    return tuple(int(part) for part in parts)


def run(options: argparse.Namespace) -> int:
    from engine.errors import UserError
    from engine.evaluation.datasets import load_dataset
    from engine.evaluation.scribbles import measure
    from engine.runtime.factory import create_tracker
    from engine.runtime.threads import prepare_computing

    prepare_computing()
    check_folder(options.json)
    dataset = load_dataset("davis2016", options.data, options.split, options.sequences)
    tracker = create_tracker(engine_config(options))
    scores = []
    for sequence in dataset.sequences:
        found = measure(tracker, sequence, options.frames, options.inside, options.outside, options.box)
        scores += found
        for score in found:
            text = f"{score.sequence:<20} frame {score.frame_index:>4}  IoU {score.overlap:.3f}  {score.seconds:.2f} s"
            print(text, flush=True)
    if not scores:
        raise UserError("None of these frames has an object to scribble.", "Choose others with --frames.")
    mean = sum(score.overlap for score in scores) / len(scores)
    times = sorted(score.seconds for score in scores)
    median, most = times[len(times) // 2], times[min(len(times) - 1, int(0.95 * len(times)))]
    print(f"mean IoU {mean:.3f} over {len(scores)} frames; {median:.2f} s a frame, 95 of 100 below {most:.2f} s")
    if options.json is not None:
        rows = [vars(score) for score in scores]
        options.json.write_text(
            json.dumps({"mean": mean, "median_s": median, "p95_s": most, "frames": rows}, indent=1) + "\n"
        )
    return EXIT_DONE
