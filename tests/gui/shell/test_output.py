"""Export, recording, and the question before masks are lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt, QTimer
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QComboBox, QDialog, QFileDialog, QLabel, QMessageBox, QPushButton, QSpinBox

from app.dialogs.export_dialog import ExportDialog
from app.dialogs.export_options import RangeChooser
from engine.export.formats import FORMATS
from tests.gui.shell.test_accessibility import unnamed


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


def open_dialog(shell: Any, key: str = "masks") -> ExportDialog:
    shell.trigger("export")
    (dialog,) = [d for d in shell.window.findChildren(ExportDialog) if d.isVisible()]
    choose(dialog, key)
    return dialog  # type: ignore[no-any-return]


def choose(dialog: ExportDialog, key: str) -> None:
    """Walk to a format with the keyboard, as somebody without a mouse does."""
    dialog.formats.setFocus()
    QTest.keyClick(dialog.formats, Qt.Key.Key_Home)
    for _ in range(dialog.formats.count()):
        if dialog.formats.format.key == key:
            QApplication.processEvents()
            return
        QTest.keyClick(dialog.formats, Qt.Key.Key_Down)
    raise AssertionError(f"the keyboard does not reach {key}")


# -- export ------------------------------------------------------------------------------------------------------
def test_without_masks_there_is_nothing_to_export(shell: Any) -> None:
    shell.open()
    shell.trigger("export")
    assert "no masks" in shell.window.notices.items[0].text
    assert not shell.window.findChildren(ExportDialog)


def test_masks_are_exported(painted: Any, tmp_path: Path) -> None:
    dialog = open_dialog(painted)
    dialog.where.edit.setText(str(tmp_path / "masks"))
    QTest.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    painted.pump()
    request = painted.session.last("export")[1]
    assert (request.format, request.target, request.whole) == ("masks", tmp_path / "masks", True)
    assert dialog.result() == QDialog.DialogCode.Accepted
    assert not painted.window.bridge.unsaved
    assert not painted.window.isWindowModified()
    assert "exported" in painted.window.notices.items[0].text
    assert painted.window.settings.last_folder("export") == str(tmp_path)


def test_a_video_is_exported_as_it_looks_on_screen(painted: Any, tmp_path: Path) -> None:
    painted.trigger("opacity_75")
    painted.window.objects.rename(1, "Dog")
    painted.window.objects.recolor(1, (1, 2, 3))
    dialog = open_dialog(painted, "overlay")
    dialog.where.edit.setText(str(tmp_path / "over"))
    QTest.keyClick(dialog.where.edit, Qt.Key.Key_Return)
    painted.pump()
    request = painted.session.last("export")[1]
    assert request.target == tmp_path / "over.mp4"
    assert request.options["opacity"] == 75
    assert request.palette[1].tolist() == [1, 2, 3]
    assert request.objects[0].name == "Dog"
    assert painted.window.settings.export_format == "overlay"  # the next time, too
    assert painted.window.bridge.unsaved  # no masks come back out of a video


@pytest.mark.parametrize("key", list(FORMATS))
def test_every_format_has_a_target_options_and_a_preview(painted: Any, key: str) -> None:
    dialog = open_dialog(painted, key)
    painted.bot.waitUntil(lambda: dialog.preview.picture.image is not None)
    dialog._show_preview()
    format_ = FORMATS[key]
    assert dialog.where.edit.text().endswith(f"clip{format_.tail}{format_.suffix}")
    assert dialog.summary.text() == format_.summary
    assert set(dialog.options.fields) == {o.key for o in format_.options} - {"even"}  # the video is even
    assert dialog.preview.picture.image is not None
    assert dialog.preview.picture.image.hasAlphaChannel() == (format_.look == "cutout")
    assert dialog.preview.text.isVisible() == (key in ("coco", "youtube-vis", "csv", "labelme", "cvat"))
    assert unnamed(dialog) == []
    dialog.reject()


def test_the_preview_is_what_will_be_written(painted: Any) -> None:
    dialog = open_dialog(painted, "background")
    combo = dialog.options.fields["background"]
    assert isinstance(combo, QComboBox)
    dialog._show_preview()
    image = dialog.preview.picture.image
    assert image is not None
    assert image.pixelColor(2, 2).getRgb()[:3] == (0, 177, 64)
    combo.setCurrentIndex(combo.findData("white"))
    dialog._show_preview()
    assert dialog.preview.picture.image.pixelColor(2, 2).getRgb()[:3] == (255, 255, 255)
    choose(dialog, "csv")
    dialog._show_preview()
    first, second = dialog.preview.text.toPlainText().splitlines()
    assert first.startswith("frame,time_s,object,name")
    assert second.startswith("0,0.000000,1,Object 1,")
    painted.trigger("step_forward")  # the window stays usable; the preview follows
    dialog._show_preview()
    assert dialog.preview.text.toPlainText().splitlines()[1].startswith("1,0.040000,1,")
    dialog.reject()


def test_the_range_between_the_marks_or_any_other(painted: Any, tmp_path: Path) -> None:
    painted.window.tracking._set_marks(3, 20)
    dialog = open_dialog(painted, "gif")
    assert dialog.range.frames == (3, 20)  # nobody wants a GIF of everything
    dialog.range.choose(RangeChooser.CHOSEN)
    dialog.range.first.setValue(9)
    dialog.range.last.setValue(5)
    assert not dialog.start_button.isEnabled()
    dialog.range.last.setValue(12)
    dialog.where.edit.setText(str(tmp_path / "a.gif"))
    QTest.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    painted.pump()
    request = painted.session.last("export")[1]
    assert (request.first, request.last) == (9, 12)


def test_only_some_objects(painted: Any) -> None:
    painted.window.objects.add("Other")
    dialog = open_dialog(painted, "matte")
    dialog.objects.entries[1].trigger()
    assert dialog._request().object_ids == frozenset([2])  # type: ignore[union-attr]
    assert dialog.objects.text() == "Other"
    dialog.objects.entries[2].trigger()
    assert not dialog.start_button.isEnabled()
    dialog.objects.entries[1].trigger()
    dialog.objects.entries[2].trigger()
    assert dialog._request().object_ids is None  # type: ignore[union-attr]
    dialog.reject()


def test_options_are_kept_while_one_looks_around(painted: Any, tmp_path: Path) -> None:
    dialog = open_dialog(painted, "rgba-png")
    feather = dialog.options.fields["feather"]
    assert isinstance(feather, QSpinBox)
    feather.setValue(7)
    dialog.where.edit.setText(str(tmp_path / "mine"))
    choose(dialog, "webm")
    assert dialog.where.edit.text() == str(tmp_path / "clip_alpha.webm")  # the folder stays, the name fits the format
    choose(dialog, "rgba-png")
    assert dialog.options.values() == {"feather": 7}
    dialog.reject()


def test_without_a_target_nothing_can_be_exported(painted: Any) -> None:
    dialog = open_dialog(painted)
    assert dialog.start_button.isEnabled()
    dialog.where.edit.setText("  ")
    assert not dialog.start_button.isEnabled()
    dialog.reject()


def test_the_target_is_chosen_in_the_systems_dialogs(painted: Any, tmp_path: Path, monkeypatch: Any) -> None:
    dialog = open_dialog(painted)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    QTest.mouseClick(dialog.where.browse, Qt.MouseButton.LeftButton)
    assert dialog.where.target == tmp_path / "clip_masks"  # a folder of its own, whatever else is there
    choose(dialog, "csv")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "all.txt"), ""))
    QTest.mouseClick(dialog.where.browse, Qt.MouseButton.LeftButton)
    assert dialog.where.target == tmp_path / "all.txt.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: ("", ""))
    QTest.mouseClick(dialog.where.browse, Qt.MouseButton.LeftButton)
    assert dialog.where.target == tmp_path / "all.txt.csv"
    dialog.reject()


def test_scrolling_past_a_field_does_not_change_it(painted: Any) -> None:
    dialog = open_dialog(painted, "overlay")
    spin = dialog.options.fields["opacity"]
    assert isinstance(spin, QSpinBox)
    middle = QPointF(spin.rect().center())
    turn = QWheelEvent(
        middle, QPointF(spin.mapToGlobal(middle.toPoint())), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    before = spin.value()
    QApplication.sendEvent(spin, turn)
    assert spin.value() == before
    spin.setFocus()
    QApplication.sendEvent(spin, turn)
    assert spin.value() == before + 1
    dialog.reject()


def test_the_dialog_is_not_opened_twice(painted: Any) -> None:
    dialog = open_dialog(painted)
    assert not dialog.isModal()
    assert open_dialog(painted) is dialog
    dialog.reject()
    assert open_dialog(painted) is not dialog


@pytest.mark.parametrize("size", [(460, 340), (1200, 900)])
def test_nothing_is_cut_off_at_any_size(painted: Any, size: tuple[int, int]) -> None:
    dialog = open_dialog(painted, "background")
    dialog.resize(*size)
    QApplication.processEvents()
    inside = dialog._area.widget()
    viewport = dialog._area.viewport()
    assert inside is not None
    assert viewport is not None
    assert inside.width() <= viewport.width()
    for part in (dialog.start_button, dialog.close_button, dialog.where.edit, dialog.where.browse):
        assert dialog.rect().contains(part.rect().translated(part.mapTo(dialog, part.rect().topLeft())))
    dialog.reject()


def test_the_keyboard_reaches_everything(painted: Any) -> None:
    dialog = open_dialog(painted, "overlay")
    reached: set[Any] = set()
    for _ in range(40):
        QTest.keyClick(QApplication.focusWidget() or dialog, Qt.Key.Key_Tab)
        reached.add(QApplication.focusWidget())
    wanted = [dialog.formats, dialog.range.which, dialog.where.edit, dialog.where.browse, dialog.start_button]
    assert {*wanted, dialog.close_button, dialog.options.fields["outline"]} <= reached
    dialog.reject()


def test_no_two_parts_answer_to_one_letter(painted: Any) -> None:
    dialog = open_dialog(painted, "overlay")
    texts = [label.text() for label in dialog.findChildren(QLabel) if label.buddy() is not None]
    texts += [button.text() for button in dialog.findChildren(QPushButton)]
    letters = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
    assert sorted(letters) == sorted(set(letters)) == ["e", "f", "h", "o", "t"]
    QTest.keyClick(dialog, Qt.Key.Key_T, Qt.KeyboardModifier.AltModifier)
    assert QApplication.focusWidget() is dialog.where.edit
    dialog.reject()


@pytest.mark.parametrize(("reply", "exports"), [("Replace", True), ("Keep them", False)])
def test_files_that_are_there_are_asked_about(painted: Any, tmp_path: Path, reply: str, exports: bool) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "mine.txt").touch()
    dialog = open_dialog(painted)
    dialog.where.edit.setText(str(tmp_path / "masks"))
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
    dialog.where.edit.setText(str(tmp_path / "masks"))
    QTest.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    painted.pump()
    assert dialog.strip.bar.isVisible()
    assert (dialog.strip.bar.value(), dialog.strip.bar.maximum()) == (1, 1)
    assert dialog.strip.status.text() == "1 of 1 frames"
    assert not dialog.where.edit.isEnabled()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert painted.session.calls[-1] == ("cancel_export",)
    painted.pump()
    assert dialog.isVisible()  # it says how it ended, and the user may try again
    assert dialog.strip.status.text() == "Stopped."
    assert dialog.strip.notice.property("severity") == "info"
    assert dialog.start_button.isEnabled()
    assert painted.window.bridge.unsaved
    dialog.reject()
    assert not dialog.isVisible()


@pytest.mark.parametrize("then", ["continue", "close", "elsewhere"])
def test_finished_parts_are_continued_or_go(painted: Any, tmp_path: Path, then: str) -> None:
    parts = tmp_path / "masks.unfinished"
    painted.session.holds_export = True
    dialog = open_dialog(painted)
    dialog.where.edit.setText(str(tmp_path / "masks"))
    dialog.start()
    parts.mkdir()  # as the runner makes it
    (parts / "job.json").write_text("{}")
    QTest.mouseClick(dialog.close_button, Qt.MouseButton.LeftButton)
    painted.pump()
    assert dialog.start_button.text() == "&Continue"
    painted.session.holds_export = False
    if then == "close":
        dialog.reject()
        assert not parts.exists()
        return
    if then == "elsewhere":
        dialog.where.edit.setText(str(tmp_path / "other"))
    dialog.start()
    assert parts.exists() == (then == "continue")
    assert len([name for name in painted.session.names() if name == "export"]) == 2
    painted.pump()


def test_a_failed_export_says_why(painted: Any, tmp_path: Path) -> None:
    painted.session.exports_ok = False
    dialog = open_dialog(painted)
    dialog.where.edit.setText(str(tmp_path / "masks"))
    dialog.start()
    painted.pump()
    assert dialog.isVisible()
    assert dialog.strip.status.text() == "Disk full."
    assert dialog.strip.notice.property("severity") == "error"
    assert QApplication.activeModalWidget() is None
    dialog.reject()


def test_an_export_outlives_its_source_but_the_question_does_not(painted: Any, tmp_path: Path) -> None:
    dialog = open_dialog(painted)
    painted.session.holds_export = True
    dialog.where.edit.setText(str(tmp_path / "masks"))
    dialog.start()
    click(QMessageBox, "Discard")
    painted.open("/videos/other.mp4")
    assert dialog.isVisible()
    painted.session.cancel_export()
    painted.pump()
    dialog.reject()
    canvas = painted.window.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(40, 30).toPoint())
    painted.pump()
    asking = open_dialog(painted)
    click(QMessageBox, "Discard")
    painted.open("/videos/third.mp4")
    assert not asking.isVisible()


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


def test_an_export_that_still_runs_is_shown_instead_of_closing(painted: Any, tmp_path: Path) -> None:
    dialog = open_dialog(painted)
    painted.session.holds_export = True
    dialog.where.edit.setText(str(tmp_path / "masks"))
    dialog.start()
    click(QMessageBox, "Export…")
    assert not painted.window.close()
    assert dialog.running
    assert dialog.isVisible()
    assert [d for d in painted.window.findChildren(ExportDialog) if d.isVisible()] == [dialog]


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
    button = shell.window.transport._live_buttons[-1]
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
