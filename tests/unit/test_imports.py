"""Who may import whom, and what may be loaded before the window opens."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = {"torch", "torchvision", "onnxruntime"}


def run_python(repo_root: Path, code: str, *arguments: str) -> str:
    """Standard output of `code` in a fresh interpreter; its failure fails the test with what it said."""
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=repo_root,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


# Imports every module below the packages named in argv, with the roots of argv[1] forbidden; prints what got loaded.
IMPORT_ALL = """
import importlib, importlib.abc, json, pkgutil, sys
forbidden = set(sys.argv[1].split(","))
class Forbid(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in forbidden:
            raise ImportError(f"{name} is forbidden here")
sys.meta_path.insert(0, Forbid())
def broken(name):
    raise sys.exc_info()[1]
for package in sys.argv[2:]:
    module = importlib.import_module(package)
    if hasattr(module, "__path__"):
        for info in pkgutil.walk_packages(module.__path__, package + ".", onerror=broken):
            importlib.import_module(info.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def import_all(repo_root: Path, forbidden: str, *packages: str) -> set[str]:
    return set(json.loads(run_python(repo_root, IMPORT_ALL, forbidden, *packages)))


def test_import_contracts_hold(
    repo_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The contracts of pyproject.toml: main -> app -> engine -> models, PyQt6 only in app, no torch in app."""
    from importlinter.cli import lint_imports

    monkeypatch.chdir(repo_root)
    monkeypatch.syspath_prepend(str(repo_root))
    code = lint_imports(no_cache=True)
    assert code == 0, capsys.readouterr().out


def test_the_contract_check_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that breaks a contract is caught: otherwise the test above would prove nothing."""
    from importlinter.cli import lint_imports

    package = tmp_path / "lm_contract_probe"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "low.py").write_text("import lm_contract_probe.high\n")
    (package / "high.py").touch()
    config = tmp_path / "config.toml"
    config.write_text(
        '[tool.importlinter]\nroot_package = "lm_contract_probe"\n[[tool.importlinter.contracts]]\nname = "layers"\n'
        'type = "layers"\nlayers = ["lm_contract_probe.high", "lm_contract_probe.low"]\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lint_imports(config_filename=str(config), no_cache=True) != 0


def test_engine_and_models_import_without_pyqt6(repo_root: Path) -> None:
    loaded = import_all(repo_root, "PyQt6", "engine", "models")
    assert "torch" in loaded  # the walk did reach the slow modules


def test_app_imports_without_torch(repo_root: Path) -> None:
    """The window opens before torch is loaded, so no app module may need it, not even indirectly."""
    loaded = import_all(repo_root, ",".join(sorted(SLOW)), "app")
    assert "PyQt6" in loaded


def test_modules_of_the_quick_start_load_no_torch(repo_root: Path) -> None:
    quick = ("engine.types", "engine.errors", "engine.video", "engine.runtime.messages", "engine.runtime.config")
    loaded = import_all(repo_root, "PyQt6", *quick, "engine.runtime.session", "engine.commands", "models.registry")
    assert not loaded & SLOW


def test_window_module_loads_no_torch(repo_root: Path) -> None:
    loaded = import_all(repo_root, "nothing", "app.application")
    assert not loaded & SLOW


def test_help_loads_nothing_slow(repo_root: Path) -> None:
    """Argument parsing comes before every slow import."""
    for arguments in (["--help"], ["track", "--help"], ["doctor", "--help"], ["models", "--help"]):
        answer = subprocess.run(
            [sys.executable, "-X", "importtime", "main.py", *arguments],
            cwd=repo_root,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in answer.stderr.splitlines()}
        assert "argparse" in loaded
        assert not loaded & (SLOW | {"PyQt6", "cv2", "numpy", "av"}), arguments


def test_onnxruntime_is_imported_where_it_is_wrapped_only(repo_root: Path) -> None:
    users = []
    for path in (*repo_root.glob("models/**/*.py"), *repo_root.glob("engine/**/*.py"), *repo_root.glob("app/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == "onnxruntime" for name in names):
                users.append(path.relative_to(repo_root).as_posix())
    assert set(users) == {"models/onnx_backend.py", "models/onnx_quantise.py"}
