"""``main.py ablate``: which part of the recipe does what, with the paper's figures beside ours."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.arguments import add_engine_arguments, at_least_one, engine_config, names
from engine.commands.progress import ProgressBar

EXIT_DONE = 0
DATASETS = ("davis2016", "davis2017")
EXPERIMENTS = (
    "strategies", "sigma", "sigma-sparse", "range", "references", "temperature", "labels", "our-temperature", "window",
    "keep-first", "keyframe-sigma", "our-references", "top-k", "pooling", "keyframe-pooling",
    "keyframe-lattice",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", choices=DATASETS, required=True, help="how DIR is laid out and scored")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with JPEGImages and Annotations"
    )
    parser.add_argument("--split", metavar="NAME", help="default: val")
    parser.add_argument("--sequences", type=names, default=(), metavar="A,B", help="only these")
    parser.add_argument("--frames", type=at_least_one, metavar="N", help="only the first N frames of each")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="tables and cached results; a second call goes on"
    )
    parser.add_argument(
        "--experiments",
        type=_experiments,
        default=EXPERIMENTS,
        metavar="A,B",
        help=f"default: all of {', '.join(EXPERIMENTS)}",
    )
    parser.add_argument(
        "--checkpoint",
        type=_checkpoint,
        action="append",
        default=[],
        metavar="LABEL=FILE",
        help="a row of the grid: weights of --model, named after how they were trained, such as '9 frames=best.pth' "
        "(the paper's names: 1 frame, 3 frames, 9 frames, uniform, sparse); may be repeated; default: the model's own",
    )
    add_engine_arguments(parser)


def _experiments(text: str) -> tuple[str, ...]:
    wanted = names(text)
    for name in wanted:
        if name not in EXPERIMENTS:
            raise argparse.ArgumentTypeError(f"there is no experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
    return tuple(name for name in EXPERIMENTS if name in wanted)


def _checkpoint(text: str) -> tuple[str, Path]:
    label, sign, file = text.partition("=")
    if not (sign and label.strip() and file):
        raise argparse.ArgumentTypeError(f"must be LABEL=FILE, not {text!r}")
    return label.strip(), Path(file)


def run(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from engine.evaluation.ablation.report import write_ablation
    from engine.evaluation.ablation.run import Row, run_row, shorten
    from engine.evaluation.datasets import load_dataset
    from engine.evaluation.pages import as_text

    dataset = shorten(load_dataset(options.dataset, options.data, options.split, options.sequences), options.frames)
    config = engine_config(options)
    rows = [Row(label, replace(config, weights=file)) for label, file in options.checkpoint]
    if not rows:
        from models.registry import DEFAULT_MODEL

        rows = [Row(config.model or DEFAULT_MODEL, config)]
    results = []
    for row in rows:
        with ProgressBar(row.label) as bar:
            results.append(
                run_row(
                    row,
                    options.experiments,
                    dataset,
                    options.out / "cache",
                    on_progress=bar.update,
                    on_model_progress=bar.announce,
                )
            )
    print(as_text(write_ablation(results, dataset, options.out, options.frames)))
    print(f"report: {options.out / 'ablation.html'}")
    return EXIT_DONE
