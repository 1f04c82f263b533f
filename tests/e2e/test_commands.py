"""``models``, ``doctor`` and the window's start, from the shell."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from models.registry import DEFAULT_MODEL, REGISTRY
from tests.e2e.conftest import RunMain


def test_models_names_every_model(run_main: RunMain) -> None:
    answer = run_main("models")
    assert answer.returncode == 0
    assert answer.stderr == ""
    assert answer.stdout.startswith(f"{DEFAULT_MODEL} (default)")
    assert all(name in answer.stdout for name in REGISTRY)


def test_doctor_says_that_this_machine_works(run_main: RunMain) -> None:
    """Also true in the test environment itself: nothing needed is broken."""
    answer = run_main("doctor")
    assert answer.returncode == 0, answer.stdout
    assert answer.stderr == ""
    assert "fail" not in answer.stdout


def test_doctor_json_is_for_programs(run_main: RunMain) -> None:
    report = json.loads(run_main("doctor", "--json").stdout)
    assert report["ok"] is True
    names = [check["name"] for check in report["checks"]]
    assert len(names) == len(set(names))
    assert {"Python", "device", "memory bank", "video codecs", "cache folder"} <= set(names)


def test_commands_work_from_another_folder(run_main: RunMain, tmp_path: Path) -> None:
    assert run_main("--version", cwd=tmp_path).stdout.startswith("LiveMask ")
    assert run_main("models", "--markdown", cwd=tmp_path).stdout.startswith("| Model |")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can be without a screen")
def test_without_a_screen_the_window_says_so(run_main: RunMain) -> None:
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    answer = run_main(env=environment)
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "screen" in answer.stderr
