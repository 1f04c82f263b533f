"""What the README and the other documents promise."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest

import main
from engine.export.formats import FORMATS
from engine.types import SegmentationResult
from tests.support.clips import Clip

# Distribution names where they differ from the name that is imported.
DISTRIBUTIONS = {"cv2": "opencv-python", "PIL": "pillow", "PyQt6": "pyqt6"}
OWN = {"app", "engine", "models", "main"}


@pytest.fixture(scope="module")
def readme(repo_root: Path) -> str:
    return (repo_root / "README.md").read_text(encoding="utf-8")


def test_command_lines_are_understood(readme: str) -> None:
    lines = re.findall(r"^    python main\.py (.*?)(?:  .*)?$", readme, re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        arguments = shlex.split(line)
        name = main.command_name(arguments)
        if name is None:
            main.build_window_parser().parse_args(arguments)
        else:
            main.build_command_parser(name).parse_args(arguments[1:])


def test_python_example_runs(readme: str, disc_clip: Clip) -> None:
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert code is not None
    text = code[1].replace('"assets/demo.mp4"', repr(str(disc_clip.path)))
    text = text.replace('"assets/demo_mask.png"', repr(str(disc_clip.mask_path)))
    assert "assets/" not in text
    names: dict[str, object] = {}
    exec(compile(text, "README.md", "exec"), names)  # our own file
    result = names["result"]
    assert isinstance(result, SegmentationResult)
    assert result.frame.index == len(disc_clip.masks) - 1
    names["source"].close()  # type: ignore[attr-defined]


def test_every_export_format_is_described(repo_root: Path) -> None:
    text = (repo_root / "docs" / "exports.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(.+?)` \|", text, re.MULTILINE) == list(FORMATS)
    assert "[Seventeen export formats]" in (repo_root / "README.md").read_text(encoding="utf-8")
    assert len(FORMATS) == 17


def test_files_the_documents_point_to_exist(repo_root: Path) -> None:
    for document in (repo_root / "README.md", *(repo_root / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} points to {target}"


def test_every_failure_has_a_row_without_gaps_and_a_test_that_exists(repo_root: Path) -> None:
    text = (repo_root / "docs" / "failures.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0] not in ("Fault", "---")]
    assert len(rows) > 40
    for row in rows:
        assert len(row) == 4, row
        assert all(cell.strip() for cell in row), row
        file, _, name = row[3].strip().partition("::")
        tests = (repo_root / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {re.escape(name)}\(", tests, re.MULTILINE), row[3]


def test_every_imported_package_is_required(repo_root: Path) -> None:
    """A package that only comes along with another one may go with its next release."""
    text = "".join(path.read_text() for path in repo_root.glob("requirements*.txt"))
    required = {re.split(r"[>=;\s]", line)[0].lower() for line in text.splitlines() if line and line[0] not in "#-"}
    required |= {"onnxruntime"} & {name.removesuffix("-gpu") for name in required}
    for package in ("app", "engine", "models"):
        for path in (repo_root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
                for root in {name.partition(".")[0] for name in names} - OWN - set(sys.stdlib_module_names):
                    assert DISTRIBUTIONS.get(root, root).lower() in required, f"{path.name} imports {root}"
