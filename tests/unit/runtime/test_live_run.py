"""A file as a camera through the true session: what is counted is exact, whatever the speed of the machine."""

from __future__ import annotations

import json
import threading
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from engine.errors import MaskError, ModelError, SourceError, UserError
from engine.propagation.recipe import ROBUST
from engine.runtime.config import EngineConfig
from engine.runtime.live_report import trend_per_minute
from engine.runtime.live_run import run_live
from engine.tracker import Tracker
from engine.video.file import VideoFileSource
from tests.unit.runtime.fakes import FakeLive
from tests.unit.runtime.test_tuner import Embedder, one_thread  # noqa: F401 - a fixture of every test here


def make(embedder):
    return lambda config, progress: Tracker(embedder, ROBUST, working_size=config.working_size)


def test_every_picture_is_tracked_or_dropped(disc_clip):
    """40 pictures from a file of 24 frames, faster than most machines track: some are dropped, all are counted."""
    seen: list[float] = []
    report = run_live(
        disc_clip.path, fps=40.0, seconds=1.0, mask=disc_clip.masks[0], create_tracker=make(Embedder()),
        on_progress=seen.append,
    )  # fmt: skip
    assert report.produced == 40
    assert report.tracked + report.dropped == report.produced
    assert report.tracked > 0
    assert (report.fps, report.model, report.recipe) == (40.0, "colour", "robust")
    assert report.notes == ()
    assert report.quality is not None
    assert report.quality.target_fps == 24.0
    assert report.sizes[0][1] == (160, 120)
    assert "40 pictures at 40 per second" in str(report)
    assert json.loads(json.dumps(asdict(report)))["produced"] == 40
    with pytest.raises(FrozenInstanceError):
        report.produced = 1


def test_an_engine_that_takes_its_time_drops_pictures_and_they_are_counted(disc_clip):
    """The engine is held until half of the pictures are gone: only then does it get on, with the newest."""
    sources, half_gone = [], threading.Event()

    class Slow(Tracker):
        def step(self, frame, mask=None, **how):
            if mask is None and not half_gone.is_set():
                while sources[0].reads < 30:
                    half_gone.wait(0.005)
                half_gone.set()
            return super().step(frame, mask, **how)

    class Counting(VideoFileSource):
        reads = 0

        def read(self):
            self.reads += 1
            return super().read()

    def opener(path):
        sources.append(Counting(path))
        return sources[0]

    report = run_live(
        disc_clip.path, fps=60.0, seconds=1.0, opener=opener, mask=disc_clip.mask_path,
        create_tracker=lambda config, progress: Slow(Embedder(), ROBUST), config=EngineConfig(working_size=240),
    )  # fmt: skip
    assert report.produced == 60
    assert report.tracked + report.dropped == 60
    assert report.dropped >= 20
    assert report.quality is None, "the size was given"


def test_memory_that_runs_out_is_in_the_notes(two_disc_clip):
    report = run_live(
        two_disc_clip.path, fps=30.0, seconds=0.5, create_tracker=make(Embedder(room=270 * 200)),
        config=EngineConfig(working_size=240),
    )  # fmt: skip
    assert report.tracked + report.dropped == report.produced == 15
    assert [note for note in report.notes if note.startswith("Memory ran out at a working size of 240")]


def test_what_fails_is_said_and_everything_is_closed(disc_clip, tmp_path):
    def broken(config, progress):
        raise ModelError("There is no such model.", "Choose another.")

    with pytest.raises(UserError, match="no such model"):
        run_live(disc_clip.path, seconds=1, create_tracker=broken)
    with pytest.raises(UserError, match="smallest working size"):
        run_live(disc_clip.path, seconds=1, create_tracker=make(Embedder(room=1)))
    with pytest.raises(SourceError):
        run_live(tmp_path / "missing.mp4", seconds=1)
    with pytest.raises(SourceError, match="live already"):
        run_live("camera:0", seconds=1, opener=lambda spec: FakeLive())
    with pytest.raises(MaskError):
        run_live(disc_clip.path, seconds=1, mask=tmp_path / "missing.png", create_tracker=make(Embedder()))
    for fps, seconds in ((0, 1), (30, 0), (-1, 1)):
        with pytest.raises(ValueError, match="positive"):
            run_live(disc_clip.path, fps=fps, seconds=seconds)


def test_the_trend_is_per_minute_and_does_not_mind_outliers():
    rng = np.random.default_rng(0)
    rising = [(float(t), 0.05 + 0.01 * t / 60 + float(rng.normal(0, 1e-3))) for t in np.arange(0, 120, 0.05)]
    assert trend_per_minute(rising) == pytest.approx(0.01, rel=0.1)
    outliers = [(when, 2.0 if index % 10 == 0 else value) for index, (when, value) in enumerate(rising)]
    assert trend_per_minute(outliers) == pytest.approx(0.01, rel=0.1)
    assert trend_per_minute([(0.0, 1.0), (1.0, 2.0)]) is None
