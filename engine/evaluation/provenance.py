"""What a result was made with, so that a figure can be reproduced and two runs are not mixed up."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.doctor.compute import processor_name
from engine.errors import ModelError
from engine.runtime.config import EngineConfig
from engine.version import VERSION
from models.registry import DEFAULT_MODEL, get_spec

if TYPE_CHECKING:
    from engine.tracker import Tracker

UNKNOWN = "unknown"
_ROOT = Path(__file__).resolve().parents[2]
_DECIDE_MASKS = ("models/*.py", "engine/tracker.py", "engine/propagation/*.py")
_FINGERPRINT_DIGITS = 12
_GIT_TIMEOUT_S = 10


@dataclass(frozen=True)
class Provenance:
    """What made the masks.

    Attributes:
        commit: of the program's own repository, with "+changes" when tracked files differ from it; "unknown" elsewhere.
        code: fingerprint of the sources that decide the masks, whatever the commit.
        recipe: every field of it.
        weights_sha256: of the weights file; "unknown" for a model without one.
        device: with its dtype, such as "cpu (bf16)"; `dtype` alone is that of the embedding.
        short_side: working size in pixels, "auto" when left to the tracker.
        machine: processor, its cores and the system; "unknown" in records of older versions.
    """

    version: str
    commit: str
    code: str
    model: str
    weights_sha256: str
    recipe: str
    device: str
    dtype: str
    short_side: str
    torch: str
    machine: str = UNKNOWN


def provenance_of(tracker: Tracker, config: EngineConfig) -> Provenance:
    """What a tracker made by `config` is.

    Raises:
        ModelError: the weights file cannot be read.
    """
    import torch

    return Provenance(
        version=VERSION,
        commit=commit_of(_ROOT),
        code=code_fingerprint(),
        model=tracker.embedder.name,
        weights_sha256=weights_sha256(config),
        recipe=tracker.recipe.describe(),
        device=tracker.device_text,
        dtype=str(tracker.embedder.dtype).removeprefix("torch."),
        short_side=str(config.working_size or "auto"),
        torch=torch.__version__,
        machine=machine_text(),
    )


def machine_text() -> str:
    """Such as "Intel(R) Xeon(R) CPU @ 2.20GHz, 2 cores, Linux x86_64"."""
    return f"{processor_name()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def weights_sha256(config: EngineConfig) -> str:
    """Of the user's own weights, else of the registry's (loading has verified the file against it).

    Raises:
        ModelError: the user's file cannot be read.
    """
    if config.weights is None:
        return get_spec(config.model or DEFAULT_MODEL).sha256 or UNKNOWN
    try:
        return hashlib.sha256(config.weights.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(
            f"The weights file {config.weights} cannot be read: {error.strerror}.", "Check the path."
        ) from error


def code_fingerprint() -> str:
    """The start of the SHA-256 over the sources of networks, tracker and propagation."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _DECIDE_MASKS for path in _ROOT.glob(pattern)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_ROOT).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]


def commit_of(root: Path) -> str:
    """The commit checked out in `root`; "unknown" when it is no repository's top folder or git is not there."""
    top = _git(root, "rev-parse", "--show-toplevel", "HEAD")
    if top is None:
        return UNKNOWN
    folder, _, commit = top.partition("\n")
    if Path(folder).resolve() != root.resolve():  # the program lies somewhere inside another repository
        return UNKNOWN
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit if changes == "" else f"{commit}+changes"


def _git(root: Path, *arguments: str) -> str | None:
    """Its output, None when it failed."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
