"""The painting benchmark paints, waits for the pixels and counts right. How fast anything is, no test says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QApplication

import main
from app import painting_bench
from app.canvas.canvas import Canvas
from app.painting_bench import Case, measure

SMALL = Case("small", 320, 200, radius=6)


@pytest.mark.parametrize("tool", ["paint", "polygon", "scribble", "pan"])
def test_every_move_is_waited_for_until_it_is_painted(
    qapp: QApplication, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[int] = []
    monkeypatch.setattr(Canvas, "mouseMoveEvent", _counting(Canvas.mouseMoveEvent, moves))
    paints: list[int] = []
    monkeypatch.setattr(Canvas, "paintEvent", _counting(Canvas.paintEvent, paints))
    found = measure(Case("small", 320, 200, radius=6, tool=tool), 20)
    assert found.events == 20
    assert 0 < found.p50 <= found.p95 <= found.most
    assert len(moves) == 20 + painting_bench.WARM_UP
    assert len(paints) > len(moves)


def test_the_stroke_that_is_timed_really_paints(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    painted = []
    close = Canvas.close

    def closing(canvas: Canvas) -> bool:
        painted.append(int((canvas.edit.mask == 3).sum()))
        return close(canvas)

    monkeypatch.setattr(Canvas, "close", closing)
    measure(SMALL, 20)
    assert painted[0] > 20 * 6


def test_the_command_prints_and_writes_every_case(
    qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(painting_bench, "CASES", (SMALL, Case("zoomed", 320, 200, zoom=4.0)))
    figures = tmp_path / "figures.json"
    assert main.main(["bench", "--painting", "--frames", "12", "--json", str(figures)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["small", "zoomed"]
    assert "16 ms" in lines[3]
    assert [row["events"] for row in json.loads(figures.read_text())] == [12, 12]
    assert main.main(["bench", "--painting", "--json", str(tmp_path / "no" / "figures.json")]) == 2


def _counting(method, calls: list[int]):  # type: ignore[no-untyped-def]
    def counted(self, event):  # type: ignore[no-untyped-def]
        calls.append(1)
        return method(self, event)

    return counted
