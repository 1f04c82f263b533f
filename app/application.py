"""Starts the window: environment first, then Qt, then the window, and only then the engine with its slow imports."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from app.qt_environment import prepare_qt_environment

if TYPE_CHECKING:
    from PyQt6.QtWidgets import QApplication

    from app.window.main_window import MainWindow

EXIT_CANNOT_START = 2

_LOG = logging.getLogger("livemask")


def run(options: argparse.Namespace) -> int:
    """Open the window and stay until it is closed.

    Args:
        options: as ``main.py`` parses them: `source` (path, address, "camera:0" or None), `demo` (track the bundled
            clip at once), `model`, `recipe`, `size`, `device`, and `weights` where there is one.

    Returns:
        The exit code: 0, or 2 when this machine cannot show a window (one sentence on stderr says why).
    """
    problem = prepare_qt_environment()
    if problem:
        print(problem, file=sys.stderr)
        return EXIT_CANNOT_START
    from PyQt6 import sip

    # Raised inside a Qt callback, a KeyboardInterrupt would abort the process: until there is a window, remember it.
    interrupts: list[int] = []
    former = signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    try:
        application = make_application()
        log_file = start_log(debug=bool(getattr(options, "debug", False)))
        window = make_window(options, log_file)
        restore = install_hooks(window)
        try:
            code = 0 if interrupts else _show(application, window, options)
        finally:
            restore()
        if interrupts:
            window.close_at_once()
        stopped = window.stopped_in_time
        sip.delete(window)  # now: left to the interpreter, it may outlive the application and crash on the way out
    finally:
        signal.signal(signal.SIGINT, former)
    if not stopped:
        # A worker hangs in a driver. Leaving the usual way would wait for it for ever.
        print("A worker did not stop in time; leaving without it.", file=sys.stderr)
        sys.stderr.flush()
        os._exit(code)
    return code


def _show(application: QApplication, window: MainWindow, options: argparse.Namespace) -> int:
    window.show()
    application.processEvents()  # the window is on screen before torch competes for the processor
    window.bridge.start()
    if not window.settings.tour_seen:
        window.tour.begin()
    if getattr(options, "demo", False):
        window.opening.open_demo()
    elif options.source:
        window.opening.open(str(options.source))
    # Ctrl+C may have closed it already; then nothing would ever end the event loop.
    return int(application.exec()) if window.isVisible() else 0


def make_application() -> QApplication:
    from PyQt6.QtWidgets import QApplication

    from app.icons import application_icon

    application = QApplication(sys.argv[:1])
    application.setApplicationName("LiveMask")
    application.setOrganizationName("LiveMask")
    application.setDesktopFileName("livemask")
    application.setWindowIcon(application_icon())
    return application


def make_window(options: argparse.Namespace, log_file: Path | None) -> MainWindow:
    from PyQt6.QtCore import QCoreApplication

    from app.bridge import EngineBridge
    from app.i18n import install_language
    from app.settings import Settings
    from app.window.engine_menu import merged_config
    from app.window.main_window import MainWindow
    from engine.runtime.config import EngineConfig
    from engine.runtime.session import Session

    settings = Settings()
    if (application := QCoreApplication.instance()) is not None:
        install_language(application, settings.language)  # before any text is made
    asked = EngineConfig(
        model=options.model,
        recipe=options.recipe,
        device=options.device,
        working_size=options.size,
        weights=getattr(options, "weights", None),
        backend=getattr(options, "backend", "auto"),
    )
    config = merged_config(asked, settings)
    session = Session(config, autosave_dir=data_folder() / "autosave")
    return MainWindow(EngineBridge(session), settings, config, log_file)


def data_folder() -> Path:
    """Where this platform keeps a program's own files."""
    from PyQt6.QtCore import QStandardPaths

    return Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppLocalDataLocation))


def start_log(debug: bool) -> Path | None:
    """Write warnings and errors to a small file the diagnostics page points to; None where it cannot be written."""
    folder = data_folder()
    file = folder / "livemask.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(file, maxBytes=500_000, backupCount=1, encoding="utf-8", delay=True)
    except OSError as error:
        print(f"No log is written: {error}", file=sys.stderr)
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    if debug:
        root.addHandler(logging.StreamHandler())
    return file


def install_hooks(window: MainWindow) -> Callable[[], None]:
    """Errors in slots become a notice instead of an abort; Ctrl+C closes the window. Returns what undoes this."""
    from PyQt6.QtCore import QTimer
    from PyQt6.QtWidgets import QApplication, QDialog

    from app.i18n import translate
    from engine.runtime.messages import Notice, Severity

    def on_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        print(text, file=sys.stderr)
        _LOG.error("unexpected error\n%s", text)
        if threading.current_thread() is threading.main_thread():
            message = translate("Application", "Something unexpected went wrong: %1.").replace(
                "%1", f"{kind.__name__}: {error}"
            )
            way_out = translate(
                "Application", "Your masks are still here. Export them, then report this with Help, Diagnostics."
            )
            window.show_notice(Notice(Severity.ERROR, message, way_out))

    def leave() -> None:
        for dialog in QApplication.topLevelWidgets():
            if isinstance(dialog, QDialog):
                dialog.done(QDialog.DialogCode.Rejected)  # each holds an event loop of its own
        window.close_at_once()

    def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
        # This runs wherever the interpreter happens to be (the bridge's timer gives it a turn even at rest), so it
        # only asks the event loop to close the window.
        QTimer.singleShot(0, leave)

    former_hook, sys.excepthook = sys.excepthook, on_error
    former_signal = signal.signal(signal.SIGINT, on_interrupt)

    def restore() -> None:
        sys.excepthook = former_hook
        signal.signal(signal.SIGINT, former_signal)

    return restore
