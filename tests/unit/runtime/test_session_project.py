"""What the session does with projects: saves by itself, opens, refuses, and never loses what was there."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.project import project_file
from engine.project.project_file import in_use, open_project
from engine.project.recovery import find_leftovers
from engine.project.state import ProjectObject, ProjectState
from engine.runtime.messages import (
    MaskKind,
    Mode,
    ProjectChanged,
    ProjectOpened,
    ProjectSourceMissing,
    RecoveryFound,
    Severity,
    SourceOpened,
)
from engine.runtime.messages import Notice as NoticeEvent
from engine.video.folder import ImageFolderSource
from tests.unit.runtime.fakes import TIMEOUT, Driver, Gate, picture, square

Drive = Callable[..., Driver]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Ten tiny pictures that say which frame they are."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(10):
        assert cv2.imwrite(str(folder / f"{index}.png"), picture(index)[..., ::-1])
    return folder


@pytest.fixture
def auto(tmp_path: Path) -> Path:
    return tmp_path / "auto"


@pytest.fixture
def work(drive: Drive, frames: Path, auto: Path) -> Callable[[], Driver]:
    """A session on the pictures, with one painted frame and an autosave folder."""

    def make(*, paint: bool = True) -> Driver:
        driver = start(drive, frames, auto)
        driver.open(str(frames))
        driver.wait_ready()
        if paint:
            until(driver, lambda: driver.shown == 0)
            driver.paint()
            until(driver, lambda: driver.session.project_up_to_date)
        return driver

    return make


def start(drive: Drive, frames: Path, auto: Path) -> Driver:
    return drive({str(frames): lambda: ImageFolderSource(frames)}, autosave_dir=auto)


def until(driver: Driver, state: Callable[[], object]) -> None:
    """As `Driver.wait`, for what is on the disk and rings no bell."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        driver.events.extend(driver.session.events())
        if state():
            return
        assert time.monotonic() < deadline, driver.events[-5:]
        driver._bell.wait(0.01)
        driver._bell.clear()


def read(path: Path) -> ProjectState:
    project = open_project(path, read_only=True)
    try:
        return project.read()
    finally:
        project.close()


def saved(driver: Driver, path: Path) -> Path:
    driver.session.save_project(path)
    until(driver, lambda: driver.wait_event(ProjectChanged) and f"Saved {path.name}." in driver.notices)
    return path


def event(driver: Driver, kind: type) -> object:
    return driver.wait_event(kind, 1)


# -- by itself ---------------------------------------------------------------------------------------------------
def test_nothing_is_kept_before_anything_is_painted(work: Callable[..., Driver], auto: Path) -> None:
    driver = work(paint=False)
    driver.session.pause()
    driver.session.close_source()
    driver.wait_mode(Mode.EMPTY)
    assert driver.session.shutdown(10)
    assert not auto.exists() or list(auto.iterdir()) == []


def test_every_edit_is_on_the_disk_before_the_next(work: Callable[..., Driver], auto: Path) -> None:
    driver = work()
    (path,) = auto.glob("frames-*.livemask")
    assert sorted(read(path).contents.keyframes) == [0]
    driver.session.seek(4)
    driver.wait_shown(4)
    driver.paint(square(2), [2])
    until(driver, lambda: driver.session.project_up_to_date)
    assert sorted(read(path).contents.keyframes) == [0, 4]
    driver.session.delete_object(2)
    until(driver, lambda: driver.session.project_up_to_date)
    assert sorted(read(path).contents.keyframes) == [0]
    assert [item.id for item in read(path).objects] == [1]


def test_tracked_masks_are_saved_while_tracking_goes_on(work: Callable[..., Driver], auto: Path) -> None:
    driver = work()
    driver.session._keeper._autosave_s = 0.01
    driver.session._keeper.poke()
    driver.tracker.gate.close()
    driver.tracker.gate.allow(4)
    driver.session.track()
    (path,) = auto.glob("frames-*.livemask")
    until(driver, lambda: len(read(path).contents.tracked) == 3)
    assert read(path).view.tracking
    driver.tracker.gate.open()
    until(driver, lambda: driver.session.mode is Mode.FROZEN)
    until(driver, lambda: not read(path).view.tracking)
    assert len(read(path).contents.tracked) == 9


@pytest.mark.parametrize("end", ["close", "another source", "let go"])
def test_work_without_a_name_goes_when_it_is_let_go(work: Callable[..., Driver], auto: Path, end: str) -> None:
    driver = work()
    assert list(auto.glob("*.livemask"))
    if end == "close":
        driver.session.close_source()
    elif end == "another source":
        driver.session.open(next(iter(driver.sources)))
    else:
        assert driver.session.shutdown(10, keep_unsaved=False)
    until(driver, lambda: list(auto.iterdir()) == [])


def test_work_without_a_name_stays_when_nobody_let_it_go(
    work: Callable[..., Driver], drive: Drive, frames: Path, auto: Path
) -> None:
    driver = work()
    driver.session.set_objects((ProjectObject(1, "Cat", (1, 2, 3)),))
    assert driver.session.shutdown(10)
    again = start(drive, frames, auto)
    (leftover,) = again.wait_event(RecoveryFound).leftovers  # type: ignore[attr-defined]
    assert (leftover.name, leftover.keyframes, leftover.tracked, leftover.named) == ("frames", 1, 0, False)
    again.session.open_project(leftover.path)
    opened = again.wait_event(ProjectOpened)
    assert [item.name for item in opened.objects] == ["Cat"]  # type: ignore[attr-defined]
    until(again, lambda: again.session.mask_at(0)[1] is MaskKind.KEYFRAME)
    again.session.save_project(auto.parent / "cat.livemask")
    until(again, lambda: "Saved cat.livemask." in again.notices)
    assert not list(auto.glob("*.livemask"))  # it has a name now
    assert find_leftovers(auto) == []  # in use, so not left over


def test_recovered_work_has_no_name_wherever_its_folder_is_linked_from(
    work: Callable[..., Driver], drive: Drive, frames: Path, auto: Path
) -> None:
    assert work().session.shutdown(10)
    link = auto.with_name("link")
    link.symlink_to(auto)
    again = start(drive, frames, link)
    (leftover,) = again.wait_event(RecoveryFound).leftovers  # type: ignore[attr-defined]
    again.session.open_project(leftover.path)
    again.wait_event(ProjectOpened)
    until(again, lambda: again.session.project_up_to_date)
    assert not [e for e in again.events if isinstance(e, ProjectChanged)]
    again.session.close_source()  # let go
    until(again, lambda: list(auto.iterdir()) == [])


def test_unwanted_leftovers_are_deleted(work: Callable[..., Driver], drive: Drive, frames: Path, auto: Path) -> None:
    assert work().session.shutdown(10)
    again = start(drive, frames, auto)
    (leftover,) = again.wait_event(RecoveryFound).leftovers  # type: ignore[attr-defined]
    again.session.discard_leftover(leftover)
    until(again, lambda: list(auto.iterdir()) == [])


# -- named projects ----------------------------------------------------------------------------------------------
def test_a_named_project_follows_every_edit(work: Callable[..., Driver], tmp_path: Path, auto: Path) -> None:
    driver = work()
    path = saved(driver, tmp_path / "a.livemask")
    assert event(driver, ProjectChanged) == ProjectChanged(path)
    driver.session.track()
    until(driver, lambda: driver.shown == 9 and driver.session.mode is Mode.FROZEN)
    until(driver, lambda: driver.session.project_up_to_date)
    assert len(read(path).contents.tracked) == 9
    assert read(path).view.position == 9
    driver.session.close_source()
    until(driver, lambda: not in_use(path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.livemask", "auto", "frames"]
    assert list(auto.iterdir()) == []


def test_a_project_opens_where_it_was_left(work: Callable[..., Driver], tmp_path: Path) -> None:
    driver = work()
    driver.session.set_marks(2, 7)
    path = saved(driver, tmp_path / "a.livemask")
    driver.session.track(1, 5)
    until(driver, lambda: driver.shown == 5 and driver.session.mode is Mode.FROZEN)
    masks = [driver.session.mask_at(i)[0] for i in range(6)]
    driver.session.close_source()
    driver.wait_mode(Mode.EMPTY)
    driver.session.open_project(path)
    opened = driver.wait_event(ProjectOpened)
    until(driver, lambda: driver.shown == 5)
    assert (opened.view.mark_in, opened.view.mark_out) == (2, 7)  # type: ignore[attr-defined]
    assert driver.session.mask_kinds() == {0: MaskKind.KEYFRAME, **dict.fromkeys(range(1, 6), MaskKind.TRACKED)}
    assert all(np.array_equal(driver.session.mask_at(i)[0], mask) for i, mask in enumerate(masks))
    kinds = [type(e) for e in driver.events if isinstance(e, (SourceOpened, ProjectOpened))]
    assert kinds[-2:] == [SourceOpened, ProjectOpened]


def test_a_name_that_is_taken_is_not_overwritten(work: Callable[..., Driver], tmp_path: Path) -> None:
    driver = work()
    path = tmp_path / "a.livemask"
    path.write_text("mine")
    driver.session.save_project(path)
    until(driver, lambda: "There is a file a.livemask already." in driver.notices)
    assert path.read_text() == "mine"
    driver.session.save_project(path, overwrite=True)
    until(driver, lambda: "Saved a.livemask." in driver.notices)
    assert sorted(read(path).contents.keyframes) == [0]


def test_a_full_disk_is_said_once_and_saving_goes_on_by_itself(
    work: Callable[..., Driver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = work()
    path = saved(driver, tmp_path / "a.livemask")
    driver.session._keeper._autosave_s = 0.01
    tries = Gate()

    def full(*_: object) -> bool:
        tries.passes()
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(project_file, "write_changes", full)
    driver.session.seek(4)
    driver.wait_shown(4)
    driver.paint()
    tries.wait_arrived(3)
    until(driver, lambda: any(isinstance(e, ProjectChanged) and e.failing for e in driver.events))
    told = [e for e in driver.events if isinstance(e, NoticeEvent) and e.severity is Severity.ERROR]
    assert [e.message for e in told] == ["a.livemask cannot be saved: the disk is full."]
    assert "what was saved before is intact" in told[0].way_out
    assert sorted(read(path).contents.keyframes) == [0]
    assert driver.session.mask_at(4)[1] is MaskKind.KEYFRAME
    monkeypatch.undo()
    until(driver, lambda: "The work is saved again." in driver.notices)
    assert sorted(read(path).contents.keyframes) == [0, 4]
    assert [e for e in driver.events if isinstance(e, ProjectChanged)][-1] == ProjectChanged(path)


def test_an_autosave_folder_that_cannot_be_made_is_told(drive: Drive, frames: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    driver = drive({str(frames): lambda: ImageFolderSource(frames)}, autosave_dir=tmp_path / "file" / "auto")
    driver.open(str(frames))
    until(driver, lambda: driver.shown == 0)
    driver.paint()
    until(driver, lambda: any(text.startswith("Work cannot be kept in") for text in driver.notices))
    saved(driver, tmp_path / "a.livemask")  # the way out works


# -- what is refused -----------------------------------------------------------------------------------------------
def test_a_project_that_cannot_be_opened_leaves_what_is_open(work: Callable[..., Driver], tmp_path: Path) -> None:
    driver = work()
    (tmp_path / "bad.livemask").write_bytes(b"nonsense")
    driver.session.open_project(tmp_path / "bad.livemask")
    until(driver, lambda: "bad.livemask is no LiveMask project, or is damaged." in driver.notices)
    assert driver.session.mode is Mode.FROZEN
    assert driver.session.mask_at(0)[1] is MaskKind.KEYFRAME
    driver.session.seek(3)
    driver.wait_shown(3)
    driver.paint()
    until(driver, lambda: driver.session.project_up_to_date)


def test_a_missing_and_a_changed_source_are_asked_about(
    work: Callable[..., Driver], frames: Path, tmp_path: Path
) -> None:
    driver = work()
    path = saved(driver, tmp_path / "a.livemask")
    driver.session.close_source()
    driver.wait_mode(Mode.EMPTY)
    until(driver, lambda: not in_use(path))
    moved = frames.rename(tmp_path / "moved")
    driver.session.open_project(path)
    missing = driver.wait_event(ProjectSourceMissing)
    assert missing.found is None  # type: ignore[attr-defined]
    assert missing.reference.name == "frames"  # type: ignore[attr-defined]
    assert not in_use(path)
    driver.sources[str(moved)] = lambda: ImageFolderSource(moved)
    (moved / "9.png").unlink()
    driver.session.open_project(path, moved)
    assert driver.wait_event(ProjectSourceMissing, 2).found == moved  # type: ignore[attr-defined]
    driver.session.open_project(path, moved, changed_ok=True)
    driver.wait_event(ProjectOpened)
    until(driver, lambda: driver.session.mask_at(0)[1] is MaskKind.KEYFRAME)


def test_a_source_that_is_too_short_is_refused_and_what_is_open_stays(
    work: Callable[..., Driver], frames: Path, tmp_path: Path
) -> None:
    driver = work()
    driver.session.seek(9)
    driver.wait_shown(9)
    driver.paint()
    path = saved(driver, tmp_path / "a.livemask")
    driver.session.close_source()
    until(driver, lambda: not in_use(path))
    driver.open(str(frames))
    (frames / "9.png").unlink()
    driver.session.open_project(path, frames, changed_ok=True)
    until(driver, lambda: any("has a mask on frame 9" in text for text in driver.notices))
    assert driver.session.mode is Mode.FROZEN
    until(driver, lambda: not in_use(path))


def test_a_project_overtaken_by_another_source_is_closed_again(
    work: Callable[..., Driver], frames: Path, tmp_path: Path
) -> None:
    driver = work()
    path = saved(driver, tmp_path / "a.livemask")
    driver.session.close_source()
    until(driver, lambda: not in_use(path))
    gate = Gate()
    gate.close()

    def slow() -> ImageFolderSource:
        gate.passes()
        return ImageFolderSource(frames)

    driver.sources[str(frames)] = slow
    driver.session.open_project(path)
    gate.wait_arrived(1)
    assert in_use(path)
    other = tmp_path / "other"
    other.mkdir()
    cv2.imwrite(str(other / "0.png"), picture(0))
    driver.sources[str(other)] = lambda: ImageFolderSource(other)
    driver.open(str(other))
    gate.open()
    until(driver, lambda: not in_use(path))
    assert not [e for e in driver.events if isinstance(e, ProjectOpened)]
    assert driver.session.mask_kinds() == {}


def test_a_second_session_reads_only(work: Callable[..., Driver], drive: Drive, frames: Path, tmp_path: Path) -> None:
    first = work()
    path = saved(first, tmp_path / "a.livemask")
    second = start(drive, frames, tmp_path / "auto 2")
    second.session.open_project(path)
    second.wait_event(ProjectOpened)
    assert second.wait_event(ProjectChanged) == ProjectChanged(path, read_only=True)
    until(second, lambda: any("open for reading only: it is open in another" in text for text in second.notices))
    assert not (tmp_path / "auto 2").exists()
    until(second, lambda: second.shown == 0)
    second.session.seek(5)
    second.wait_shown(5)
    second.paint()
    until(second, lambda: list((tmp_path / "auto 2").glob("*.livemask")))
    until(second, lambda: second.session.project_up_to_date)
    assert sorted(read(path).contents.keyframes) == [0]
    (copy,) = (tmp_path / "auto 2").glob("*.livemask")
    assert sorted(read(copy).contents.keyframes) == [0, 5]
