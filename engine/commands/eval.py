"""``main.py eval``: track every sequence of an annotated data set and score the masks."""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from engine.commands.arguments import add_engine_arguments, engine_config
from engine.commands.progress import ProgressBar

EXIT_DONE = 0
DATASETS = ("davis2016", "davis2017", "youtube-vos")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", choices=DATASETS, required=True, help="how DIR is laid out and scored")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with JPEGImages and Annotations"
    )
    parser.add_argument("--split", metavar="NAME", help="default: val (DAVIS), valid (YouTube-VOS)")
    parser.add_argument("--sequences", type=_names, default=(), metavar="A,B", help="only these")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="keep masks and reports here; the same call again goes on where it was"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report here, every frame's J and F")
    parser.add_argument("--overwrite", action="store_true", help="track what is finished in --out again")
    add_engine_arguments(parser)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def run(options: argparse.Namespace) -> int:
    from engine.errors import ExportError, UserError
    from engine.evaluation.datasets import load_dataset
    from engine.evaluation.report import Report, as_dict, as_markdown, as_text, global_csv, per_sequence_csv, write_text
    from engine.evaluation.run import track_dataset
    from engine.evaluation.scoring import can_be_scored, score_dataset

    dataset = load_dataset(options.dataset, options.data, options.split, options.sequences)
    if options.json is not None and not options.json.absolute().parent.is_dir():
        raise ExportError(f"The folder {options.json.absolute().parent} does not exist.", "Make it first.")
    if options.out is None and not any(can_be_scored(s, dataset.protocol) for s in dataset.sequences):
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
                on_progress=bar.update,
                on_model_progress=bar.announce,
            )
        with ProgressBar("Scoring") as bar:
            scores = score_dataset(dataset, out / dataset.result_folder, on_progress=bar.update)
        report = Report(
            title=dataset.title,
            protocol=dataset.protocol.name,
            scores=tuple(scores),
            runs=tuple(record.runs[sequence.name] for sequence in dataset.sequences),
            provenance=record.provenance,
        )
        print(as_text(report))
        content = json.dumps(as_dict(report), indent=1)
        if options.out is not None:
            suffix = f"-{dataset.split}" if dataset.split else ""
            write_text(out / f"global_results{suffix}.csv", global_csv(report))
            write_text(out / f"per-sequence_results{suffix}.csv", per_sequence_csv(report))
            write_text(out / f"report{suffix}.md", as_markdown(report))
            write_text(out / f"report{suffix}.json", content)
        if options.json is not None:
            write_text(options.json, content)
    return EXIT_DONE
