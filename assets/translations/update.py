"""Collects every text that is shown into livemask_de.ts, and makes livemask_de.qm of it.

Run ``python assets/translations/update.py``, fill in what livemask_de.ts has unfinished, run it again. It needs
`pylupdate6` (comes with PyQt6) and, for the .qm, `lrelease` (Debian: qt6-l10n-tools).
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TS, QM, TEMPLATES = HERE / "livemask_de.ts", HERE / "livemask_de.qm", HERE / "engine_texts.txt"
# What speaks on the command line only stays English, as the command line is.
SILENT = ("engine/commands/", "engine/evaluation/", "engine/training/", "engine/bench/", "engine/doctor/")
CALLS = ("Notice", "say", "_say", "_notify", "GrabError", "EngineProgress", "CatalogModel", "_install")


def _trees() -> dict[str, ast.Module]:
    files = [path for folder in ("engine", "models") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def _error_names(trees: dict[str, ast.Module]) -> set[str]:
    """UserError and everything derived from it."""
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = {"UserError"}
    while True:
        more = {c.name for c in classes if any(getattr(b, "id", getattr(b, "attr", "")) in names for b in c.bases)}
        if more <= names:
            return names
        names |= more


def _templates(node: ast.expr) -> Iterator[str]:
    """Texts an expression can be, its holes numbered from 0 (both sides of an "if", the words of an "or")."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = []
        holes = 0
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
            else:
                parts.append(f"{{{holes}}}")
                holes += 1
        yield "".join(parts)
    elif isinstance(node, ast.IfExp):
        yield from _templates(node.body)
        yield from _templates(node.orelse)


def engine_texts() -> list[str]:
    """Every sentence the engine and the models can show in the window."""
    trees = _trees()
    calls = _error_names(trees) | set(CALLS)
    found: set[str] = set()
    for name, tree in trees.items():
        if name.startswith(SILENT):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (
                getattr(node.func, "id", getattr(node.func, "attr", "")) in calls or _is_super_init(node)
            ):
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in ("_way_out", "way_out"):
                values = [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
            else:
                continue
            found.update(text for value in values for text in _templates(value))
    return sorted(text for text in found if _is_sentence(text))


def _is_super_init(node: ast.Call) -> bool:
    return ast.unparse(node.func) == "super().__init__"


def _is_sentence(text: str) -> bool:
    words = re.sub(r"\{\d+\}", "", text)
    return " " in words.strip() and len(re.findall(r"[A-Za-z]{2,}", words)) >= 2 and "\n" not in text


def table_texts() -> list[str]:
    """Texts of tables that are made before there is a translation: actions, mouse, formats, models."""
    sys.path.insert(0, str(ROOT))
    from app.actions import ACTIONS, MENU_TITLES, MOUSE, TABLE
    from app.window.engine_menu import _BACKEND_NAMES, _DEVICE_NAMES
    from engine.export.formats import FORMATS
    from engine.runtime.catalog import list_models

    found = {text for pair in MOUSE for text in pair}
    found.update(entry.text for entry in TABLE)
    found.update(spec.tip for spec in ACTIONS)
    for names in (_BACKEND_NAMES, _DEVICE_NAMES, MENU_TITLES):
        found.update(names.values())
    for format_ in FORMATS.values():
        found.update((format_.title, format_.summary, format_.family))
        for option in format_.options:
            found.update((option.label, option.help, option.unit))
            found.update(text for _, text in option.choices)
    for model in list_models():
        found.update((model.summary, model.quality, model.availability))
    return sorted(found - {""})


def sources() -> list[str]:
    return [str(path) for path in sorted((ROOT / "app").rglob("*.py"))]


def extract(target: Path) -> None:
    """Bring a .ts up to date with the source; what is gone from the source goes from it, too."""
    TEMPLATES.write_text("".join(f"{line}\n" for line in engine_texts()), encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        marks = Path(scratch) / "tables.py"
        lines = [f'QT_TRANSLATE_NOOP("Engine", {text!r})\n' for text in TEMPLATES.read_text("utf-8").splitlines()]
        lines += [f'QT_TRANSLATE_NOOP("Table", {text!r})\n' for text in table_texts()]
        marks.write_text("".join(lines), encoding="utf-8")
        command = ["-m", "PyQt6.lupdate.pylupdate", "--no-obsolete", "--ts", str(target), *sources(), str(marks)]
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    text = re.sub(r"\n\s*<location [^>]*/>", "", target.read_text(encoding="utf-8"))  # line numbers change too often
    text = text.replace('<TS version="2.1">', '<TS version="2.1" language="de">')
    target.write_text(text, encoding="utf-8")


def lrelease() -> str | None:
    return (
        shutil.which("lrelease", path="/usr/lib/qt6/bin")
        or shutil.which("lrelease")
        or shutil.which("pyside6-lrelease")
    )


def compile_to(target: Path) -> bool:
    """False when there is no lrelease here."""
    tool = lrelease()
    if tool is not None:
        subprocess.run([tool, "-silent", "-nounfinished", str(TS), "-qm", str(target)], check=True)
    return tool is not None


if __name__ == "__main__":
    extract(TS)
    unfinished = TS.read_text(encoding="utf-8").count('type="unfinished"')
    print(f"{unfinished} unfinished" if unfinished else "complete")
    if not compile_to(QM):
        print("no lrelease here: livemask_de.qm is as it was", file=sys.stderr)
