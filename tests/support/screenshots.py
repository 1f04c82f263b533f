"""Pictures of every panel, dialog and state, to look at: ``python tests/support/screenshots.py FOLDER``.

Each language, theme and scale runs in a process of its own, offscreen, with the session of the tests. Beside the
pictures it writes one sheet of small ones for each of these runs, and says which texts are wider than their places.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
LANGUAGES, THEMES, SCALES = ("en", "de"), ("dark", "light"), (100, 200)
CELL = (480, 300)


def _shots(window: Any, session: Any, pump: Any) -> Iterator[tuple[str, Any]]:
    """(name, widget) of every state, in an order in which one leads to the next."""
    import numpy as np

    from app.dialogs.explain_dialog import ExplainDialog
    from app.dialogs.export_dialog import ExportDialog, ExportStart
    from app.dialogs.key_editor import KeyEditor
    from app.dialogs.recovery_dialog import RecoveryDialog
    from app.dialogs.screen_dialog import ScreenDialog
    from app.dialogs.shortcut_sheet import ShortcutSheet
    from app.dialogs.stream_dialog import StreamDialog
    from app.dialogs.text_dialogs import AboutDialog, DiagnosticsDialog
    from engine.object_state import ObjectState
    from engine.project.recovery import Leftover
    from engine.runtime.messages import Explained, LiveQuality, Notice, Severity, ShownVoter, StatsSnapshot

    def do(action: str) -> None:
        window.actions_table[action].trigger()
        pump()

    yield "welcome", window
    do("tour")
    yield "tour_1", window
    window.tour.show_step(2)
    yield "tour_3", window
    window.tour.end()
    window.opening.open("/videos/clip.mp4")
    pump()
    yield "opened", window
    for name in window.canvas.tool_names:
        do(f"tool_{name}")
        yield f"tool_{name}", window
    do("tool_paint")
    window.objects.add()
    window.objects.add()
    frame = window.canvas.item.frame
    mask = np.zeros(frame.rgb.shape[:2], np.uint8)
    mask[10:40, 15:45], mask[20:55, 55:85] = 1, 2
    session.set_mask(frame, mask, (1, 2))
    pump()
    session.stats_now = StatsSnapshot(
        source_fps=25.0, tracked_fps=18.4, age_p50_s=0.05, age_p95_s=0.09, dropped=1234, device="cpu (bf16)",
        model="resnet50-half", working_size=(864, 480), bank_bytes=48_000_000, rss_bytes=1_300_000_000,
        live_quality=LiveQuality(24.0, True, False, 4),
    ) if _has(LiveQuality) else StatsSnapshot(source_fps=25.0, tracked_fps=18.4)  # fmt: skip
    session.states_now = {3: {1: ObjectState.UNSURE}, 5: {1: ObjectState.LOST, 2: ObjectState.FOUND_AGAIN}}
    do("toggle_track")
    for _ in range(8):
        session.advance()
        pump()
    yield "tracking", window
    do("toggle_track")
    yield "paused_with_doubts", window
    do("solo")
    yield "solo", window
    do("solo")
    for look in ("style_outline", "style_pattern", "view_matte", "view_checker", "view_blur"):
        do(look)
        yield look, window
    do("view_overlay")
    do("style_fill")
    for severity, text, way in (
        (Severity.INFO, "Only live sources can be recorded.", "Open a video or a camera first."),
        (Severity.WARNING, "No object is painted yet.", "Paint an object first."),
        (Severity.ERROR, "There is no folder /data/videos.", "Check the path."),
    ):
        window.show_notice(Notice(severity, text, way))
    pump()
    yield "notices", window
    for item in window.notices.items:
        item.closed.emit()
    for menu in window.menuBar().actions():
        menu.menu().popup(window.mapToGlobal(window.rect().topLeft()))
        pump()
        yield f"menu_{menu.menu().objectName()}", menu.menu()
        menu.menu().close()
    colors = np.full((64, 96, 3), 90, np.uint8)
    explain = ExplainDialog(window)
    explain.show_answer(
        Explained(
            4, 10, 12, 1, 0.93, (ShownVoter(3, False, 0.75, 0.9, colors), ShownVoter(0, True, 0.25, 1.0, colors))
        ),
        "Object 1",
    )
    leftover = Leftover(Path("/data/work.livemask"), "clip.mp4", time.time(), 3, 40, False)
    start = ExportStart()
    for name, dialog in (
        ("export", ExportDialog(window.bridge, window.bridge.info, window.settings, start, window)),
        ("keys_editor", KeyEditor(window.actions_table, window)),
        ("keys_sheet", ShortcutSheet(window.actions_table, window.themes.theme, window)),
        ("stream", StreamDialog(window)),
        ("screen", ScreenDialog(window, look=lambda _: np.full((1080, 1920, 3), 120, np.uint8), count=lambda: 2)),
        ("about", AboutDialog(window)),
        ("diagnostics", DiagnosticsDialog([], window)),
        ("recovery", RecoveryDialog((leftover, replace(leftover, named=True)), window)),
        ("explain", explain),
    ):
        dialog.show()
        pump()
        if name == "export":
            for key in ("overlay", "cvat", "davis2017"):
                dialog.formats.choose(key)
                pump()
                yield f"export_{key}", dialog
        else:
            yield name, dialog
        dialog.done(0)
    session.open("camera:0")  # not through the window, which would ask about unsaved work
    pump()
    yield "live", window
    session.freeze()
    pump()
    yield "frozen", window


def _has(kind: Any) -> bool:
    return set(getattr(kind, "__dataclass_fields__", {})) == {"target_fps", "full", "holds", "references"}


def _clipped(root: Any) -> list[str]:
    """Texts that are wider than the widget they stand in."""
    from PyQt6.QtWidgets import QAbstractButton, QLabel

    found = []
    for widget in [*root.findChildren(QLabel), *root.findChildren(QAbstractButton)]:
        text = widget.text()
        plain = isinstance(widget, QAbstractButton) or not widget.wordWrap()
        if text and plain and "<" not in text and widget.isVisible() and type(widget).__name__ != "ElidedLabel":
            wide = max(widget.fontMetrics().horizontalAdvance(line.replace("&", "")) for line in text.split("\n"))
            if wide > widget.width() + 1 and not getattr(widget, "toolButtonStyle", lambda: None)() is not None:
                found.append(f"{type(widget).__name__}: {text!r} needs {wide}, has {widget.width()}")
    return found


def take(language: str, theme: str, scale: int, folder: Path) -> None:
    """All pictures of one run, and their sheet."""
    from PIL import Image
    from PyQt6.QtTest import QTest
    from PyQt6.QtWidgets import QApplication

    from app.bridge import EngineBridge
    from app.i18n import install_language
    from app.settings import Settings
    from app.window.main_window import MainWindow
    from engine.runtime.config import EngineConfig
    from tests.gui.shell.conftest import FakeSession

    application = QApplication(["livemask"])
    install_language(application, language)
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings(Path(scratch) / "settings.ini")
        settings.theme, settings.language = theme, language
        session = FakeSession(50)
        window = MainWindow(EngineBridge(cast(Any, session)), settings, EngineConfig())
        window.resize(1180, 740)
        window.show()
        window.bridge.start()

        def pump() -> None:
            for _ in range(4):
                window.bridge.poll()
                QTest.qWait(15)  # some things are drawn a moment later

        pump()
        small = []
        for name, widget in _shots(window, session, pump):
            pump()
            file = folder / f"{language}-{theme}-{scale}-{name}.png"
            widget.grab().save(str(file))
            for line in _clipped(widget):
                print(f"{file.stem}: {line}", flush=True)
            picture = Image.open(file).convert("RGB")
            picture.thumbnail(CELL)
            small.append(picture)
        columns = 4
        sheet = Image.new("RGB", (columns * CELL[0], -(-len(small) // columns) * CELL[1]), "#444444")
        for number, picture in enumerate(small):
            sheet.paste(picture, (number % columns * CELL[0], number // columns * CELL[1]))
        sheet.save(folder / f"sheet-{language}-{theme}-{scale}.png")
        window.close_at_once()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("LANGUAGE", "THEME", "SCALE"), help="only this run")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.one:
        language, theme, scale = options.one
        take(language, theme, int(scale), options.folder)
        return 0
    failed = 0
    for language, theme, scale in product(LANGUAGES, THEMES, SCALES):
        environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": str(scale / 100)}
        command = [sys.executable, __file__, str(options.folder), "--one", language, theme, str(scale)]
        failed |= subprocess.run(command, env=environment, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
