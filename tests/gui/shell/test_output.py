"""Export, recording, and the question before masks are lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDialog, QFileDialog, QMessageBox

from app.dialogs.export_dialog import ExportDialog
from engine.runtime.messages import ExportRequest


@pytest.fixture
def painted(shell: Any) -> Any:
    """A window with a clip and one painted frame."""
    shell.open("/videos/clip.mp4")
    canvas = shell.window.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(40, 30).toPoint())
    shell.pump()
    assert shell.window.bridge.unsaved
    return shell


def click(dialog_type: type[QDialog], text: str) -> None:
    """When a dialog of this type comes up, press the button with this text."""

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, dialog_type):
            QTimer.singleShot(10, look)
            return
        buttons = dialog.buttons() if isinstance(dialog, QMessageBox) else [dialog.start_button, dialog.close_button]  # type: ignore[attr-defined]
        next(b for b in buttons if b.text().replace("&", "") == text).click()

    QTimer.singleShot(0, look)


def open_dialog(shell: Any) -> ExportDialog:
    shell.trigger("export")
    (dialog,) = [d for d in shell.window.findChildren(ExportDialog) if d.isVisible()]
    return dialog  # type: ignore[no-any-return]


# -- export ------------------------------------------------------------------------------------------------------
def test_without_masks_there_is_nothing_to_export(shell: Any) -> None:
    shell.open()
    shell.trigger("export")
    assert "no masks" in shell.window.notices.items[0].text
    assert not shell.window.findChildren(ExportDialog)


def test_masks_and_video_are_exported(painted: Any, tmp_path: Path) -> None:
    painted.trigger("opacity_75")
    dialog = open_dialog(painted)
    dialog.png_path.setText(str(tmp_path / "masks"))
    QTest.mouseClick(dialog.video_check, Qt.MouseButton.LeftButton, pos=dialog.video_check.rect().center() * 0.1)
    assert dialog.video_check.isChecked()
    dialog.video_path.setText(str(tmp_path / "over"))
    QTest.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    painted.pump()
    assert painted.session.last("export")[1] == ExportRequest(tmp_path / "masks", tmp_path / "over.mp4", 0.75, False)
    assert dialog.result() == QDialog.DialogCode.Accepted
    assert not painted.window.bridge.unsaved
    assert not painted.window.isWindowModified()
    assert "exported" in painted.window.notices.items[0].text
    assert painted.window.settings.last_folder("export") == str(tmp_path)


def test_nothing_chosen_cannot_be_exported(painted: Any) -> None:
    dialog = open_dialog(painted)
    assert dialog.start_button.isEnabled()
    dialog.png_check.setChecked(False)
    assert not dialog.start_button.isEnabled()
    dialog.png_check.setChecked(True)
    dialog.png_path.setText("  ")
    assert not dialog.start_button.isEnabled()
    dialog.reject()


@pytest.mark.parametrize(("reply", "exports"), [("Replace", True), ("Keep them", False)])
def test_files_that_are_there_are_asked_about(painted: Any, tmp_path: Path, reply: str, exports: bool) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "00000.png").touch()
    dialog = open_dialog(painted)
    dialog.png_path.setText(str(tmp_path / "masks"))
    click(QMessageBox, reply)
    QTest.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    assert ("export" in painted.session.names()) == exports
    if exports:
        assert painted.session.last("export")[1].overwrite
    painted.pump()
    dialog.reject()


def test_a_running_export_shows_progress_and_can_be_stopped(painted: Any, tmp_path: Path) -> None:
    painted.session.holds_export = True
    dialog = open_dialog(painted)
    dialog.png_path.setText(str(tmp_path / "masks"))
    QTest.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    painted.pump()
    assert dialog.progress.isVisible()
    assert (dialog.progress.value(), dialog.progress.maximum()) == (1, 1)
    assert not dialog.png_path.isEnabled()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert painted.session.calls[-1] == ("cancel_export",)
    painted.pump()
    assert dialog.isVisible()  # it says how it ended, and the user may try again
    assert dialog.status.text() == "Stopped."
    assert dialog.start_button.isEnabled()
    assert painted.window.bridge.unsaved
    dialog.reject()
    assert not dialog.isVisible()


def test_a_failed_export_says_why(painted: Any, tmp_path: Path) -> None:
    painted.session.exports_ok = False
    dialog = open_dialog(painted)
    dialog.png_path.setText(str(tmp_path / "masks"))
    dialog.start()
    painted.pump()
    assert dialog.isVisible()
    assert dialog.status.text() == "Disk full."
    dialog.reject()


# -- closing -----------------------------------------------------------------------------------------------------
def test_closing_without_masks_does_not_ask(shell: Any) -> None:
    shell.open()
    assert shell.window.close()
    assert "shutdown" in shell.session.names()


@pytest.mark.parametrize(("reply", "closes"), [("Discard", True), ("Cancel", False)])
def test_closing_with_masks_asks(painted: Any, reply: str, closes: bool) -> None:
    assert painted.window.isWindowModified()
    click(QMessageBox, reply)
    assert painted.window.close() == closes
    assert ("shutdown" in painted.session.names()) == closes
    assert painted.window.isVisible() != closes


def test_exporting_first_closes_afterwards(painted: Any, tmp_path: Path) -> None:
    painted.window.settings.set_last_folder("export", tmp_path)
    click(QMessageBox, "Export…")
    click(ExportDialog, "Export")
    assert painted.window.close()
    assert painted.session.names()[-2:] == ["export", "shutdown"]


def test_an_export_that_is_given_up_keeps_the_window(painted: Any) -> None:
    click(QMessageBox, "Export…")
    click(ExportDialog, "Cancel")
    assert not painted.window.close()
    assert painted.window.isVisible()


@pytest.mark.parametrize(("reply", "opens"), [("Discard", True), ("Cancel", False)])
def test_opening_something_else_asks_too(painted: Any, reply: str, opens: bool) -> None:
    click(QMessageBox, reply)
    painted.open("/videos/other.mp4")
    assert (painted.session.last("open")[1] == "/videos/other.mp4") == opens


def test_being_told_to_end_does_not_ask(painted: Any) -> None:
    painted.window.close_at_once()
    assert "shutdown" in painted.session.names()


# -- clear tracking ------------------------------------------------------------------------------------------------
def test_clear_tracking_asks_and_keeps_keyframes(painted: Any) -> None:
    QTest.keyClick(painted.window.canvas, Qt.Key.Key_Period)
    painted.pump()
    assert len(painted.session.mask_kinds()) == 2
    click(QMessageBox, "Cancel")
    painted.trigger("clear_tracking")
    assert len(painted.session.mask_kinds()) == 2
    click(QMessageBox, "Clear")
    painted.trigger("clear_tracking")
    assert list(painted.session.mask_kinds()) == [0]


# -- recording -----------------------------------------------------------------------------------------------------
def test_a_live_source_is_recorded(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.open("camera:0")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    button = shell.window.transport._live_buttons[1]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    shell.pump()
    folder = shell.session.last("start_recording")[1]
    assert folder.parent == tmp_path
    assert not folder.exists()
    assert button.isChecked()
    assert "recording" in shell.window.transport.state.text()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    shell.pump()
    assert shell.session.calls[-1] == ("stop_recording",)
    assert not button.isChecked()
    assert "recording" not in shell.window.transport.state.text()
    assert str(folder) in shell.window.notices.items[0].text


def test_a_recording_that_is_not_begun_leaves_the_button_up(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.open("camera:0")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    shell.trigger("record")
    assert "start_recording" not in shell.session.names()
    assert not shell.window.actions_table["record"].isChecked()


def test_a_new_source_ends_the_recording_mark(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.open("camera:0")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    shell.trigger("record")
    shell.open("/videos/a.mp4")
    assert not shell.window.bridge.recording
    assert not shell.window.actions_table["record"].isChecked()
