"""Projects in the window: saved, opened in every way, found again, recovered."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDropEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QFileDialog, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.bridge import EngineBridge
from app.dialogs.recovery_dialog import RecoveryDialog
from app.settings import Settings
from app.window.main_window import MainWindow
from engine.project.project_file import open_project
from engine.runtime.config import EngineConfig
from engine.runtime.messages import MaskKind, Mode, Notice, ProjectChanged, Severity
from engine.runtime.session import Session
from tests.gui.shell.test_with_session import App, CopyingTracker

Key = Qt.Key
CONTROL = Qt.KeyboardModifier.ControlModifier
Start = Callable[..., App]


@pytest.fixture
def start(qtbot: QtBot, tmp_path: Path, show_active: Callable[[QWidget], None]) -> Iterator[Start]:
    """Starts the program: a window on a session whose tracker copies masks. Settings and data outlast it."""
    windows: list[MainWindow] = []

    def make(folder: str = "data") -> App:
        session = Session(
            EngineConfig(),
            create_tracker=lambda config, progress: CopyingTracker(),  # type: ignore[arg-type, return-value]
            autosave_dir=tmp_path / folder,
        )
        settings = Settings(tmp_path / "settings.ini")
        settings.brush_radius = 6
        window = MainWindow(EngineBridge(session), settings, EngineConfig())
        windows.append(window)
        qtbot.addWidget(window, before_close_func=lambda w: w.close_at_once())
        show_active(window)
        window.bridge.start()
        return App(window, qtbot)

    yield make
    for window in windows:
        window.close_at_once()
        assert window.stopped_in_time


@pytest.fixture
def clip(disc_clip: Any, tmp_path: Path) -> Path:
    return Path(shutil.copy(disc_clip.path, tmp_path / "clip.mp4"))


def answer(text: str) -> None:
    """Click this button of the dialog that is about to come."""

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        buttons = dialog.findChildren(QPushButton) if dialog is not None else []
        found = [b for b in buttons if b.isVisible() and b.text().replace("&", "") == text]
        if found:
            QTest.mouseClick(found[0], Qt.MouseButton.LeftButton)
        else:
            QTimer.singleShot(10, look)

    QTimer.singleShot(0, look)


def focus(app: App) -> None:
    """Keys reach the window again, after a dialog or another window had them."""

    def active() -> bool:
        app.window.activateWindow()
        return bool(app.window.isActiveWindow())

    app.until(active)
    app.canvas.setFocus()


def work(app: App, clip: Path) -> None:
    """Two objects, one renamed, tracked up to frame 6, marks set."""
    app.open(str(clip))
    app.stroke((70, 50), (80, 60))
    app.key(Key.Key_N)
    app.stroke((30, 30), (36, 34))
    app.window.objects.rename(2, "Ball")
    app.window.tracking.go_to(6)
    app.until(lambda: app.shown == 6)
    app.key(Key.Key_O)
    app.window.tracking.go_to(0)
    app.until(lambda: app.shown == 0)
    app.key(Key.Key_F)
    app.until(lambda: app.bridge.mode is Mode.FROZEN and app.shown == 6)


def check_work(app: App, masks: list[np.ndarray]) -> None:
    app.until(lambda: app.window.objects.ids == (1, 2))
    app.until(lambda: app.canvas.item is not None and app.shown == 6)
    assert [item.name for item in app.window.objects.items] == ["Object 1", "Ball"]
    assert app.bridge.mask_kinds() == {0: MaskKind.KEYFRAME, **dict.fromkeys(range(1, 7), MaskKind.TRACKED)}
    assert all(np.array_equal(app.bridge.mask_at(i)[0], mask) for i, mask in enumerate(masks))
    assert app.window.timeline.model.mark_out == 6
    app.until(lambda: app.canvas.displayed_mask is not None)
    assert np.array_equal(app.canvas.displayed_mask, masks[6])
    focus(app)  # and it goes on
    app.key(Key.Key_Period)
    app.until(lambda: app.bridge.mask_at(7)[1] is MaskKind.TRACKED)


def masks_of(app: App) -> list[np.ndarray]:
    return [app.bridge.mask_at(i)[0] for i in range(7)]  # type: ignore[misc]


def save(app: App, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    focus(app)
    app.key(Key.Key_S, CONTROL)
    app.until(lambda: app.bridge.project.keeps)


def keyframes_in(path: Path) -> list[int]:
    project = open_project(path, read_only=True)
    with closing(project):
        return sorted(project.read().contents.keyframes)


@pytest.fixture
def worked(start: Start, clip: Path) -> App:
    """A window in which `work` was done."""
    app = start()
    work(app, clip)
    return app


@pytest.fixture
def balls(worked: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[np.ndarray]]:
    """A project of that work, closed, and its masks."""
    path, masks = tmp_path / "balls.livemask", masks_of(worked)
    save(worked, path, monkeypatch)
    assert worked.window.close()
    return path, masks


# -- the whole way -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["menu", "recent", "welcome", "drop", "argument"])
def test_work_goes_on_after_closing_and_opening(
    start: Start, worked: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    app = worked
    assert app.window.isWindowModified()
    path = tmp_path / "balls.livemask"
    save(app, path.with_suffix(""), monkeypatch)  # the ending is added
    assert app.window.windowTitle() == "balls[*] - clip.mp4 - LiveMask"
    assert not app.window.isWindowModified()
    masks = masks_of(app)
    assert app.window.close()  # nothing is asked: it is saved
    assert list((tmp_path / "data").iterdir()) == []

    app = start()
    if way == "menu":
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
        QTest.keyClick(app.window, Key.Key_P, CONTROL)
    elif way == "recent":
        recent = app.window.menus["recent"]
        recent.aboutToShow.emit()
        next(action for action in recent.actions() if "balls.livemask" in action.text()).trigger()
    elif way == "welcome":
        links = app.window.welcome.findChildren(QPushButton, "recentLink")
        QTest.mouseClick(next(b for b in links if b.text() == "balls.livemask"), Qt.MouseButton.LeftButton)
    elif way == "drop":
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path))])
        how = (Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(app.window, QDragEnterEvent(QPoint(50, 50), *how))
        QApplication.sendEvent(app.window, QDropEvent(QPointF(50, 50), *how))
    else:
        app.window.opening.open(str(path))  # as `main.py PROJECT` does
    check_work(app, masks)
    assert app.window.windowTitle() == "balls[*] - clip.mp4 - LiveMask"


def test_edits_after_saving_need_no_second_save(worked: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = worked
    save(app, tmp_path / "balls.livemask", monkeypatch)
    app.window.tracking.go_to(3)
    app.until(lambda: app.shown == 3)
    app.stroke((100, 80), (110, 84))
    app.until(lambda: app.bridge._session.project_up_to_date)
    assert keyframes_in(tmp_path / "balls.livemask") == [0, 3]
    app.key(Key.Key_S, CONTROL)
    app.until(lambda: any("Saved balls.livemask" in text for text in app.notices))
    assert app.window.close()


# -- leaving without a project -----------------------------------------------------------------------------------
def test_closing_offers_to_save_and_waits_for_it(
    start: Start, worked: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = worked
    masks = masks_of(app)
    path = tmp_path / "late.livemask"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    answer("Save project…")
    assert app.window.close()
    app = start()
    app.window.opening.open(str(path))
    check_work(app, masks)


def test_a_save_that_is_given_up_or_fails_keeps_the_window(
    worked: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = worked
    for path in ("", str(tmp_path / "missing" / "x.livemask")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, path=path: (path, ""))
        answer("Save project…")
        assert not app.window.close()
    assert any("x.livemask cannot be saved" in text for text in app.notices)
    assert len(app.bridge.mask_kinds()) == 7


def test_discarded_work_is_not_offered_again(worked: App, tmp_path: Path) -> None:
    app = worked
    app.until(lambda: app.bridge._session.project_up_to_date)
    assert list((tmp_path / "data").glob("clip-*.livemask"))
    answer("Discard")
    assert app.window.close()
    assert list((tmp_path / "data").iterdir()) == []


def test_work_that_was_not_closed_is_offered_and_recovered(start: Start, worked: App) -> None:
    app = worked
    masks = masks_of(app)
    app.window.close_at_once()  # the process was told to end: nobody was asked, nothing is lost

    app = start()
    app.until(lambda: app.window.findChildren(RecoveryDialog))
    (dialog,) = app.window.findChildren(RecoveryDialog)
    assert dialog.list.item(0).text().startswith("clip.mp4\n")
    assert "1 painted, 6 tracked" in dialog.list.item(0).text()
    QTest.mouseClick(dialog.recover_button, Qt.MouseButton.LeftButton)
    check_work(app, masks)
    assert not app.window.actions_table["recover"].isEnabled()
    assert app.bridge.project == ProjectChanged()  # it still has no name, and closing asks
    answer("Cancel")
    assert not app.window.close()


def test_recovery_can_wait_and_can_be_deleted(start: Start, worked: App, tmp_path: Path) -> None:
    app = worked
    app.window.close_at_once()
    app = start()
    app.until(lambda: app.window.findChildren(RecoveryDialog))
    (dialog,) = app.window.findChildren(RecoveryDialog)
    QTest.keyClick(dialog, Key.Key_Escape)
    app.until(lambda: not app.window.findChildren(RecoveryDialog))
    app.window.actions_table["recover"].trigger()
    (dialog,) = app.window.findChildren(RecoveryDialog)
    answer("Delete")
    QTest.mouseClick(dialog.discard_button, Qt.MouseButton.LeftButton)
    app.until(lambda: list((tmp_path / "data").iterdir()) == [])
    app.until(lambda: not app.window.actions_table["recover"].isEnabled())


# -- two windows, moved videos ---------------------------------------------------------------------------------
def test_a_second_window_reads_only_and_keeps_its_changes_elsewhere(
    start: Start, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start()
    work(first, clip)
    save(first, tmp_path / "balls.livemask", monkeypatch)
    second = start("data of the second")
    second.window.opening.open(str(tmp_path / "balls.livemask"))
    second.until(lambda: second.bridge.project.read_only)
    second.until(lambda: any("open in another LiveMask" in text for text in second.notices))
    assert second.window.windowTitle() == "balls (read only)[*] - clip.mp4 - LiveMask"
    second.until(lambda: second.window.objects.ids == (1, 2))
    second.stroke((100, 80), (110, 84))
    second.until(lambda: list((tmp_path / "data of the second").glob("clip-*.livemask")))
    save(second, tmp_path / "mine.livemask", monkeypatch)
    assert second.window.close()
    assert keyframes_in(tmp_path / "balls.livemask") == [0]
    assert keyframes_in(tmp_path / "mine.livemask") == [0, 6]


def test_a_moved_video_is_found_by_the_user(
    start: Start,
    clip: Path,
    balls: tuple[Path, list[np.ndarray]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, masks = balls
    (tmp_path / "elsewhere").mkdir()
    moved = clip.rename(tmp_path / "elsewhere" / "renamed.mp4")
    app = start()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(moved), ""))
    answer("Find it…")
    app.window.opening.open(str(path))
    check_work(app, masks)
    assert app.bridge.info is not None
    assert app.bridge.info.uri == str(moved)
    assert app.window.close()
    app = start()  # and it is known from now on
    app.window.opening.open(str(path))
    app.until(lambda: app.bridge.info is not None and len(app.bridge.mask_kinds()) == 8)


def test_a_changed_video_is_noticed(
    start: Start, clip: Path, two_disc_clip: Any, balls: tuple[Path, list[np.ndarray]]
) -> None:
    path, masks = balls
    with clip.open("ab") as file:
        file.write(bytes(10))
    app = start()
    answer("Cancel")
    app.window.opening.open(str(path))
    app.until(lambda: QApplication.activeModalWidget() is None)
    answer("Use it")
    app.window.opening.open(str(path))
    check_work(app, masks)
    assert app.window.close()
    # Another video altogether, of another size, cannot be the one.
    shutil.copy(two_disc_clip.path, clip)
    app = start()
    answer("Use it")
    app.window.opening.open(str(path))
    app.until(lambda: any("320 x 240, but the project's masks are 160 x 120" in text for text in app.notices))
    assert app.bridge.info is None


# -- cameras -------------------------------------------------------------------------------------------------------
def paint_live(app: App, clip: Path) -> int:
    """Paint on the running picture of something live; the number of the frame that stood still for it."""
    app.open(f"live:{clip}")
    app.until(lambda: app.bridge.live and app.canvas.item is not None)
    app.stroke((70, 50), (80, 60))
    app.until(lambda: app.bridge.mode is Mode.FROZEN and app.bridge.painted_ids == {1})
    app.until(lambda: app.bridge._session.project_up_to_date)
    return app.shown


def test_what_was_painted_live_is_saved_on_closing_and_opens_again(
    start: Start, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start()
    shown = paint_live(app, clip)
    mask, rgb = app.bridge.mask_at(shown)[0], app.canvas.item.frame.rgb  # type: ignore[union-attr]
    app.window.objects.rename(1, "Disc")
    assert app.window.isWindowModified()
    answer("Cancel")
    assert not app.window.close()
    path = tmp_path / "live.livemask"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    answer("Save project…")
    assert app.window.close()
    assert list((tmp_path / "data").iterdir()) == []

    app = start()
    app.window.opening.open(str(path))
    app.until(lambda: app.window.objects.ids == (1,) and app.canvas.displayed_mask is not None)
    assert app.window.windowTitle() == "live[*] - clip.mp4 (live) - LiveMask"
    assert app.window.objects.items[0].name == "Disc"
    assert np.array_equal(app.canvas.displayed_mask, mask)
    assert np.array_equal(app.canvas.item.frame.rgb, rgb)  # type: ignore[union-attr]


def test_what_was_painted_live_is_recovered(start: Start, clip: Path, tmp_path: Path) -> None:
    app = start()
    shown = paint_live(app, clip)
    mask = app.bridge.mask_at(shown)[0]
    app.window.close_at_once()
    app = start()
    app.until(lambda: app.window.findChildren(RecoveryDialog))
    (dialog,) = app.window.findChildren(RecoveryDialog)
    assert "1 painted, 0 tracked" in dialog.list.item(0).text()
    QTest.mouseClick(dialog.recover_button, Qt.MouseButton.LeftButton)
    app.until(lambda: app.canvas.displayed_mask is not None)
    assert np.array_equal(app.canvas.displayed_mask, mask)
    assert not [uri for uri in app.window.settings.recent if uri.endswith(".livemask")]  # it has no name


def test_leaving_a_camera_asks_once_something_is_painted(start: Start, clip: Path, tmp_path: Path) -> None:
    app = start()
    app.open(f"live:{clip}")
    app.open(str(clip))  # nothing is painted: nothing is asked
    app.until(lambda: not app.bridge.live)
    paint_live(app, clip)
    answer("Cancel")
    assert not app.window.opening.open(str(clip))
    assert app.bridge.live
    answer("Discard")
    assert app.window.opening.open(str(clip))
    app.until(lambda: not app.bridge.live)
    app.until(lambda: list((tmp_path / "data").iterdir()) == [])


# -- by the fake session -------------------------------------------------------------------------------------------
def test_whatever_is_open_can_be_saved(shell: Any) -> None:
    for uri in ("camera:0", "/videos/clip.mp4"):
        assert not shell.window.actions_table["save_project"].isEnabled()
        shell.open(uri)
        assert shell.window.actions_table["save_project"].isEnabled()
        shell.trigger("close_source")
        shell.pump()


def test_a_project_that_cannot_be_written_asks_at_the_end(shell: Any) -> None:
    shell.open()
    canvas = shell.window.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(40, 30).toPoint())
    shell.session.say(ProjectChanged(Path("/p/a.livemask")))
    shell.pump()
    assert not shell.window.isWindowModified()
    shell.session.say(ProjectChanged(Path("/p/a.livemask"), failing=True))
    shell.session.say(Notice(Severity.ERROR, "a.livemask cannot be saved: the disk is full."))
    shell.pump()
    assert shell.window.isWindowModified()
    answer("Discard")
    assert shell.window.close()
    assert shell.session.kept_unsaved is False


def test_names_and_colours_reach_the_session(shell: Any) -> None:
    shell.open()
    shell.trigger("new_object")
    shell.window.objects.rename(1, "Cat")
    shell.pump()
    assert [(o.id, o.name) for o in shell.session.objects] == [(1, "Cat")]
    shell.window.objects.recolor(1, (9, 8, 7))
    shell.pump()
    assert shell.session.objects[0].color == (9, 8, 7)
