"""Exported videos have the frames, times, size and sound of their source, as ffprobe sees them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageSequence

from engine.errors import ExportError
from engine.export.request import ExportRequest
from engine.export.runner import run_export
from tests.unit.export.material import COUNT, HEIGHT, WIDTH, decode, frame_times, masks_for, probe
from tests.unit.video.media import ffmpeg

SUFFIX = {"overlay": ".mp4", "background": ".mp4", "matte": ".mp4", "prores4444": ".mov", "webm": ".webm"}
PIXELS = {"overlay": "yuv420p", "background": "yuv420p", "matte": "yuv420p"}


def export(path, folder, format_, **request):
    target = folder / f"out{SUFFIX.get(format_, '')}"
    return run_export(str(path), masks_for(path), ExportRequest(format_, target, **request), part_frames=5)


@pytest.mark.parametrize("name", ["uneven.mp4", "turned.mp4", "odd.mkv"])
@pytest.mark.parametrize("format_", list(SUFFIX))
def test_frames_times_and_size_are_the_sources(media, tmp_path, name, format_):
    path = media(name)
    outcome = export(path, tmp_path, format_)
    given, made = frame_times(path), frame_times(outcome.target)
    # WebM counts in milliseconds; everything else keeps the source's own clock.
    assert made == pytest.approx(given, abs=0.0006 if format_ == "webm" else 1e-6)
    assert outcome.frames == len(given)
    (stream,) = probe(outcome.target, "stream=width,height,pix_fmt:stream_tags=rotate:stream_side_data=rotation")
    size = {"turned.mp4": (HEIGHT, WIDTH), "odd.mkv": (97, 65)}.get(name, (WIDTH, HEIGHT))
    assert (stream["width"], stream["height"]) == size
    assert "rotate" not in stream.get("tags", {})
    assert "side_data_list" not in stream
    if format_ in PIXELS:
        assert stream["pix_fmt"] == ("yuv444p" if name == "odd.mkv" else "yuv420p")


@pytest.mark.parametrize("name", ["uneven.mkv", "ntsc.mp4", "wide_pixels.mp4", "late.ts"])
def test_clocks_of_other_containers_are_kept(media, tmp_path, name):
    path = media(name)
    outcome = export(path, tmp_path, "overlay")
    given, made = frame_times(path), frame_times(outcome.target)
    assert np.diff(made) == pytest.approx(np.diff(given), abs=1e-6)
    (before,) = probe(path, "stream=avg_frame_rate,sample_aspect_ratio")
    (after,) = probe(outcome.target, "stream=avg_frame_rate,sample_aspect_ratio")
    assert after["sample_aspect_ratio"] == before["sample_aspect_ratio"]
    if name == "ntsc.mp4":
        assert after["avg_frame_rate"] == "30000/1001"


def test_a_folder_of_pictures_becomes_a_video_at_its_nominal_pace(media, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    ffmpeg("-i", media("sound.mp4"), folder / "%03d.png")
    outcome = export(folder, tmp_path, "overlay")
    assert frame_times(outcome.target) == pytest.approx([i / 24 for i in range(COUNT)], abs=1e-6)


def test_an_odd_size_is_padded_when_asked(media, tmp_path):
    outcome = export(media("odd.mkv"), tmp_path, "overlay", options={"even": True})
    (stream,) = probe(outcome.target, "stream=width,height,pix_fmt")
    assert stream == {"width": 98, "height": 66, "pix_fmt": "yuv420p"}
    assert outcome.notes == ()


def test_an_odd_size_that_was_kept_is_told(media, tmp_path):
    assert "97 x 65" in export(media("odd.mkv"), tmp_path, "matte").notes[0]


# -- what is in the pictures ---------------------------------------------------------------------------------------
def test_the_overlay_shows_the_users_colours_at_the_asked_strength(media, tmp_path):
    path = media("sound.mp4")
    palette = np.zeros((256, 3), np.uint8)
    palette[1], palette[2] = (0, 0, 255), (255, 255, 0)
    outcome = export(path, tmp_path, "overlay", options={"opacity": 100}, palette=palette)
    shown, masks = decode(outcome.target, "rgb24", 3), masks_for(path)
    for index in (0, 6, COUNT - 1):
        inside = masks[index] == 1
        inside[:, :-1] &= inside[:, 1:]  # chroma of the edge is mixed
        inside[:, 1:] &= inside[:, :-1]
        assert np.abs(shown[index][inside].astype(int) - (0, 0, 255)).mean() < 25
    plain = decode(path, "rgb24", 3)
    outside = np.zeros(masks[0].shape, bool)
    outside[-8:, -30:] = True
    assert np.abs(shown[5][outside].astype(int) - plain[5][outside]).mean() < 12


@pytest.mark.parametrize(
    ("background", "colour"), [("green", (0, 177, 64)), ("black", (0, 0, 0)), ("white", (255, 255, 255))]
)
def test_the_background_is_replaced_and_the_object_stays(media, tmp_path, background, colour):
    path = media("sound.mp4")
    outcome = export(path, tmp_path, "background", options={"background": background}, last=2)
    shown, plain, masks = decode(outcome.target, "rgb24", 3), decode(path, "rgb24", 3), masks_for(path)
    assert len(shown) == 3
    corner = shown[1][-6:, -20:].astype(int)
    assert np.abs(corner - colour).max() <= 6
    y, x = np.argwhere(masks[1] == 1).mean(axis=0).astype(int)
    assert (
        np.abs(shown[1][y - 3 : y + 3, x - 3 : x + 3].astype(int) - plain[1][y - 3 : y + 3, x - 3 : x + 3]).mean() < 20
    )


def test_a_blurred_background_is_smooth_and_keeps_the_object(media, tmp_path):
    path = media("sound.mp4")
    outcome = export(path, tmp_path, "background", options={"background": "blur"}, last=1)
    shown, plain = decode(outcome.target, "gray", 1)[0, ..., 0], decode(path, "gray", 1)[0, ..., 0]
    rows = slice(HEIGHT - 10, HEIGHT)
    steepest = [np.abs(np.diff(picture[rows].astype(int), axis=1)).max() for picture in (shown, plain)]
    assert steepest[0] < 0.6 * steepest[1]


@pytest.mark.parametrize(
    ("format_", "decoder", "pixel_format", "alpha_format"),
    [("prores4444", (), "yuva444p", "yuva444p10le"), ("webm", ("-c:v", "libvpx-vp9"), "yuva420p", "yuva420p")],
)
def test_alpha_is_the_mask(media, tmp_path, format_, decoder, pixel_format, alpha_format):
    path = media("sound.mp4")
    outcome = export(path, tmp_path, format_)
    (stream,) = probe(outcome.target, "stream=pix_fmt:stream_tags=alpha_mode")
    if format_ == "webm":  # the usual decoder shows the colours only; the container says that there is more
        assert {key.lower(): value for key, value in stream["tags"].items()}["alpha_mode"] == "1"
    else:
        assert stream["pix_fmt"].startswith(pixel_format)
    shown, masks = decode(outcome.target, "rgba", 4, *decoder), masks_for(path)
    assert len(shown) == COUNT
    for index in range(COUNT):
        assert np.abs(shown[index][..., 3].astype(int) - 255 * (masks[index] > 0)).max() <= 40
        assert ((shown[index][..., 3] > 127) == (masks[index] > 0)).all()
    assert alpha_format in encoded_alpha_format(outcome.target, decoder)


def encoded_alpha_format(path, decoder):
    """The pixel format with which the decoder that knows alpha hands out frames."""
    import subprocess

    command = ["ffmpeg", "-hide_banner", *decoder, "-i", str(path), "-frames:v", "1", "-f", "null", "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stderr
    return text.replace("yuva444p12le", "yuva444p10le")  # older FFmpeg decodes 4444 to 12 bits


def test_premultiplied_colours_are_black_where_nothing_is(media, tmp_path):
    outcome = export(media("sound.mp4"), tmp_path, "prores4444", options={"alpha": "premultiplied", "feather": 4})
    shown = decode(outcome.target, "rgba", 4)[3].astype(int)
    assert (shown[..., :3] <= shown[..., 3:] + 12).all()
    assert ((shown[..., 3] > 20) & (shown[..., 3] < 235)).any()  # the soft edge


def test_the_matte_is_white_on_black(media, tmp_path):
    path = media("sound.mp4")
    outcome = export(path, tmp_path, "matte")
    shown, masks = decode(outcome.target, "gray", 1)[..., 0], masks_for(path)
    for index in range(COUNT):
        assert ((shown[index] > 127) == (masks[index] > 0)).mean() > 0.995


def test_only_the_chosen_objects_are_there(media, tmp_path):
    path = media("sound.mp4")
    outcome = export(path, tmp_path, "matte", object_ids=frozenset([2]))
    shown, masks = decode(outcome.target, "gray", 1)[..., 0], masks_for(path)
    assert ((shown[4] > 127) == (masks[4] == 2)).mean() > 0.995
    with pytest.raises(ExportError, match="None of the chosen objects"):
        export(path, tmp_path, "matte", object_ids=frozenset([9]), overwrite=True)


# -- sound ---------------------------------------------------------------------------------------------------------
def sound_packets(path):
    return [(p["size"], float(p["pts_time"])) for p in probe(path, "packet=size,pts_time", "a:0")]


@pytest.mark.parametrize(("name", "format_"), [("sound.mp4", "overlay"), ("sound.mp4", "prores4444"),
                                               ("pcm.mov", "prores4444"), ("turned.mp4", "background")])  # fmt: skip
def test_sound_is_copied_as_it_is(media, tmp_path, name, format_):
    path = media(name)
    outcome = export(path, tmp_path, format_)
    (before,) = probe(path, "stream=codec_name,sample_rate,channels", "a:0")
    (after,) = probe(outcome.target, "stream=codec_name,sample_rate,channels", "a:0")
    assert after == before
    given, made = sound_packets(path), sound_packets(outcome.target)
    if name == "pcm.mov":  # the muxer is free to bundle samples
        assert sum(int(size) for size, _ in made) == sum(int(size) for size, _ in given)
    else:
        assert [size for size, _ in made] == [size for size, _ in given]
        assert [time for _, time in made] == pytest.approx([time for _, time in given], abs=1e-4)


def test_picture_and_sound_stay_together_when_the_clock_begins_late(media, tmp_path):
    path = media("late.ts")
    outcome = export(path, tmp_path, "overlay")
    apart = [frame_times(p)[0] - sound_packets(p)[0][1] for p in (path, outcome.target)]
    assert frame_times(path)[0] > 1  # as transport streams begin
    assert min(frame_times(outcome.target)[0], sound_packets(outcome.target)[0][1]) == pytest.approx(0, abs=0.001)
    assert apart[1] == pytest.approx(apart[0], abs=0.001)


def test_sound_that_webm_cannot_hold_becomes_opus(media, tmp_path):
    outcome = export(media("sound.mp4"), tmp_path, "webm")
    (stream,) = probe(outcome.target, "stream=codec_name", "a:0")
    assert stream["codec_name"] == "opus"
    assert "converted to Opus" in outcome.notes[0]
    heard = sound_packets(outcome.target)
    assert heard[-1][1] == pytest.approx(0.56, abs=0.06)


def test_a_range_has_its_own_sound_and_begins_at_zero(media, tmp_path):
    outcome = export(media("sound.mp4"), tmp_path, "overlay", first=5, last=9)
    assert frame_times(outcome.target) == pytest.approx([i / 25 for i in range(5)], abs=1e-6)
    heard = sound_packets(outcome.target)
    assert heard[0][1] == pytest.approx(0, abs=0.03)
    assert heard[-1][1] < 0.2


def test_silence_on_request(media, tmp_path):
    outcome = export(media("sound.mp4"), tmp_path, "overlay", options={"audio": False})
    assert probe(outcome.target, "stream=codec_name", "a") == []


# -- GIF -----------------------------------------------------------------------------------------------------------
def test_a_gif_has_the_frames_and_durations_of_the_range(media, tmp_path):
    path = media("uneven.mp4")
    outcome = export(path, tmp_path, "gif", last=4)
    times = frame_times(path)
    with Image.open(outcome.target) as image:
        assert image.size == (WIDTH, HEIGHT)
        assert image.info["loop"] == 0
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    assert durations[:4] == [10 * (round(100 * b) - round(100 * a)) for a, b in pairwise(times[:5])]
    assert len(durations) == 5


def test_a_gif_can_be_transparent_and_smaller(media, tmp_path):
    path = media("sound.mp4")
    options = {"content": "cutout", "width": "320", "loop": False}
    outcome = export(path, tmp_path, "gif", last=2, options=options)
    with Image.open(outcome.target) as image:
        assert image.size == (WIDTH, HEIGHT)  # never enlarged
        assert "loop" not in image.info
        image.seek(1)
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
    assert ((alpha > 127) == (masks_for(path)[1] > 0)).mean() > 0.99
