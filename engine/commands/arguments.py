"""Arguments that several commands and the window share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ExportError
from models.backends import BACKENDS

if TYPE_CHECKING:
    from engine.runtime.config import EngineConfig

WORKING_SIZES = (240, 320, 360, 480)


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, --weights, --recipe, --size, --device, --backend, as `engine.runtime.config.EngineConfig` has them."""
    group = parser.add_argument_group("engine")
    group.add_argument("--model", metavar="NAME", help="which network (see: main.py models); default: the bundled one")
    group.add_argument("--weights", type=Path, metavar="FILE", help="your own weights for the model")
    group.add_argument("--recipe", metavar="NAME", help="how labels are propagated: robust or paper")
    group.add_argument(
        "--size",
        type=_working_size,
        metavar="N",
        help=f"short side to work at: auto, {', '.join(map(str, WORKING_SIZES))}",
    )
    group.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1 or mps")
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help="what runs the network; auto: the fastest here, once main.py tune has measured",
    )


def engine_config(options: argparse.Namespace) -> EngineConfig:
    """What `add_engine_arguments` parsed."""
    from engine.runtime.config import EngineConfig

    return EngineConfig(
        model=options.model,
        recipe=options.recipe,
        device=options.device,
        working_size=options.size,
        weights=options.weights,
        backend=options.backend,
    )


def _working_size(text: str) -> int | None:
    if text == "auto":
        return None
    if text.isascii() and text.isdigit() and int(text) in WORKING_SIZES:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be auto or one of {', '.join(map(str, WORKING_SIZES))}, not {text!r}")


def at_least_one(text: str) -> int:
    """A whole number from 1, for argparse."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"must be a number from 1, not {text!r}")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas, for argparse."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def check_folder(file: Path | None) -> None:
    """Before hours of work: the folder a file is to be written to is there.

    Raises:
        ExportError: it is not.
    """
    if file is not None and not file.absolute().parent.is_dir():
        raise ExportError(f"The folder {file.absolute().parent} does not exist.", "Make it first.")
