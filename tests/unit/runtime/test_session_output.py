"""Exports and recordings on the writer thread."""

from __future__ import annotations

import av
import numpy as np
import pytest
from PIL import Image

from engine.errors import ExportError
from engine.export.folders import MaskFolder
from engine.export.request import ExportRequest
from engine.project import recorder
from engine.runtime.messages import ExportProgress, Mode, Notice, TrackingFinished
from tests.unit.runtime.fakes import FakeFile, FakeLive, Gate, square


@pytest.fixture
def tracked(drive):
    driver = drive({"clip.mp4": lambda: FakeFile(6, interval_s=0.04)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.paint()
    driver.session.track()
    driver.wait_event(TrackingFinished)
    return driver


def finished(driver):
    driver.wait(lambda: any(isinstance(e, ExportProgress) and e.finished for e in driver.events))
    return [e for e in driver.events if isinstance(e, ExportProgress) and e.finished][-1]


def test_an_export_writes_what_is_stored(tracked, tmp_path):
    tracked.session.export(ExportRequest("masks", tmp_path / "out"))
    end = finished(tracked)
    assert end.ok
    assert end.done == 6
    assert str(tmp_path / "out") in end.text
    for index in range(6):
        with Image.open(tmp_path / "out" / f"{index:05d}.png") as image:
            assert np.array_equal(np.array(image), tracked.session.mask_at(index)[0])
    del tracked.events[:]
    tracked.session.export(ExportRequest("overlay", tmp_path / "overlay.mp4"))
    assert finished(tracked).ok
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_an_export_does_not_see_edits_made_meanwhile(tracked, tmp_path, monkeypatch):
    gate = Gate()
    gate.close()
    write = MaskFolder.write

    def slow_write(self, item):
        gate.passes()
        write(self, item)

    monkeypatch.setattr(MaskFolder, "write", slow_write)
    before = tracked.session.mask_at(5)[0]
    tracked.session.export(ExportRequest("masks", tmp_path / "out"))
    gate.wait_arrived(1)
    tracked.session.delete_object(1)
    gate.open()
    assert finished(tracked).ok
    with Image.open(tmp_path / "out" / "00005.png") as image:
        assert np.array_equal(np.array(image), before)


def test_cancelling_an_export_leaves_nothing(tracked, tmp_path, monkeypatch):
    gate = Gate()
    gate.close()
    write = MaskFolder.write

    def slow_write(self, item):
        gate.passes()
        write(self, item)

    monkeypatch.setattr(MaskFolder, "write", slow_write)
    tracked.session.export(ExportRequest("masks", tmp_path / "out"))
    gate.wait_arrived(1)
    tracked.session.export(ExportRequest("masks", tmp_path / "second"))  # one at a time
    tracked.wait(lambda: "Another export or recording is still running." in tracked.notices)
    tracked.session.cancel_export()
    gate.open()
    end = finished(tracked)
    assert not end.ok
    assert end.cancelled
    assert list(tmp_path.iterdir()) == []
    assert not [text for text in tracked.notices if "Another" not in text]


def test_a_failed_export_is_told_and_the_next_one_works(tracked, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    tracked.session.export(ExportRequest("masks", tmp_path / "out"))
    assert not finished(tracked).ok
    assert any("not empty" in text for text in tracked.notices)
    del tracked.events[:]
    tracked.session.export(ExportRequest("masks", tmp_path / "free"))
    assert finished(tracked).ok


def test_live_sources_are_recorded_not_exported(drive, tmp_path):
    live = FakeLive()
    driver = drive({"camera:0": live, "clip.mp4": FakeFile(3)})
    driver.open("camera:0")
    driver.session.export(ExportRequest("masks", tmp_path / "out"))
    driver.wait_event(Notice)
    driver.open("clip.mp4")
    driver.session.start_recording(tmp_path)
    driver.wait_event(Notice, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def recording(drive, tmp_path):
    """A camera that is tracked while a recording runs; three frames tracked."""
    live = FakeLive()
    driver = drive({"camera:0": live, "clip.mp4": FakeFile(3)})
    driver.wait_ready()
    driver.open("camera:0")
    live.push()
    driver.wait_shown(0)
    driver.session.freeze()
    driver.paint(square(2, x=4), touched=[2])
    driver.session.start_recording(tmp_path / "take")
    driver.session.track()
    for index in (1, 2, 3):
        live.push()
        driver.wait_shown(index)
    return driver


@pytest.mark.parametrize("ended_by", ["stop", "another source", "closing", "shutdown"])
def test_a_recording_holds_every_tracked_frame_however_it_ends(recording, tmp_path, ended_by):
    driver = recording
    driver.wait(lambda: any(isinstance(e, ExportProgress) and e.done == 3 for e in driver.events))
    if ended_by == "stop":
        driver.session.stop_recording()
    elif ended_by == "another source":
        driver.open("clip.mp4")
    elif ended_by == "closing":
        driver.session.close_source()
    else:
        assert driver.session.shutdown(10.0)
    end = finished(driver)
    assert end.ok
    assert end.done == 3
    folder = tmp_path / "take"
    assert sorted(p.name for p in (folder / "masks").iterdir()) == ["00001.png", "00002.png", "00003.png"]
    with Image.open(folder / "masks" / "00002.png") as image:
        assert set(np.unique(np.array(image))) == {0, 2}
    times = []
    for name in ("overlay.mp4", "source.mp4"):
        with av.open(str(folder / name)) as container:
            times.append([frame.pts * frame.time_base for frame in container.decode(video=0)])
    assert len(times[0]) == 3
    assert times[0] == times[1]


def test_a_full_disk_ends_the_recording_but_not_the_tracking(recording, monkeypatch):
    def full(self, index, mask):
        raise ExportError("The disk is full.", "Make room.")

    monkeypatch.setattr(recorder.MaskFolderWriter, "write", full)
    live = recording.sources["camera:0"]
    for index in range(4, 30):  # many more than may wait for the encoder
        live.push()
        recording.wait_shown(index)
    assert not finished(recording).ok
    assert recording.notices == ["The disk is full."]
    assert recording.session.mode is Mode.TRACKING
