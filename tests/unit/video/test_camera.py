"""Cameras, with a fake in place of OpenCV's capture; and OpenCV itself where there is no camera."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import cv2
import pytest

from engine.errors import SourceError
from engine.video import camera
from engine.video.camera import CameraDescription, CameraSource, cameras_in_sysfs, find_camera, probe_cameras
from engine.video.source import SourceKind
from tests.unit.video.fakes import FakeCapture

NO_SUCH_CAMERA = 63


def test_delivers_rgb_and_asks_for_a_small_buffer() -> None:
    capture = FakeCapture(frames=10**9)
    with closing(CameraSource(3, name="Desk", size=(640, 360), open_capture=lambda index: capture)) as source:
        info = source.info
        assert (info.kind, info.uri, info.name, info.fps) == (SourceKind.CAMERA, "camera:3", "Desk", 30.0)
        first, second = source.read(), source.read()
        assert first is not None
        assert second is not None
        assert tuple(first.rgb[0, 0]) == (200, 0, (first.index + 1) % 256)
        assert second.index > first.index
        assert capture.properties[cv2.CAP_PROP_BUFFERSIZE] == 1
        assert capture.properties[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert capture.released


def test_unplugged_camera_is_an_error_after_about_a_second_where_nobody_waits_for_it() -> None:
    capture = FakeCapture(frames=3)
    with closing(CameraSource(0, name="Desk", reconnect_s=0, open_capture=lambda index: capture)) as source:

        def read_to_the_end() -> None:
            while source.read() is not None:
                pass

        with pytest.raises(SourceError, match="Desk was lost: it was unplugged"):
            read_to_the_end()
        assert source.captured == 3
    assert capture.released


def test_a_camera_that_comes_back_is_reopened() -> None:
    captures = [FakeCapture(frames=2), FakeCapture(opened=False), FakeCapture(frames=10**9)]
    with closing(CameraSource(0, name="Desk", open_capture=lambda index: captures.pop(0))) as source:
        frame = source.read()
        while frame is not None and frame.index < 4:
            frame = source.read()
        assert frame is not None
    assert not captures


def test_a_camera_that_does_not_exist_is_a_quiet_clear_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError) as caught:
        CameraSource(NO_SUCH_CAMERA)
    assert str(NO_SUCH_CAMERA) in caught.value.message
    assert caught.value.way_out
    assert capfd.readouterr() == ("", "")


def test_cameras_are_listed_by_name_without_metadata_nodes(tmp_path: Path) -> None:
    for node, index, name in (("video10", "0", "Desk cam"), ("video2", "0", "HD Webcam"), ("video3", "1", "HD Webcam")):
        (tmp_path / node).mkdir()
        (tmp_path / node / "name").write_text(name + "\n")
        (tmp_path / node / "index").write_text(index + "\n")
    (tmp_path / "v4l-subdev0").mkdir()
    assert cameras_in_sysfs(tmp_path) == [CameraDescription(2, "HD Webcam"), CameraDescription(10, "Desk cam")]
    assert cameras_in_sysfs(tmp_path / "none") == []


def test_probing_stops_at_the_first_index_that_does_not_open() -> None:
    captures = [FakeCapture(), FakeCapture(), FakeCapture(opened=False)]
    found = probe_cameras(lambda index: captures[index], timeout_s=20)
    assert found == [CameraDescription(0, "Camera 0 (FAKE)"), CameraDescription(1, "Camera 1 (FAKE)")]
    assert all(capture.released for capture in captures)


def test_probing_does_not_wait_for_a_driver_that_hangs() -> None:
    let_go = threading.Event()

    def open_capture(index: int) -> FakeCapture:
        if index == 1:
            let_go.wait(20)
        return FakeCapture(opened=index == 0)

    assert probe_cameras(open_capture, timeout_s=0.1) == [CameraDescription(0, "Camera 0 (FAKE)")]
    let_go.set()


def test_finding_a_camera_by_name() -> None:
    cameras = [CameraDescription(0, "HD Webcam"), CameraDescription(2, "Desk cam"), CameraDescription(4, "HD Webcam")]
    assert find_camera("hd webcam", cameras) == cameras[0]
    assert find_camera("desk", cameras) == cameras[1]
    assert find_camera("cam", cameras) is None  # several contain it
    assert find_camera("", cameras) is None


def test_listing_returns_at_once_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert isinstance(camera.list_cameras(), list)
    assert capfd.readouterr() == ("", "")
