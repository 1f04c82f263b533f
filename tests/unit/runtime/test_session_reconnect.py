"""A live source that goes away and comes back while it is tracked: told, and gone on with by itself, same ids."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.runtime.messages import Mode, Notice
from engine.runtime.session import Session
from engine.types import Frame, Mask, SegmentationResult
from engine.video.camera import CameraSource
from engine.video.source import FrameSource
from engine.video.stream import StreamSource
from tests.support.servers import MjpegServer, grey
from tests.unit.runtime.fakes import FakeTracker
from tests.unit.video.fakes import FakeCapture

TIMEOUT_S = 30.0
WIDTH, HEIGHT = 64, 48


class StandingTracker(FakeTracker):
    """The mask of the last keyframe, whatever the picture shows."""

    def step(self, frame: Frame, mask: Mask | None = None, **_: object) -> SegmentationResult:  # type: ignore[override]
        if mask is not None:
            self._state = mask.copy()
        assert self._state is not None
        return SegmentationResult(frame, self._state.copy(), {1: 0.5, 2: 0.5})


class Watcher:
    def __init__(self, opener: Callable[[str], FrameSource]) -> None:
        self.session = Session(opener=opener, create_tracker=lambda _config, _progress: StandingTracker())  # type: ignore[arg-type, return-value]
        self.session.start()
        self.notices: list[str] = []

    def until(self, state: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            self.notices += [e.message for e in self.session.events() if isinstance(e, Notice)]
            if state():
                return
            assert time.monotonic() < deadline, self.notices
            time.sleep(0.005)

    def track_two_objects(self, uri: str, mask: Mask) -> None:
        self.session.open(uri)
        self.until(lambda: self.session._core.shown is not None)
        self.session.freeze()
        self.until(lambda: self.session.mode is Mode.FROZEN)
        shown = self.session._core.shown
        assert shown is not None
        self.session.set_mask(shown.frame, mask, [1, 2])
        self.session.track()
        self.go_on()

    def go_on(self) -> None:
        before = self.session.stats().processed
        self.until(lambda: self.session.stats().processed > before + 3)

    @property
    def ids(self) -> set[int]:
        shown = self.session._core.shown
        assert shown is not None
        assert shown.mask is not None
        return {int(i) for i in np.unique(shown.mask)}


@pytest.fixture
def watch() -> Iterator[Callable[[Callable[[str], FrameSource]], Watcher]]:
    made: list[Watcher] = []

    def make(opener: Callable[[str], FrameSource]) -> Watcher:
        made.append(Watcher(opener))
        return made[-1]

    yield make
    for watcher in made:
        assert watcher.session.shutdown(TIMEOUT_S)


def two_objects(width: int, height: int) -> Mask:
    mask = np.zeros((height, width), np.uint8)
    mask[1:3, 1:3], mask[-3:, -3:] = 1, 2
    return mask


def test_a_stream_server_that_is_restarted_with_another_size(
    watch: Callable[[Callable[[str], FrameSource]], Watcher],
) -> None:
    server = MjpegServer()
    watcher = watch(lambda uri: StreamSource(uri, read_timeout_s=2))
    try:
        watcher.track_two_objects(server.url(), two_objects(WIDTH, HEIGHT))
        port = server.port
        server.die()
        watcher.until(lambda: any(text.startswith("Reconnecting to") for text in watcher.notices))
        assert watcher.session.stats().source_status.startswith("Reconnecting to")
        server = MjpegServer(port, lambda number: cv2.resize(grey(number), (128, 96)))
        watcher.go_on()
        assert watcher.session.mode is Mode.TRACKING
        assert watcher.ids == {0, 1, 2}
        assert watcher.session._core.shown.frame.rgb.shape == (HEIGHT, WIDTH, 3)  # type: ignore[union-attr]
        assert watcher.session.stats().source_status == ""
    finally:
        server.die()


def test_a_camera_that_is_unplugged_and_plugged_in_again(
    watch: Callable[[Callable[[str], FrameSource]], Watcher],
) -> None:
    plugged = [FakeCapture(frames=10**9)]
    watcher = watch(lambda _uri: CameraSource(0, name="Desk", open_capture=lambda _index: plugged[-1]))
    watcher.track_two_objects("camera:0", two_objects(8, 6))
    dropped_and_processed = watcher.session.stats()
    plugged[-1]._frames = 0  # every read fails
    plugged.append(FakeCapture(opened=False))
    watcher.until(lambda: "Reconnecting to Desk" in watcher.notices)
    assert watcher.session.mode is Mode.TRACKING
    plugged.append(FakeCapture(frames=10**9))
    watcher.go_on()
    assert watcher.ids == {0, 1, 2}
    assert watcher.session.stats().dropped >= dropped_and_processed.dropped
    assert plugged[0].released


# -- in real time, opt-in ----------------------------------------------------------------------------------------
@pytest.mark.soak
def test_a_server_that_stands_still_for_ten_seconds(watch: Callable[[Callable[[str], FrameSource]], Watcher]) -> None:
    server = MjpegServer()
    watcher = watch(StreamSource)
    try:
        watcher.track_two_objects(server.url(), two_objects(WIDTH, HEIGHT))
        server.stalled.set()
        stalled = time.monotonic()
        watcher.until(lambda: any(text.startswith("No picture from") for text in watcher.notices))
        told = time.monotonic() - stalled
        time.sleep(max(0.0, stalled + 10 - time.monotonic()))
        before = watcher.session.stats().processed
        server.stalled.clear()
        back = time.monotonic()
        watcher.until(lambda: watcher.session.stats().processed > before)
        resumed = time.monotonic() - back
        print(f"\ntold after {told:.2f} s, tracking again {resumed:.2f} s after its return")
        assert told < 1.0
        assert resumed < 3.0
        assert watcher.ids == {0, 1, 2}
        assert watcher.session.mode is Mode.TRACKING
    finally:
        server.die()


@pytest.mark.soak
@pytest.mark.skipif(not (shutil.which("unshare") and shutil.which("tc")), reason="no network of its own to cut")
@pytest.mark.parametrize("seconds", [4, 10, 20])
def test_a_network_that_loses_everything_for_a_while(repo_root: Path, seconds: int) -> None:
    """Every packet is lost, so that connections hang and attempts to connect wait: no server can play this."""
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-m", "tests.support.cut_off", str(seconds)]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, timeout=110, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine lends nobody a network")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"\n{seconds} s: told after {found['told']:.2f} s, tracking again {found['resumed']:.2f} s after its return")
    assert found["told"] < 1.0
    assert found["resumed"] < 3.0
    assert found["ids"] == [0, 1, 2]
