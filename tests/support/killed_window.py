"""The window with somebody painting in it, to be killed. Run by `tests/e2e/test_kill.py`:

    python -m tests.support.killed_window SOURCE FOLDER

prints "done FRAME" when the stroke on a frame is on the disk, and goes on painting, tracking and painting.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from app.bridge import EngineBridge
from app.settings import Settings
from app.window.main_window import MainWindow
from engine.runtime.config import EngineConfig
from engine.runtime.messages import Mode
from engine.runtime.session import Session
from tests.gui.shell.test_with_session import CopyingTracker

LEFT = Qt.MouseButton.LeftButton


def until(state: Callable[[], object]) -> None:
    while not state():
        QTest.qWait(1)


def main(source: str, folder: Path) -> None:
    application = QApplication(sys.argv[:1])
    session = Session(create_tracker=lambda _config, _progress: CopyingTracker(), autosave_dir=folder / "data")  # type: ignore[arg-type, return-value]
    window = MainWindow(EngineBridge(session), Settings(folder / "settings.ini"), EngineConfig())
    window.show()
    window.bridge.start()
    window.opening.open(source)
    canvas, bridge = window.canvas, window.bridge
    until(lambda: canvas.item is not None and session.ready)
    for number in range(1, 1000):
        if bridge.live:
            bridge.play()
            until(lambda: bridge.mode is Mode.PREVIEW)
            QTest.qWait(20)
        else:
            window.tracking.go_to(number % 20)
            until(lambda number=number: canvas.item.frame.index == number % 20)  # type: ignore[union-attr]
        start, end = (canvas.from_frame(60 + number % 40, y).toPoint() for y in (50, 60))
        QTest.mousePress(canvas, LEFT, pos=start)
        QTest.mouseMove(canvas, end)
        QTest.mouseRelease(canvas, LEFT, pos=end)
        until(lambda: bridge.mode is Mode.FROZEN and session.project_up_to_date)
        print(f"done {canvas.item.frame.index}", flush=True)  # type: ignore[union-attr]
        if number % 3 == 0:
            bridge.track()
            QTest.qWait(30)
            bridge.pause()
            until(lambda: bridge.mode is Mode.FROZEN)
    application.quit()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
