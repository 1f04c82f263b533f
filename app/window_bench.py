"""``main.py bench --window``: how late the event loop is while the engine tracks at full load, without a screen.

A click, a key or a brush stroke waits as long as the loop is late, so this is what a user feels as stuttering.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PyQt6 import sip
from PyQt6.QtCore import QEventLoop, Qt, QTimer
from PyQt6.QtWidgets import QApplication

from app.bridge import EngineBridge
from app.qt_environment import start_without_screen
from app.settings import Settings
from app.window.main_window import MainWindow
from engine.commands.arguments import check_folder, engine_config
from engine.errors import UserError
from engine.runtime.config import EngineConfig
from engine.runtime.live_run import first_mask
from engine.runtime.messages import Mode
from engine.runtime.session import Session
from engine.runtime.threads import prepare_computing

EXIT_DONE = 0
DEMO = Path(__file__).resolve().parents[1] / "assets" / "demo.mp4"
BUDGET_MS = 50.0
TICK_MS = 2
READY_S = 120.0
FRAMES = 300


@dataclass(frozen=True)
class Lateness:
    """Milliseconds the event loop was late, over all its turns while `frames` frames were tracked in `seconds`."""

    frames: int
    seconds: float
    p50: float
    p95: float
    p99: float
    most: float

    def __str__(self) -> str:
        within = "within" if self.p99 <= BUDGET_MS else "beyond"
        return (
            f"The window while {self.frames} frames are tracked at {self.frames / self.seconds:.1f} per second:\n"
            f"event loop late by {self.p50:.1f} ms (p50), {self.p95:.1f} (p95), {self.p99:.1f} (p99), "
            f"{self.most:.1f} at most\n{within} {BUDGET_MS:.0f} ms for 99 of 100 turns"
        )


class _Clock:
    """Notes how much later than asked each tick of a timer comes."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        self.late_ms.clear()
        self._last = time.perf_counter()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late_ms.append(max(0.0, (now - self._last) * 1000 - TICK_MS))
        self._last = now


def measure(session: Session, source: str, config: EngineConfig, frames: int, mask: Path | None = None) -> Lateness:
    """Track a file in a real window, again and again until `frames` frames are done. Needs a QApplication.

    Args:
        session: not yet started; shut down at the end.

    Raises:
        UserError: the source or the model is no good, or nothing gets done.
    """
    folder = tempfile.TemporaryDirectory(prefix="livemask-bench-")
    window = MainWindow(EngineBridge(session), Settings(Path(folder.name) / "settings.ini"), config)
    try:
        window.resize(1280, 800)
        window.show()
        bridge = window.bridge
        bridge.start()
        bridge.open(source)
        _until(lambda: window.canvas.item is not None and session.ready, window)
        item = window.canvas.item
        assert item is not None
        seed = first_mask(mask, item.frame.width, item.frame.height)
        bridge.set_mask(item.frame, seed, [int(i) for i in np.unique(seed) if i])
        bridge.track()
        _until(lambda: session.stats().processed > 10, window)  # kernels are chosen, memory is allocated
        clock = _Clock()
        before = session.stats().processed
        clock.start()
        started = time.perf_counter()
        while (done := session.stats().processed - before) < frames or not clock.late_ms:
            if bridge.mode is Mode.FROZEN:
                bridge.seek(0)
                _until(lambda: window.canvas.item is not None and window.canvas.item.frame.index == 0, window)
                bridge.track()
                _until(lambda: session.stats().processed > before + done, window)
            _turn()
        clock.stop()
        p50, p95, p99 = np.percentile(clock.late_ms, (50, 95, 99))
        seconds = time.perf_counter() - started
        return Lateness(done, seconds, float(p50), float(p95), float(p99), max(clock.late_ms))
    finally:
        window.close_at_once()
        sip.delete(window)
        folder.cleanup()


def _turn() -> None:
    """One turn of the event loop; the window's own timers end it."""
    QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def _until(state: Callable[[], bool], window: MainWindow) -> None:
    deadline = time.monotonic() + READY_S
    while not state():
        _turn()
        failed = [notice.text for notice in window.notices.items]
        if time.monotonic() > deadline:
            raise UserError(" ".join(failed) or "The window did not get on.", "Try it with another file.")


def run(options: argparse.Namespace) -> int:
    """Measure and print; `options` as ``bench`` parses them.

    Raises:
        UserError: Qt cannot start, bad input, or the file for the figures cannot be written.
    """
    check_folder(options.json)
    start_without_screen()
    prepare_computing()
    application = QApplication.instance() or QApplication(["livemask"])
    config = engine_config(options)
    found = measure(Session(config), options.source or str(DEMO), config, options.frames or FRAMES, options.mask)
    print(found)
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(found), indent=1) + "\n")
    del application
    return EXIT_DONE
