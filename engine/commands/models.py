"""``main.py models``: what can track, where its weights come from, how good it is."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="as the table in the README")


def run(options: argparse.Namespace) -> int:
    from models.registry import describe_table

    print(describe_table(markdown=options.markdown))
    return 0
