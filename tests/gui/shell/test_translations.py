"""German: the source, the .ts and the .qm agree, and the window shows it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PyQt6.QtWidgets import QApplication

from app.i18n import FOLDER, engine_templates, install_language, resolve_language, told, translate
from app.settings import Settings
from engine.runtime.messages import Notice, Severity

PLACES = re.compile(r"%[1-9n]|\{\w*\}")


MAY_LACK = 0  # new texts that may show in English until the next round of translation


def entries(path: Path) -> dict[tuple[str, str], list[str]]:
    """(context, source) -> its German, several forms for a plural; [] while unfinished."""
    found = {}
    for context in ElementTree.parse(path).getroot().iter("context"):
        for message in context.iter("message"):
            target = message.find("translation")
            assert target is not None
            forms = [form.text or "" for form in target.iter("numerusform")] or [target.text or ""]
            key = (context.findtext("name", ""), message.findtext("source", ""))
            found[key] = [] if target.get("type") == "unfinished" else forms
    return found


@pytest.fixture(scope="module")
def update() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_translations", FOLDER / "update.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def german(qapp: QApplication) -> Iterator[None]:
    undo = install_language(qapp, "de")
    yield
    undo()


def test_every_text_of_the_source_is_in_german(
    update: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = tmp_path / "fresh.ts"
    shutil.copy(update.TS, fresh)
    monkeypatch.setattr(update, "TEMPLATES", tmp_path / "texts.txt")
    update.extract(fresh)
    lacking = [text for (_, text), forms in entries(fresh).items() if not forms]
    assert len(lacking) <= MAY_LACK, f"run assets/translations/update.py and translate {lacking}"


def test_every_entry_is_finished_and_keeps_its_places() -> None:
    for (_, text), forms in entries(FOLDER / "livemask_de.ts").items():
        assert forms, text
        for form in forms:
            assert form.strip(), text
            assert sorted(PLACES.findall(form)) == sorted(PLACES.findall(text)), text
            assert form.startswith(" ") == text.startswith(" "), text
            assert form.endswith("…") == text.endswith("…"), text


def test_plurals_have_both_german_forms(german: None) -> None:
    assert translate("OutputController", "%n frames exported.", "", 1) == "1 Bild exportiert."
    assert translate("OutputController", "%n frames exported.", "", 3) == "3 Bilder exportiert."
    for (_, text), forms in entries(FOLDER / "livemask_de.ts").items():
        assert len(forms) == (2 if "%n" in text else 1), text


def test_the_compiled_file_says_what_the_readable_one_says(german: None, update: ModuleType, tmp_path: Path) -> None:
    for (context, text), forms in entries(update.TS).items():
        if "%n" in text:
            forms = [form.replace("%n", "1") for form in forms]
        assert translate(context, text, "", 1 if "%n" in text else -1) in forms, text
    again = tmp_path / "again.qm"
    if update.compile_to(again):
        assert again.read_bytes() == update.QM.read_bytes()


def test_sentences_of_the_engine_are_told_in_german(german: None) -> None:
    assert told("There is no folder /a/b.") == "Es gibt keinen Ordner /a/b."
    inner = "Camera 2 was lost: it was unplugged or taken by another program."
    assert told(inner) == "Camera 2 ging verloren: sie wurde abgezogen oder von einem anderen Programm übernommen."
    assert told("Nobody has ever said this.") == "Nobody has ever said this."
    assert told("") == ""


def test_english_stays_as_it_is() -> None:
    for text in engine_templates():
        assert told(text) == text


def test_the_window_speaks_german(german: None, make_shell: Any) -> None:
    window = make_shell().window
    titles = [action.text() for action in window.menuBar().actions()]
    assert titles[:2] == ["&Datei", "&Bearbeiten"]
    assert window.actions_table["open_video"].text() == "&Video öffnen…"
    window.show_notice(Notice(Severity.ERROR, "There is no folder /a.", "Check the path."))
    assert window.notices.items[0].accessibleName() == "Fehler: Es gibt keinen Ordner /a."


def test_the_language_is_remembered_and_said_to_need_a_restart(make_shell: Any, tmp_path: Path) -> None:
    path = tmp_path / "kept.ini"
    shell = make_shell(settings=path)
    shell.trigger("language_de")
    assert [item.notice.severity for item in shell.window.notices.items] == [Severity.INFO]
    assert "next time" in shell.window.notices.items[0].notice.message
    shell.window.close_at_once()
    assert Settings(path).language == "de"
    assert make_shell(settings=path).window.actions_table["language_de"].isChecked()


@pytest.mark.parametrize(("choice", "language"), [("de", "de"), ("en", "en")])
def test_a_chosen_language_wins_over_the_system(choice: str, language: str) -> None:
    assert resolve_language(choice) == language
