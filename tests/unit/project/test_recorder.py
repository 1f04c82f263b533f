"""A recording: masks and two videos that belong together; it never writes over an earlier one."""

from __future__ import annotations

import av
import numpy as np
import pytest

from engine.errors import ExportError
from engine.project import recorder as module
from engine.project.recorder import Recorder
from engine.types import Frame
from engine.video.source import SourceInfo, SourceKind

INFO = SourceInfo(SourceKind.CAMERA, "camera:0", "Camera", 32, 24, 30.0)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_recording_never_writes_over_an_earlier_one(tmp_path):
    info = INFO
    frame, mask = Frame(4, 1.0, np.zeros((24, 32, 3), np.uint8)), np.ones((24, 32), np.uint8)
    with Recorder(tmp_path, info) as recorder:
        recorder.write(frame, mask)
    assert names(tmp_path) == ["masks", "overlay.mp4", "source.mp4"]
    assert names(tmp_path / "masks") == ["00004.png"]
    with pytest.raises(ExportError, match="already holds a recording"):
        Recorder(tmp_path, info)


def decoded(path):
    """(seconds, mean colour) of every frame."""
    with av.open(str(path)) as container:
        return [(float(f.time), f.to_ndarray(format="rgb24").mean((0, 1))) for f in container.decode(video=0)]


def record_three(folder):
    mask = np.ones((24, 32), np.uint8)
    with Recorder(folder, INFO) as recorder:
        for index, time_s in ((4, 10.0), (7, 10.5), (8, 10.6)):  # live frames are dropped now and then
            recorder.write(Frame(index, time_s, np.full((24, 32, 3), 40 * index - 120, np.uint8)), mask)


def test_both_videos_have_the_same_times_and_the_source_is_not_painted(tmp_path):
    record_three(tmp_path)
    overlay, source = decoded(tmp_path / "overlay.mp4"), decoded(tmp_path / "source.mp4")
    assert [time_s for time_s, _ in source] == [time_s for time_s, _ in overlay]
    assert [time_s for time_s, _ in source] == pytest.approx([0, 0.5, 0.6], abs=1e-3)
    assert np.abs([colour - grey for (_, colour), grey in zip(source, (40, 160, 200), strict=True)]).max() < 4
    assert all(colour[0] - colour[1] > 20 for _, colour in overlay)  # the red of object 1


@pytest.mark.parametrize("failing", ["overlay.mp4", "source.mp4"])
def test_a_video_that_cannot_be_finished_leaves_the_other(tmp_path, monkeypatch, failing):
    close = module.OverlayVideoWriter.close

    def fails(self):
        if self._path.name == failing:
            self.abort()
            raise ExportError("The disk is full.", "Make room.")
        close(self)

    monkeypatch.setattr(module.OverlayVideoWriter, "close", fails)
    with pytest.raises(ExportError, match="The disk is full"):
        record_three(tmp_path)
    (other,) = {"overlay.mp4", "source.mp4"} - {failing}
    assert names(tmp_path) == sorted(["masks", other])
    assert len(decoded(tmp_path / other)) == 3


def test_a_failure_on_the_way_leaves_no_half_video(tmp_path):
    frame = Frame(0, 0.0, np.zeros((24, 32, 3), np.uint8))
    with pytest.raises(ValueError, match="does not fit"), Recorder(tmp_path, INFO) as recorder:
        recorder.write(frame, np.ones((8, 8), np.uint8))
    assert names(tmp_path) == ["masks"]
