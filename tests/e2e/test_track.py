"""``main.py track`` from the shell: a video and a first mask in, a mask per frame out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.e2e.conftest import TIMEOUT_S, RunMain
from tests.support.clips import Clip, disc_frames, encode, iou, read_indexed_png, write_palette_png


@pytest.fixture(scope="session")
def tracked(run_main: RunMain, disc_clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the masks (masks/) and the overlay of one run over the disc clip; log.txt holds its output."""
    folder = tmp_path_factory.mktemp("tracked")
    answer = run_main(
        "track", disc_clip.path, "--mask", disc_clip.mask_path, "--out", folder / "masks", "--overlay", folder / "o.mp4"
    )
    assert answer.returncode == 0, answer.stderr
    (folder / "log.txt").write_text(answer.stdout + answer.stderr)
    return folder


def test_one_palette_png_per_frame_of_the_frames_size(tracked: Path, disc_clip: Clip) -> None:
    files = sorted((tracked / "masks").iterdir())
    assert [file.name for file in files] == [f"{index:05}.png" for index in range(len(disc_clip.masks))]
    assert {read_indexed_png(file).shape for file in files} == {(disc_clip.height, disc_clip.width)}


def test_first_mask_comes_back_unchanged(tracked: Path, disc_clip: Clip) -> None:
    np.testing.assert_array_equal(read_indexed_png(tracked / "masks" / "00000.png"), disc_clip.masks[0])


def test_masks_follow_the_disc(tracked: Path, disc_clip: Clip) -> None:
    found = [read_indexed_png(file) == 1 for file in sorted((tracked / "masks").iterdir())]
    values = [iou(mask, truth == 1) for mask, truth in zip(found, disc_clip.masks, strict=True)]
    standing_still = [iou(disc_clip.masks[0] == 1, truth == 1) for truth in disc_clip.masks]
    assert np.mean(values) > 0.8
    assert np.mean(values) > np.mean(standing_still) + 0.15


def test_overlay_video_has_every_frame(tracked: Path, disc_clip: Clip) -> None:
    with av.open(str(tracked / "o.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        sizes = [(frame.width, frame.height) for frame in container.decode(stream)]
    assert sizes == [(disc_clip.width, disc_clip.height)] * len(disc_clip.masks)


def test_progress_and_report_are_readable(tracked: Path, disc_clip: Clip) -> None:
    log = (tracked / "log.txt").read_text()
    count = len(disc_clip.masks)
    assert f"{count} frames in" in log
    assert f"Tracking {count}/{count} frames" in log
    assert "\r" not in log


def test_object_ids_are_kept_apart(run_main: RunMain, two_disc_clip: Clip, tmp_path: Path) -> None:
    answer = run_main("track", two_disc_clip.path, "--mask", two_disc_clip.mask_path, "--out", tmp_path / "out")
    assert answer.returncode == 0, answer.stderr
    last = read_indexed_png(sorted((tmp_path / "out").iterdir())[-1])
    truth = two_disc_clip.masks[-1]
    for object_id in (1, 2):
        assert iou(last == object_id, truth == object_id) > 0.75
        assert iou(last == object_id, truth == 3 - object_id) < 0.1


def test_folder_of_frames_and_resized_mask(run_main: RunMain, tmp_path: Path) -> None:
    frames, masks = disc_frames(3, 96, 64)
    (tmp_path / "frames").mkdir()
    for index, rgb in enumerate(frames):
        cv2.imwrite(str(tmp_path / "frames" / f"{index:03}.png"), rgb[..., ::-1])
    half = np.ascontiguousarray(masks[0][::2, ::2])
    mask = write_palette_png(half, tmp_path / "half.png")
    arguments = ("track", tmp_path / "frames", "--mask", mask, "--out", tmp_path / "out")
    refused = run_main(*arguments)
    assert refused.returncode == 2
    assert "--resize-mask" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not list((tmp_path / "out").glob("*.png"))
    answer = run_main(*arguments, "--resize-mask")
    assert answer.returncode == 0, answer.stderr
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    assert iou(read_indexed_png(tmp_path / "out" / "00000.png") == 1, masks[0] == 1) > 0.9


def test_interrupt_keeps_what_was_tracked(repo_root: Path, tmp_path: Path) -> None:
    frames, masks = disc_frames(60, 96, 64)
    clip = encode(frames * 20, tmp_path / "long.mp4")
    mask = write_palette_png(masks[0], tmp_path / "first.png")
    out = tmp_path / "out"
    arguments = ["track", str(clip), "--mask", str(mask), "--out", str(out), "--size", "240"]
    flags = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {}
    command = [sys.executable, str(repo_root / "main.py"), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **flags)
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not (out / "00003.png").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)  # files are all there is to look at from outside
        process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in errors
    written = sorted(out.glob("*.png"))
    assert 4 <= len(written) < 1200
    assert all(read_indexed_png(file).shape == (64, 96) for file in written)
    assert not [file for file in out.iterdir() if file.suffix != ".png"]


# -- what goes wrong -----------------------------------------------------------------------------------------------
def broken_video(kind: str, clip: Clip, folder: Path) -> Path:
    path = folder / "input.mp4"
    content = clip.path.read_bytes()
    if kind == "text":
        path.write_text("this is no video\n" * 100)
    elif kind == "truncated":
        path.write_bytes(content[: len(content) // 3])  # the index stands at the end, so nothing can be decoded
    elif kind == "empty":
        path.touch()
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(20_000))
    return path


def assert_one_sentence(answer: subprocess.CompletedProcess[str], *words: str) -> None:
    assert answer.returncode == 2, (answer.returncode, answer.stderr)
    assert answer.stdout == ""
    assert answer.stderr.count("\n") == 1, answer.stderr
    assert answer.stderr.rstrip().endswith((".", "?")), answer.stderr
    assert "Traceback" not in answer.stderr
    assert "Unexpected" not in answer.stderr
    for word in words:
        assert word in answer.stderr


@pytest.mark.parametrize("kind", ["text", "truncated", "empty", "noise", "missing"])
def test_unusable_video(run_main: RunMain, disc_clip: Clip, tmp_path: Path, kind: str) -> None:
    path = broken_video(kind, disc_clip, tmp_path)
    answer = run_main("track", path, "--mask", disc_clip.mask_path, "--out", tmp_path / "out")
    assert_one_sentence(answer, "input.mp4")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["missing", "text", "without objects"])
def test_unusable_mask(run_main: RunMain, disc_clip: Clip, tmp_path: Path, kind: str) -> None:
    mask = tmp_path / "first.png"
    if kind == "text":
        mask.write_text("no picture")
    elif kind == "without objects":
        write_palette_png(np.zeros_like(disc_clip.masks[0]), mask)
    answer = run_main("track", disc_clip.path, "--mask", mask, "--out", tmp_path / "out")
    assert_one_sentence(answer, "first.png")
    assert not (tmp_path / "out").exists()


def test_mask_of_another_size_offers_to_resize(run_main: RunMain, disc_clip: Clip, tmp_path: Path) -> None:
    mask = write_palette_png(np.ones((50, 70), np.uint8), tmp_path / "small.png")
    answer = run_main("track", disc_clip.path, "--mask", mask, "--out", tmp_path / "out")
    assert_one_sentence(answer, "70 x 50", f"{disc_clip.width} x {disc_clip.height}", "--resize-mask")


def test_camera_that_is_not_there(run_main: RunMain, disc_clip: Clip, tmp_path: Path) -> None:
    answer = run_main("track", "camera:63", "--mask", disc_clip.mask_path, "--out", tmp_path / "out")
    assert_one_sentence(answer, "63")


def test_stream_that_does_not_answer(run_main: RunMain, disc_clip: Clip, tmp_path: Path, closed_port: int) -> None:
    address = f"rtsp://127.0.0.1:{closed_port}/live"
    answer = run_main("track", address, "--mask", disc_clip.mask_path, "--out", tmp_path / "out")
    assert_one_sentence(answer, "127.0.0.1")


def test_full_output_folder_is_not_touched(run_main: RunMain, disc_clip: Clip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "00000.png").write_text("precious")
    answer = run_main("track", disc_clip.path, "--mask", disc_clip.mask_path, "--out", out)
    assert_one_sentence(answer, "out")
    assert (out / "00000.png").read_text() == "precious"


def test_output_that_is_a_file(run_main: RunMain, disc_clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    answer = run_main("track", disc_clip.path, "--mask", disc_clip.mask_path, "--out", tmp_path / "out")
    assert_one_sentence(answer, "out")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_output_that_may_not_be_written(run_main: RunMain, disc_clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    answer = run_main("track", disc_clip.path, "--mask", disc_clip.mask_path, "--out", tmp_path / "locked" / "out")
    assert_one_sentence(answer)


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [("--model", "resnet50-hlaf", "resnet50-half"), ("--recipe", "robsut", "robust"), ("--device", "cuda:99", "CUDA"),
     ("--weights", "no-such-file.safetensors", "no-such-file.safetensors"), ("--model", "tvos-resnet50", "--weights")],
)  # fmt: skip
def test_engine_that_cannot_be_had(
    run_main: RunMain, disc_clip: Clip, tmp_path: Path, option: str, value: str, word: str
) -> None:
    arguments = ("track", disc_clip.path, "--mask", disc_clip.mask_path, "--out", tmp_path / "out", option, value)
    assert_one_sentence(run_main(*arguments), word)
    assert not list((tmp_path / "out").glob("*"))
