"""Versions of the Python packages against requirements.txt."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from engine.doctor.check import Check, Status, pip_command, pip_install

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"

_LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)\s*>=\s*(?P<version>[0-9.]+)\s*(?P<marker>;.*)?$")
_OPENCV_FLAVOURS = (
    "opencv-python",
    "opencv-contrib-python",
    "opencv-python-headless",
    "opencv-contrib-python-headless",
)


def required_versions(text: str) -> list[tuple[tuple[str, ...], str]]:
    """(distribution names, minimum version) per requirement; names of which one is enough stand together.

    Lines with a marker are the builds of one package for different systems (onnxruntime): any of them will do.
    """
    plain: list[tuple[tuple[str, ...], str]] = []
    builds: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line.strip())
        if match and match["marker"]:
            builds[match["name"]] = match["version"]
        elif match:
            plain.append(((match["name"],), match["version"]))
    if builds:
        plain.append((tuple(builds), next(iter(builds.values()))))
    return plain


def _numbers(version: str) -> tuple[int, ...]:
    """Leading release numbers: "2.14.0+cpu" -> (2, 14, 0)."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in release.group().split(".")) if release else ()


def _installed(names: tuple[str, ...]) -> tuple[str, str] | None:
    for name in names:
        try:
            return name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def versions(requirements: Path = REQUIREMENTS) -> list[Check]:
    """One check for all that is well, one for each package that is missing or too old."""
    present: list[str] = []
    checks: list[Check] = []
    remedy = pip_install("-r", str(requirements))
    for names, minimum in required_versions(requirements.read_text(encoding="utf-8")):
        found = _installed(names)
        if found is None:
            checks.append(Check(f"package {names[0]}", Status.FAIL, "not installed", remedy))
        elif _numbers(found[1]) < _numbers(minimum):
            detail = f"{found[1]} is older than {minimum}"
            checks.append(
                Check(f"package {names[0]}", Status.FAIL, detail, pip_install("--upgrade", f"{found[0]}>={minimum}"))
            )
        else:
            present.append(" ".join(found))
    return [Check("packages", Status.OK, ", ".join(present)), *checks]


def opencv_flavours() -> list[Check]:
    """Two OpenCV distributions overwrite each other's files."""
    present = [name for name in _OPENCV_FLAVOURS if _installed((name,))]
    if len(present) < 2:
        return []
    remedy = f"{pip_command('uninstall', '-y', *present)} && {pip_install('opencv-python')}"
    return [Check("OpenCV", Status.WARN, f"installed more than once: {', '.join(present)}", remedy)]
