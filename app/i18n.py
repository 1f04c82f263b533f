"""The one door to Qt's translation: `translate("Context", "Text with {name}").format(name=...)`.

Literal arguments only, for `pylupdate6` reads them from the source. The context is the panel or dialog of the text.
Texts that are made elsewhere go through `told` when they are shown: those of the table of actions, and what the engine,
which has no Qt, says. Its sentences are matched against the templates that ``assets/translations/update.py`` collects
from its source (docs/decisions: "Translate the engine's sentences where they are shown").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from PyQt6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

LANGUAGES = ("system", "en", "de")
FOLDER = Path(__file__).resolve().parents[1] / "assets" / "translations"
_HOLE = re.compile(r"\{\d+\}")
_MAX_DEPTH = 3  # a sentence may stand inside another one

translate = QCoreApplication.translate
_speaks: list[QTranslator] = []  # those installed; none for English


def resolve_language(choice: str) -> str:
    """ "de" or "en" for a choice of LANGUAGES; "system" follows the languages the user prefers."""
    if choice != "system":
        return choice
    for name in QLocale.system().uiLanguages():
        if name.split("-")[0] in LANGUAGES:
            return name.split("-")[0]
    return "en"


def install_language(application: QCoreApplication, choice: str) -> Callable[[], None]:
    """Speak the chosen language from now on: LiveMask's texts, Qt's own dialogs, numbers and dates.

    Returns:
        What undoes it. English needs no file and leaves everything as it is.
    """
    language = resolve_language(choice)
    former = QLocale()
    loaded: list[QTranslator] = []
    if language != "en":
        QLocale.setDefault(QLocale(language))
        qt = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
        for name, folder in ((f"qtbase_{language}", qt), (f"livemask_{language}", str(FOLDER))):
            translator = QTranslator(application)
            if translator.load(name, folder):
                application.installTranslator(translator)
                loaded.append(translator)
                _speaks.append(translator)

    def undo() -> None:
        for translator in loaded:
            application.removeTranslator(translator)
            _speaks.remove(translator)
        QLocale.setDefault(former)

    return undo


def told(text: str) -> str:
    """A text of a table or of the engine in the user's language; unchanged where there is no translation."""
    return _told(text, 0) if text and _speaks else text


def _told(text: str, depth: int) -> str:
    for context in ("Table", "Engine"):
        shown = translate(context, text)
        if shown != text:
            return shown
    for template, pattern in _patterns():
        match = pattern.fullmatch(text)
        if match is None:
            continue
        shown = translate("Engine", template)
        if shown == template:
            return text
        parts = [_told(part, depth + 1) if depth < _MAX_DEPTH else part for part in match.groups()]
        return re.sub(r"\{(\d+)\}", lambda hole, parts=parts: parts[int(hole[1])], shown)  # type: ignore[misc]
    return text


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """(template, what it matches), those that say most first."""
    templates = [line for line in engine_templates() if _HOLE.search(line)]
    templates.sort(key=lambda line: (-len(_HOLE.sub("", line)), line))
    return tuple((line, re.compile("(.+?)".join(map(re.escape, _HOLE.split(line))), re.DOTALL)) for line in templates)


def engine_templates() -> list[str]:
    """The sentences of the engine with numbered holes, as `update.py` has collected them."""
    try:
        return (FOLDER / "engine_texts.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
