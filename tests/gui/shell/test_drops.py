"""Drag and drop: what is dropped is opened, or used as a mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QImage, qRgb
from PyQt6.QtWidgets import QApplication, QMessageBox

from app.window.opening import is_plain_mask

HEIGHT, WIDTH = 64, 96


def drop(shell: Any, mime: QMimeData) -> QDropEvent:
    buttons, none, action = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction
    enter = QDragEnterEvent(QPoint(50, 50), action, mime, buttons, none)
    enter.ignore()
    QApplication.sendEvent(shell.window, enter)
    shell.extra["entered"] = enter.isAccepted()
    shell.extra["hint"] = shell.window.drop_hint.isVisible()
    event = QDropEvent(QPointF(50, 50), action, mime, buttons, none)
    event.ignore()
    QApplication.sendEvent(shell.window, event)
    shell.pump()
    return event


def files(*paths: Path | str) -> QMimeData:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return mime


def palette_png(path: Path, width: int = WIDTH, height: int = HEIGHT, object_id: int = 3) -> Path:
    image = QImage(width, height, QImage.Format.Format_Indexed8)
    image.setColorTable([qRgb(0, 0, 0), qRgb(128, 0, 0), qRgb(0, 128, 0), qRgb(128, 128, 0)])
    image.fill(0)
    for y in range(10, 30):
        for x in range(10, 40):
            image.setPixel(x, y, object_id)
    assert image.save(str(path))
    return path


def photo_png(path: Path) -> Path:
    rng = np.random.default_rng(0)
    assert cv2.imwrite(str(path), rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    return path


def answer(text: str) -> None:
    """Click this button of the question that is about to come."""

    def click() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        next(b for b in box.buttons() if b.text().replace("&", "") == text).click()

    QTimer.singleShot(0, click)


def test_a_video_is_opened(shell: Any, tmp_path: Path) -> None:
    event = drop(shell, files(tmp_path / "a.mp4"))
    assert shell.extra == {"entered": True, "hint": True}
    assert event.isAccepted()
    assert not shell.window.drop_hint.isVisible()
    assert shell.session.last("open") == ("open", str(tmp_path / "a.mp4"))


def test_a_folder_is_opened(shell: Any, tmp_path: Path) -> None:
    drop(shell, files(tmp_path))
    assert shell.session.last("open") == ("open", str(tmp_path))


def test_a_stream_address_is_opened(shell: Any) -> None:
    mime = QMimeData()
    mime.setText("  rtsp://10.0.0.5:554/stream\n")
    drop(shell, mime)
    assert shell.session.last("open") == ("open", "rtsp://10.0.0.5:554/stream")
    assert shell.window.bridge.live


@pytest.mark.parametrize("text", ["hello", "", "ftp://host/file", "javascript:alert(1)", "https://"])
def test_other_text_is_refused(shell: Any, text: str) -> None:
    mime = QMimeData()
    mime.setText(text)
    assert not drop(shell, mime).isAccepted()
    assert shell.extra == {"entered": False, "hint": False}
    assert "open" not in shell.session.names()


def test_of_many_files_the_first_is_opened_and_a_notice_tells(shell: Any, tmp_path: Path) -> None:
    drop(shell, files(tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"))
    assert shell.session.last("open") == ("open", str(tmp_path / "a.mp4"))
    assert "a.mp4" in shell.window.notices.items[0].text
    assert "2" in shell.window.notices.items[0].text


def test_leaving_takes_the_hint_away(shell: Any, tmp_path: Path) -> None:
    mime = files(tmp_path)  # the event does not keep it alive
    enter = QDragEnterEvent(
        QPoint(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(shell.window, enter)
    assert shell.window.drop_hint.isVisible()
    QApplication.sendEvent(shell.window, QDragLeaveEvent())
    assert not shell.window.drop_hint.isVisible()


def test_a_mask_that_fits_is_used_without_a_question(shell: Any, tmp_path: Path) -> None:
    shell.open()
    drop(shell, files(palette_png(tmp_path / "m.png")))
    assert shell.session.names().count("open") == 1
    assert shell.window.objects.ids == (3,)
    assert shell.window.objects.selected_id == 3
    _, _, mask, touched = shell.session.last("set_mask")
    assert touched == {3}
    assert mask[20, 20] == 3
    assert mask[0, 0] == 0


def test_a_mask_on_the_live_preview_freezes_it(shell: Any, tmp_path: Path) -> None:
    shell.open("camera:0")
    drop(shell, files(palette_png(tmp_path / "m.png")))
    assert "freeze" in shell.session.names()


def test_a_mask_without_a_source_is_opened_as_a_picture(shell: Any, tmp_path: Path) -> None:
    path = palette_png(tmp_path / "m.png")
    drop(shell, files(path))
    assert shell.session.last("open") == ("open", str(path))


@pytest.mark.parametrize(("reply", "used"), [("Resize it", True), ("Cancel", False)])
def test_a_mask_of_another_size_is_resized_if_the_user_agrees(
    shell: Any, tmp_path: Path, reply: str, used: bool
) -> None:
    shell.open()
    answer(reply)
    drop(shell, files(palette_png(tmp_path / "m.png", 2 * WIDTH, 2 * HEIGHT)))
    assert ("set_mask" in shell.session.names()) == used
    if used:
        assert shell.session.last("set_mask")[2].shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("reply", "opens", "paints"),
    [("Open as picture", True, False), ("Use as mask", False, False), ("Cancel", False, False)],
)
def test_a_colour_picture_asks(shell: Any, tmp_path: Path, reply: str, opens: bool, paints: bool) -> None:
    shell.open()
    path = photo_png(tmp_path / "p.png")
    answer(reply)
    drop(shell, files(path))
    assert (shell.session.last("open") == ("open", str(path))) == opens
    assert ("set_mask" in shell.session.names()) == paints
    if reply == "Use as mask":  # noise has too many colours; the user is told
        assert shell.window.notices.items[0].notice.severity.value == "error"


def test_which_pictures_are_masks_beyond_doubt(tmp_path: Path) -> None:
    grey = np.zeros((20, 30), np.uint8)
    grey[5:9, 5:9] = 255
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    ramp = np.tile(np.arange(256, dtype=np.uint8), (20, 1))
    cv2.imwrite(str(tmp_path / "ramp.png"), ramp)
    cutout = np.full((20, 30, 4), 255, np.uint8)
    cutout[:10, :, 3] = 0
    cv2.imwrite(str(tmp_path / "cutout.png"), cutout)
    assert is_plain_mask(palette_png(tmp_path / "p.png"))
    assert is_plain_mask(tmp_path / "grey.png")
    assert is_plain_mask(tmp_path / "cutout.png")
    assert not is_plain_mask(tmp_path / "ramp.png")
    assert not is_plain_mask(photo_png(tmp_path / "photo.png"))


def test_a_broken_mask_says_what_is_wrong(shell: Any, tmp_path: Path) -> None:
    shell.open()
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    drop(shell, files(tmp_path / "broken.png"))
    assert shell.window.notices.items[0].notice.severity.value == "error"
    assert "set_mask" not in shell.session.names()
