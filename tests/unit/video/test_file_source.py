"""Reading and seeking video files: every frame, in order, at its time, however it is reached."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.types import Frame
from engine.video.file import VideoFileSource
from engine.video.source import SourceKind
from tests.unit.video.media import RECIPES, ffmpeg, identity, probe_count, probe_times

Clip = Callable[..., Path]

# Formats whose frames carry no times of their own; ffprobe has none, or not all, to compare with.
UNTIMED = {"raw.h264", "b_frames.avi", "mpeg2.mpg"}


def frames_of(source: VideoFileSource) -> Iterator[Frame]:
    while (frame := source.read()) is not None:
        yield frame


@cache
def in_sequence(path: Path) -> list[tuple[int, float, str]]:
    with closing(VideoFileSource(path)) as source:
        return [identity(frame) for frame in frames_of(source)]


@pytest.mark.parametrize("name", RECIPES)
def test_reads_every_frame_at_its_time(clip: Clip, name: str) -> None:
    path = clip(name)
    with closing(VideoFileSource(path)) as source:
        frames = list(frames_of(source))
        assert source.warning is None
        assert source.info.frame_count == len(frames) == probe_count(path)
        assert source.read() is None
    assert [frame.index for frame in frames] == list(range(len(frames)))
    times = [frame.time_s for frame in frames]
    assert times[0] == 0.0
    if name in UNTIMED:
        assert times == pytest.approx([i / 25 for i in range(len(frames))])
    else:
        assert times == pytest.approx(probe_times(path), abs=1e-5)
    assert all(frame.rgb.shape == (source.info.height, source.info.width, 3) for frame in frames)


@pytest.mark.parametrize("name", RECIPES)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_seeking_gives_the_very_frame_of_sequential_reading(clip: Clip, name: str, data: st.DataObject) -> None:
    path = clip(name)
    expected = in_sequence(path)
    # A tiny cache, so that the decoder has to be positioned again and again.
    with closing(VideoFileSource(path, cache_bytes=1)) as source:
        for index in data.draw(st.lists(st.integers(0, len(expected) - 1), min_size=3, max_size=8)):
            source.seek(index)
            found = [source.read() for _ in range(data.draw(st.integers(1, 3)))]
            assert [identity(f) for f in found if f is not None] == expected[index : index + len(found)]


@pytest.mark.parametrize("name", ["b_frames.mp4", "vfr.mkv", "raw.h264"])
def test_seeking_past_the_end_gives_none_and_back_again_works(clip: Clip, name: str) -> None:
    path = clip(name)
    expected = in_sequence(path)
    with closing(VideoFileSource(path)) as source:
        source.seek(10_000)
        assert source.read() is None
        source.seek(len(expected) - 1)
        last = source.read()
        assert last is not None
        assert identity(last) == expected[-1]
        assert source.read() is None
        assert source.info.frame_count == len(expected)
        assert source.warning is None
        with pytest.raises(ValueError, match="-1"):
            source.seek(-1)


def test_stepping_back_and_forth_reads_nothing_again(clip: Clip) -> None:
    with closing(VideoFileSource(clip("b_frames.mp4"))) as source:
        source.seek(50)
        source.read()
        before = source.packets_read
        for index in (49, 48, 47, 48, 49, 50):
            source.seek(index)
            frame = source.read()
            assert frame is not None
            assert frame.index == index
        assert source.packets_read == before


def test_a_short_way_forward_decodes_on(clip: Clip) -> None:
    with closing(VideoFileSource(clip("long_gop.mkv", "-c:v", "libx264", "-g", "300"))) as source:
        source.read()
        before = source.packets_read
        source.seek(6)
        frame = source.read()
        assert frame is not None
        assert frame.index == 6
        assert source.packets_read - before <= 12


def test_edit_list_trims_the_start(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "trimmed.mp4"
    ffmpeg("-ss", "1.3", "-i", clip("b_frames.mp4"), "-c", "copy", path)
    expected = in_sequence(path)
    assert len(expected) == probe_count(path)
    with closing(VideoFileSource(path, cache_bytes=1)) as source:
        assert source.info.frame_count == len(expected)
        for index in (len(expected) - 1, 0, 20, 5):
            source.seek(index)
            frame = source.read()
            assert frame is not None
            assert identity(frame) == expected[index]


def test_hidden_reference_frames_of_vp8_are_no_frames(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "hidden.webm"
    options = ["-c:v", "libvpx", "-b:v", "100k", "-cpu-used", "5", "-auto-alt-ref", "1", "-lag-in-frames", "25"]
    options += ["-passlogfile", str(tmp_path / "log")]
    ffmpeg("-i", clip("b_frames.mp4"), *options, "-pass", "1", "-f", "null", "-")
    ffmpeg("-i", clip("b_frames.mp4"), *options, "-pass", "2", path)
    expected = in_sequence(path)
    assert len(expected) == probe_count(path) == 75 < probe_count(path, "packets")
    with closing(VideoFileSource(path, cache_bytes=1)) as source:
        for index in (74, 3, 40):
            source.seek(index)
            frame = source.read()
            assert frame is not None
            assert identity(frame) == expected[index]


def test_sound_beside_the_picture_does_not_disturb_seeking(clip: Clip, tmp_path: Path) -> None:
    for suffix in ("mp4", "mkv"):
        path = tmp_path / f"sound.{suffix}"
        ffmpeg("-i", clip("b_frames.mp4"), "-f", "lavfi", "-i", "sine=d=3", "-c:v", "copy", "-c:a", "aac", path)
        expected = in_sequence(path)
        assert len(expected) == 75
        with closing(VideoFileSource(path, cache_bytes=1)) as source:
            for index in (70, 3, 44):
                source.seek(index)
                frame = source.read()
                assert frame is not None
                assert identity(frame) == expected[index]


# -- orientation, shape, colour ----------------------------------------------------------------------------------
def first_frame(path: Path) -> Frame:
    with closing(VideoFileSource(path)) as source:
        frame = source.read()
        assert frame is not None
        assert (frame.width, frame.height) == (source.info.width, source.info.height)
        return frame


def ffmpeg_first_frame(path: Path, width: int, height: int) -> np.ndarray:
    """What the ffmpeg program shows, rotation applied."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_is_applied(clip: Clip, tmp_path: Path, degrees: int) -> None:
    path = tmp_path / "phone.mp4"
    ffmpeg("-i", clip("b_frames.mp4"), "-metadata:s:v", f"rotate={degrees}", "-c", "copy", path)
    frame = first_frame(path)
    assert (frame.width, frame.height) == ((128, 96) if degrees == 180 else (96, 128))
    expected = ffmpeg_first_frame(path, frame.width, frame.height)
    assert np.abs(frame.rgb.astype(int) - expected).mean() < 2


def test_mirrored_display_matrix_is_applied(clip: Clip, tmp_path: Path) -> None:
    data = clip("faststart.mp4").read_bytes()
    header = data.index(b"tkhd")
    one, minus_one = b"\x00\x01\x00\x00", b"\xff\xff\x00\x00"
    at = data.index(one + bytes(12) + one, header)
    path = tmp_path / "mirrored.mp4"
    path.write_bytes(data[:at] + minus_one + data[at + 4 :])
    assert (first_frame(path).rgb == first_frame(clip("faststart.mp4")).rgb[:, ::-1]).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (101, 67), (33, 2)])
def test_odd_and_tiny_sizes(clip: Clip, width: int, height: int) -> None:
    source = f"testsrc=s=320x240:r=5:d=0.4,format=rgb24,crop={width}:{height}:40:40:exact=1"
    path = clip(f"odd{width}x{height}.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0", source=source)
    frame = first_frame(path)
    assert (frame.width, frame.height) == (width, height)
    assert (frame.rgb == ffmpeg_first_frame(path, width, height)).all()


@pytest.mark.parametrize("tags", ["bt709 tv", "bt709 pc", "smpte170m tv", "smpte170m pc", "bt2020nc tv"])
def test_colour_tags_are_honoured(clip: Clip, tags: str) -> None:
    matrix, extent = tags.split()
    scale_name = {"smpte170m": "bt601", "bt2020nc": "bt2020"}.get(matrix, matrix)
    source = (
        f"color=c=0xC83214:s=64x64:r=5:d=0.4,format=gbrp,scale=out_color_matrix={scale_name}:out_range={extent},"
        f"format={'yuv420p10le' if matrix == 'bt2020nc' else 'yuv420p'}"
    )
    transfer = "smpte2084" if matrix == "bt2020nc" else "bt709"
    options = ["-c:v", "libx264", "-qp", "0", "-colorspace", matrix, "-color_range", extent, "-color_trc", transfer]
    pixel_format = "yuv420p10le" if matrix == "bt2020nc" else "yuv420p"
    path = clip(f"colour_{matrix}_{extent}.mp4", *options, "-pix_fmt", pixel_format, source=source)
    assert np.abs(first_frame(path).rgb.reshape(-1, 3).mean(axis=0) - (200, 50, 20)).max() <= 3


@pytest.mark.parametrize(("size", "matrix"), [("64x64", "bt601"), ("1280x720", "bt709")])
def test_untagged_colour_is_bt709_for_hd_and_bt601_below(clip: Clip, size: str, matrix: str) -> None:
    source = f"color=c=0xC83214:s={size}:r=5:d=0.2,format=gbrp,scale=out_color_matrix={matrix},format=yuv420p"
    path = clip(f"untagged_{size}.mp4", "-c:v", "libx264", "-qp", "0", source=source)
    assert np.abs(first_frame(path).rgb.reshape(-1, 3).mean(axis=0) - (200, 50, 20)).max() <= 3


def test_non_square_pixels_are_delivered_as_stored(clip: Clip) -> None:
    path = clip("anamorphic.mp4", "-vf", "setsar=4/3", "-c:v", "libx264")
    with closing(VideoFileSource(path)) as source:
        assert (source.info.width, source.info.height) == (128, 96)
        assert source.sample_aspect_ratio == pytest.approx(4 / 3)


def test_info_tells_what_the_container_knows(clip: Clip) -> None:
    path = clip("b_frames.mp4")
    with closing(VideoFileSource(path)) as source:
        info = source.info
    assert info.kind is SourceKind.FILE
    assert (info.uri, info.name) == (str(path), "b_frames.mp4")
    assert (info.fps, info.frame_count, info.duration_s) == (25.0, 75, 3.0)
    assert not info.live


# -- long files ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def two_hours(clip: Clip) -> dict[str, Path]:
    """Two hours at 10 frames per second."""
    path = clip("long.mp4", "-c:v", "libx264", "-preset", "ultrafast", "-g", "250", source="color=s=32x32:r=10:d=7200")
    copy = path.with_suffix(".mkv")
    if not copy.exists():
        ffmpeg("-i", path, "-c", "copy", copy)
    return {"mp4": path, "mkv": copy}


def io_counters() -> dict[str, int]:
    """Bytes this process has read and written so far, by the kernel's count."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return {key: int(value) for key, value in (line.split(": ") for line in lines)}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the kernel's I/O counters")
def test_a_long_file_opens_without_reading_or_writing_it(two_hours: dict[str, Path]) -> None:
    path = two_hours["mkv"]
    before, neighbours = io_counters(), sorted(path.parent.iterdir())
    with closing(VideoFileSource(path)) as source:
        assert source.read() is not None
        after = io_counters()
        assert source.packets_read < 50
        assert source.info.duration_s == pytest.approx(7200, abs=1)
    assert after["rchar"] - before["rchar"] < path.stat().st_size / 3
    assert after["wchar"] == before["wchar"]
    assert sorted(path.parent.iterdir()) == neighbours


def test_a_long_mp4_jumps_to_its_end_through_its_index(two_hours: dict[str, Path]) -> None:
    with closing(VideoFileSource(two_hours["mp4"])) as source:
        assert source.info.frame_count == 72_000
        for index in (71_990, 12_345, 60_000):
            source.seek(index)
            frame = source.read()
            assert frame is not None
            assert (frame.index, frame.time_s) == (index, pytest.approx(index / 10))
        assert source.packets_read < 1500


def test_without_an_index_packets_are_scanned_once_and_only_as_far_as_needed(two_hours: dict[str, Path]) -> None:
    with closing(VideoFileSource(two_hours["mkv"])) as source:
        assert source.info.frame_count is None
        source.seek(20_000)
        frame = source.read()
        assert frame is not None
        assert (frame.index, frame.time_s) == (20_000, pytest.approx(2000))
        scanned = source.packets_read
        assert 20_000 < scanned < 22_000
        source.seek(15_000)
        frame = source.read()
        assert frame is not None
        assert frame.index == 15_000
        assert source.packets_read - scanned < 1000
        assert source.status == ""


def test_close_from_another_thread_ends_a_long_read(two_hours: dict[str, Path]) -> None:
    source = VideoFileSource(two_hours["mkv"])
    source.seek(71_999)
    results: list[Frame | None] = []
    busy = threading.Event()
    scan = source._table.feed  # the only place that tells that the scan is under way

    def feed(position: int, packet: object) -> None:
        scan(position, packet)
        if position > 1000:
            busy.set()

    source._table.feed = feed  # type: ignore[method-assign]
    reader = threading.Thread(target=lambda: results.append(source.read()))
    reader.start()
    assert busy.wait(30)
    source.close()
    reader.join(30)
    assert results == [None]
    assert source.packets_read < 72_000
    assert source.read() is None
    source.close()
