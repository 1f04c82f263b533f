"""``main.py export``: masks of a video into any of the formats, without a window."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from engine.commands.progress import ProgressBar
from engine.export.formats import FORMATS, ExportFormat, find_format
from engine.export.request import ExportObject, Value
from models.errors import UserError

if TYPE_CHECKING:
    from engine.export.from_project import ProjectExport

EXIT_DONE, EXIT_INTERRUPTED = 0, 130


class ArgumentError(UserError):
    """A range, name or option on the command line that cannot be understood."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Write tracked masks as videos, data sets, tables or labelling files.\n\n"
        "Frame count, times and size are those of the source. An interrupted export goes on where it stopped when the\n"
        "same command is given again. Nothing that exists is overwritten unless you say --overwrite."
    )
    parser.epilog = _epilog()
    parser.add_argument("input", metavar="INPUT", help="video file, folder of frames, or a project with its own masks")
    parser.add_argument(
        "masks",
        nargs="?",
        metavar="MASKS",
        type=Path,
        help="folder of PNG masks named by frame index, as main.py track --out; or a project made with INPUT",
    )
    parser.add_argument("--format", required=True, choices=FORMATS, metavar="FORMAT", help="one of those listed below")
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="the file or folder to make")
    parser.add_argument(
        "--range", metavar="A:B", help="frames A to B, both included (10:20; 10: is from 10 on, :20 up to 20)"
    )
    parser.add_argument("--objects", metavar="IDS", help="only these object ids: 1,3")
    parser.add_argument(
        "--names", action="append", default=[], metavar="ID=NAME", help="name of an object in data files (repeatable)"
    )
    parser.add_argument(
        "--set", action="append", default=[], dest="options", metavar="OPTION=VALUE",
        help="an option of the format, listed below (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a file that exists, write into a folder that is not empty"
    )


def _epilog() -> str:
    lines: list[str] = []
    family = ""
    for format_ in FORMATS.values():
        if format_.family != family:
            family = format_.family
            lines += ["", f"{family.lower()}:"]
        lines += _format_lines(format_)
    lines += [
        "",
        "examples:",
        "  main.py export clip.mp4 masks/ --format overlay --out overlay.mp4 --set opacity=70",
        "  main.py export clip.mp4 masks/ --format prores4444 --out cut.mov --range 0:99",
        "  main.py export clip.mp4 masks/ --format coco --out clip.json --names 1=dog --names 2=cat",
        "  main.py export work.livemask --format webm --out cut.webm",
    ]
    return "\n".join(lines).lstrip()


def _format_lines(format_: ExportFormat) -> list[str]:
    lines = [f"  {format_.key:<13}{format_.summary}"]
    for option in format_.options:
        about = f"{option.key}={option.default_text}" if option.default_text else option.key
        lines.append(f"{'':<15}{about:<20}{option.values_text}: {option.help or option.label.lower()}")
    return lines


def run(options: argparse.Namespace) -> int:
    format_ = find_format(options.format)
    first, last = _range(options.range)
    object_ids = _ids(options.objects)
    names = _names(options.names)
    given = _options(format_, options.options)

    from engine.export.masks import open_masks
    from engine.export.request import ExportRequest
    from engine.export.runner import run_export, with_suffix
    from engine.export.staging import unfinished_beside

    source, palette = options.input, None
    _refuse_live(source)
    project = _project(options)
    if project is not None:
        source, palette = project.source, project.palette
        renamed = {named.id for named in names}
        names += tuple(named for named in project.objects if named.id not in renamed)
    masks = open_masks(options.masks) if project is None else project.masks
    request = ExportRequest(
        format_.key,
        options.out,
        given,
        first,
        last,
        object_ids,
        names,
        overwrite=options.overwrite,
        palette=palette,
    )
    with _Interrupt() as interrupt, ProgressBar("Exporting") as bar:
        outcome = run_export(source, masks, request, bar.update, interrupt.asked)
    target = with_suffix(options.out, format_)
    if not outcome.complete:
        kept = f" The same command goes on after frame {outcome.frames}." if unfinished_beside(target).exists() else ""
        print(f"Interrupted.{kept}", file=sys.stderr)
        return EXIT_INTERRUPTED
    went_on = f" ({outcome.resumed} of them by the run before)" if outcome.resumed else ""
    print(f"{outcome.frames} frames written to {outcome.target}{went_on}")
    for note in outcome.notes:
        print(note)
    return EXIT_DONE


class _Interrupt:
    """Ctrl+C once: end after this frame and keep the finished parts. Twice: end at once."""

    def __init__(self) -> None:
        self._asked = False
        self._former: Any = None

    def asked(self) -> bool:
        return self._asked

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, self._former)

    def __enter__(self) -> _Interrupt:
        self._former = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._former)


def _refuse_live(source: str) -> None:
    from engine.video.open import CAMERA_PREFIX
    from engine.video.paced import PREFIX as LIVE_PREFIX
    from engine.video.screen import PREFIX as SCREEN_PREFIX
    from engine.video.stream import is_stream_url

    if source.startswith((CAMERA_PREFIX, LIVE_PREFIX, SCREEN_PREFIX)) or is_stream_url(source):
        raise ArgumentError("Only video files and folders can be exported.", "Record the live source to a file first.")


def _project(options: argparse.Namespace) -> ProjectExport | None:
    """The project that was named, as INPUT or as MASKS."""
    if _is_project_file(Path(options.input)):
        if options.masks is not None:
            raise ArgumentError(
                "A project brings its own masks.", "Leave MASKS out, or name the video first and the project second."
            )
        path, source = Path(options.input), None
    elif options.masks is None:
        raise ArgumentError("There are no masks to export.", "Name the folder of masks, or a project, after the video.")
    elif _is_project_file(options.masks):
        path, source = options.masks, options.input
    else:
        return None
    from engine.export.from_project import read_project

    return read_project(path, source)


def _is_project_file(path: Path) -> bool:
    from engine.project.state import is_project

    return is_project(path) and not path.is_dir()


def _range(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    first, colon, last = (part.strip() for part in text.partition(":"))
    if not all(part == "" or (part.isascii() and part.isdigit()) for part in (first, last)) or not (first or last):
        raise ArgumentError(f"--range cannot be {text!r}.", "Write the first and the last frame: 10:20.")
    if not colon:
        return int(first), int(first)
    return int(first) if first else None, int(last) if last else None


def _ids(text: str | None) -> frozenset[int] | None:
    if text is None:
        return None
    return frozenset(_object_id(part, "--objects") for part in text.split(","))


def _object_id(text: str, where: str) -> int:
    word = text.strip()
    if not (word.isascii() and word.isdigit() and 1 <= int(word) <= 255):
        raise ArgumentError(f"{where} takes object ids from 1 to 255, not {text!r}.", "Write them as 1,3.")
    return int(word)


def _names(given: Sequence[str]) -> tuple[ExportObject, ...]:
    found = []
    for text in given:
        number, equals, name = text.partition("=")
        if not equals or not name.strip():
            raise ArgumentError(f"--names cannot be {text!r}.", "Write the object id and its name: 1=dog.")
        found.append(ExportObject(_object_id(number, "--names"), name.strip()))
    return tuple(found)


def _options(format_: ExportFormat, given: Sequence[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise ArgumentError(f"--set cannot be {text!r}.", "Write an option and its value: opacity=70.")
        found[key.strip()] = format_.option(key.strip()).parse(value)
    return found
