"""``main.py export`` from the shell: a video and its masks in, any format out."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.export.formats import FORMATS
from tests.e2e.conftest import TIMEOUT_S, RunMain
from tests.support.clips import Clip, write_palette_png


@pytest.fixture(scope="session")
def masks(disc_clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The masks of the disc clip, as track --out writes them."""
    folder = tmp_path_factory.mktemp("export_masks")
    for index, mask in enumerate(disc_clip.masks):
        write_palette_png(mask, folder / f"{index:05d}.png")
    return folder


def test_the_help_names_every_format_and_option(run_main: RunMain) -> None:
    answer = run_main("export", "--help")
    assert answer.returncode == 0
    for format_ in FORMATS.values():
        assert f"  {format_.key} " in answer.stdout
        for option in format_.options:
            assert option.key in answer.stdout


def test_a_range_of_some_objects_under_their_names(
    run_main: RunMain, disc_clip: Clip, masks: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.json"
    answer = run_main(
        "export", disc_clip.path, masks, "--format", "coco", "--out", target, "--range", "3:7", "--objects", "1",
        "--names", "1=yellow disc",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == f"5 frames written to {target}\n"
    data = json.loads(target.read_text("utf-8"))
    assert [image["frame_id"] for image in data["images"]] == [3, 4, 5, 6, 7]
    assert data["categories"][0]["name"] == "yellow disc"


def test_options_reach_the_format(run_main: RunMain, disc_clip: Clip, masks: Path, tmp_path: Path) -> None:
    command = ["export", disc_clip.path, masks, "--format", "gif", "--out", tmp_path / "small", "--range", ":2"]
    answer = run_main(*command, "--set", "content=matte", "--set", "loop=no")
    assert answer.returncode == 0, answer.stderr
    with Image.open(tmp_path / "small.gif") as image:
        assert image.n_frames == 3
        shown = np.asarray(image.convert("L")) > 127
    assert (shown == (disc_clip.masks[0] > 0)).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--range", "9:3"], "The range 9 to 3 holds no frame."),
        (["--range", "a:b"], "--range cannot be 'a:b'."),
        (["--range", "100:"], "ends at frame 23."),
        (["--objects", "0"], "object ids from 1 to 255"),
        (["--objects", "7"], "Objects that are there: 1."),
        (["--names", "dog"], "--names cannot be 'dog'."),
        (["--set", "opacity=200"], "opacity is a number from 0 to 100"),
        (["--set", "opacity"], "--set cannot be 'opacity'."),
        (["--set", "colour=red"], "has no option 'colour'"),
        (["--format", "webp"], "invalid choice"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence(
    run_main: RunMain, disc_clip: Clip, masks: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    target = tmp_path / "out.mp4"
    answer = run_main("export", disc_clip.path, masks, "--format", "overlay", "--out", target, *arguments)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unless_asked(run_main: RunMain, disc_clip: Clip, masks: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("mine")
    command = ["export", disc_clip.path, masks, "--format", "csv", "--out", target]
    answer = run_main(*command)
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"{target} exists already.")
    assert target.read_text() == "mine"
    assert run_main(*command, "--overwrite").returncode == 0
    assert target.read_text().startswith("frame,")


def test_names_that_the_terminal_cannot_show_do_not_end_it(
    run_main: RunMain, disc_clip: Clip, masks: Path, tmp_path: Path
) -> None:
    answer = run_main(
        "export", disc_clip.path, masks, "--format", "csv", "--out", tmp_path / "\u5f71.csv",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.endswith("\\u5f71.csv\n")
    assert (tmp_path / "\u5f71.csv").is_file()


def test_missing_masks_and_live_sources_are_told(
    run_main: RunMain, disc_clip: Clip, masks: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for source, folder, said in (
        (disc_clip.path, tmp_path / "none", "There is no folder"),
        (disc_clip.path, tmp_path / "empty", "There are no masks in"),
        ("camera:0", masks, "Only video files and folders"),
    ):
        answer = run_main("export", source, folder, "--format", "csv", "--out", tmp_path / "out.csv")
        assert answer.returncode == 2
        assert answer.stderr.startswith(said)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_an_interrupted_export_goes_on_with_the_same_command(repo_root: Path, tmp_path: Path) -> None:
    """Ctrl+C ends it with the finished parts kept; the same command makes the rest, and the result is whole."""
    pictures, masks = tmp_path / "pictures", tmp_path / "masks"
    pictures.mkdir()
    masks.mkdir()
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 255, (360, 480, 3), np.uint8)
    mask = np.zeros((360, 480), np.uint8)
    mask[100:200, 100:300] = 1
    write_palette_png(mask, masks / "00000.png")
    Image.fromarray(noise).save(pictures / "00000.png", compress_level=0)
    for index in range(1, 400):  # enough work to be interrupted on any machine
        os.link(pictures / "00000.png", pictures / f"{index:05d}.png")
        os.link(masks / "00000.png", masks / f"{index:05d}.png")
    target = tmp_path / "out"
    command = [sys.executable, str(repo_root / "main.py"), "export", str(pictures), str(masks), "--format", "labelme"]
    command += ["--out", str(target)]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    part = tmp_path / "out.unfinished" / "00000.done"
    deadline = time.monotonic() + TIMEOUT_S
    while not part.exists() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGINT)
    said = first.communicate(timeout=TIMEOUT_S)[1]
    assert first.returncode == 130, said
    done = re.search(r"The same command goes on after frame (\d+)\.", said)
    assert done is not None
    assert not target.exists()
    second = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert second.returncode == 0, second.stderr
    assert f"({done[1]} of them by the run before)" in second.stdout
    assert len(list(target.glob("*.json"))) == len(list(target.glob("*.jpg"))) == 400
    assert sorted(p.name for p in tmp_path.iterdir()) == ["masks", "out", "pictures"]
