"""What gives way when memory or time is short, and what does not: ids, masks and keyframes stay.

With the real tracker, a tiny colour embedder, and memory that runs out when a picture is too large.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.preparing import SIZES, Preparation
from engine.propagation.recipe import ROBUST
from engine.runtime.config import EngineConfig
from engine.runtime.messages import EngineProgress, MaskKind, Mode, Notice, Severity, TrackingFinished
from engine.runtime.offline import track_file
from engine.runtime.tuner import Tuner, target_fps
from engine.tracker import Tracker
from engine.types import Frame
from engine.video.masks import read_mask, write_mask
from engine.video.source import SourceInfo, SourceKind
from tests.unit.runtime.fakes import FakeFile, FakeLive

WIDTH, HEIGHT = 640, 480
COLOURS = {0: (120, 120, 120), 3: (210, 40, 30), 7: (40, 60, 220)}


def mask_at(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[100:220, 80 + 4 * index : 200 + 4 * index] = 3
    mask[300:420, 400:520] = 7
    return mask


def frame_at(index: int, time_s: float = 0.0) -> Frame:
    palette = np.zeros((256, 3), np.uint8)
    for object_id, colour in COLOURS.items():
        palette[object_id] = colour
    return Frame(index, time_s, palette[mask_at(index)])


def agrees(mask: np.ndarray, index: int) -> bool:
    truth = mask_at(index)
    overlaps = [((mask == i) & (truth == i)).sum() / ((mask == i) | (truth == i)).sum() for i in (3, 7)]
    return set(np.unique(mask)) == {0, 3, 7} and min(overlaps) > 0.8


class Embedder:
    """Mean colour of a cell; raises when more than `room` pixels are to be embedded at once."""

    name, channels, stride, cosine, logit_scale = "colour", 64, 8, True, 40.0
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, room: float = float("inf"), error: type[Exception] = torch.OutOfMemoryError) -> None:
        generator = torch.Generator().manual_seed(0)
        self._weight = 6 * torch.randn(self.channels, 3, generator=generator)
        self._phase = 6 * torch.rand(self.channels, 1, generator=generator)
        self.room, self.error = room, error
        self.short_sides: list[int] = []

    def embed(self, rgb: torch.Tensor) -> torch.Tensor:
        self.short_sides.append(min(rgb.shape[2:]))
        if rgb.shape[2] * rgb.shape[3] > self.room:
            raise self.error("injected")
        cells = torch.nn.functional.avg_pool2d(rgb, 8, ceil_mode=True)[0]
        features = torch.cos(self._weight @ cells.reshape(3, -1) + self._phase)
        return torch.nn.functional.normalize(features, dim=0).reshape(-1, *cells.shape[1:])


ROOM_AT_240 = 330 * 250  # a little more than 320 x 240


class LargeFile(FakeFile):
    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.info = SourceInfo(SourceKind.FILE, "clip.mp4", "clip.mp4", WIDTH, HEIGHT, 25.0, count, count / 25)

    def read(self) -> Frame | None:
        frame = super().read()
        return None if frame is None else frame_at(frame.index, frame.index / 25)


class LargeLive(FakeLive):
    def __init__(self) -> None:
        super().__init__()
        self.info = SourceInfo(SourceKind.CAMERA, "camera:0", "camera:0", WIDTH, HEIGHT, 30.0)

    def read(self) -> Frame | None:
        frame = super().read()
        return None if frame is None else frame_at(frame.index, frame.time_s)


@pytest.fixture(autouse=True)
def one_thread():
    """Tensors this small are no quicker with more, and much slower where other tests run beside."""
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(former)


@pytest.fixture(params=[torch.OutOfMemoryError, MemoryError])
def short_of_memory(request) -> Embedder:
    return Embedder(ROOM_AT_240, request.param)


def painted(drive, source: FakeFile | FakeLive, **options):
    """A driver with this source open and two objects painted on its first frame (a camera's stands still for it)."""
    driver = drive({source.info.uri: source}, **options)
    driver.wait_ready()
    driver.open(source.info.uri)
    if isinstance(source, FakeLive):
        source.push()
        driver.wait_shown(0)
        driver.session.freeze()
    driver.paint(mask_at(0), touched=(3, 7))
    return driver


def notices(driver) -> list[Notice]:
    return [event for event in driver.events if isinstance(event, Notice)]


# -- memory ----------------------------------------------------------------------------------------------------------
def test_a_file_goes_on_smaller_with_every_id_and_every_mask(drive, short_of_memory):
    driver = painted(
        drive,
        LargeFile(6),
        make_tracker=lambda config: Tracker(short_of_memory, ROBUST, working_size=config.working_size),
    )
    driver.session.track()
    driver.wait_event(TrackingFinished)
    assert driver.session.mask_kinds() == {0: MaskKind.KEYFRAME} | dict.fromkeys(range(1, 6), MaskKind.TRACKED)
    assert all(agrees(driver.session.mask_at(index)[0], index) for index in range(6))
    assert np.array_equal(driver.session.mask_at(0)[0], mask_at(0))
    (said,) = notices(driver)
    assert said.severity is Severity.WARNING
    assert "480" in said.message
    assert "240" in said.message
    assert driver.session.stats().working_size == (320, 240)
    assert short_of_memory.short_sides.count(480) == 1, "what failed is not tried with every frame"


def test_memory_that_runs_out_on_the_way_takes_nothing_with_it(drive):
    """The keyframe was learnt at full size; then another program takes the memory."""
    embedder = Embedder()
    driver = painted(drive, LargeFile(9), make_tracker=lambda config: Tracker(embedder, ROBUST))
    driver.session.track(until=4)
    driver.wait_event(TrackingFinished)
    assert driver.session.stats().working_size == (640, 480)
    embedder.room = ROOM_AT_240
    driver.session.track()
    driver.wait_event(TrackingFinished, 2)
    assert driver.session.stats().working_size == (320, 240)
    assert driver.session.stats().bank_frames == (1, ROBUST.history), "the memory bank came along"
    assert all(agrees(driver.session.mask_at(index)[0], index) for index in range(9))
    assert len(notices(driver)) == 1


def test_a_camera_goes_on_smaller_and_is_never_tried_at_more_again(drive, short_of_memory):
    live = LargeLive()
    driver = painted(drive, live, make_tracker=lambda config: Tracker(short_of_memory, ROBUST))
    driver.session.track()
    for index in range(1, 30):
        live.push()
        item = driver.wait_shown(index)
        assert agrees(item.mask, index)
    assert driver.session.mode is Mode.TRACKING
    (said,) = notices(driver)
    assert "Memory ran out at a working size of 320" in said.message
    quality = driver.session.stats().live_quality
    assert quality.short_side <= 240
    assert short_of_memory.short_sides.count(320) == 1
    assert driver.session.mask_kinds()[0] is MaskKind.KEYFRAME


@pytest.mark.parametrize("live", [False, True])
def test_when_even_the_smallest_size_fails_one_sentence_says_so_and_the_masks_stay(drive, live):
    embedder = Embedder()
    source = LargeLive() if live else LargeFile(9)
    driver = painted(drive, source, make_tracker=lambda config: Tracker(embedder, ROBUST))
    embedder.room = 10
    driver.session.track()
    driver.wait(lambda: notices(driver) and driver.session.mode is Mode.FROZEN)
    (said,) = notices(driver)
    assert said.severity is Severity.ERROR
    assert said.message == f"Memory ran out even at the smallest working size, {SIZES[0]} pixels."
    assert np.array_equal(driver.session.mask_at(0)[0], mask_at(0))
    embedder.room = float("inf")  # the user closes another program and tries again
    driver.session.track()
    if live:
        shown = source.push()
    else:
        driver.wait_event(TrackingFinished)
        shown = 8
    assert agrees(driver.wait_shown(shown).mask, shown)
    assert driver.session.stats().working_size == ((424, 320) if live else (640, 480))


def test_the_command_line_goes_on_smaller_too_and_its_report_says_so(tmp_path, short_of_memory):
    write_mask(tmp_path / "first.png", mask_at(0))
    report = track_file(
        "input",
        tmp_path / "first.png",
        tmp_path / "out",
        opener=lambda spec: LargeFile(4),
        create_tracker=lambda config, progress: Tracker(short_of_memory, ROBUST),
    )
    assert report.frames == 4
    assert report.working_size == (320, 240)
    assert "Memory ran out" in str(report)
    for index in range(4):
        assert agrees(read_mask(tmp_path / "out" / f"{index:05d}.png", (WIDTH, HEIGHT)), index)


def test_a_picture_that_is_small_already_steps_down_from_its_own_size():
    """Working at 480 means nothing to a picture of 240: the next smaller size is 192, not 420."""
    embedder = Embedder(room=256 * 200)
    tracker = Tracker(embedder, ROBUST)
    tuner = Tuner(lambda message, way_out: said.append(message), lambda: 0.0)
    said: list[str] = []
    frame = Frame(0, 0.0, frame_at(0).rgb[::2, ::2].copy())
    tuner.attempt(tracker, lambda: tracker.step(frame, mask_at(0)[::2, ::2].copy()))
    assert embedder.short_sides == [240, 192]
    assert said == ["Memory ran out at a working size of 240; tracking goes on at 192."]


def test_other_failures_are_not_taken_for_a_lack_of_memory():
    tracker = Tracker(Embedder(room=1, error=RuntimeError), ROBUST)
    tuner = Tuner(lambda *_: pytest.fail("nothing ran out"), lambda: 0.0)
    with pytest.raises(RuntimeError, match="injected"):
        tuner.attempt(tracker, lambda: tracker.step(frame_at(0), mask_at(0)))


# -- time ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wanted", "source", "expected"),
    [(24.0, 30.0, 24.0), (30.0, 15.0, 15.0), (None, 60.0, 60.0), (None, None, 30.0), (15.0, None, 15.0),
     (24.0, 90_000.0, 24.0), (None, 0.0, 30.0)],
)  # fmt: skip
def test_the_rate_to_hold_is_never_more_than_the_source_delivers(wanted, source, expected):
    assert target_fps(wanted, source) == expected


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


CAMERA = SourceInfo(SourceKind.CAMERA, "camera:0", "camera:0", 1280, 720, 30.0)


def run(tuner, tracker, clock, seconds_at_480, frames):
    """So many frames, each as slow as its size makes it."""
    for _ in range(frames):
        seconds = seconds_at_480 * (tracker.short_side / 480) ** 2
        clock.now += max(seconds, 1 / 30)
        tuner.measured(tracker, seconds)


def test_live_quality_follows_the_time_a_frame_takes_and_says_so():
    clock, tracker = Clock(), Tracker(Embedder(), ROBUST)
    tuner = Tuner(lambda *_: None, clock)
    tuner.begin(tracker, EngineConfig(live_rate=24.0), CAMERA, live=True)
    assert tracker.preparation == Preparation(320, 8)  # where a CPU begins
    run(tuner, tracker, clock, 0.01, 90)
    quality = tuner.live_quality
    assert (tracker.short_side, quality.short_side, quality.full, quality.holds) == (480, 480, True, True)
    assert (quality.target_fps, quality.references) == (24.0, None)
    run(tuner, tracker, clock, 0.2, 30)
    assert tracker.short_side < 240
    assert tuner.live_quality.references == 4
    assert not tuner.live_quality.full


def test_going_on_after_a_pause_goes_on_with_the_quality_found():
    clock, tracker = Clock(), Tracker(Embedder(), ROBUST)
    tuner = Tuner(lambda *_: None, clock)
    config = EngineConfig()
    tuner.begin(tracker, config, CAMERA, live=True)
    run(tuner, tracker, clock, 0.1, 30)
    found = tracker.short_side
    assert found < 320
    tuner.begin(tracker, config, CAMERA, live=True)
    assert tracker.short_side == found
    another = SourceInfo(SourceKind.CAMERA, "camera:1", "camera:1", 1280, 720, 30.0)
    tuner.begin(tracker, config, another, live=True)
    assert tracker.short_side == 320


def test_a_size_the_user_chose_and_files_are_left_alone():
    clock, tracker = Clock(), Tracker(Embedder(), ROBUST, working_size=360)
    tuner = Tuner(lambda *_: None, clock)
    tuner.begin(tracker, EngineConfig(working_size=360), CAMERA, live=True)
    run(tuner, tracker, clock, 1.0, 20)
    assert tracker.short_side == 360
    assert tuner.live_quality is None
    tuner.begin(tracker, EngineConfig(), CAMERA, live=False)
    run(tuner, tracker, clock, 1.0, 20)
    assert tracker.short_side == 480


def test_a_size_given_up_for_one_source_is_tried_again_for_the_next():
    embedder = Embedder(ROOM_AT_240)
    tracker, tuner = Tracker(embedder, ROBUST), Tuner(lambda *_: None, lambda: 0.0)
    config = EngineConfig(working_size=480)
    tuner.begin(tracker, config, CAMERA, live=False)
    tuner.attempt(tracker, lambda: tracker.step(frame_at(0), mask_at(0)))
    tuner.begin(tracker, config, CAMERA, live=False)
    assert tracker.short_side == 240
    tuner.forget()
    tuner.begin(tracker, config, CAMERA, live=False)
    assert tracker.short_side == 480


def test_size_and_rate_change_on_the_way_without_a_new_tracker(drive):
    """Nothing is loaded again, nothing is forgotten, and the very next frame has the new size."""
    live, made = LargeLive(), []

    def make(config):
        made.append(config)
        return Tracker(Embedder(), ROBUST, working_size=config.working_size)

    driver = painted(drive, live, make_tracker=make)
    driver.session.track()
    ready = 1
    for index, (config, size) in enumerate(
        [
            (EngineConfig(working_size=240), (320, 240)),
            (EngineConfig(working_size=480), (640, 480)),
            (EngineConfig(live_rate=15.0), (424, 320)),
        ],
        start=1,
    ):
        driver.session.configure(config)
        ready += 1
        driver.wait(lambda: sum(isinstance(e, EngineProgress) and e.ready for e in driver.events) >= ready)  # noqa: B023
        live.push()
        item = driver.wait_shown(index)
        assert agrees(item.mask, index)
        assert driver.session.stats().working_size == size
    assert len(made) == 1
    assert driver.session.stats().live_quality.target_fps == 15.0
    assert driver.session.stats().bank_frames == (1, 4)


def test_keyframes_are_seen_anew_at_another_size_one_with_each_frame(drive):
    seen = []

    class Watching(Tracker):
        def refresh(self, frame, mask, touched):
            seen.append((frame.index, self.short_side, frozenset(touched)))
            super().refresh(frame, mask, touched)

        def step(self, frame, mask=None, **how):
            seen.append((frame.index, self.short_side, None))
            return super().step(frame, mask, **how)

    driver = painted(drive, LargeFile(9), make_tracker=lambda config: Watching(Embedder(), ROBUST))
    driver.session.seek(2)
    driver.wait_shown(2)
    driver.paint(mask_at(2), touched=(3,))
    driver.session.track(until=4)
    driver.wait_event(TrackingFinished)
    driver.session.configure(EngineConfig(working_size=240))
    driver.session.track(until=7)
    driver.wait_event(TrackingFinished, 2)
    after = [entry for entry in seen if entry[1] == 240]
    assert after == [
        (2, 240, {3}), (5, 240, None), (0, 240, {3, 7}), (6, 240, None), (7, 240, None),
    ]  # fmt: skip
    assert all(agrees(driver.session.mask_at(index)[0], index) for index in range(2, 8))


def test_frames_arrive_at_the_tracker_with_their_small_picture(drive):
    """Resized by the thread that reads them, while the engine works on the frame before."""
    embedder, seen = Embedder(), []

    class Watching(Tracker):
        def step(self, frame, mask=None, **how):
            seen.append(frame)
            return super().step(frame, mask, **how)

    driver = painted(
        drive,
        LargeFile(4),
        config=EngineConfig(working_size=240),
        make_tracker=lambda config: Watching(embedder, ROBUST, working_size=240),
    )
    driver.session.track()
    driver.wait_event(TrackingFinished)
    assert [frame.small.shape for frame in seen[1:]] == [(240, 320, 3)] * 3
