"""Weights, the cache folder and room on the disk."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from engine.doctor.check import Check, Status, gibibytes

_LITTLE_DISK = 2**30


def bundled_weights(folder: Path | None = None) -> list[Check]:
    """Every bundled file is there and is the one that was committed."""
    from models.registry import BUNDLED_DIR, REGISTRY

    checks = []
    for spec in REGISTRY.values():
        if not spec.bundled or spec.weights is None:
            continue
        path = (folder or BUNDLED_DIR) / spec.weights.filename
        remedy = f"git checkout -- models/weights/{spec.weights.filename}"
        if not path.is_file():
            checks.append(Check(f"weights {spec.name}", Status.FAIL, f"{path} is missing", remedy))
            continue
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        if spec.weights.matches(digest):
            checks.append(Check(f"weights {spec.name}", Status.OK, f"bundled, SHA-256 {digest[:16]} as expected"))
        else:
            checks.append(
                Check(f"weights {spec.name}", Status.FAIL, f"{path} is damaged (SHA-256 {digest[:16]})", remedy)
            )
    return checks


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest parent that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def cache_folder() -> list[Check]:
    from models.cache import cache_dir

    folder = cache_dir()
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        detail = f"{folder} cannot be written ({error.strerror})"
        remedy = "Point LIVEMASK_CACHE at a folder of yours: export LIVEMASK_CACHE=~/livemask-cache"
        return [Check("cache folder", Status.WARN, detail, remedy)]
    return [Check("cache folder", Status.OK, f"{folder} is writable")]


def disk_space() -> list[Check]:
    from models.cache import cache_dir

    place = _existing(cache_dir())
    free = shutil.disk_usage(place).free
    if free < _LITTLE_DISK:
        remedy = f"Free some space on the disk of {place}, or set LIVEMASK_CACHE to a folder on another one."
        return [Check("disk space", Status.WARN, f"{gibibytes(free)} free at {place}", remedy)]
    return [Check("disk space", Status.OK, f"{gibibytes(free)} free at {place}")]
