"""The command line's dispatch, exit codes and messages."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import main
from engine.errors import SourceError


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """Stands in for the app; collects the options each start was given."""
    started: list[argparse.Namespace] = []
    application = ModuleType("app.application")
    application.run = lambda options: started.append(options) or 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "app.application", application)
    return started


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A subcommand "probe" whose `run` the test sets."""
    module = ModuleType("lm_probe_command")
    module.add_arguments = lambda parser: parser.add_argument("--word", default="none")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lm_probe_command", module)
    monkeypatch.setitem(main.COMMANDS, "probe", main.Command("lm_probe_command", "say a word"))
    return module


def test_without_arguments_the_empty_window_opens(window: list[argparse.Namespace]) -> None:
    assert main.main([]) == 0
    assert window[0].source is None


@pytest.mark.parametrize("given", ["clip.mp4", "rtsp://camera.example/stream", "./track", "/data/models"])
def test_a_source_opens_in_the_window(window: list[argparse.Namespace], given: str) -> None:
    assert main.main([given]) == 0
    assert window[0].source == given


def test_demo_opens_the_bundled_clip(window: list[argparse.Namespace]) -> None:
    main.main(["--demo"])
    assert Path(window[0].source).is_file()


def test_camera_number_becomes_a_camera_source(window: list[argparse.Namespace]) -> None:
    main.main(["--camera", "3", "--size", "320", "--device", "cpu"])
    assert window[0].source == "camera:3"
    assert (window[0].size, window[0].device) == (320, "cpu")


@pytest.mark.parametrize(
    "arguments",
    [["--camera", "-1"], ["--camera", "front"], ["--size", "333"], ["--demo", "clip.mp4"], ["--camera", "0", "a.mp4"]],
)
def test_bad_usage_exits_with_2_and_opens_nothing(
    window: list[argparse.Namespace], arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main.main(arguments)
    assert leaving.value.code == 2
    assert "error:" in capsys.readouterr().err
    assert not window


def test_command_gets_its_own_arguments(command: ModuleType, window: list[argparse.Namespace]) -> None:
    seen: list[str] = []
    command.run = lambda options: seen.append(options.word) or 7  # type: ignore[attr-defined]
    assert main.main(["--debug", "probe", "--word", "probe"]) == 7
    assert seen == ["probe"]
    assert not window


def test_every_command_has_its_line_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main.main(["--help"])
    assert leaving.value.code == 0
    text = capsys.readouterr().out
    for name, entry in main.COMMANDS.items():
        assert name in text
        assert entry.summary in text


def failing(command: ModuleType, error: BaseException) -> None:
    def run(options: argparse.Namespace) -> int:
        raise error

    command.run = run  # type: ignore[attr-defined]


def test_user_error_is_one_line_and_exit_code_2(command: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    failing(command, SourceError("There is no file a.mp4.", "Check the name and the folder."))
    assert main.main(["probe"]) == 2
    assert capsys.readouterr().err == "There is no file a.mp4. Check the name and the folder.\n"


def test_interrupt_exits_with_130(command: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    failing(command, KeyboardInterrupt())
    assert main.main(["probe"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_unexpected_error_shows_no_traceback_and_exits_with_1(
    command: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(command, ZeroDivisionError("division by zero"))
    assert main.main(["probe"]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "ZeroDivisionError" in message
    assert "--debug" in message


@pytest.mark.parametrize("error", [SourceError("Broken."), ZeroDivisionError("division by zero")])
def test_debug_lets_the_traceback_through(command: ModuleType, error: Exception) -> None:
    failing(command, error)
    with pytest.raises(type(error)):
        main.main(["probe", "--debug"])


def test_missing_package_is_told_with_the_way_to_install_it(
    command: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(command, ModuleNotFoundError("No module named 'PyQt6.QtGui'", name="PyQt6.QtGui"))
    assert main.main(["probe"]) == 2
    message = capsys.readouterr().err
    assert "PyQt6.QtGui" in message
    assert "pip install -r" in message


def test_a_closed_pipe_is_no_error(repo_root: Path) -> None:
    """`python main.py models | head -0` must end quietly."""
    reader = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    reader.wait(30)  # the reading end is closed before anything is written
    answer = subprocess.run(
        [sys.executable, "main.py", "models"],
        cwd=repo_root,
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert reader.stdin is not None
    reader.stdin.close()
    assert answer.stderr == ""
    assert answer.returncode == main.EXIT_BROKEN_PIPE
