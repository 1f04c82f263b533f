"""Menus that are filled at run time: cameras and the engine's choices; dialogs that open sources."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QFileDialog, QMenu

from app.dialogs.stream_dialog import StreamDialog, is_stream_url
from app.window.cameras import CameraMenu
from app.window.engine_menu import merged_config
from engine.runtime.catalog import (
    list_backends,
    list_devices,
    list_live_rates,
    list_models,
    list_recipes,
    list_working_sizes,
)
from engine.runtime.config import EngineConfig


def texts(menu: QMenu) -> list[str]:
    return [action.text() for action in menu.actions() if action.text()]


# -- cameras -----------------------------------------------------------------------------------------------------
def test_cameras_are_looked_for_when_the_menu_opens_and_not_on_the_gui_thread(qtbot: Any) -> None:
    go_on = threading.Event()
    threads = []

    def find() -> list[tuple[int, str]]:
        threads.append(threading.current_thread())
        go_on.wait(10)
        return [(0, "Front & back"), (2, "Microscope")]

    menu = QMenu()
    qtbot.addWidget(menu)
    cameras = CameraMenu(menu, find)
    assert threads == []
    menu.aboutToShow.emit()
    assert texts(menu) == ["Looking for cameras…"]
    go_on.set()
    qtbot.waitUntil(lambda: len(menu.actions()) > 1)
    assert texts(menu) == ["Front && back (0)", "Microscope (2)", "Look again"]
    assert threads[0] is not threading.main_thread()
    chosen: list[int] = []
    cameras.chosen.connect(chosen.append)
    menu.actions()[1].trigger()
    assert chosen == [2]
    menu.aboutToShow.emit()  # known by now
    assert len(threads) == 1


def test_no_camera_and_a_camera_driver_that_fails_look_the_same(qtbot: Any) -> None:
    def find() -> list[tuple[int, str]]:
        raise OSError("driver")

    menu = QMenu()
    qtbot.addWidget(menu)
    CameraMenu(menu, find)
    menu.aboutToShow.emit()
    qtbot.waitUntil(lambda: len(menu.actions()) > 1)
    assert texts(menu) == ["No camera found", "Look again"]


def test_a_chosen_camera_is_opened(shell: Any) -> None:
    shell.window.camera_menu.chosen.emit(3)
    shell.pump()
    assert shell.session.last("open") == ("open", "camera:3")


# -- engine ------------------------------------------------------------------------------------------------------
def test_the_engine_menu_lists_what_the_catalog_knows(shell: Any) -> None:
    menus = shell.window.menus
    assert [a.data() for a in menus["model"].actions()] == [model.name for model in list_models()]
    assert [a.data() for a in menus["working_size"].actions()] == [None, *list_working_sizes()]
    assert [a.data() for a in menus["live_rate"].actions()] == [*list_live_rates(), None]
    assert [a.data() for a in menus["live_rate"].actions() if a.isChecked()] == [24.0]
    assert [a.data() for a in menus["device"].actions()] == list(list_devices())
    assert [a.data() for a in menus["backend"].actions()] == list(list_backends())
    assert [a.data() for a in menus["recipe"].actions()] == [None, *list_recipes()]
    (default,) = [model for model in list_models() if model.default]
    ticked = [a.data() for a in menus["model"].actions() if a.isChecked()]
    assert ticked == [default.name]
    assert default.licence in menus["model"].actions()[0].toolTip()


def test_a_choice_is_applied_once(shell: Any) -> None:
    sizes = shell.window.menus["working_size"].actions()
    sizes[2].trigger()
    assert shell.session.calls[-1] == ("configure", EngineConfig(working_size=320))
    assert sizes[2].isChecked()
    assert not sizes[0].isChecked()
    sizes[2].trigger()
    assert shell.session.names().count("configure") == 1


def test_the_backend_is_applied_and_remembered(shell: Any) -> None:
    actions = shell.window.menus["backend"].actions()
    assert [a.data() for a in actions if a.isChecked()] == ["auto"]
    next(a for a in actions if a.data() == "onnx-int8").trigger()
    assert shell.session.calls[-1] == ("configure", EngineConfig(backend="onnx-int8"))
    assert merged_config(EngineConfig(), shell.window.settings).backend == "onnx-int8"
    assert merged_config(EngineConfig(backend="torch"), shell.window.settings).backend == "torch"
    shell.window.settings.backend = "nonsense"
    assert merged_config(EngineConfig(), shell.window.settings).backend == "auto"


def test_a_live_rate_is_chosen_while_the_size_is_automatic(shell: Any) -> None:
    rates, sizes = shell.window.menus["live_rate"], shell.window.menus["working_size"].actions()
    rates.actions()[-1].trigger()
    assert shell.session.calls[-1] == ("configure", EngineConfig(live_rate=None))
    sizes[1].trigger()
    assert not rates.menuAction().isEnabled()
    sizes[0].trigger()
    assert rates.menuAction().isEnabled()
    assert shell.session.calls[-1] == ("configure", EngineConfig(live_rate=None))


def test_a_model_without_weights_asks_for_a_file(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    action = next(a for a in shell.window.menus["model"].actions() if a.data() == "tvos-resnet50")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    action.trigger()
    assert "configure" not in shell.session.names()
    assert not action.isChecked()
    weights = tmp_path / "mine.pth"
    weights.touch()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(weights), ""))
    action.trigger()
    assert shell.session.calls[-1] == ("configure", EngineConfig(model="tvos-resnet50", weights=weights))
    assert action.isChecked()


def test_devices_suit_the_system() -> None:
    assert list_devices("darwin") == ("auto", "cpu", "mps")
    assert list_devices("linux") == ("auto", "cpu", "cuda")


# -- open --------------------------------------------------------------------------------------------------------
def test_open_video_and_folder_ask_for_a_place(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "a.mp4"), ""))
    QTest.mouseClick(shell.window.welcome.file_button, Qt.MouseButton.LeftButton)
    shell.pump()
    assert shell.session.last("open") == ("open", str(tmp_path / "a.mp4"))
    assert shell.window.settings.last_folder("open") == str(tmp_path)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    shell.trigger("open_folder")
    assert shell.session.last("open") == ("open", str(tmp_path))


def test_a_dialog_that_is_cancelled_opens_nothing(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    for action_id in ("open_video", "open_folder"):
        shell.trigger(action_id)
    assert "open" not in shell.session.names()


def test_open_stream_takes_an_address(shell: Any) -> None:
    def fill() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, StreamDialog)
        dialog.edit.clear()
        assert dialog.open_button is not None
        assert not dialog.open_button.isEnabled()
        QTest.keyClicks(dialog.edit, "rtsp://host:554/live")
        assert dialog.open_button.isEnabled()
        QTest.keyClick(dialog.edit, Qt.Key.Key_Return)

    QTimer.singleShot(0, fill)
    shell.trigger("open_stream")
    assert shell.session.last("open") == ("open", "rtsp://host:554/live")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("rtsp://u:p@10.0.0.1/x", True),
        ("https://host/a.m3u8", True),
        ("udp://@239.0.0.1:1234", True),
        ("RTSP://HOST/x", True),
        ("file:///etc/passwd", False),
        ("host/stream", False),
        ("rtsp://", False),
        ("", False),
    ],
)
def test_what_is_a_stream_address(text: str, good: bool) -> None:
    assert is_stream_url(text) is good


def test_import_mask_by_dialog(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2
    import numpy as np

    shell.open()
    mask = np.zeros((64, 96), np.uint8)
    mask[5:20, 5:20] = 255
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "m.png"), ""))
    shell.trigger("import_mask")
    assert shell.window.objects.ids == (1,)
    assert shell.session.last("set_mask")[3] == {1}
