"""``main.py score``: compare folders of masks with ground truth, whoever made them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from engine.commands.progress import ProgressBar

EXIT_DONE = 0
PROTOCOLS = ("davis", "youtube-vos", "all")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prediction", type=Path, metavar="PRED", help="folder of masks, or of such folders")
    parser.add_argument("truth", type=Path, metavar="GT", help="the same with the true masks; they say what is scored")
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default=PROTOCOLS[0],
        help="frames that count: davis (default) all but the first and the last; youtube-vos all after an object's "
        "first; all",
    )
    parser.add_argument("--merge-objects", action="store_true", help="all ids are one object, as in DAVIS 2016")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report here, every frame's J and F")


def run(options: argparse.Namespace) -> int:
    from engine.evaluation.analysis import analyse
    from engine.evaluation.datasets import PROTOCOLS as BY_NAME
    from engine.evaluation.report import Report, as_dict, as_text, write_text
    from engine.evaluation.scoring import score_dataset
    from engine.evaluation.trees import load_trees

    dataset = load_trees(
        options.prediction, options.truth, BY_NAME[options.protocol], merge_objects=options.merge_objects
    )
    with ProgressBar("Scoring") as bar:
        scores = score_dataset(dataset, options.prediction, on_progress=bar.update)
    with ProgressBar("Looking into") as bar:
        stability, failures = analyse(dataset, options.prediction, scores, on_progress=bar.update)
    report = Report(dataset.title, dataset.protocol.name, tuple(scores), stability=stability, failures=failures)
    print(as_text(report))
    if options.json is not None:
        write_text(options.json, json.dumps(as_dict(report), indent=1))
    return EXIT_DONE
