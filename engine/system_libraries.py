"""The libraries the PyQt6 and OpenCV wheels expect from a Linux system, and how to install those that are missing.

Standard library only: ``make setup`` runs ``python -m engine.system_libraries --install`` with the bare system Python.
The table was made with ldd on Qt's ``libqxcb.so`` and ``libqoffscreen.so``, PyQt6 and cv2; packages that another one of
the table pulls in anyway are named once.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SystemNeed:
    """Something the system has to provide.

    Attributes:
        what: soname or program, as the user may look it up.
        packages: package manager -> package name.
        x11_only: True when only windows on X11 need it (Wayland and offscreen do not).
    """

    what: str
    packages: Mapping[str, str]
    x11_only: bool = False


def _need(what: str, apt: str, dnf: str, pacman: str, x11_only: bool = False) -> SystemNeed:
    return SystemNeed(what, {"apt": apt, "dnf": dnf, "pacman": pacman}, x11_only)


LIBRARIES: tuple[SystemNeed, ...] = (
    _need("libEGL.so.1", "libegl1", "libglvnd-egl", "libglvnd"),
    _need("libGL.so.1", "libgl1", "libglvnd-glx", "libglvnd"),
    _need("libglib-2.0.so.0", "libglib2.0-0", "glib2", "glib2"),
    _need("libdbus-1.so.3", "libdbus-1-3", "dbus-libs", "dbus"),
    _need("libfontconfig.so.1", "libfontconfig1", "fontconfig", "fontconfig"),
    _need("libxkbcommon.so.0", "libxkbcommon0", "libxkbcommon", "libxkbcommon"),
    _need("libxkbcommon-x11.so.0", "libxkbcommon-x11-0", "libxkbcommon-x11", "libxkbcommon-x11", True),
    _need("libX11-xcb.so.1", "libx11-xcb1", "libX11-xcb", "libx11", True),
    _need("libxcb-cursor.so.0", "libxcb-cursor0", "xcb-util-cursor", "xcb-util-cursor", True),
    _need("libxcb-icccm.so.4", "libxcb-icccm4", "xcb-util-wm", "xcb-util-wm", True),
    _need("libxcb-image.so.0", "libxcb-image0", "xcb-util-image", "xcb-util-image", True),
    _need("libxcb-keysyms.so.1", "libxcb-keysyms1", "xcb-util-keysyms", "xcb-util-keysyms", True),
    _need("libxcb-render-util.so.0", "libxcb-render-util0", "xcb-util-renderutil", "xcb-util-renderutil", True),
    _need("libxcb-shape.so.0", "libxcb-shape0", "libxcb", "libxcb", True),
    _need("libxcb-xkb.so.1", "libxcb-xkb1", "libxcb", "libxcb", True),
)
FONT = _need("a font", "fonts-dejavu-core", "dejavu-sans-fonts", "ttf-dejavu")
FFMPEG = _need("ffmpeg", "ffmpeg", "ffmpeg-free", "ffmpeg")

_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")


def library_loads(soname: str) -> bool:
    """Whether the dynamic loader finds the library, which is exactly what Qt will ask."""
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def has_font(folders: Iterable[str] = _FONT_FOLDERS) -> bool:
    """Whether one outline font is installed; Qt draws empty boxes without."""
    suffixes = {".ttf", ".otf", ".ttc", ".pfb"}
    return any(file.suffix.lower() in suffixes for folder in folders for file in Path(folder).expanduser().rglob("*"))


def missing_needs(
    *, for_tests: bool = False, system: str = sys.platform, loads: Callable[[str], bool] = library_loads
) -> tuple[SystemNeed, ...]:
    """What this system lacks; always empty outside Linux, where the wheels bring everything.

    Args:
        for_tests: also ask for the ffmpeg program, which some tests use as an outside judge.
    """
    if not system.startswith("linux"):
        return ()
    missing = [need for need in LIBRARIES if not loads(need.what)]
    if not has_font():
        missing.append(FONT)
    if for_tests and shutil.which("ffmpeg") is None:
        missing.append(FFMPEG)
    return tuple(missing)


def package_manager() -> str:
    """ "apt", "dnf" or "pacman", whichever is here; "apt" when none is, as the commonest spelling of the names."""
    programs = {"apt-get": "apt", "dnf": "dnf", "pacman": "pacman"}
    return next((name for program, name in programs.items() if shutil.which(program)), "apt")


def install_command(needs: Sequence[SystemNeed], manager: str | None = None, root: bool | None = None) -> str:
    """The exact shell command that installs `needs`, with sudo unless `root` (default: the present user)."""
    manager = manager or package_manager()
    root = (hasattr(os, "geteuid") and os.geteuid() == 0) if root is None else root
    names = sorted({need.packages[manager] for need in needs})
    verb = {"apt": "apt-get install -y", "dnf": "dnf install -y", "pacman": "pacman -S --needed"}[manager]
    return f"{'' if root else 'sudo '}{verb} {shlex.join(names)}"


def _install_as_root_with_apt(needs: Sequence[SystemNeed]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    names = sorted({need.packages["apt"] for need in needs})
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)  # an old list may still do
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names]
    print("Installing system packages:", " ".join(names), flush=True)
    return subprocess.run(command, env=environment, check=False).returncode == 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.system_libraries", description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="install what is missing when root on Debian or Ubuntu")
    parser.add_argument("--for-tests", action="store_true", help="also what the tests need (ffmpeg)")
    options = parser.parse_args(argv)
    missing = missing_needs(for_tests=options.for_tests)
    if not missing:
        return 0
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if options.install and is_root and package_manager() == "apt" and _install_as_root_with_apt(missing):
        missing = missing_needs(for_tests=options.for_tests)
        if not missing:
            return 0
    print(f"System libraries are missing: {', '.join(need.what for need in missing)}.", file=sys.stderr)
    print(f"Please run:  {install_command(missing)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
