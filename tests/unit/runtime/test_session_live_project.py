"""What is painted on a camera or stream outlives the program: the painted frames with their pictures."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from engine.project import project_file
from engine.project.pictures import ProjectPictures
from engine.project.project_file import in_use, open_project
from engine.project.recovery import find_leftovers
from engine.project.state import ProjectObject, ProjectState
from engine.runtime.messages import MaskKind, Mode, ProjectChanged, ProjectOpened, RecoveryFound
from engine.types import Mask
from engine.video.open import open_source
from tests.unit.runtime.fakes import Driver, FakeLive, index_of, picture, square
from tests.unit.runtime.test_session_project import read, until

Drive = Callable[..., Driver]


class Desk:
    """A camera that is tracked, frozen and painted on."""

    def __init__(self, drive: Drive, auto: Path | None, uri: str = "camera:0") -> None:
        self.camera = FakeLive(uri)
        self.driver = drive({uri: self.camera}, autosave_dir=auto)
        self.session = self.driver.session
        self.driver.wait_ready()
        self.driver.open(uri)
        self.driver.wait_mode(Mode.PREVIEW)

    def paint(self, mask: Mask, frames: int = 1) -> int:
        """Let some frames pass, freeze the last one and paint on it; returns its number."""
        self.session.play()
        shown = self.camera.push(frames)
        self.driver.wait_shown(shown)
        self.session.freeze()
        self.driver.paint(mask)
        self.settle()
        return shown

    def settle(self) -> None:
        until(self.driver, lambda: self.session.project_up_to_date)

    def say(self, text: str) -> None:
        until(self.driver, lambda: text in self.driver.notices)


def pictures_of(path: Path) -> list[int]:
    """Which frames of the camera a project's pictures are."""
    found = []
    with closing(ProjectPictures(path)) as source:
        while (frame := source.read()) is not None:
            assert np.array_equal(frame.rgb, picture(index_of(frame.rgb)))  # to the pixel
            found.append(index_of(frame.rgb))
    return found


def masks_of(state: ProjectState) -> dict[int, Mask]:
    from engine.project.mask_codec import decode_mask

    return {frame: decode_mask(keyframe.encoded) for frame, keyframe in state.contents.keyframes.items()}


@pytest.fixture
def auto(tmp_path: Path) -> Path:
    return tmp_path / "auto"


def test_every_painted_frame_is_on_the_disk_before_the_next(drive: Drive, auto: Path) -> None:
    desk = Desk(drive, auto)
    shown = [desk.paint(square(1, x), frames) for x, frames in ((2, 1), (8, 5), (14, 3))]
    (path,) = auto.glob("*.livemask")
    assert pictures_of(path) == shown
    assert [int(np.argmax(mask[3] > 0)) for _, mask in sorted(masks_of(read(path)).items())] == [2, 8, 14]
    # A second stroke on the same picture adds none, and undoing all of it takes the mask, not the numbers.
    desk.driver.paint(square(1, 16))
    desk.settle()
    assert pictures_of(path) == shown
    desk.session.clear_mask(desk.driver.frame())
    desk.settle()
    assert sorted(read(path).contents.keyframes) == [0, 1]
    again = desk.paint(square(1, 4))
    assert pictures_of(path) == [*shown, again]
    assert sorted(read(path).contents.keyframes) == [0, 1, 3]


def test_tracking_goes_on_as_before_and_is_not_kept(drive: Drive, auto: Path) -> None:
    desk = Desk(drive, auto)
    desk.paint(square())
    desk.session.track()
    for _ in range(5):
        desk.driver.wait_shown(desk.camera.push())
    desk.session.pause()
    desk.settle()
    (path,) = auto.glob("*.livemask")
    state = read(path)
    assert (len(state.contents.keyframes), len(state.contents.tracked), state.bank) == (1, 0, None)


def test_after_an_unexpected_end_the_painted_frames_are_offered(drive: Drive, auto: Path, tmp_path: Path) -> None:
    desk = Desk(drive, auto)
    desk.session.set_objects((ProjectObject(1, "Cat", (1, 2, 3)),))
    shown = [desk.paint(square(1, x), 4) for x in (2, 9)]
    assert desk.session.shutdown(10)

    again = drive({}, autosave_dir=auto)
    (leftover,) = again.wait_event(RecoveryFound).leftovers
    assert (leftover.name, leftover.keyframes, leftover.tracked, leftover.named) == ("camera:0", 2, 0, False)
    again.sources[str(leftover.path)] = lambda: open_source(leftover.path)
    again.session.open_project(leftover.path)
    opened = again.wait_event(ProjectOpened)
    assert [item.name for item in opened.objects] == ["Cat"]
    until(again, lambda: again.shown == 1)
    assert again.session.mask_kinds() == dict.fromkeys((0, 1), MaskKind.KEYFRAME)
    again.session.seek(0)
    again.wait_shown(0)
    assert index_of(again.frame().rgb) == shown[0]
    # It goes on like any project: painted on, saved under a name, and then the unnamed file is gone.
    again.session.set_mask(again.frame(), square(1, 5), [1])
    again.session.save_project(tmp_path / "cat.livemask")
    until(again, lambda: "Saved cat.livemask." in again.notices)
    assert list(auto.glob("*.livemask")) == []
    again.session.seek(1)
    again.wait_shown(1)  # its pictures are still there
    again.session.close_source()
    until(again, lambda: not in_use(tmp_path / "cat.livemask"))
    assert pictures_of(tmp_path / "cat.livemask") == shown
    assert int(np.argmax(masks_of(read(tmp_path / "cat.livemask"))[0][3] > 0)) == 5
    assert find_leftovers(auto) == []


@pytest.mark.parametrize("autosaves", [True, False])
def test_a_name_is_followed_and_moved(drive: Drive, auto: Path, tmp_path: Path, autosaves: bool) -> None:
    desk = Desk(drive, auto if autosaves else None)
    desk.session.save_project(tmp_path / "a.livemask")
    desk.say("There is nothing to save yet.")
    assert not (tmp_path / "a.livemask").exists()
    shown = [desk.paint(square()) if autosaves else paint_only(desk)]
    desk.session.save_project(tmp_path / "a.livemask")
    desk.say("Saved a.livemask.")
    shown.append(desk.paint(square(1, 8), 3))
    assert pictures_of(tmp_path / "a.livemask") == shown
    desk.session.save_project(tmp_path / "b.livemask")
    desk.say("Saved b.livemask.")
    shown.append(desk.paint(square(1, 12), 2))
    assert pictures_of(tmp_path / "b.livemask") == shown
    assert pictures_of(tmp_path / "a.livemask") == shown[:2]
    assert len(read(tmp_path / "b.livemask").contents.keyframes) == 3
    desk.session.close_source()
    until(desk.driver, lambda: not in_use(tmp_path / "b.livemask"))
    assert not auto.exists() or list(auto.iterdir()) == []


def paint_only(desk: Desk) -> int:
    """Without a folder of autosaves nothing is saved before it has a name."""
    shown = desk.camera.push()
    desk.driver.wait_shown(shown)
    desk.session.freeze()
    desk.driver.paint()
    return shown


@pytest.mark.parametrize("end", ["close", "another source", "let go"])
def test_what_is_let_go_is_gone(drive: Drive, auto: Path, end: str) -> None:
    desk = Desk(drive, auto)
    desk.paint(square())
    assert list(auto.glob("*.livemask"))
    if end == "close":
        desk.session.close_source()
    elif end == "another source":
        desk.driver.sources["camera:1"] = FakeLive("camera:1")
        desk.session.open("camera:1")
    else:
        assert desk.session.shutdown(10, keep_unsaved=False)
    until(desk.driver, lambda: list(auto.iterdir()) == [])


def test_a_full_disk_costs_no_picture(drive: Drive, auto: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(drive, auto)
    desk.session._keeper._autosave_s = 0.01
    shown = [desk.paint(square())]

    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(project_file, "write_changes", full)
    desk.session.play()
    shown.append(desk.camera.push())
    desk.driver.wait_shown(shown[-1])
    desk.session.freeze()
    desk.driver.paint(square(1, 9))
    until(desk.driver, lambda: any(isinstance(e, ProjectChanged) and e.failing for e in desk.driver.events))
    desk.session._core.frames.clear()  # as many more painted frames would
    monkeypatch.undo()
    desk.say("The work is saved again.")
    (path,) = auto.glob("*.livemask")
    assert pictures_of(path) == shown


def test_an_address_with_a_password_is_not_written_down(drive: Drive, auto: Path) -> None:
    desk = Desk(drive, auto, "rtsp://me:s3cret@cam/1?token=abc")
    desk.camera.info.__dict__["name"] = "rtsp://cam/1"  # as StreamSource names it
    desk.paint(square())
    (path,) = auto.glob("*.livemask")
    assert desk.session.shutdown(10)
    assert b"s3cret" not in path.read_bytes()
    assert b"rtsp://cam/1" in path.read_bytes()


def test_a_project_with_pictures_can_be_opened_by_name_only_as_what_it_is(tmp_path: Path, drive: Drive) -> None:
    desk = Desk(drive, None)
    paint_only(desk)
    desk.session.save_project(tmp_path / "a.livemask")
    desk.say("Saved a.livemask.")
    with closing(open_source(tmp_path / "a.livemask")) as source:
        assert (source.info.frame_count, source.info.name, source.info.live) == (1, "camera:0", False)
        source.seek(0)
        assert source.read() is not None
        assert source.read() is None
    assert open_project(tmp_path / "a.livemask", read_only=True).read().source.own
