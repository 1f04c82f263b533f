"""``main.py tune``: measure what runs the network fastest on this machine, and remember it for the next start."""

from __future__ import annotations

import argparse

from engine.commands.arguments import add_engine_arguments, engine_config
from engine.commands.progress import ProgressBar

EXIT_DONE = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_engine_arguments(parser)


def run(options: argparse.Namespace) -> int:
    from engine.runtime.threads import prepare_computing

    prepare_computing()
    from engine.runtime.backend_table import describe, table_path
    from engine.runtime.backend_tune import measure

    with ProgressBar("Tune") as bar:
        measured, kept = measure(engine_config(options), bar.announce)
    print("\n  ".join(describe(measured)))
    if not kept:
        print(f"This cannot be remembered: {table_path()} cannot be written. Set LIVEMASK_CACHE to another folder.")
    return EXIT_DONE
