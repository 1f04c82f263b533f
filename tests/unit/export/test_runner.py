"""An export is whole or not at all, goes on where it was interrupted, and never overwrites unasked."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.errors import ExportError, MaskError, SourceError
from engine.export import runner, video
from engine.export.formats import FORMATS, OptionError
from engine.export.request import ExportRequest
from engine.export.runner import run_export
from engine.export.staging import discard_unfinished, unfinished_beside
from tests.unit.export.material import COUNT, HEIGHT, WIDTH, Masks, decode, frame_times, masks_for, probe

PART = 4


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def content(path):
    """What an export is, independent of when it was made."""
    if path.is_dir():
        return {name: content(path / name) for name in tree(path)}
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return {name: archive[name].tobytes() for name in archive.files}
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_same(made, expected):
    if made.suffix not in (".mp4", ".mov", ".webm"):
        assert content(made) == content(expected)
        return
    assert frame_times(made) == frame_times(expected)
    difference = np.abs(decode(made, "rgb24", 3).astype(int) - decode(expected, "rgb24", 3))
    assert difference.mean() < 0.5  # encoders with threads need not give the same bits twice


def after(frames):
    """A `cancelled` that says yes once that many frames were written."""
    asked = iter(range(10_000))
    return lambda: next(asked) >= frames


def export(path, target, format_="overlay", masks=None, progress=None, cancelled=None, **request):
    given = masks if masks is not None else masks_for(path)
    wanted = ExportRequest(format_, target, **request)
    return run_export(str(path), given, wanted, progress, cancelled, part_frames=PART)


# -- cancelling and going on ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("format_", list(FORMATS))
def test_a_cancelled_export_goes_on_and_ends_as_if_never_interrupted(media, tmp_path, format_):
    path = media("uneven.mp4")
    target = tmp_path / f"out{FORMATS[format_].suffix}"
    outcome = export(path, target, format_, cancelled=after(6))
    assert not outcome.complete
    assert outcome.frames == PART
    assert not target.exists()
    assert unfinished_beside(target).is_dir()
    seen = []
    masks = masks_for(path)
    outcome = export(path, target, format_, masks, lambda *p: seen.append(p))
    assert outcome.complete
    assert outcome.resumed == PART
    assert outcome.frames == len(masks)
    assert seen[0] == (PART, len(masks))
    assert seen[-1] == (len(masks), len(masks))
    assert min(masks.asked) == PART  # what was done is not done again
    assert not unfinished_beside(target).exists()
    other = tmp_path / f"other{FORMATS[format_].suffix}"
    export(path, other, format_)
    assert_same(target, other)


def test_cancelling_before_the_first_part_leaves_nothing(media, tmp_path):
    assert not export(media("sound.mp4"), tmp_path / "out.mp4", cancelled=after(2)).complete
    assert tree(tmp_path) == []


def test_an_export_can_be_cancelled_while_the_parts_are_put_together(media, tmp_path):
    path, target = media("sound.mp4"), tmp_path / "out.mp4"
    assert not export(path, target, cancelled=after(COUNT + 3)).complete
    assert not target.exists()
    assert export(path, target).resumed == COUNT


@pytest.mark.parametrize(
    "changed", [{"options": {"opacity": 60}}, {"last": 9}, {"object_ids": frozenset([1])}, {"masks": "others"}]
)
def test_another_request_begins_anew(media, tmp_path, changed):
    path, target = media("sound.mp4"), tmp_path / "out.mp4"
    export(path, target, cancelled=after(9))
    if "masks" in changed:
        changed = {"masks": masks_for(path, version="others")}
    outcome = export(path, target, **changed)
    assert outcome.complete
    assert outcome.resumed == 0


def test_a_part_that_was_not_finished_is_made_again(media, tmp_path):
    """As after a crash in the middle of a part: its file is there, its mark is not."""
    path, target = media("sound.mp4"), tmp_path / "out.mp4"
    export(path, target, cancelled=after(9))
    folder = unfinished_beside(target)
    (folder / "00001.done").unlink()
    (folder / "00001.mp4").write_bytes(b"half")
    assert export(path, target).resumed == PART
    assert len(frame_times(target)) == COUNT


def test_two_programs_do_not_make_the_same_file(media, tmp_path):
    """The other one is this test's parent process, which surely lives."""
    path, target = media("sound.mp4"), tmp_path / "out.mp4"
    export(path, target, cancelled=after(9))
    job = unfinished_beside(target) / "job.json"
    left = json.loads(job.read_text())
    assert left["process"] is None
    job.write_text(json.dumps({**left, "process": os.getppid()}))
    with pytest.raises(ExportError, match="being exported already"):
        export(path, target)
    discard_unfinished(target)
    assert (unfinished_beside(target) / "00001.done").is_file()
    job.write_text(json.dumps({**left, "process": 2**22 + 1}))  # beyond the largest process number: it died
    assert export(path, target).resumed == 2 * PART


def test_a_damaged_note_of_the_job_begins_anew(media, tmp_path):
    path, target = media("sound.mp4"), tmp_path / "out.mp4"
    export(path, target, cancelled=after(9))
    (unfinished_beside(target) / "job.json").write_text("[]")
    outcome = export(path, target)
    assert outcome.complete
    assert outcome.resumed == 0


def test_a_part_that_proves_damaged_is_made_again_the_next_time(media, tmp_path):
    """As after a power cut that took back what was thought to be written."""
    path, target = media("sound.mp4"), tmp_path / "out.mp4"
    export(path, target, cancelled=after(COUNT + 3))
    shorter = (unfinished_beside(target) / "00003.mp4").read_bytes()  # 2 frames instead of 4
    for number, content in ((2, shorter), (1, b""), (0, b"nonsense")):
        (unfinished_beside(target) / f"{number:05d}.mp4").write_bytes(content)
        with pytest.raises(ExportError, match="the same export mends it"):
            export(path, target)
        assert not target.exists()
    assert export(path, target).resumed == 0
    assert len(frame_times(target)) == COUNT


def test_only_an_unfinished_export_is_discarded(media, tmp_path):
    target = tmp_path / "out.mp4"
    export(media("sound.mp4"), target, cancelled=after(9))
    discard_unfinished(target)
    assert tree(tmp_path) == []
    mine = unfinished_beside(target)
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    discard_unfinished(target)
    assert tree(tmp_path) == ["out.mp4.unfinished/notes.txt"]
    with pytest.raises(ExportError, match="in the way"):
        export(media("sound.mp4"), target)
    assert tree(tmp_path) == ["out.mp4.unfinished/notes.txt"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, 20), max_size=4), part=st.integers(1, 7))
def test_however_often_it_is_interrupted_every_frame_is_there_once(media, tmp_path_factory, stops, part):
    target = tmp_path_factory.mktemp("often") / "out.csv"
    path = media("sound.mp4")
    masks = Masks(WIDTH, HEIGHT, range(COUNT))
    request = ExportRequest("csv", target)
    for stop in stops:
        if run_export(str(path), masks, request, None, after(stop), part_frames=part).complete:
            break
    else:
        assert run_export(str(path), masks, request, part_frames=part).complete
    frames = [int(line.split(",")[0]) for line in target.read_text().splitlines()[1:]]
    assert sorted(set(frames)) == list(range(COUNT))
    assert frames == sorted(frames)


# -- never overwriting ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("format_", ["overlay", "masks"])
def test_what_exists_is_refused_and_stays(media, tmp_path, format_):
    target = tmp_path / f"out{FORMATS[format_].suffix}"
    if FORMATS[format_].makes_folder:
        target.mkdir()
        (target / "mine.txt").write_bytes(b"mine")
    else:
        target.write_bytes(b"mine")
    before = tree(tmp_path)
    with pytest.raises(ExportError, match=r"not empty|exists already"):
        export(media("sound.mp4"), target, format_)
    assert tree(tmp_path) == before
    assert (tmp_path / before[0]).read_bytes() == b"mine"


def test_overwriting_replaces_files_of_the_same_name_only(media, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "00000.png").write_bytes(b"old")
    (target / "notes.txt").write_bytes(b"mine")
    path = media("sound.mp4")
    assert export(path, target, "masks", overwrite=True).complete
    assert (target / "notes.txt").read_bytes() == b"mine"
    with Image.open(target / "00000.png") as image:
        assert image.mode == "P"
        assert (np.array(image) == masks_for(path)[0]).all()


def test_a_file_that_appears_meanwhile_is_not_replaced(media, tmp_path):
    target = tmp_path / "out.csv"

    def progress(done, total):
        if done == total:
            target.write_bytes(b"mine")

    with pytest.raises(ExportError, match="exists already"):
        export(media("sound.mp4"), target, "csv", progress=progress)
    assert target.read_bytes() == b"mine"


def test_cancelling_an_overwriting_export_keeps_the_old_file(media, tmp_path):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"old")
    assert not export(media("sound.mp4"), target, overwrite=True, cancelled=after(9)).complete
    assert target.read_bytes() == b"old"


def test_the_source_is_never_overwritten(media, tmp_path):
    path = media("sound.mp4")
    before = path.read_bytes()
    with pytest.raises(ExportError, match="source itself"):
        export(path, path, overwrite=True)
    assert path.read_bytes() == before


# -- failures ------------------------------------------------------------------------------------------------------
def test_a_full_disk_is_one_sentence_and_what_is_finished_waits(media, tmp_path, monkeypatch):
    path, target = media("sound.mp4"), tmp_path / "out.mp4"
    target.write_bytes(b"old")
    write, count = video.Mp4.write, iter(range(100))

    def full(self, item):
        if next(count) >= 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, item)

    monkeypatch.setattr(video.Mp4, "write", full)
    with pytest.raises(ExportError, match=r"out\.mp4 could not be written: the disk is full\. Make room"):
        export(path, target, overwrite=True)
    assert target.read_bytes() == b"old"
    monkeypatch.undo()
    assert export(path, target, overwrite=True).resumed == 2 * PART
    assert len(frame_times(target)) == COUNT


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv[0] = "main.py"
import main
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes")
@pytest.mark.parametrize(("format_", "limit"), [("prores4444", 60_000), ("numpy", 500), ("gif", 9_000)])
def test_a_disk_that_really_refuses_leaves_nothing_under_the_final_name(media, tmp_path, repo_root, format_, limit):
    """A limit on the size of files makes the operating system refuse, wherever the encoder happens to write."""
    path, masks = media("sound.mp4"), tmp_path / "masks"
    export(path, masks, "masks")
    target = tmp_path / f"out{FORMATS[format_].suffix}"
    command = [sys.executable, "-c", LIMITED, str(limit), "export", str(path), str(masks), "--format", format_]
    answer = subprocess.run(
        [*command, "--out", str(target)], cwd=repo_root, capture_output=True, text=True, timeout=100, check=False
    )
    assert answer.returncode == 2, answer.stderr
    last = answer.stderr.strip().splitlines()[-1]
    assert "could not be written: the disk is full. Make room" in last
    assert not target.exists()


def test_a_folder_that_is_not_there_is_told(media, tmp_path):
    with pytest.raises(ExportError, match="does not exist"):
        export(media("sound.mp4"), tmp_path / "no" / "out.mp4")


def test_a_source_that_is_gone_is_told_but_its_masks_are_not_lost(tmp_path):
    masks = Masks(WIDTH, HEIGHT, range(3))
    with pytest.raises(SourceError):
        export(tmp_path / "gone.mp4", tmp_path / "out.mp4", masks=masks)
    assert tree(tmp_path) == []
    assert export(tmp_path / "gone.mp4", tmp_path / "out", "masks", masks=masks).frames == 3
    assert tree(tmp_path / "out") == ["00000.png", "00001.png", "00002.png"]


def test_a_mask_of_another_size_is_told(media, tmp_path):
    with pytest.raises(MaskError, match="frame 0 is 10 x 10 but the frame is 96 x 64"):
        export(media("sound.mp4"), tmp_path / "out.mp4", masks=Masks(10, 10, [0]))
    assert tree(tmp_path) == []


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"format_": "bmp"}, "There is no format 'bmp'"),
        ({"options": {"nonsense": 1}}, "has no option 'nonsense'"),
        ({"options": {"opacity": 101}}, "opacity cannot be 101"),
        ({"options": {"opacity": True}}, "opacity cannot be True"),
        ({"first": 9, "last": 3}, "holds no frame"),
        ({"first": 99}, "ends at frame 13"),
        ({"masks": Masks(WIDTH, HEIGHT, [])}, "no masks"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_written(media, tmp_path, request_, error):
    with pytest.raises((ExportError, OptionError), match=error):
        export(media("sound.mp4"), tmp_path / "out.mp4", **request_)
    assert tree(tmp_path) == []


def test_the_suffix_is_added(media, tmp_path):
    outcome = export(media("sound.mp4"), tmp_path / "v1.2", "webm", last=1)
    assert outcome.target == tmp_path / "v1.2.webm"
    assert probe(outcome.target, "stream=codec_name")[0]["codec_name"] == "vp9"


def test_frames_without_a_mask_are_left_as_they_are(media, tmp_path):
    path = media("sound.mp4")
    outcome = export(path, tmp_path / "out.mp4", masks=Masks(WIDTH, HEIGHT, [2, 3]))
    assert len(frame_times(outcome.target)) == COUNT


def test_the_default_part_is_small_enough_to_lose_little():
    assert runner.PART_FRAMES <= 250
