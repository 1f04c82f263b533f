"""The remembered measurements of backends: a small file in the cache, one entry per machine, model and versions.

No torch here: the doctor and the engine read it before anything slow is loaded.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from models.backends import BACKENDS, TORCH
from models.cache import cache_dir

FORMAT = 1
MARGIN = 0.1  # what PyTorch must be beaten by: less than a tenth is within what a busy machine makes up
_FILE = "backends.json"
_RUNTIMES = ("onnxruntime-gpu", "onnxruntime", "onnxruntime-directml")


@dataclass(frozen=True)
class Row:
    """One backend's measurement.

    Attributes:
        seconds: median per frame; None when it could not be measured.
        text: what it computed in, such as "int8, ONNX Runtime"; or why it could not be measured.
        agreement: mean cosine of its embeddings with fp32; None where that is not in question.
    """

    backend: str
    seconds: float | None
    text: str
    agreement: float | None = None


@dataclass(frozen=True)
class Measured:
    """What was found on one machine.

    Attributes:
        chosen: the backend "auto" stands for.
        size: (width, height) of the frames it was measured with.
    """

    chosen: str
    size: tuple[int, int]
    rows: tuple[Row, ...]


def choose(rows: Sequence[Row]) -> str:
    """The fastest backend; PyTorch unless another one is faster by more than `MARGIN`."""
    times = {row.backend: row.seconds for row in rows if row.seconds is not None}
    fastest = min(times, key=lambda name: times[name], default=TORCH)
    if TORCH in times and times[fastest] > times[TORCH] * (1 - MARGIN):
        return TORCH
    return fastest


def machine_key(model: str, weights: str, device: str, processor: str, threads: int) -> str:
    """What a measurement holds for: another processor, model, device, thread count or version is measured anew.

    Args:
        weights: their SHA-256.
    """
    versions = {"torch": _version("torch")} | {name: v for name in _RUNTIMES if (v := _version(name))}
    about = {
        "model": model,
        "weights": weights[:16],
        "device": device,
        "processor": processor,
        "threads": threads,
        **versions,
    }
    return json.dumps(about, sort_keys=True)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def table_path() -> Path:
    return cache_dir() / _FILE


def recall(key: str, path: Path | None = None) -> Measured | None:
    """What was measured for `key`; None when nothing was, or the file is gone or damaged."""
    entry: Any = _read(path or table_path()).get(key)
    try:
        rows = tuple(
            Row(str(row["backend"]), _number(row["seconds"]), str(row["text"]), _number(row["agreement"]))
            for row in entry["rows"]
        )
        width, height = entry["size"]
        measured = Measured(str(entry["chosen"]), (int(width), int(height)), rows)
    except (KeyError, TypeError, ValueError):
        return None
    return measured if measured.chosen in BACKENDS[1:] else None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def remember(key: str, measured: Measured | None, path: Path | None = None) -> bool:
    """Keep (None: forget) what was measured for `key`. False when the cache folder cannot be written."""
    path = path or table_path()
    entries = _read(path)
    if measured is None:
        entries.pop(key, None)
    else:
        entries[key] = asdict(measured)
    text = json.dumps({"format": FORMAT, "entries": entries}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(part, path)
        except OSError:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError:
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        return {}
    entries = content.get("entries")
    return dict(entries) if isinstance(entries, Mapping) else {}


def describe(measured: Measured) -> list[str]:
    """A heading, and a line per backend."""
    lines = [f"{measured.chosen} is used; time per frame at {measured.size[0]} x {measured.size[1]}"]
    for row in measured.rows:
        took = "not measured" if row.seconds is None else f"{row.seconds * 1000:.1f} ms"
        agreement = "" if row.agreement is None else f", cosine with fp32 {row.agreement:.3f}"
        lines.append(f"{row.backend}: {took} ({row.text.rstrip('.')}{agreement})")
    return lines
