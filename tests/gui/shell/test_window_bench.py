"""The benchmark of the window tracks, starts again when a clip ends, and sees a loop that stands still."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtWidgets import QApplication

import main
from app import window_bench
from app.canvas.canvas import Canvas
from engine.runtime.config import EngineConfig
from engine.runtime.session import Session
from tests.gui.shell.test_with_session import CopyingTracker


@pytest.fixture
def make_session() -> Callable[..., Session]:
    return lambda config: Session(config, create_tracker=lambda *_: CopyingTracker())  # type: ignore[arg-type, return-value]


def test_a_clip_is_tracked_until_enough_frames_are_done(
    qapp: QApplication, disc_clip: Any, make_session: Callable[..., Session]
) -> None:
    config = EngineConfig()
    frames = 2 * len(disc_clip.masks)
    found = window_bench.measure(make_session(config), str(disc_clip.path), config, frames, disc_clip.mask_path)
    assert found.frames >= frames
    assert 0 <= found.p50 <= found.p95 <= found.p99 <= found.most


def test_a_loop_that_stands_still_is_seen(
    qapp: QApplication, disc_clip: Any, make_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    show = Canvas.set_item

    def slow(self: Canvas, item: Any) -> None:
        time.sleep(0.08)
        show(self, item)

    monkeypatch.setattr(Canvas, "set_item", slow)
    config = EngineConfig()
    found = window_bench.measure(make_session(config), str(disc_clip.path), config, 10)
    assert found.most > 70


def test_the_command_prints_and_writes_the_figures(
    qapp: QApplication,
    disc_clip: Any,
    make_session: Callable[..., Session],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(window_bench, "Session", make_session)
    figures = tmp_path / "figures.json"
    command = ["bench", str(disc_clip.path), "--window", "--frames", "10", "--json", str(figures)]
    assert main.main(command) == 0
    assert "event loop late by" in capsys.readouterr().out
    assert json.loads(figures.read_text())["frames"] >= 10
