"""Files that are damaged, mislabelled or no videos at all: a clear sentence or every decodable frame, never a crash."""

from __future__ import annotations

import itertools
import os
import random
import struct
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import SourceError
from engine.types import Frame
from engine.video import decode
from engine.video.file import VideoFileSource
from engine.video.folder import ImageFolderSource
from engine.video.open import classify, open_source
from engine.video.source import MAX_SIDE
from tests.support.clips import png_claiming
from tests.unit.video.media import ffmpeg, identity, probe_count

Clip = Callable[..., Path]


def read_all(path: Path) -> tuple[list[Frame], str | None]:
    frames = []
    with closing(VideoFileSource(path)) as source:
        while (frame := source.read()) is not None:
            frames.append(frame)
        return frames, source.warning


def refusal(path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        VideoFileSource(path)
    error = caught.value
    assert error.message.endswith(".")
    assert error.message.count("\n") == 0
    assert error.way_out.endswith(".")
    return error


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_missing_file(tmp_path: Path) -> None:
    assert "no file" in refusal(tmp_path / "nowhere.mp4").message


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path).message


def test_zero_bytes(tmp_path: Path) -> None:
    assert "empty" in refusal(written(tmp_path / "empty.mp4", b"")).message


def test_no_permission(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = clip("b_frames.mp4")
    monkeypatch.setattr(Path, "open", refuse)
    assert "may not read" in refusal(path).message


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
@pytest.mark.parametrize("name", ["pipe.mp4", "pipe.png", "pipe"])
def test_pipes_and_devices_keep_nobody_waiting(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(SourceError, match="a pipe or a device"):
        open_source(tmp_path / name)
    assert classify(tmp_path / name) in ("video", "image", "other")  # as a drop on the window asks
    (tmp_path / "device.mp4").symlink_to("/dev/zero")
    with pytest.raises(SourceError, match="a pipe or a device"):
        open_source(tmp_path / "device.mp4")


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "notes.mkv"])
def test_text_under_any_name(tmp_path: Path, name: str) -> None:
    assert "not a video" in refusal(written(tmp_path / name, b"Dear diary, today I filmed nothing.\n" * 400)).message


def test_noise(tmp_path: Path) -> None:
    assert "not a video" in refusal(written(tmp_path / "noise.avi", random.Random(1).randbytes(100_000))).message


def test_a_playlist_does_not_reach_into_the_network(tmp_path: Path) -> None:
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    refusal(written(tmp_path / "list.m3u8", playlist))


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", path)
    assert "sound but no picture" in refusal(path).message


def test_cover_art_is_no_video(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    cover = tmp_path / "cover.jpg"
    ffmpeg("-i", clip("b_frames.mp4"), "-frames:v", "1", cover)
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-i", cover, "-map", "0", "-map", "1", "-c:v", "copy", path)
    assert "sound but no picture" in refusal(path).message


@pytest.mark.parametrize(("name", "old", "new"), [("faststart.mp4", b"avc1", b"zzz1"), ("vfr.mkv", b"/AVC", b"/XXX")])
def test_unknown_codec(clip: Clip, tmp_path: Path, name: str, old: bytes, new: bytes) -> None:
    path = written(tmp_path / name, clip(name).read_bytes().replace(old, new))
    assert "codec" in refusal(path).message


def test_mp4_that_lost_its_end_and_so_its_index(clip: Clip, tmp_path: Path) -> None:
    data = clip("b_frames.mp4").read_bytes()
    error = refusal(written(tmp_path / "cut.mp4", data[: len(data) // 2]))
    assert "incomplete" in error.message


def test_mp4_that_lost_its_end_but_not_its_index(clip: Clip, tmp_path: Path) -> None:
    data = clip("faststart.mp4").read_bytes()
    path = written(tmp_path / "cut.mp4", data[: len(data) * 6 // 10])
    with closing(VideoFileSource(path)) as source:
        count = source.info.frame_count
        assert source.warning is not None  # known from the start: the index points beyond the end
        assert "cut off" in source.warning
        assert f"of {probe_count(clip('faststart.mp4'))}" in source.warning
    frames, _ = read_all(path)
    assert len(frames) == count == probe_count(path)
    intact, _ = read_all(clip("faststart.mp4"))
    assert [identity(f) for f in frames[:-3]] == [identity(f) for f in intact[: len(frames) - 3]]
    # Frames are stored out of order, so one of the last may be missing while a later one is there.
    assert {identity(f)[1:] for f in frames} <= {identity(f)[1:] for f in intact}


@pytest.mark.parametrize("name", ["vfr.mkv", "b_frames.ts", "b_frames.avi", "fragments.mp4", "raw.h264", "mpeg2.mpg"])
def test_truncated_tail_keeps_every_frame_that_can_be_decoded(clip: Clip, tmp_path: Path, name: str) -> None:
    data = clip(name).read_bytes()
    path = written(tmp_path / name, data[: len(data) * 6 // 10])
    frames, warning = read_all(path)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    # ffprobe also counts a picture of which only the first half is there.
    assert probe_count(path) - len(frames) in (0, 1)
    assert 0 < len(frames) < probe_count(clip(name))
    if name in ("vfr.mkv", "fragments.mp4"):  # the others do not tell how long they should be
        assert warning is not None


def test_damage_in_the_middle_skips_frames_and_says_so(clip: Clip, tmp_path: Path) -> None:
    data = bytearray(clip("faststart.mp4").read_bytes())
    rng = random.Random(3)
    for at in range(len(data) * 4 // 10, len(data) * 5 // 10, 40):
        data[at] = rng.randrange(256)
    path = written(tmp_path / "damaged.mp4", bytes(data))
    frames, warning = read_all(path)
    total = probe_count(clip("faststart.mp4"))
    assert total * 0.8 < len(frames) <= total
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    assert warning is None or "damaged" in warning
    # Groups of pictures away from the damage are untouched, and reached by the same numbers.
    intact, _ = read_all(clip("faststart.mp4"))
    with closing(VideoFileSource(path, cache_bytes=1)) as source:
        for index in (5, total - 2):
            source.seek(index)
            frame = source.read()
            assert frame is not None
            assert identity(frame) == identity(intact[index])


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_never_crashes(clip: Clip, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    name = rng.choice(["b_frames.mp4", "faststart.mp4", "vfr.mkv", "b_frames.ts", "intra.avi", "palette.gif"])
    data = bytearray(clip(name).read_bytes())
    for _ in range(rng.choice([3, 30, 300])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path = written(tmp_path / name, bytes(data))
    try:
        source = VideoFileSource(path)
    except SourceError:
        return
    with closing(source):
        last = -1
        for target in (None, 40, 7):
            if target is not None:
                source.seek(target)
                last = target - 1
            for _ in range(90):
                try:
                    frame = source.read()
                except SourceError:
                    break
                if frame is None:
                    break
                assert frame.index > last
                assert frame.rgb.shape == (source.info.height, source.info.width, 3)
                last = frame.index


def test_size_that_changes_in_the_middle_is_scaled(clip: Clip, tmp_path: Path) -> None:
    small = tmp_path / "small.ts"
    ffmpeg("-i", clip("b_frames.ts"), "-vf", "scale=64:48", "-frames:v", "10", "-c:v", "libx264", small)
    path = written(tmp_path / "both.ts", clip("b_frames.ts").read_bytes() + small.read_bytes())
    frames, _ = read_all(path)
    assert len(frames) == 85
    assert {frame.rgb.shape for frame in frames} == {(96, 128, 3)}


def test_pictures_that_become_huge_on_the_way_are_skipped(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder refuses them before it takes memory; what comes after them is there."""
    monkeypatch.setattr(decode, "DECODER_OPTIONS", {"max_pixels": str(64 * 48)})
    parts = []
    for name, size in (("small", "64:48"), ("large", "128:96")):
        parts.append(tmp_path / f"{name}.mjpeg")
        ffmpeg("-i", clip("intra.avi"), "-vf", f"scale={size}", "-frames:v", "9", "-c:v", "mjpeg", parts[-1])
    small, large = (part.read_bytes() for part in parts)
    frames, warning = read_all(written(tmp_path / "grows.mjpeg", small + large + small))
    assert [frame.rgb.shape for frame in frames] == [(48, 64, 3)] * 18
    assert warning is not None
    assert "skipped" in warning


def test_names_that_look_like_protocols_or_patterns(clip: Clip, tmp_path: Path) -> None:
    for name in ("concat:a.mp4", "100%03d.mp4", "ümläut 影.mp4", "-y.mp4", "http:b.mp4"):
        path = written(tmp_path / name, clip("faststart.mp4").read_bytes())
        frames, _ = read_all(path)
        assert len(frames) == 75


# -- sizes and rates ---------------------------------------------------------------------------------------------
def test_the_widest_frames_there_may_be(clip: Clip) -> None:
    path = clip("wide.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0", source=f"color=c=0x102030:s={MAX_SIDE}x2:r=5:d=0.4")
    frames, _ = read_all(path)
    assert [frame.rgb.shape for frame in frames] == [(2, MAX_SIDE, 3)] * 2
    assert abs(frames[0].rgb[1, -1].astype(int) - (16, 32, 48)).max() <= 1


@pytest.mark.parametrize("size", [f"{MAX_SIDE + 2}x2", f"2x{MAX_SIDE + 2}"])
def test_larger_frames_are_refused_with_the_limit(clip: Clip, size: str) -> None:
    source = f"color=s={size}:r=5:d=1"
    path = clip(f"huge{size}.mkv", "-c:v", "ffv1", "-pix_fmt", "gray", "-frames:v", "1", source=source)
    assert f"{size.replace('x', ' x ')}; the limit is {MAX_SIDE} pixels a side" in refusal(path).message


@pytest.mark.parametrize(("side", "told"), [(12_000, "12000 x 12000; the limit"), (60_000, "too many pixels; the")])
def test_a_picture_that_swells_is_not_unpacked(tmp_path: Path, side: int, told: str) -> None:
    """Some bytes that claim hundreds of millions of pixels, as a PNG header can."""
    path = written(tmp_path / "bomb.png", png_claiming(side))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns, too
        with pytest.raises(SourceError, match=told):
            ImageFolderSource(path)


@pytest.mark.parametrize("fields", [(0, 0), (1, 0), (0, 25), (2**32 - 1, 1), (1, 2**32 - 1)], ids=str)
def test_frame_rates_that_cannot_be(clip: Clip, tmp_path: Path, fields: tuple[int, int]) -> None:
    data = bytearray(clip("intra.avi").read_bytes())
    at = data.index(b"strh") + 8 + 20  # scale and rate of the first stream
    data[at : at + 8] = struct.pack("<II", *fields)
    try:
        frames, _ = read_all(written(tmp_path / "rate.avi", bytes(data)))
    except SourceError:
        return
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert all(b.time_s >= a.time_s >= 0 for a, b in itertools.pairwise(frames))
    assert len(frames) > 70


@pytest.mark.parametrize("name", ["ten_bit.mp4", "grey.mp4", "alpha.mov", "palette.gif", "interlaced.ts"])
def test_unusual_pixels_damaged_at_random(clip: Clip, tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    data = bytearray(clip(name).read_bytes())
    for _ in range(100):
        data[rng.randrange(len(data) // 4, len(data))] = rng.randrange(256)
    try:
        frames, _ = read_all(written(tmp_path / name, bytes(data)))
    except SourceError:
        return
    assert {frame.rgb.shape for frame in frames} <= {(96, 128, 3)}
