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
