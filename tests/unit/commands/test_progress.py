"""The progress bar on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from engine.commands.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(stream: io.StringIO, frames: int, total: int | None, seconds_per_frame: float = 0.5) -> str:
    clock = Clock()
    with ProgressBar("Tracking", stream, clock) as bar:
        for done in range(1, frames + 1):
            bar.update(done, total)
            clock.now += seconds_per_frame
    return stream.getvalue()


def test_log_gets_a_line_every_ten_percent() -> None:
    lines = run(io.StringIO(), 200, 200).splitlines()
    assert len(lines) == 10
    assert lines[0] == "Tracking 20/200 frames, 2.0 per second, 1:30 left"
    assert lines[-1] == "Tracking 200/200 frames, 2.0 per second"


def test_log_of_a_short_clip_has_no_line_twice() -> None:
    lines = run(io.StringIO(), 3, 3).splitlines()
    assert [line.split(" frames")[0] for line in lines] == ["Tracking 1/3", "Tracking 2/3", "Tracking 3/3"]


def test_log_of_a_clip_of_unknown_length() -> None:
    lines = run(io.StringIO(), 250, None).splitlines()
    assert lines == ["Tracking 100 frames, 2.0 per second", "Tracking 200 frames, 2.0 per second"]


def test_terminal_redraws_one_line_and_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = run(Terminal(), 50, 50)
    assert text.count("\n") == 1
    assert text.endswith("\n")
    last = text.rstrip("\n").rsplit("\r", 1)[1]
    assert "50/50" in last
    assert "#" in last
    assert all(len(line) < 100 for line in text.rstrip("\n").split("\r"))


def test_terminal_is_not_redrawn_for_every_frame() -> None:
    text = run(Terminal(), 1000, 1000, seconds_per_frame=0.001)
    assert text.count("\r") < 20


@pytest.mark.parametrize("columns", ["20", "45"])
def test_narrow_terminal_never_wraps(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = run(Terminal(), 10, 10)
    assert all(len(line) < int(columns) for line in text.rstrip("\n").split("\r"))


def test_nothing_is_written_when_the_work_fails_at_once() -> None:
    stream = Terminal()

    def fail_at_once() -> None:
        with ProgressBar("Tracking", stream):
            raise ValueError("no such file")

    with pytest.raises(ValueError, match="no such file"):
        fail_at_once()
    assert stream.getvalue() == ""
