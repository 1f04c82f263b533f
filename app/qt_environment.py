"""Make sure Qt can start, before Qt is imported: it aborts the process when its platform plug-in cannot load.

No PyQt6 import here, on purpose: on a bare machine even ``import PyQt6.QtGui`` fails for want of a system library.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping

from engine.errors import UserError
from engine.system_libraries import FONT, install_command, library_loads, missing_needs

# opencv-python ships its own Qt 5 on Linux and points these variables at it when imported; Qt 6 then loads nothing.
_OPENCV_QT_VARIABLES = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")


def clean_opencv_variables(environ: MutableMapping[str, str] = os.environ) -> None:
    """Drop the Qt variables that ``import cv2`` set; values the user set to a folder of their own stay."""
    for name in _OPENCV_QT_VARIABLES:
        value = environ.get(name, "")
        if "cv2" in value.replace("\\", "/").split("/"):
            del environ[name]


def platform_plugin(environ: Mapping[str, str] = os.environ, system: str = sys.platform) -> str:
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


def display_answers(display: str) -> bool:
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
    loads: Callable[[str], bool] = library_loads,
    answers: Callable[[str], bool] = display_answers,
) -> str:
    """One sentence on why Qt would abort, with the way out; "" when it is going to start."""
    platform = platform_plugin(environ, system)
    if not system.startswith("linux"):
        return ""
    if not platform:
        return (
            "There is no screen to open a window on: start LiveMask from a desktop session, track without a window "
            "(python main.py track --help), or use a virtual screen: xvfb-run -a python main.py"
        )
    # Without a font Qt starts all the same; the doctor tells of it.
    missing = [
        need
        for need in missing_needs(system=system, loads=loads)
        if need is not FONT and (platform == "xcb" or not need.x11_only)
    ]
    if missing:
        names = [need.what for need in missing]
        listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
        verb = "is" if len(names) == 1 else "are"
        return f"Qt cannot open a window because {listed} {verb} missing; please run: {install_command(missing)}"
    if platform == "xcb" and not answers(environ.get("DISPLAY", "")):
        return (
            f"The screen DISPLAY={environ.get('DISPLAY', '')} does not answer: log in to a desktop session (or use "
            "ssh -X), or use a virtual screen: xvfb-run -a python main.py"
        )
    return ""


def start_without_screen() -> None:
    """For a command that draws windows nobody sees: call before Qt is started. QT_QPA_PLATFORM, where set, is obeyed.

    Raises:
        UserError: Qt cannot start.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    problem = prepare_qt_environment()
    if problem:
        raise UserError(problem, "")


def prepare_qt_environment() -> str:
    """Clean the environment for Qt 6 and check that it can start.

    Returns:
        "" when all is well, else the one sentence to print before leaving with exit code 2.
    """
    clean_opencv_variables()
    return find_problem()
