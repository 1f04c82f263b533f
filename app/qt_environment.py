"""Make sure Qt can start, before Qt is imported: it aborts the process when its platform plug-in cannot load.

No PyQt6 import here, on purpose: on a bare machine even ``import PyQt6.QtGui`` fails for want of a system library.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping

# opencv-python ships its own Qt 5 on Linux and points these variables at it when imported; Qt 6 then loads nothing.
_OPENCV_QT_VARIABLES = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")

# Library that PyQt6's wheel expects from the system -> Debian/Ubuntu package.
_BASE_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
}
_XCB_LIBRARIES = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libX11-xcb.so.1": "libx11-xcb1",
}


def clean_opencv_variables(environ: MutableMapping[str, str] = os.environ) -> None:
    """Drop the Qt variables that ``import cv2`` set; values the user set to a folder of their own stay."""
    for name in _OPENCV_QT_VARIABLES:
        value = environ.get(name, "")
        if "cv2" in value.replace("\\", "/").split("/"):
            del environ[name]


def platform_plugin(environ: Mapping[str, str], system: str) -> str:
    """The platform plug-in Qt is going to use, "" when there is no screen to show a window on."""
    asked = environ.get("QT_QPA_PLATFORM", "").split(";")[0].split(":")[0]
    if asked:
        return asked
    if not system.startswith("linux"):
        return "native"
    if environ.get("WAYLAND_DISPLAY") and environ.get("XDG_SESSION_TYPE") == "wayland":
        return "wayland"
    if environ.get("DISPLAY"):
        return "xcb"
    return "wayland" if environ.get("WAYLAND_DISPLAY") else ""


def _library_loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _display_answers(display: str) -> bool:
    """True when an X server answers (or when libxcb is missing, which is reported as such elsewhere)."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(display.encode(), None))
    failed = bool(xcb.xcb_connection_has_error(connection))
    xcb.xcb_disconnect(connection)
    return not failed


def find_problem(
    environ: Mapping[str, str] = os.environ,
    system: str = sys.platform,
    library_loads: Callable[[str], bool] = _library_loads,
    display_answers: Callable[[str], bool] = _display_answers,
) -> str:
    """One sentence on why Qt would abort, with the way out; "" when it is going to start."""
    platform = platform_plugin(environ, system)
    if not system.startswith("linux"):
        return ""
    if not platform:
        return (
            "There is no screen to open a window on: start LiveMask from a desktop session, or under a virtual screen "
            "with: xvfb-run -a python main.py"
        )
    wanted = dict(_BASE_LIBRARIES)
    if platform == "xcb":
        wanted.update(_XCB_LIBRARIES)
    missing = [name for name in wanted if not library_loads(name)]
    if missing:
        packages = " ".join(wanted[name] for name in missing)
        return (
            f"Qt cannot open a window because {_enumerate(missing)} {'is' if len(missing) == 1 else 'are'} missing; "
            f"install with: sudo apt install {packages}"
        )
    if platform == "xcb" and not display_answers(environ.get("DISPLAY", "")):
        return (
            f"The screen DISPLAY={environ.get('DISPLAY', '')} does not answer: log in to a desktop session (or use "
            "ssh -X), or start under a virtual screen with: xvfb-run -a python main.py"
        )
    return ""


def _enumerate(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def prepare_qt_environment() -> str:
    """Clean the environment for Qt 6 and check that it can start.

    Returns:
        "" when all is well, else the one sentence to print before leaving with exit code 2.
    """
    clean_opencv_variables()
    return find_problem()
