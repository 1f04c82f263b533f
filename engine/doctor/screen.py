"""Whether a window can open: system libraries, a display, and Qt beside OpenCV."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from engine import system_libraries as needs
from engine.doctor.check import Check, Status, pip_install

_START_TIMEOUT_S = 60

# Starts Qt for real, in a process of its own, as Qt aborts the process when it cannot. OpenCV comes first, since
# importing it is what points Qt at the wrong plug-ins; the app removes those variables the same way.
_START_QT = """
import os, cv2
clash = [n for n in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR") if "cv2" in os.environ.get(n, "")]
for name in clash: del os.environ[name]
from PyQt6.QtGui import QGuiApplication
app = QGuiApplication(["doctor"])
print(app.platformName(), len(clash))
"""


def has_display(environ: Mapping[str, str] = os.environ, system: str = sys.platform) -> bool:
    """True where windows can be expected: macOS, Windows, or Linux with X11, Wayland or a chosen Qt platform."""
    if not system.startswith("linux"):
        return True
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def system_libraries() -> list[Check]:
    if not sys.platform.startswith("linux"):
        return []
    missing = needs.missing_needs()
    if not missing:
        return [Check("window libraries", Status.OK, "all that Qt needs are installed")]
    only_x11 = all(need.x11_only or need is needs.FONT for need in missing)
    # On a machine without a screen, tracking from the command line needs none of them.
    status = Status.FAIL if has_display() and not only_x11 else Status.WARN
    detail = f"missing: {', '.join(need.what for need in missing)}"
    return [Check("window libraries", status, detail, needs.install_command(missing))]


def display() -> list[Check]:
    if has_display():
        found = [f"{n}={os.environ[n]}" for n in ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY", "DISPLAY") if os.environ.get(n)]
        return [Check("display", Status.OK, ", ".join(found) or "native")]
    remedy = "Start from a desktop session, or use: python main.py track (works without a screen)"
    return [Check("display", Status.WARN, "none: the window cannot open here", remedy)]


def window() -> list[Check]:
    """Start Qt in a child process beside OpenCV."""
    environment = dict(os.environ)
    if not has_display():
        environment["QT_QPA_PLATFORM"] = "offscreen"
    command = [sys.executable, "-c", _START_QT]
    try:
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_START_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        detail = f"Qt did not start within {_START_TIMEOUT_S} s"
        return [
            Check("Qt", Status.FAIL, detail, "Run it yourself to see where it hangs: QT_DEBUG_PLUGINS=1 python main.py")
        ]
    if answer.returncode != 0:
        lines = [line for line in answer.stderr.splitlines() if line.strip()]
        detail = f"Qt does not start: {lines[-1].strip() if lines else f'exit code {answer.returncode}'}"
        missing = needs.missing_needs()
        remedy = needs.install_command(missing) if missing else pip_install("--force-reinstall", "pyqt6")
        return [Check("Qt", Status.FAIL if has_display() else Status.WARN, detail, remedy)]
    platform_name, clashes = answer.stdout.split()
    detail = f"starts on {platform_name}"
    if int(clashes):
        detail += "; OpenCV's own Qt plug-ins are kept out of its way"
    return [Check("Qt", Status.OK, detail)]
