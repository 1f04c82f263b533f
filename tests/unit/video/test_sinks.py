"""What is written, read back by ffprobe and by our own reader."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest

from engine.errors import ExportError
from engine.video import sinks
from engine.video.file import VideoFileSource
from engine.video.masks import read_mask
from engine.video.sinks import MaskFolderWriter, OverlayVideoWriter
from tests.unit.video.media import probe_times


def frame(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    rgb = np.full((height, width, 3), (200, 50, 20), np.uint8)
    rgb[: height // 2, : number * 3 % width + 1] = 255
    return rgb


def stream_facts(path: Path) -> dict[str, str]:
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    streams = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["streams"]
    assert len(streams) == 1
    facts: dict[str, str] = streams[0]
    return facts


@pytest.mark.parametrize(
    ("fps", "shown"),
    [(25.0, "25/1"), (30000 / 1001, "30000/1001"), (24.0, "24/1"), (24000 / 1001, "24000/1001"), (60.0, "60/1")],
)
def test_h264_with_an_honest_frame_rate(tmp_path: Path, fps: float, shown: str) -> None:
    path = tmp_path / "overlay.mp4"
    with OverlayVideoWriter(path, 64, 48, fps) as writer:
        for number in range(40):
            writer.write(frame(number), number / fps)
    facts = stream_facts(path)
    assert (facts["codec_name"], facts["pix_fmt"], facts["nb_read_frames"]) == ("h264", "yuv420p", "40")
    assert (facts["avg_frame_rate"], facts["r_frame_rate"]) == (shown, shown)
    assert float(facts["duration"]) == pytest.approx(40 / fps, abs=1e-4)
    colour = {facts[key] for key in ("color_space", "color_primaries", "color_transfer")}
    assert (colour, facts["color_range"]) == ({"bt709"}, "tv")
    assert list(tmp_path.iterdir()) == [path]


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    rng = np.random.default_rng(0)
    times = (5000.25 + np.cumsum(rng.uniform(0.01, 0.2, 30))).tolist()  # a monotonic clock, as live frames have it
    with OverlayVideoWriter(path, 64, 48, 10.0) as writer:
        for number, time_s in enumerate(times):
            writer.write(frame(number), time_s)
        assert writer.frames_written == 30
    assert probe_times(path) == pytest.approx([t - times[0] for t in times], abs=2e-5)
    numerator, denominator = map(int, stream_facts(path)["avg_frame_rate"].split("/"))
    assert numerator / denominator == pytest.approx(30 / (times[-1] - times[0] + 0.1), rel=1e-3)


def test_times_that_do_not_rise_still_make_a_playable_file(tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    with OverlayVideoWriter(path, 64, 48, None) as writer:
        for number, time_s in enumerate([0.0, 0.0, 0.0, 1.0, 0.5]):
            writer.write(frame(number), time_s)
    times = probe_times(path)
    assert times == pytest.approx([0, 0.04, 0.08, 1.0, 1.04])


def test_colours_survive(tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    with OverlayVideoWriter(path, 64, 48, 25.0) as writer:
        writer.write(np.full((48, 64, 3), (200, 50, 20), np.uint8), 0.0)
    with closing(VideoFileSource(path)) as source:
        read = source.read()
    assert read is not None
    assert np.abs(read.rgb.reshape(-1, 3).mean(axis=0) - (200, 50, 20)).max() <= 4


@pytest.mark.parametrize(("width", "height"), [(65, 48), (64, 47), (33, 1), (1, 1), (101, 67)])
def test_odd_sizes_are_padded_by_repeating_the_edge(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "overlay.mp4"
    with OverlayVideoWriter(path, width, height, 25.0) as writer:
        for number in range(3):
            writer.write(frame(0, width, height), number / 25)
    with closing(VideoFileSource(path)) as source:
        read = source.read()
        assert read is not None
    assert read.rgb.shape == (height + height % 2, width + width % 2, 3)
    padding = read.rgb[height:].reshape(-1, 3)[:1].astype(int)
    if len(padding):
        assert np.abs(padding[0] - read.rgb[height - 1, 0]).max() < 60


def test_leaving_by_an_exception_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with OverlayVideoWriter(tmp_path / "a.mp4", 64, 48, 25.0) as writer:
            writer.write(frame(0), 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    writer = OverlayVideoWriter(path, 64, 48, 25.0)
    writer.write(frame(0), 0)
    assert path.read_bytes() == b"old"
    writer.abort()
    assert path.read_bytes() == b"old"
    writer.close()  # nothing happens
    with pytest.raises(ValueError, match="closed"):
        writer.write(frame(1), 1)
    assert list(tmp_path.iterdir()) == [path]


def test_no_frames_no_file(tmp_path: Path) -> None:
    with OverlayVideoWriter(tmp_path / "a.mp4", 64, 48, 25.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_frame_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit"), OverlayVideoWriter(tmp_path / "a.mp4", 64, 48, 25) as writer:
        writer.write(frame(0, 32, 48), 0)


def test_missing_folder_and_missing_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match="does not exist"):
        OverlayVideoWriter(tmp_path / "none" / "a.mp4", 64, 48, 25.0)
    monkeypatch.setattr(sinks, "_ENCODERS", ("no_such_encoder",))
    with pytest.raises(ExportError, match="no encoder"):
        OverlayVideoWriter(tmp_path / "a.mp4", 64, 48, 25.0)
    assert list(tmp_path.iterdir()) == []


def test_without_h264_mpeg4_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "_ENCODERS", ("no_such_encoder", "mpeg4"))
    with OverlayVideoWriter(tmp_path / "a.mp4", 64, 48, 25.0) as writer:
        for number in range(10):
            writer.write(frame(number), number / 25)
    facts = stream_facts(tmp_path / "a.mp4")
    assert (facts["codec_name"], facts["nb_read_frames"], facts["avg_frame_rate"]) == ("mpeg4", "10", "25/1")


_DISK_FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from engine.errors import ExportError
from engine.video.sinks import OverlayVideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
rng = np.random.default_rng(0)
writer = OverlayVideoWriter(Path(sys.argv[1]), 256, 256, 25.0)
try:
    for number in range(60):
        writer.write(rng.integers(0, 256, (256, 256, 3), np.uint8), number / 25)
    writer.close()
except ExportError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _DISK_FULL, str(tmp_path / "a.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "the disk is full" in done.stdout
    assert list(tmp_path.iterdir()) == []


# -- masks ---------------------------------------------------------------------------------------------------------
def test_masks_are_named_by_frame_index(tmp_path: Path) -> None:
    writer = MaskFolderWriter(tmp_path / "new" / "masks")
    for index in (0, 7, 123456):
        mask = np.full((6, 8), index % 200 + 1, np.uint8)
        path = writer.write(index, mask)
        assert (read_mask(path) == mask).all()
    assert sorted(p.name for p in (tmp_path / "new" / "masks").iterdir()) == ["00000.png", "00007.png", "123456.png"]
    assert writer.frames_written == 3


def test_an_occupied_folder_is_refused_unless_overwriting(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    with pytest.raises(ExportError, match="not empty"):
        MaskFolderWriter(tmp_path)
    writer = MaskFolderWriter(tmp_path, overwrite=True)
    for value in (1, 2):
        writer.write(0, np.full((6, 8), value, np.uint8))
    assert (read_mask(tmp_path / "00000.png") == 2).all()
    assert (tmp_path / "notes.txt").read_text() == "keep me"


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ExportError):
            MaskFolderWriter(path)
    gone = MaskFolderWriter(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ExportError, match="does not exist"):
        gone.write(0, np.ones((4, 4), np.uint8))


def test_the_encoders_of_this_installation_include_h264() -> None:
    assert "libx264" in av.codecs_available
