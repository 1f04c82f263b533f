"""``main.py eval``: track every sequence of an annotated data set and score the masks."""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from engine.commands.arguments import add_engine_arguments, at_least_one, check_folder, engine_config, names
from engine.commands.progress import ProgressBar

EXIT_DONE = 0
DATASETS = ("davis2016", "davis2017", "youtube-vos")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", choices=DATASETS, required=True, help="how DIR is laid out and scored")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with JPEGImages and Annotations"
    )
    parser.add_argument("--split", metavar="NAME", help="default: val (DAVIS), valid (YouTube-VOS)")
    parser.add_argument("--sequences", type=names, default=(), metavar="A,B", help="only these")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="keep masks and reports here; the same call again goes on where it was"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report here, every frame's J and F")
    parser.add_argument(
        "--workers", type=at_least_one, metavar="N", help="processes at a time; default: one per GPU, or one"
    )
    parser.add_argument(
        "--zip", type=Path, metavar="FILE", help="also zip the masks for the benchmark's server (with --out DIR, blind "
        "splits are zipped in any case)"
    )  # fmt: skip
    parser.add_argument(
        "--no-frames", action="store_true", help="no pictures of the data's frames in the report, so that it can be "
        "published where the data cannot"
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="track what is finished in --out again")
    add_engine_arguments(parser)


def run(options: argparse.Namespace) -> int:
    from engine.errors import UserError
    from engine.evaluation.analysis import analyse
    from engine.evaluation.datasets import load_dataset
    from engine.evaluation.generalisation import generalisation
    from engine.evaluation.publish import publish
    from engine.evaluation.report import Report, as_dict, as_text, write_text
    from engine.evaluation.run import track_dataset
    from engine.evaluation.scoring import can_be_scored, score_dataset
    from engine.evaluation.submission import wants_submission, write_submission

    dataset = load_dataset(options.dataset, options.data, options.split, options.sequences)
    for file in (options.json, options.zip):
        check_folder(file)
    if (
        options.out is None
        and options.zip is None
        and not any(can_be_scored(s, dataset.protocol) for s in dataset.sequences)
    ):
        raise UserError("There is no ground truth to score against.", "Pass --out DIR to keep the masks.")
    config = engine_config(options)
    with ExitStack() as stack:
        out = options.out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="livemask-eval-")))
        with ProgressBar("Tracking") as bar:
            record = track_dataset(
                dataset,
                out,
                config=config,
                overwrite=options.overwrite,
                workers=options.workers,
                on_progress=bar.update,
                on_model_progress=bar.announce,
            )
        results = out / dataset.result_folder
        with ProgressBar("Scoring") as bar:
            scores = score_dataset(dataset, results, on_progress=bar.update)
        with ProgressBar("Looking into") as bar:
            stability, failures = analyse(dataset, results, scores, on_progress=bar.update)
        report = Report(
            title=dataset.title,
            protocol=dataset.protocol.name,
            scores=tuple(scores),
            runs=tuple(record.runs[sequence.name] for sequence in dataset.sequences),
            provenance=record.provenance,
            generalisation=generalisation(dataset, scores),
            stability=stability,
            failures=failures,
        )
        print(as_text(report))
        suffix = f"-{dataset.split}" if dataset.split else ""
        if options.out is not None:
            publish(report, dataset, out, suffix=suffix, with_frames=not options.no_frames)
            print(f"report: {out / f'report{suffix}.html'}")
        if options.json is not None:
            write_text(options.json, json.dumps(as_dict(report), indent=1))
        target = options.zip
        if target is None and options.out is not None and wants_submission(dataset):
            target = out / f"submission{suffix}.zip"
        if target is not None:
            print(f"{write_submission(dataset, out, target)} masks for the server: {target}")
    return EXIT_DONE
