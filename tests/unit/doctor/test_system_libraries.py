"""The list of system libraries: what is missing is found and the right package is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine import system_libraries as needs

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the wheels bring everything elsewhere")


def test_nothing_is_missing_outside_linux() -> None:
    assert needs.missing_needs(system="darwin", loads=lambda name: False) == ()
    assert needs.missing_needs(system="win32", loads=lambda name: False) == ()


@linux_only
def test_a_library_that_does_not_load_is_named() -> None:
    missing = needs.missing_needs(loads=lambda name: name != "libxcb-cursor.so.0")
    assert "libxcb-cursor.so.0" in [need.what for need in missing]
    assert "libEGL.so.1" not in [need.what for need in missing]


@linux_only
def test_the_loader_is_really_asked() -> None:
    assert needs.library_loads("libc.so.6")
    assert not needs.library_loads("libno-such-library.so.99")


@pytest.mark.parametrize(
    ("manager", "root", "expected"),
    [
        ("apt", False, "sudo apt-get install -y libegl1 libxcb-cursor0"),
        ("apt", True, "apt-get install -y libegl1 libxcb-cursor0"),
        ("dnf", False, "sudo dnf install -y libglvnd-egl xcb-util-cursor"),
    ],
)
def test_install_command(manager: str, root: bool, expected: str) -> None:
    wanted = [need for need in needs.LIBRARIES if need.what in ("libEGL.so.1", "libxcb-cursor.so.0")]
    assert needs.install_command(wanted, manager, root) == expected


def test_fonts_are_found_in_subfolders(tmp_path: Path) -> None:
    assert not needs.has_font([str(tmp_path)])
    (tmp_path / "truetype").mkdir()
    (tmp_path / "truetype" / "Some.TTF").touch()
    assert needs.has_font([str(tmp_path), str(tmp_path / "absent")])


@linux_only
@pytest.mark.skipif(shutil.which("ldd") is None, reason="needs ldd")
def test_every_library_that_qts_x11_plugin_asks_of_the_system_is_covered() -> None:
    """Judge: ldd on the installed wheel. Each system library must be in the table or come with one that is."""
    import PyQt6

    plugin = Path(PyQt6.__file__).parent / "Qt6" / "plugins" / "platforms" / "libqxcb.so"
    answer = subprocess.run(["ldd", str(plugin)], capture_output=True, text=True, timeout=30, check=True)
    asked = {line.split()[0] for line in answer.stdout.splitlines() if "=> " in line and "PyQt6" not in line}
    # Pulled in by the packages of the table (libxcb1, libglvnd and so on) or part of every system.
    comes_along = (
        *("libc.", "libm.", "libdl.", "libpthread.", "libgcc_s.", "libstdc++.", "libz.", "libzstd.", "ld-linux"),
        *("libxcb.so", "libX11.so", "libXau.", "libXdmcp.", "libxcb-util.", "libxcb-randr.", "libxcb-render.so"),
        *("libxcb-shm.", "libxcb-sync.", "libxcb-xfixes.", "libGLdispatch.", "libGLX.", "libfreetype.", "libpng16."),
        *("libexpat.", "libbrotli", "libpcre2-8.", "libgthread-2.0.", "libbsd.", "libmd.", "libsystemd.", "libcap."),
        *("libgcrypt.", "libgpg-error.", "liblzma.", "liblz4."),
    )
    table = {need.what for need in needs.LIBRARIES}
    uncovered = {name for name in asked if name not in table and not name.startswith(comes_along)}
    assert not uncovered


# -- what `make setup` calls -----------------------------------------------------------------------------------------
@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A Debian that lacks one library; records what would be run. An installation mends it unless "broken" is set."""
    state: dict[str, object] = {"missing": (needs.LIBRARIES[0],), "ran": [], "broken": False}

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        ran = state["ran"]
        assert isinstance(ran, list)
        ran.append(command)
        if "install" in command and not state["broken"]:
            state["missing"] = ()
        return subprocess.CompletedProcess(command, int(bool(state["broken"])))

    monkeypatch.setattr(needs, "missing_needs", lambda **options: state["missing"])
    monkeypatch.setattr(needs, "package_manager", lambda: "apt")
    monkeypatch.setattr(needs.subprocess, "run", run)
    monkeypatch.setattr(needs.os, "geteuid", lambda: 0, raising=False)
    return state


def test_root_on_debian_gets_it_installed(machine: dict[str, object]) -> None:
    assert needs.main(["--install"]) == 0
    assert ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "libegl1"] in machine["ran"]  # type: ignore[operator]


def test_others_get_the_command(
    machine: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(needs.os, "geteuid", lambda: 1000, raising=False)
    assert needs.main(["--install"]) == 1
    assert machine["ran"] == []
    assert "sudo apt-get install -y libegl1" in capsys.readouterr().err


def test_a_failed_installation_is_told(machine: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    machine["broken"] = True
    assert needs.main(["--install"]) == 1
    assert "libEGL.so.1" in capsys.readouterr().err


def test_nothing_missing_runs_nothing(machine: dict[str, object]) -> None:
    machine["missing"] = ()
    assert needs.main(["--install", "--for-tests"]) == 0
    assert machine["ran"] == []
