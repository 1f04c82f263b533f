"""The Python API: `from engine import Tracker`, quick until it is used, and documented."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import engine


def in_python(repo_root: Path, code: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_importing_the_engine_loads_nothing(repo_root: Path) -> None:
    code = "import engine, json, sys; print(json.dumps([n for n in sys.modules if n.split('.')[0] in %r]))"
    assert json.loads(in_python(repo_root, code % (["torch", "numpy", "cv2", "av", "PIL"],))) == []


@pytest.mark.parametrize("name", engine.__all__)
def test_every_name_is_the_one_of_its_home(name: str) -> None:
    value = getattr(engine, name)
    assert value is getattr(importlib.import_module(value.__module__), name)
    assert name in dir(engine)


@pytest.mark.parametrize("name", engine.__all__)
def test_every_public_call_says_its_types(name: str) -> None:
    value = getattr(engine, name)
    calls = [value] if inspect.isfunction(value) else []
    if inspect.isclass(value) and not issubclass(value, BaseException):
        found = {part: inspect.getattr_static(value, part) for part in vars(value)}
        calls = [getattr(one, "__func__", getattr(one, "fget", one)) for one in found.values()]
        calls = [one for one in calls if inspect.isfunction(one)]
    for call in calls:
        if call.__name__.startswith("_") and call.__name__ != "__init__":
            continue
        parameters = list(inspect.signature(call).parameters.values())
        untold = [p.name for p in parameters if p.annotation is p.empty and p.name not in ("self", "cls")]
        assert not untold, f"{call.__qualname__}: {untold}"
        assert "return" in call.__annotations__, call.__qualname__


def test_other_names_are_unknown() -> None:
    with pytest.raises(AttributeError, match="Trakcer"):
        engine.Trakcer  # noqa: B018


def test_threads_are_told_to_sleep_before_torch_is_loaded(repo_root: Path) -> None:
    code = """
import os, sys, types
for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
    os.environ.pop(name, None)
class Home(types.ModuleType):
    def __getattr__(self, name):
        return os.environ.get("OMP_WAIT_POLICY") == "PASSIVE" or "GOMP_SPINCOUNT" in os.environ
sys.modules["engine.tracker"] = Home("engine.tracker")
import engine
print(engine.Tracker)
"""
    assert in_python(repo_root, code).strip() == "True"


def test_the_api_reference_is_made_without_a_warning(repo_root: Path, tmp_path: Path) -> None:
    """What `make docs` runs, for the page of the package itself."""
    recipe = re.search(
        r"^docs: .*\n\t\$\(VENV_PYTHON\) -c (\".*\")$", (repo_root / "Makefile").read_text(), re.MULTILINE
    )
    assert recipe is not None
    code = (
        shlex.split(recipe[1])[0]
        .replace("docs/api", tmp_path.as_posix())
        .replace("'engine', 'models'", "'engine', '!engine.'")
    )
    in_python(repo_root, code)
    page = (tmp_path / "engine.html").read_text()
    for name in engine.__all__:
        assert f'id="{name}"' in page, name
    assert "Carries masks from frame to frame" in page
