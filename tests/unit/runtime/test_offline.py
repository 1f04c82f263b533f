"""`track_file`: the same masks as in the window, whole files, honest reports."""

from __future__ import annotations

import threading

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from engine.errors import DeviceError, ExportError, MaskError, SizeMismatchError, SourceError
from engine.runtime.config import EngineConfig
from engine.runtime.messages import TrackingFinished
from engine.runtime.offline import track_file
from engine.runtime.session import Session
from engine.video.masks import write_mask
from tests.unit.runtime.fakes import TIMEOUT, Driver, FakeFile, FakeLive, FakeTracker, square


@pytest.fixture
def mask_path(tmp_path):
    path = tmp_path / "first.png"
    write_mask(path, square() | square(2, x=12))
    return path


def track(source, mask_path, tmp_path, tracker=None, **options):
    tracker = tracker or FakeTracker()
    return track_file(
        "input",
        mask_path,
        options.pop("out", tmp_path / "out"),
        opener=lambda spec: source,
        create_tracker=lambda config, progress: tracker,
        **options,
    )


def masks_in(folder):
    masks = {}
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            masks[int(path.stem)] = np.array(image)
    return masks


def test_every_frame_gets_a_mask_and_the_report_says_how(mask_path, tmp_path):
    seen = []
    report = track(
        FakeFile(9, interval_s=0.04),
        mask_path,
        tmp_path,
        overlay=tmp_path / "o.mp4",
        on_progress=lambda *p: seen.append(p),
    )
    assert sorted(masks_in(tmp_path / "out")) == list(range(9))
    assert seen == [(i, 9) for i in range(1, 10)]
    assert (report.frames, report.model, report.recipe, report.device) == (9, "fake", "name=shift", "cpu (fake)")
    assert report.mean_fps == pytest.approx(9 / report.seconds)
    assert report.stage_seconds["embed"] == pytest.approx(0.001 * 8 / 9)
    assert not report.interrupted
    for text in ("9 frames", "fake", "shift", "embed"):
        assert text in str(report)
    with av.open(str(tmp_path / "o.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([0.04 * i for i in range(9)], abs=1e-3)


def test_the_window_and_the_command_line_make_the_same_masks(mask_path, tmp_path, drive):
    track(FakeFile(9), mask_path, tmp_path)
    driver: Driver = drive({"clip.mp4": FakeFile(9)})
    driver.wait_ready()
    driver.open("clip.mp4")
    driver.paint(square() | square(2, x=12), touched=[1, 2])
    driver.session.track()
    driver.wait_event(TrackingFinished)
    for index, mask in masks_in(tmp_path / "out").items():
        assert np.array_equal(driver.session.mask_at(index)[0], mask)


def test_the_real_tracker_gives_the_same_masks_in_both_ways(disc_clip, tmp_path):
    config = EngineConfig(device="cpu", working_size=240)
    report = track_file(disc_clip.path, disc_clip.mask_path, tmp_path / "out", config=config)
    assert report.frames == 24
    assert report.working_size is not None
    offline = masks_in(tmp_path / "out")
    session = Session(config)
    session.start()
    try:
        arrived = threading.Event()
        put = session._core.events.put

        def put_and_tell(event):
            put(event)
            if isinstance(event, TrackingFinished):
                arrived.set()

        session._core.events.put = put_and_tell
        session.open(disc_clip.path)
        session.track()  # waits for the file, then says that nothing is painted
        with session._core.lock:
            assert session._core.lock.wait_for(lambda: session._core.shown is not None, TIMEOUT)
        first = session.take_display()
        session.set_mask(first.frame, disc_clip.masks[0], [1])
        session.track()
        assert arrived.wait(60)
        for index in range(24):
            assert np.array_equal(session.mask_at(index)[0], offline[index])
    finally:
        assert session.shutdown(TIMEOUT)
    overlap = [(offline[i] > 0) & (disc_clip.masks[i] > 0) for i in range(24)]
    union = [(offline[i] > 0) | (disc_clip.masks[i] > 0) for i in range(24)]
    assert np.mean([o.sum() / u.sum() for o, u in zip(overlap, union, strict=True)]) > 0.6


def test_a_mask_of_another_size_is_refused_or_resized(tmp_path):
    large = tmp_path / "large.png"
    write_mask(large, cv2.resize(square(), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST))
    with pytest.raises(SizeMismatchError):
        track(FakeFile(3), large, tmp_path)
    assert not (tmp_path / "out").exists()
    assert track(FakeFile(3), large, tmp_path, resize_mask=True).frames == 3
    assert np.array_equal(masks_in(tmp_path / "out")[0], square())


def test_targets_that_exist_are_refused_before_the_model_is_loaded(mask_path, tmp_path):
    loaded = []
    overlay = tmp_path / "o.mp4"
    overlay.write_bytes(b"mine")
    with pytest.raises(ExportError, match="exists already"):
        track_file(
            "input",
            mask_path,
            tmp_path / "out",
            overlay=overlay,
            opener=lambda spec: FakeFile(3),
            create_tracker=lambda *a: loaded.append(a),
        )
    assert loaded == []
    assert overlay.read_bytes() == b"mine"
    track(FakeFile(3), mask_path, tmp_path)
    with pytest.raises(ExportError, match="not empty"):
        track(FakeFile(3), mask_path, tmp_path)
    assert track(FakeFile(3), mask_path, tmp_path, overwrite=True).frames == 3


def test_a_missing_mask_and_an_empty_source(tmp_path, mask_path):
    with pytest.raises(MaskError):
        track(FakeFile(3), tmp_path / "none.png", tmp_path)
    with pytest.raises(SourceError, match="no frames"):
        track(FakeFile(0), mask_path, tmp_path)


@pytest.mark.parametrize(
    ("source", "tracker_error", "expected"),
    [
        (FakeFile(9, broken_at=5), None, SourceError),
        (FakeFile(9), DeviceError("The device ran out of memory.", "Work smaller."), DeviceError),
    ],
)
def test_what_fails_on_the_way_is_told_and_keeps_the_masks_so_far(mask_path, tmp_path, source, tracker_error, expected):
    tracker = FakeTracker()
    if tracker_error is not None:
        tracker.fail_at[5] = tracker_error
    with pytest.raises(expected):
        track(source, mask_path, tmp_path, tracker, overlay=tmp_path / "o.mp4")
    assert sorted(masks_in(tmp_path / "out")) == [0, 1, 2, 3, 4]
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5
    assert source.closed


def test_a_full_disk_ends_the_run_with_its_own_words(mask_path, tmp_path, monkeypatch):
    from engine.runtime import offline

    write = offline.MaskFolderWriter.write

    def fill(self, index, mask):
        if index == 4:
            raise ExportError("The disk is full.", "Make room.")
        return write(self, index, mask)

    monkeypatch.setattr(offline.MaskFolderWriter, "write", fill)
    with pytest.raises(ExportError, match="disk is full"):
        track(FakeFile(200), mask_path, tmp_path)
    assert sorted(masks_in(tmp_path / "out")) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["file", "live"])
def test_ctrl_c_finishes_the_files(mask_path, tmp_path, kind):
    live = FakeLive()
    live.push()
    source = live if kind == "live" else FakeFile(100, interval_s=0.04)

    def progress(done, total):
        if done == 6:
            raise KeyboardInterrupt
        if kind == "live":
            live.push(2)

    report = track(source, mask_path, tmp_path, overlay=tmp_path / "o.mp4", on_progress=progress)
    assert report.interrupted
    assert report.frames == 6
    assert len(masks_in(tmp_path / "out")) == 6
    assert report.dropped == (5 if kind == "live" else 0)
    assert "interrupted" in str(report)
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6
    assert source.closed
