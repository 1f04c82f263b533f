"""The doctor finds what is planted, names the cure, and never dies itself."""

from __future__ import annotations

import argparse
import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from engine import doctor, system_libraries
from engine.commands import doctor as command
from engine.doctor import Check, Status, compute, media, packages, screen, storage
from models.registry import BUNDLED_DIR, DEFAULT_MODEL


def only(checks: list[Check]) -> Check:
    assert len(checks) == 1, checks
    return checks[0]


def test_a_problem_needs_a_remedy() -> None:
    with pytest.raises(ValueError, match="remedy"):
        Check("x", Status.FAIL, "broken")


def test_a_probe_that_breaks_is_reported_and_the_others_still_run() -> None:
    def bad_probe() -> list[Check]:
        raise RuntimeError("boom")

    def good_probe() -> list[Check]:
        return [Check("good", Status.OK, "fine")]

    checks = doctor.diagnose([bad_probe, good_probe])
    assert [check.status for check in checks] == [Status.FAIL, Status.OK]
    assert "boom" in checks[0].detail


# -- packages ------------------------------------------------------------------------------------------------
def test_requirements_of_this_project_are_all_understood() -> None:
    text = packages.REQUIREMENTS.read_text()
    names = {name for group, _ in packages.required_versions(text) for name in group}
    written = {line.split(">=")[0].strip() for line in text.splitlines() if line.strip() and not line.startswith("#")}
    assert names == written


def test_missing_and_old_packages_fail_with_a_pip_line(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("numpy>=999\nlivemask-no-such-package>=1\npytest>=1\n")
    ok, old, missing = packages.versions(requirements)
    assert (ok.status, old.status, missing.status) == (Status.OK, Status.FAIL, Status.FAIL)
    assert "pytest" in ok.detail
    assert metadata.version("numpy") in old.detail
    assert "numpy>=999" in old.remedy
    assert "pip install" in missing.remedy


def test_one_of_several_builds_is_enough(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text('no-such-build>=1; sys_platform == "linux"\nnumpy>=1; sys_platform == "darwin"\n')
    assert only(packages.versions(requirements)).status is Status.OK


@pytest.mark.parametrize(
    ("old", "new"), [("1.9", "1.10"), ("2.4.0", "2.14.1+cpu"), ("5.9", "5.10.0.dev1"), ("4.9", "5.0.0.93")]
)
def test_versions_compare_as_numbers(old: str, new: str) -> None:
    assert packages._numbers(old) < packages._numbers(new)


# -- weights and storage -------------------------------------------------------------------------------------
def test_bundled_weights_are_as_committed() -> None:
    checks = storage.bundled_weights()
    assert checks
    assert all(check.status is Status.OK for check in checks)


def test_damaged_weights_fail(tmp_path: Path) -> None:
    for file in BUNDLED_DIR.glob("*.safetensors"):
        shutil.copy(file, tmp_path)
        with (tmp_path / file.name).open("r+b") as copy:
            copy.seek(1000)
            copy.write(b"damage")
    check = next(check for check in storage.bundled_weights(tmp_path) if DEFAULT_MODEL in check.name)
    assert check.status is Status.FAIL
    assert check.remedy.startswith("git checkout -- models/weights/")


def test_missing_weights_fail(tmp_path: Path) -> None:
    assert {check.status for check in storage.bundled_weights(tmp_path)} == {Status.FAIL}


def test_cache_below_a_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("LIVEMASK_CACHE", str(blocker / "cache"))
    check = only(storage.cache_folder())
    assert check.status is Status.WARN
    assert "LIVEMASK_CACHE" in check.remedy


def test_new_cache_folder_is_fine_and_not_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEMASK_CACHE", str(tmp_path / "deep" / "cache"))
    assert only(storage.cache_folder()).status is Status.OK
    assert not (tmp_path / "deep").exists()


# -- compute -------------------------------------------------------------------------------------------------
def test_card_that_this_pytorch_cannot_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(compute, "nvidia_driver", lambda: ("NVIDIA Test Card", "470.0"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    check = only(compute.graphics_driver())
    assert check.status is Status.WARN
    assert "NVIDIA Test Card" in check.detail
    assert "pip install" in check.remedy
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "driver" in only(compute.graphics_driver()).remedy.lower()


def test_no_card_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "nvidia_driver", lambda: None)
    assert compute.graphics_driver() == []


def test_driver_program_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 550.54.15'\necho 'NVIDIA H100 80GB HBM3, 550.54.15'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert compute.nvidia_driver() == ("NVIDIA H100 80GB HBM3", "550.54.15")
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2\nexit 9\n")
    assert compute.nvidia_driver() is None


def test_memory_bank_grows_with_the_working_size() -> None:
    detail = only(compute.memory_bank()).detail
    sizes = [float(part.split(" MiB")[0].rsplit(" ", 1)[-1]) for part in detail.split(", ")]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


# -- media and screen ----------------------------------------------------------------------------------------
def test_codecs_are_there() -> None:
    assert only(media.codecs()).status is Status.OK


def test_missing_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "ENCODERS", ("libx264", "no_such_encoder"))
    check = only(media.codecs())
    assert check.status is Status.WARN
    assert "no_such_encoder" in check.detail
    monkeypatch.setattr(media, "_NEEDED", {"no_such_encoder"})
    assert only(media.codecs()).status is Status.FAIL


def test_display_missing_is_a_warning_that_points_to_track(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "has_display", lambda: False)
    check = only(screen.display())
    assert check.status is Status.WARN
    assert "track" in check.remedy


@pytest.mark.parametrize(
    ("environ", "system", "expected"),
    [({}, "linux", False), ({"DISPLAY": ":0"}, "linux", True), ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
     ({"QT_QPA_PLATFORM": "offscreen"}, "linux", True), ({}, "darwin", True), ({}, "win32", True)],
)  # fmt: skip
def test_where_windows_can_be_expected(environ: dict[str, str], system: str, expected: bool) -> None:
    assert screen.has_display(environ, system) is expected


def test_missing_window_library_fails_with_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    egl = system_libraries.LIBRARIES[0]
    monkeypatch.setattr(screen.sys, "platform", "linux")
    monkeypatch.setattr(system_libraries, "missing_needs", lambda: (egl,))
    monkeypatch.setattr(system_libraries, "package_manager", lambda: "apt")
    check = only(screen.system_libraries())
    assert check.status is Status.FAIL
    assert egl.packages["apt"] in check.remedy


def test_qt_that_does_not_start_is_told_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "no_such_platform")
    check = only(screen.window())
    assert check.status is Status.FAIL
    assert "does not start" in check.detail


# -- the report ----------------------------------------------------------------------------------------------
SAMPLE = [
    Check("first", Status.OK, "fine"),
    Check("second", Status.WARN, "slow", "make it quick"),
    Check("third", Status.FAIL, "broken", "mend it"),
]


def test_text_shows_each_check_and_each_remedy() -> None:
    text = command.as_text(SAMPLE)
    for check in SAMPLE:
        assert check.detail in text
        assert check.remedy in text
    assert "1 broken" in text


def test_json_is_complete() -> None:
    report = json.loads(command.as_json(SAMPLE))
    assert report["ok"] is False
    assert report["checks"][1] == {"name": "second", "status": "warn", "detail": "slow", "remedy": "make it quick"}
    assert json.loads(command.as_json(SAMPLE[:2]))["ok"] is True


@pytest.mark.parametrize(("checks", "code"), [(SAMPLE, 1), (SAMPLE[:2], 0)])
def test_exit_code_is_1_only_when_something_is_broken(
    checks: list[Check], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "diagnose", lambda: checks)
    assert command.run(argparse.Namespace(json=False)) == code
    assert "first" in capsys.readouterr().out
