"""The virtual camera on a fake device: pixels, sizes, pace, and what goes wrong."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from engine.errors import ExportError
from engine.runtime import virtual_camera
from engine.runtime.messages import Severity, WorkerState
from engine.runtime.virtual_camera import Content, Shown, VirtualCamera, open_device
from engine.video.masks import davis_palette
from engine.video.overlay import compose_overlay
from engine.video.source import SourceInfo, SourceKind
from tests.unit.runtime.fakes import TIMEOUT, Gate

GREEN = (0, 177, 64)


class FakeDevice:
    device = "/dev/video9"

    def __init__(self, *asked, fails_at=None):
        self.asked, self.fails_at = asked, fails_at
        self.sent, self.closed = [], 0

    def send(self, picture):
        assert not self.closed
        if len(self.sent) == self.fails_at:
            raise RuntimeError("error writing to device")
        self.sent.append(picture.copy())

    def close(self):
        self.closed += 1


def shown(level=100, content=Content.OVERLAY, mask=True, size=(24, 16)):
    ids = np.zeros(size[::-1], np.uint8)
    ids[4:8, 6:12] = 3
    rgb = np.full((*ids.shape, 3), level, np.uint8)
    return Shown(content, rgb, ids if mask else None, davis_palette(), 0.5)


class Rig:
    """A camera whose pace the test sets: it sends once, then again with each `gate.allow`."""

    def __init__(self, width=24, height=16, fps=30.0, former=None, **device):
        self.gate = Gate()
        self.gate.close()
        self.waits, self.notices, self.ended, self.devices = [], [], [], []
        self.device_options = device

        def open_fake(*asked):
            if former is not None:
                assert former.devices[0].closed
            self.devices.append(FakeDevice(*asked, **device))
            return self.devices[-1]

        def wait(seconds):
            self.waits.append(seconds)
            self.gate.passes()

        info = SourceInfo(SourceKind.CAMERA, "camera:0", "Camera", width, height, fps)
        self.camera = VirtualCamera(
            info, self.notices.append, self.ended.append, former=former.camera if former is not None else None,
            open_device=open_fake, clock=lambda: 0.0, wait=wait,
        )  # fmt: skip

    def send(self, *offers):
        """Start with the first one; what the device got of it."""
        for offer in offers:
            self.camera.offer(offer)
        self.camera.start()
        self.gate.wait_arrived(1)
        return self.devices[0].sent[0]

    def end(self):
        self.camera.stop()
        self.gate.open()
        assert self.camera.join(TIMEOUT)


@pytest.fixture
def rig():
    made = []

    def make(*args, **options):
        made.append(Rig(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_the_overlay_goes_out_as_it_is_shown(rig):
    offer = shown()
    sent = rig().send(offer)
    assert np.array_equal(sent, compose_overlay(offer.rgb, offer.mask, davis_palette(), 0.5))
    assert not np.array_equal(sent, offer.rgb)


def test_without_a_mask_the_frame_goes_out(rig):
    assert np.array_equal(rig().send(shown(mask=False)), shown().rgb)


def test_the_objects_stand_before_green(rig):
    sent = rig().send(shown(content=Content.GREEN))
    expected = np.broadcast_to(np.array(GREEN, np.uint8), (16, 24, 3)).copy()
    expected[4:8, 6:12] = 100
    assert np.array_equal(sent, expected)


def test_green_alone_where_nothing_is_painted(rig):
    assert (rig().send(shown(content=Content.GREEN, mask=False)) == GREEN).all()


def test_the_device_gets_the_size_and_the_rate_of_the_source(rig):
    one = rig(fps=24.0)
    one.send(shown())
    assert one.devices[0].asked == (24, 16, 24.0)
    assert one.waits == [pytest.approx(1 / 24)]
    assert [(n.severity, "/dev/video9" in n.message) for n in one.notices] == [(Severity.INFO, True)]


@pytest.mark.parametrize("fps", [None, 0.0])
def test_a_source_without_a_rate_gets_a_usual_one(rig, fps):
    assert rig(fps=fps).camera.fps == 30.0


def test_odd_sizes_are_padded_to_even_ones(rig):
    one = rig(23, 15)
    sent = one.send(shown(size=(23, 15), content=Content.GREEN))
    assert one.devices[0].asked[:2] == (24, 16)
    assert sent.shape == (16, 24, 3)
    assert np.array_equal(sent[:, 23], sent[:, 22])
    assert np.array_equal(sent[15], sent[14])


def test_a_frame_of_another_size_is_fitted(rig):
    assert rig().send(shown(size=(48, 32), mask=False)).shape == (16, 24, 3)


def test_the_newest_picture_wins_and_stays_until_there_is_another(rig):
    one = rig()
    one.send(shown(10, mask=False))
    for level in (20, 30, 40):
        one.camera.offer(shown(level, mask=False))
    for turn in (2, 3):
        one.gate.allow(1)
        one.gate.wait_arrived(turn)
    assert [int(picture[0, 0, 0]) for picture in one.devices[0].sent] == [10, 40, 40]
    assert one.camera.dropped == 2


def test_stopping_closes_the_device_also_before_the_first_picture(rig):
    one, idle = rig(), rig()
    one.send(shown())
    idle.camera.start()
    for each in (one, idle):
        each.end()
        assert all(device.closed == 1 for device in each.devices)
        assert each.camera.state is WorkerState.STOPPED
        assert not each.ended
    one.camera.offer(shown())  # nobody minds


def test_the_next_camera_waits_until_the_device_is_free(rig):
    first = rig()
    first.send(shown())
    second = rig(former=first)
    first.camera.stop()
    second.camera.offer(shown())
    second.camera.start()
    first.gate.open()
    second.gate.wait_arrived(1)
    assert len(second.devices[0].sent) == 1


def test_a_device_that_fails_on_the_way_is_told_and_closed(rig):
    one = rig(fails_at=1)
    one.send(shown())
    one.gate.allow(1)
    assert one.camera.join(TIMEOUT)
    assert one.devices[0].closed == 1
    assert one.ended == [one.camera]
    assert [n.message for n in one.notices][1:] == ["The virtual camera takes no pictures any more."]
    assert one.notices[-1].way_out


def test_a_missing_package_is_one_clear_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(ExportError, match="needs the package pyvirtualcam") as caught:
        open_device(24, 16, 30.0)
    assert "pip install pyvirtualcam" in caught.value.way_out


@pytest.mark.parametrize(("platform", "needed"), [("linux", "v4l2loopback"), ("darwin", "OBS"), ("win32", "OBS")])
def test_a_missing_device_is_told_with_what_makes_one(monkeypatch, platform, needed):
    def refuse(*_):
        raise RuntimeError("'v4l2loopback' backend: No v4l2 loopback device found at /dev/video[0-99].")

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=refuse))
    monkeypatch.setattr(virtual_camera.sys, "platform", platform)
    notices, ended = [], []
    camera = VirtualCamera(
        SourceInfo(SourceKind.CAMERA, "camera:0", "Camera", 24, 16, 30.0), notices.append, ended.append
    )
    camera.start()
    assert camera.join(TIMEOUT)
    assert ended == [camera]
    assert [(n.severity, needed in n.way_out) for n in notices] == [(Severity.ERROR, True)]
    assert "No virtual camera" in notices[0].message


def test_the_package_is_asked_for_size_and_rate(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=FakeDevice))
    assert open_device(24, 16, 25.0).asked == (24, 16, 25.0)
