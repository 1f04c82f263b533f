#!/usr/bin/env python3
"""LiveMask: paint once, track live. Parses the command line and dispatches; everything slow is imported afterwards."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.commands.arguments import add_engine_arguments
from engine.version import VERSION
from models.errors import UserError

EXIT_OK, EXIT_BUG, EXIT_USER_ERROR, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 0, 1, 2, 130, 141

ROOT = Path(__file__).resolve().parent
DEMO_CLIP = ROOT / "assets" / "demo.mp4"
REQUIREMENTS = ROOT / "requirements.txt"


@dataclass(frozen=True)
class Command:
    """A subcommand: the module that implements it (`add_arguments`, `run`) and its line in the help."""

    module: str
    summary: str


COMMANDS: dict[str, Command] = {
    "track": Command("engine.commands.track", "carry the mask of the first frame through a video, without a window"),
    "export": Command("engine.commands.export", "write tracked masks as videos, data sets, tables or labelling files"),
    "eval": Command("engine.commands.eval", "measure quality and speed on an annotated data set"),
    "eval-scribbles": Command(
        "engine.commands.eval_scribbles", "measure the smart scribble with simulated users on an annotated data set"
    ),
    "score": Command("engine.commands.score", "compare masks with ground truth"),
    "ablate": Command(
        "engine.commands.ablate", "measure what each part of the recipe does, beside the paper's figures"
    ),
    "flow": Command("engine.commands.flow", "draw the motion between two frames as the network sees it"),
    "explain": Command("engine.commands.explain", "show which earlier frames decided the label of a pixel"),
    "train": Command("engine.commands.train", "train an embedding network on annotated videos or stills"),
    "bench": Command("engine.commands.bench", "measure the speed of this machine, stage by stage"),
    "tune": Command("engine.commands.tune", "measure what runs the network fastest here, and remember it"),
    "models": Command("engine.commands.models", "list the networks that can track"),
    "doctor": Command("engine.commands.doctor", "check this machine and say what to mend"),
}


def build_window_parser() -> argparse.ArgumentParser:
    """The parser of ``main.py [INPUT]``, which opens the window."""
    lines = [f"  {name:<15}{command.summary}" for name, command in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="main.py",
        description="Paint an object on one frame; LiveMask carries the mask through the video while it runs.",
        epilog="commands (main.py COMMAND --help tells more):\n"
        + "\n".join(lines)
        + "\n\nA file that is named like a command: main.py ./track",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("source", nargs="?", metavar="INPUT", help="video file, folder of frames, stream URL, or project")
    what.add_argument("--demo", action="store_true", help="open the bundled sample clip")
    what.add_argument("--camera", type=_camera_number, metavar="N", help="open camera N (0 is the first)")
    add_engine_arguments(parser)
    _add_common_arguments(parser)
    return parser


def build_command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of ``main.py NAME ...``; imports the command's module, which is quick."""
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=f"main.py {name}", description=_sentence(command.summary))
    importlib.import_module(command.module).add_arguments(parser)
    _add_common_arguments(parser)
    return parser


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _camera_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"must be a number from 0, not {text!r}")
    return int(text)


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="show tracebacks and library messages")
    parser.add_argument("--version", action="version", version=f"LiveMask {VERSION}")


def command_name(arguments: Sequence[str]) -> str | None:
    """The subcommand, which must come first (only --debug may stand before it); None opens the window."""
    first = next((argument for argument in arguments if argument != "--debug"), None)
    return first if first in COMMANDS else None


def run_window(options: argparse.Namespace) -> int:
    from app.application import run

    source = options.source
    if options.demo:
        source = str(DEMO_CLIP)
    elif options.camera is not None:
        source = f"camera:{options.camera}"
    options.source = source
    return int(run(options))


def run_command(name: str, options: argparse.Namespace) -> int:
    # These two need the window, which no command of the engine may know.
    for what in ("painting", "window"):
        if getattr(options, what, False):
            return int(importlib.import_module(f"app.{what}_bench").run(options))
    return int(importlib.import_module(COMMANDS[name].module).run(options))


def _print_whatever_comes() -> None:
    """A file name that the terminal (or a log of another encoding) cannot show must not end what was done with it."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (argparse itself exits with 2 on bad usage)."""
    _print_whatever_comes()
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = command_name(arguments)
    if name is None:
        options = build_window_parser().parse_args(arguments)
    else:
        arguments.remove(name)
        options = build_command_parser(name).parse_args(arguments)
    if not options.debug:
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # its warnings on stderr say nothing a user can act on
    try:
        code = run_window(options) if name is None else run_command(name, options)
        sys.stdout.flush()  # a closed pipe shows here, not in the interpreter's shutdown
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except UserError as error:
        if options.debug:
            raise
        print(error, file=sys.stderr)
        return EXIT_USER_ERROR
    except ModuleNotFoundError as error:
        if options.debug or (error.name or "").partition(".")[0] in ("app", "engine", "models"):
            raise
        print(
            f"The Python package {error.name} is missing. Start with make run, or install everything with: "
            f"{sys.executable} -m pip install -r {REQUIREMENTS}",
            file=sys.stderr,
        )
        return EXIT_USER_ERROR
    except Exception as error:
        if options.debug:
            raise
        print(
            f"Unexpected {type(error).__name__}: {error} Please report this with the output of the same command and "
            "--debug.",
            file=sys.stderr,
        )
        return EXIT_BUG


if __name__ == "__main__":
    sys.exit(main())
