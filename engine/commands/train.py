"""``main.py train``: train an embedding network; under torchrun, on several devices."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EXIT_DONE, EXIT_INTERRUPTED = 0, 130
# As in engine.training.sources and models.registry, which are slower to import than a help text may take.
_KINDS = ("davis2016", "davis2017", "youtube-vos", "stills")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, action="append", required=True, metavar="DIR", help="data set; may be given several times"
    )
    parser.add_argument(
        "--dataset", action="append", required=True, choices=_KINDS, help="its layout, one for every --data"
    )
    parser.add_argument(
        "--weight",
        type=_positive,
        action="append",
        metavar="W",
        help="share of the clips that a --data gives, relative to the others; one for every --data (default: alike)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for checkpoints, weights, logs")
    parser.add_argument(
        "--config",
        default="paper.toml",
        metavar="FILE",
        help="paper.toml (the default), half.toml, or your own .toml or .json",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one option, such as run.batch=8"
    )
    parser.add_argument(
        "--start",
        "--start-from",  # torchrun takes a plain --start for an abbreviation of its own --start-method
        dest="start",
        metavar="WHAT",
        help="weights to start from: resnet50-half-imagenet, resnet50-half, imagenet, scratch, or a file (a checkpoint "
        "of yours or of the paper's authors, torchvision's, MoCo's or InstDisc's); default: what suits the network",
    )
    parser.add_argument("--resume", action="store_true", help="go on where the run in --out stopped")
    parser.add_argument("--dry-run", action="store_true", help="print schedule, cost and data counts, then stop")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1 or mps")


def run(options: argparse.Namespace) -> int:
    from engine.errors import UserError
    from engine.runtime.threads import prepare_computing
    from engine.training.config_file import read_config

    prepare_computing()

    weights = options.weight or [1.0] * len(options.data)
    if not len(options.data) == len(options.dataset) == len(weights):
        raise UserError("There must be one --dataset (and --weight, if any) for every --data.", "See train --help.")
    config = read_config(options.config, options.set)

    from engine.training.distributed import joined_world
    from engine.training.material import gather_material
    from engine.training.plan import describe, make_plan
    from engine.training.sources import find_data
    from engine.training.trainer import CHECKPOINT, MODEL, Trainer

    triples = zip(options.data, options.dataset, weights, strict=True)
    material = gather_material([find_data(folder, kind, weight) for folder, kind, weight in triples], config)
    start = options.start or ("resnet50-half-imagenet" if config.network.name == "resnet50-half" else "imagenet")
    with joined_world(options.device) as world:
        if options.dry_run:
            if world.is_main:
                print(describe(config, make_plan(config, len(material.clips), world), material, world))
            return EXIT_DONE
        if world.is_main:
            print("\n".join(material.describe()), flush=True)
        if config.validation.every and not material.held_out and world.is_main:
            print("None of the sequences to hold out is in the data: there will be no validation.", file=sys.stderr)
        trainer = Trainer(config, material, options.out, start=start, world=world, resume=options.resume, tell=_say)
        outcome = trainer.run()
        if world.is_main:
            if outcome.interrupted:
                print(f"Interrupted after step {outcome.steps}; --resume goes on from {options.out / CHECKPOINT}.")
            else:
                best = "" if outcome.best is None else f", best validation J {outcome.best:.4f}"
                print(f"Done: {outcome.steps} steps, weights in {options.out / MODEL}{best}.")
    return EXIT_INTERRUPTED if outcome.interrupted else EXIT_DONE


def _say(text: str) -> None:
    print(text, flush=True)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number, not {text!r}")
    return value
