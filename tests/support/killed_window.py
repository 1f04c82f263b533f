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
from engine.runtime.messages import MaskKind, Mode
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
    assert bridge.info is not None
    width, height = bridge.info.width, bridge.info.height

    def shown() -> int:
        assert canvas.item is not None
        return canvas.item.frame.index

    for number in range(1, 1000):
        if bridge.live:
            before = shown()
            bridge.play()
            until(lambda before=before: bridge.mode is Mode.PREVIEW and shown() > before)
        else:
            window.tracking.go_to(number % 20)
            until(lambda number=number: shown() == number % 20)
        place = width * (0.3 + number % 40 / 100)
        start, end = (canvas.from_frame(place, height * share).toPoint() for share in (0.4, 0.6))
        QTest.mousePress(canvas, LEFT, pos=start)
        QTest.mouseMove(canvas, end)
        QTest.mouseRelease(canvas, LEFT, pos=end)
        until(lambda: bridge.mode is Mode.FROZEN and session.project_up_to_date)
        assert session.mask_at(shown())[1] is MaskKind.KEYFRAME
        print(f"done {shown()}", flush=True)
        if number % 3 == 0:
            bridge.track()
            QTest.qWait(30)
            bridge.pause()
            until(lambda: bridge.mode is Mode.FROZEN)
    application.quit()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
