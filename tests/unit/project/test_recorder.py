"""A recording never writes over an earlier one."""

from __future__ import annotations

import av
import numpy as np
import pytest

from engine.errors import ExportError
from engine.project.recorder import Recorder
from engine.types import Frame
from engine.video.source import SourceInfo, SourceKind


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_recording_never_writes_over_an_earlier_one(tmp_path):
    info = SourceInfo(SourceKind.CAMERA, "camera:0", "Camera", 32, 24, 30.0)
    frame, mask = Frame(4, 1.0, np.zeros((24, 32, 3), np.uint8)), np.ones((24, 32), np.uint8)
    with Recorder(tmp_path, info) as recorder:
        recorder.write(frame, mask)
    assert names(tmp_path) == ["masks", "overlay.mp4", "source.mp4"]
    assert names(tmp_path / "masks") == ["00004.png"]
    with pytest.raises(ExportError, match="already holds a recording"):
        Recorder(tmp_path, info)


def test_source_overlay_and_masks_have_the_same_frames_at_the_same_times(tmp_path):
    info = SourceInfo(SourceKind.CAMERA, "camera:0", "Camera", 32, 24, 30.0)
    mask = np.zeros((24, 32), np.uint8)
    mask[:, 16:] = 1
    times, greys = (0.0, 0.1, 0.15, 0.4), (40, 90, 140, 190)  # of frames of which a live source dropped some
    with Recorder(tmp_path, info) as recorder:
        for number, (time_s, grey) in enumerate(zip(times, greys, strict=True)):
            recorder.write(Frame(3 * number, time_s, np.full((24, 32, 3), grey, np.uint8)), mask)
    assert names(tmp_path / "masks") == ["00000.png", "00003.png", "00006.png", "00009.png"]
    found = {}
    for name in ("source.mp4", "overlay.mp4"):
        with av.open(str(tmp_path / name)) as container:
            pictures = [(float(f.pts * f.time_base), f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
        assert [time_s for time_s, _ in pictures] == pytest.approx(times, abs=0.002)
        found[name] = [picture for _, picture in pictures]
    for grey, plain, covered in zip(greys, found["source.mp4"], found["overlay.mp4"], strict=True):
        assert abs(int(plain[12, 4, 0]) - grey) < 8
        assert np.abs(plain[12, 4].astype(int) - covered[12, 4]).max() < 8  # no object there
        assert np.abs(plain[12, 28].astype(int) - covered[12, 28]).max() > 20


def test_an_error_leaves_no_half_written_video(tmp_path):
    info = SourceInfo(SourceKind.CAMERA, "camera:0", "Camera", 32, 24, 30.0)

    def record() -> None:
        with Recorder(tmp_path, info) as recorder:
            recorder.write(Frame(0, 0.0, np.zeros((24, 32, 3), np.uint8)), np.zeros((24, 32), np.uint8))
            recorder.write(Frame(1, 0.1, np.zeros((12, 16, 3), np.uint8)), np.zeros((12, 16), np.uint8))

    with pytest.raises(ValueError, match="does not fit"):
        record()
    assert [name for name in names(tmp_path) if name.endswith("mp4")] == []
