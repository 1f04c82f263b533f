"""``main.py track --batch``: many clips, resumably, with failures that cost the others nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

import main
from engine.errors import SourceError, UserError
from engine.runtime.batch import FAILURES, RECORD, BatchSetup, start_batch_worker, track_batch
from engine.runtime.clips import find_clips
from engine.runtime.config import EngineConfig
from engine.runtime.offline import track_file
from engine.runtime.placement import Place
from engine.runtime.pool import Outcome
from tests.support.clips import disc_frames, encode, iou, read_indexed_png, write_palette_png

CPU = EngineConfig(device="cpu", working_size=240)
COUNT, WIDTH, HEIGHT = 5, 96, 64


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """clips/one.mp4, clips/deep/two.mp4 and the frames of clips/three/; masks/ beside it; truth of the last frame."""
    root = tmp_path_factory.mktemp("material")
    frames, masks = disc_frames(COUNT, WIDTH, HEIGHT)
    (root / "clips" / "deep").mkdir(parents=True)
    (root / "clips" / "three").mkdir()
    (root / "masks" / "deep").mkdir(parents=True)
    (root / "masks" / "three").mkdir()
    encode(frames, root / "clips" / "one.mp4")
    encode(frames[::-1], root / "clips" / "deep" / "two.mp4")
    for index, rgb in enumerate(frames):
        import cv2

        cv2.imwrite(str(root / "clips" / "three" / f"{index:05}.png"), rgb[..., ::-1])
    write_palette_png(masks[0], root / "masks" / "one.png")
    write_palette_png(masks[-1], root / "masks" / "deep" / "two.png")
    write_palette_png(masks[0], root / "masks" / "three" / "00000.png")
    (root / "clips" / "notes.txt").write_text("no clip")
    return root


@pytest.fixture
def own(material, tmp_path):
    """A copy the test may change."""
    shutil.copytree(material, tmp_path / "own")
    return tmp_path / "own"


def here(jobs, config):
    """A runner without processes."""
    work = start_batch_worker(BatchSetup(Place(config, 1), False))
    for job in jobs:
        try:
            yield Outcome(job, value=work(job, lambda steps: None))
        except UserError as error:
            yield Outcome(job, error=str(error))


@pytest.fixture(autouse=True)
def same_threads(monkeypatch):
    """`Place.settle` sets it for its own process, which here is that of the tests."""
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "2"))


def batch(root, out, **options):
    return track_batch(find_clips(root / "clips", root / "masks"), out, config=CPU, **{"runner": here, **options})


def contents(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*.png"))}


# -- which clips -----------------------------------------------------------------------------------------------------
def test_folders_are_searched_and_masks_found_by_name(material):
    clips = find_clips(material / "clips", material / "masks")
    assert [clip.name for clip in clips] == ["deep/two", "one", "three"]
    masks = [clip.mask.relative_to(material / "masks").as_posix() for clip in clips]
    assert masks == ["deep/two.png", "one.png", "three/00000.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_clips_too_and_lead_round_no_circle(material, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "frames").symlink_to(material / "clips" / "three")
    (clips / "more").symlink_to(material / "clips" / "deep")
    (clips / "again").symlink_to(clips)
    (clips / "up").symlink_to(tmp_path)
    assert [clip.name for clip in find_clips(clips, material / "masks")] == ["frames", "more/two"]


def test_lists_name_clips_from_anywhere(material, tmp_path):
    shutil.copytree(material / "clips", tmp_path / "clips")
    lines = ["# two of them", "clips/one.mp4", "", "clips/../clips/one.mp4", str(tmp_path / "clips" / "three")]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    clips = find_clips(tmp_path / "list.txt", material / "masks")
    assert [(clip.name, clip.source.name) for clip in clips] == [("one", "one.mp4"), ("three", "three")]


def test_names_stay_apart_and_below_the_output(own, tmp_path):
    shutil.copy(own / "clips" / "one.mp4", own / "clips" / "one.mov")
    assert [clip.name for clip in find_clips(own / "clips", own / "masks")] == [
        "deep/two", "one.mov", "one.mp4", "three"
    ]  # fmt: skip
    (tmp_path / "list.txt").write_text("../../etc/clip.mp4\nown/clips/one.mp4\n")
    for clip in find_clips(tmp_path / "list.txt", own / "masks"):
        assert not clip.name.startswith("/")
        assert ".." not in clip.name.split("/")


@pytest.mark.parametrize("what", ["missing", "empty folder", "empty list", "binary"])
def test_what_names_no_clips_is_told(tmp_path, what):
    path = tmp_path / what
    if what == "empty folder":
        path.mkdir()
    elif what != "missing":
        path.write_bytes(b"\xff\xfe\x00" if what == "binary" else b"# nothing\n")
    with pytest.raises(SourceError, match=what):
        find_clips(path, tmp_path)


# -- tracking --------------------------------------------------------------------------------------------------------
def test_every_clip_gets_the_masks_it_would_get_alone(material, tmp_path):
    out = tmp_path / "out"
    report = batch(material, out)
    assert report.tracked == {"deep/two": COUNT, "one": COUNT, "three": COUNT}
    assert not report.failures
    truth = disc_frames(COUNT, WIDTH, HEIGHT)[1][-1]
    assert iou(read_indexed_png(out / "one" / f"{COUNT - 1:05}.png") == 1, truth == 1) > 0.6
    alone = tmp_path / "alone"
    track_file(material / "clips" / "one.mp4", material / "masks" / "one.png", alone, config=CPU)
    assert contents(alone) == contents(out / "one")
    assert {path.name for path in out.iterdir()} == {"deep", "one", "three", RECORD}


def test_a_second_call_tracks_only_what_is_missing_or_changed(own, tmp_path):
    out = tmp_path / "out"
    batch(own, out)
    before = contents(out)
    assert batch(own, out).finished_before == 3
    shutil.rmtree(out / "one")
    (out / "three" / "00002.png").unlink()
    os.utime(own / "clips" / "deep" / "two.mp4", ns=(1, 1))
    report = batch(own, out)
    assert set(report.tracked) == {"deep/two", "one", "three"}
    write_palette_png(disc_frames(COUNT, WIDTH, HEIGHT)[1][1], own / "masks" / "one.png")
    assert set(batch(own, out).tracked) == {"one"}
    assert contents(out / "three") == {n.removeprefix("three/"): c for n, c in before.items() if n.startswith("three/")}


def test_failures_are_listed_and_the_others_tracked(own, tmp_path):
    (own / "clips" / "broken.mp4").write_bytes(b"no video")
    shutil.copy(own / "masks" / "one.png", own / "masks" / "broken.png")
    (own / "masks" / "deep" / "two.png").unlink()
    write_palette_png(np.ones((5, 7), np.uint8), own / "masks" / "three" / "00000.png")
    out = tmp_path / "out"
    report = batch(own, out)
    assert set(report.tracked) == {"one"}
    assert set(report.failures) == {"broken", "deep/two", "three"}
    assert "no mask" in report.failures["deep/two"]
    listed = dict(line.split("\t") for line in (out / FAILURES).read_text().splitlines())
    assert listed == report.failures
    assert not [path for path in out.rglob("*") if ".part" in path.name]
    for name in ("deep/two.png", "three/00000.png"):
        shutil.copy(own / "masks" / "one.png", own / "masks" / name)
    (own / "clips" / "broken.mp4").unlink()
    again = batch(own, out)
    assert (set(again.tracked), again.finished_before) == ({"deep/two", "three"}, 1)
    assert not (out / FAILURES).exists()


def test_other_settings_and_foreign_folders_are_not_overwritten(own, tmp_path):
    out = tmp_path / "out"
    (out / "one").mkdir(parents=True)
    (out / "one" / "thesis.txt").write_text("dear")
    report = batch(own, out)
    assert "--overwrite" in report.failures["one"]
    assert (out / "one" / "thesis.txt").read_text() == "dear"
    clips = find_clips(own / "clips", own / "masks")
    other = EngineConfig(device="cpu", working_size=240, recipe="paper")
    with pytest.raises(UserError, match=r"other settings \(recipe: robust\)"):
        track_batch(clips, out, config=other, runner=here)
    assert set(track_batch(clips, out, config=other, runner=here, overwrite=True).tracked) == {
        "deep/two",
        "one",
        "three",
    }
    assert not (out / "one" / "thesis.txt").exists()


def test_a_record_cut_off_by_a_crash_is_read(own, tmp_path):
    out = tmp_path / "out"
    batch(own, out)
    lines = (out / RECORD).read_text().splitlines()
    (out / RECORD).write_text("\n".join([*lines[:-1], lines[-1][:20]]))
    report = batch(own, out)
    assert len(report.tracked) == 1
    assert report.finished_before == 2
    assert batch(own, out).finished_before == 3


# -- the command -----------------------------------------------------------------------------------------------------
def test_the_command_works_in_processes_and_exits_with_2_when_a_clip_failed(own, tmp_path, capsys):
    (own / "clips" / "broken.mp4").write_bytes(b"no video")
    shutil.copy(own / "masks" / "one.png", own / "masks" / "broken.png")
    call = ["track", "--batch", str(own / "clips"), "--masks", str(own / "masks"), "--out", str(tmp_path / "out"),
            "--device", "cpu", "--size", "240"]  # fmt: skip
    assert main.main([*call, "--workers", "2"]) == 2
    output = capsys.readouterr()
    assert output.out.strip() == f"3 clips tracked, {3 * COUNT} frames; 1 failed"
    assert "Tracking 4/4 clips" in output.err
    assert output.err.rstrip().splitlines()[-1].startswith("broken: ")
    (own / "clips" / "broken.mp4").unlink()
    assert main.main(call) == 0
    assert "0 clips tracked, 0 frames; 3 were finished before" in capsys.readouterr().out
    batch(own, tmp_path / "here")
    assert contents(tmp_path / "here") == contents(tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to track"),
        (["clip.mp4"], "--mask PNG"),
        (["clip.mp4", "--mask", "m.png", "--workers", "2"], "--batch"),
        (["clip.mp4", "--batch", "clips"], "Leave them out"),
        (["--batch", "clips"], "--masks DIR"),
        (["--batch", "clips", "--masks", "m", "--ray", "local", "--workers", "2"], "--workers"),
    ],
)
def test_arguments_that_do_not_go_together_are_told(tmp_path, capsys, arguments, words):
    assert main.main(["track", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# -- ray -------------------------------------------------------------------------------------------------------------
def start_deadly(setup):
    """As a batch worker, but the first worker that takes the clip `one` is killed while it works on it."""
    work = start_batch_worker(setup)

    def deadly(job, progress):
        if job.clip.name == "one":
            marker = job.out.parent / "killed"
            if not marker.exists():
                job.out.parent.mkdir(parents=True, exist_ok=True)
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        return work(job, progress)

    return deadly


def test_without_ray_the_command_says_what_to_install(material, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    call = ["track", "--batch", str(material / "clips"), "--masks", str(material / "masks"), "--out", str(tmp_path)]
    assert main.main([*call, "--ray", "local"]) == 2
    assert "pip install ray" in capsys.readouterr().err


needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


@needs_ray
@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_gives_the_same_masks_and_runs_killed_clips_again(material, tmp_path):
    import ray

    from engine.runtime.ray_pool import run_jobs_on_ray

    root = str(Path(main.__file__).parent)
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}},
    )  # fmt: skip
    try:

        def runner(jobs, config):
            return run_jobs_on_ray(jobs, BatchSetup(Place(config, 1), False), start_deadly, "local", gpus=False)

        report = batch(material, tmp_path / "ray", runner=runner)
    finally:
        ray.shutdown()
    assert not report.failures
    assert (tmp_path / "ray" / "killed").exists()
    batch(material, tmp_path / "here")
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")
    rows = [json.loads(line) for line in (tmp_path / "ray" / RECORD).read_text().splitlines()]
    assert {row["name"] for row in rows if "frames" in row} == {"deep/two", "one", "three"}


@needs_ray
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_does_not_answer_is_told_at_once(material, tmp_path, capsys):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    call = ["track", "--batch", str(material / "clips"), "--masks", str(material / "masks"), "--out", str(tmp_path)]
    assert main.main([*call, "--ray", address]) == 2
    assert f"{address} cannot be reached" in capsys.readouterr().err
