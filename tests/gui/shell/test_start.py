"""Starting and ending: the environment, the order of things, errors in slots, Ctrl+C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.application import install_hooks
from app.qt_environment import clean_opencv_variables, find_problem, platform_plugin
from engine.system_libraries import LIBRARIES


def loads_all(_name: str) -> bool:
    return True


def answers(_display: str) -> bool:
    return True


# -- environment -------------------------------------------------------------------------------------------------
def test_variables_of_opencv_go_and_those_of_the_user_stay() -> None:
    environ = {
        "QT_QPA_PLATFORM_PLUGIN_PATH": "/x/site-packages/cv2/qt/plugins",
        "QT_QPA_FONTDIR": "/home/me/fonts",
        "PATH": "/usr/bin",
    }
    clean_opencv_variables(environ)
    assert environ == {"QT_QPA_FONTDIR": "/home/me/fonts", "PATH": "/usr/bin"}


@pytest.mark.parametrize(
    ("environ", "system", "platform"),
    [
        ({}, "linux", ""),
        ({"DISPLAY": ":0"}, "linux", "xcb"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", "wayland"),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux", "xcb"),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0", "XDG_SESSION_TYPE": "wayland"}, "linux", "wayland"),
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux", "offscreen"),
        ({"QT_QPA_PLATFORM": "xcb;wayland", "DISPLAY": ":0"}, "linux", "xcb"),
        ({}, "darwin", "native"),
        ({}, "win32", "native"),
    ],
)
def test_the_platform_qt_will_choose(environ: dict[str, str], system: str, platform: str) -> None:
    assert platform_plugin(environ, system) == platform


def test_a_machine_in_order_has_no_problem() -> None:
    assert find_problem({"DISPLAY": ":0"}, "linux", loads_all, answers) == ""
    assert find_problem({}, "win32", lambda _name: False, answers) == ""


def test_without_a_screen_one_sentence_says_what_to_do() -> None:
    sentence = find_problem({}, "linux", loads_all, answers)
    assert "xvfb-run" in sentence
    assert "\n" not in sentence


def test_a_missing_library_comes_with_the_exact_command() -> None:
    sentence = find_problem({"DISPLAY": ":0"}, "linux", lambda name: name != "libxcb-cursor.so.0", answers)
    assert "libxcb-cursor.so.0 is missing" in sentence
    assert sentence.endswith(("libxcb-cursor0", "xcb-util-cursor"))
    assert re.search(r"please run: (sudo )?(apt-get|dnf|pacman) ", sentence)
    assert "\n" not in sentence


def test_wayland_does_not_ask_for_x11_libraries() -> None:
    x11 = {need.what for need in LIBRARIES if need.x11_only}
    environ = {"WAYLAND_DISPLAY": "wayland-0"}
    assert find_problem(environ, "linux", lambda name: name not in x11, answers) == ""


def test_a_screen_that_does_not_answer_is_named() -> None:
    assert "DISPLAY=:77" in find_problem({"DISPLAY": ":77"}, "linux", loads_all, lambda _display: False)


# -- the process -------------------------------------------------------------------------------------------------
def launch(code: str, root: Path, **environ: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, env={**kept, **environ}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a screen")
def test_without_a_screen_the_program_says_so_and_leaves_with_2(repo_root: Path) -> None:
    process = launch("import main, sys; sys.exit(main.main([]))", repo_root)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert "no screen" in err


STARTED = """
import argparse, sys, threading
from app import application
options = argparse.Namespace(source=None, demo=False, model=None, recipe=None, size=None, device="auto")
from app.bridge import EngineBridge
real = EngineBridge.start
def start(self):
    slow = [name for name in ("torch", "models.resnet_half") if name in sys.modules]
    from PyQt6.QtWidgets import QApplication
    window = next(w for w in QApplication.topLevelWidgets() if w.objectName() == "mainWindow")
    print("visible" if window.isVisible() else "hidden", slow, flush=True)
    self._session = type("Idle", (), {
        "start": lambda s: None, "shutdown": lambda s, t, **k: True,
        "take_display": lambda s: None, "events": lambda s: [],
        "stats": lambda s: __import__("engine.runtime.messages", fromlist=["x"]).StatsSnapshot(),
    })()
    real(self)
    print("ready", flush=True)
EngineBridge.start = start
sys.exit(application.run(options))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals work differently there")
def test_the_window_is_up_before_the_engine_and_ctrl_c_closes_it(repo_root: Path) -> None:
    process = launch(STARTED, repo_root, QT_QPA_PLATFORM="offscreen")
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "visible []"
    assert process.stdout.readline().strip() == "ready"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err


INTERRUPTED = """
import argparse, os, signal, sys
from app import application
real = application.make_window
def make_window(options, log_file):
    os.kill(os.getpid(), signal.SIGINT)
    return real(options, log_file)
application.make_window = make_window
options = argparse.Namespace(source=None, demo=False, model=None, recipe=None, size=None, device="auto")
sys.exit(application.run(options))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals work differently there")
def test_ctrl_c_while_the_window_is_being_built_ends_quietly(repo_root: Path) -> None:
    process = launch(INTERRUPTED, repo_root, QT_QPA_PLATFORM="offscreen")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


# -- errors ------------------------------------------------------------------------------------------------------
def test_an_error_in_a_slot_becomes_a_notice(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    restore = install_hooks(shell.window)
    try:
        try:
            raise RuntimeError("surprise")
        except RuntimeError:
            sys.excepthook(*sys.exc_info())  # as PyQt does with an error that leaves a slot
    finally:
        restore()
    (item,) = shell.window.notices.items
    assert "surprise" in item.text
    assert item.notice.severity.value == "error"
    assert "Traceback" in capsys.readouterr().err
    assert sys.excepthook is not None


def test_an_interrupt_closes_the_window(shell: Any) -> None:
    restore = install_hooks(shell.window)
    try:
        signal.raise_signal(signal.SIGINT)
        shell.bot.waitUntil(lambda: not shell.window.isVisible(), timeout=3000)
    finally:
        restore()
    assert "shutdown" in shell.session.names()
    assert signal.getsignal(signal.SIGINT) is not None


def test_the_diagnostics_page_shows_what_the_doctor_says(
    shell: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from PyQt6.QtGui import QGuiApplication

    from app.dialogs import text_dialogs

    (tmp_path / "main.py").write_text("import sys; print('doctor' in sys.argv and 'ok    all is well')")
    monkeypatch.setattr(text_dialogs, "_ROOT", tmp_path)
    shell.trigger("diagnostics")
    (dialog,) = shell.window.findChildren(text_dialogs.DiagnosticsDialog)
    shell.bot.waitUntil(dialog.copy_button.isEnabled, timeout=20_000)
    assert dialog.text.toPlainText().startswith("ok    all is well")
    assert str(shell.settings_path) in dialog.text.toPlainText()
    dialog.copy_button.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert "all is well" in clipboard.text()
    dialog.close()


def test_closing_the_diagnostics_ends_the_doctor(shell: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from PyQt6.QtCore import QProcess

    from app.dialogs import text_dialogs

    (tmp_path / "main.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(text_dialogs, "_ROOT", tmp_path)
    dialog = text_dialogs.DiagnosticsDialog([], shell.window)
    assert dialog._process.waitForStarted(10_000)
    dialog.show()
    dialog.reject()
    assert dialog._process.state() == QProcess.ProcessState.NotRunning


def test_about_shows_version_and_licences() -> None:
    from app.dialogs.text_dialogs import licence_text

    assert "GNU" in licence_text()
    assert "PyQt" in licence_text()
