"""``main.py eval`` with the bundled model on tiny data sets."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest

import main
from engine.evaluation import provenance, run
from engine.evaluation.datasets import load_dataset
from engine.evaluation.provenance import code_fingerprint, commit_of
from engine.evaluation.record import FILE_NAME
from engine.evaluation.run import track_dataset
from engine.runtime.config import EngineConfig
from engine.tracker import Tracker
from models.registry import DEFAULT_MODEL, get_spec
from tests.support.clips import iou, read_indexed_png
from tests.unit.evaluation.conftest import COUNT, HEIGHT, WIDTH, make_davis2016

CPU = EngineConfig(device="cpu", working_size=240)
NAMES = [f"{i:05}.png" for i in range(COUNT)]


def evaluate(*arguments):
    return main.main(["eval", "--device", "cpu", "--size", "240", *map(str, arguments)])


def masks_below(folder):
    """Relative path -> (content, time of the last change) of every mask."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*.png"))
        if not path.parent.name.endswith("-pictures")
    }


@pytest.fixture(scope="module")
def first_run(tmp_path_factory, discs):
    """A folder with data/ (as fixture davis2016), the finished run out/ over both sequences, its r.json and output."""
    folder = tmp_path_factory.mktemp("first_run")
    call = ("--dataset", "davis2016", "--data", make_davis2016(folder / "data", discs), "--out", folder / "out")
    with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as progress:
        assert evaluate(*call, "--json", folder / "r.json") == 0
    (folder / "output.txt").write_text(output.getvalue())
    (folder / "progress.txt").write_text(progress.getvalue())
    return folder


@pytest.fixture
def tracked(first_run, tmp_path):
    """(data, a copy of the results that the test may change)."""
    shutil.copytree(first_run / "out", tmp_path / "out")
    return first_run / "data", tmp_path / "out"


def test_discs_are_followed_and_everything_is_reported(first_run):
    data, out, output = first_run / "data", first_run / "out", (first_run / "output.txt").read_text()
    report = json.loads((first_run / "r.json").read_text())
    assert report == json.loads((out / "report.json").read_text())
    assert [(row["sequence"], row["object"]) for row in report["objects"]] == [("alpha", 1), ("beta", 1)]
    for row in report["objects"]:
        assert row["J"]["mean"] > 0.75
        assert row["frames"] == [name.removesuffix(".png") for name in NAMES[1:-1]]
        masks = (out / row["sequence"], data / "Annotations" / "480p" / row["sequence"])
        values = []
        for name in NAMES[1:-1]:
            found = read_indexed_png(masks[0] / name)
            truth = np.asarray(read_grey(masks[1] / name)) > 0
            values.append(iou(found == 1, truth))
        assert row["J_values"] == pytest.approx(values)
    assert report["summary"]["J"]["mean"] == pytest.approx(np.mean([row["J"]["mean"] for row in report["objects"]]))
    made = report["provenance"]
    assert made["model"] == DEFAULT_MODEL
    assert made["weights_sha256"] == get_spec(DEFAULT_MODEL).sha256
    assert made["device"].startswith("cpu")
    assert made["short_side"] == "240"
    assert made["recipe"].startswith("name=robust, ")
    assert report["speed"]["fps"] > 0
    assert {"embed", "propagate"} <= set(report["speed"]["stage_ms"])
    for sequence in report["sequences"]:
        assert (sequence["frames"], sequence["tracked"]) == (COUNT, COUNT - 1)
        assert sequence["working_size"] == [WIDTH, HEIGHT]
    for text in ("alpha", "beta", "all", made["weights_sha256"], made["commit"], "frames per second"):
        assert text in output
        assert text in (out / "report.md").read_text()
    assert f"Tracking {2 * COUNT}/{2 * COUNT} frames" in (first_run / "progress.txt").read_text()
    assert (out / "global_results.csv").read_text().startswith("J&F-Mean,")
    assert "beta_1," in (out / "per-sequence_results.csv").read_text()


def read_grey(path):
    from PIL import Image

    with Image.open(path) as image:
        return np.array(image)


def test_results_are_laid_out_as_the_benchmark_wants_them(tracked):
    _, out = tracked
    for name in ("alpha", "beta"):
        files = sorted((out / name).iterdir())
        assert [file.name for file in files] == NAMES
        for file in files:
            mask = read_indexed_png(file)
            assert mask.shape == (HEIGHT, WIDTH)
            assert set(np.unique(mask)) == {0, 1}


def test_score_agrees_with_eval(tracked, first_run, tmp_path):
    data, out = tracked
    assert main.main(["score", str(out), str(data / "Annotations" / "480p"), "--json", str(tmp_path / "s.json")]) == 0
    first, second = (json.loads(path.read_text()) for path in (first_run / "r.json", tmp_path / "s.json"))
    assert first["objects"] == second["objects"]


def test_a_second_call_tracks_only_what_is_missing(tracked, tmp_path, capsys):
    data, out = tracked
    call = ("--dataset", "davis2016", "--data", data, "--out", out)
    before = masks_below(out)
    report = json.loads((out / "report.json").read_text())
    assert evaluate(*call) == 0
    assert masks_below(out) == before
    again = json.loads((out / "report.json").read_text())
    assert {**again, "provenance": None} == {**report, "provenance": None}
    assert "Tracking" not in capsys.readouterr().err

    (out / "beta" / "00003.png").unlink()
    assert evaluate(*call) == 0
    after = masks_below(out)
    assert {name: content for name, (content, _) in after.items()} == {n: c for n, (c, _) in before.items()}
    assert all((after[name] == before[name]) == name.startswith("alpha/") for name in before)

    assert evaluate(*call, "--sequences", "alpha", "--overwrite") == 0
    last = masks_below(out)
    assert all((last[name] == after[name]) == name.startswith("beta/") for name in before)
    assert {run["name"] for run in json.loads((out / FILE_NAME).read_text())["sequences"]} == {"alpha", "beta"}


def test_results_of_other_settings_are_not_mixed(tracked, capsys):
    data, out = tracked
    call = ("--dataset", "davis2016", "--data", data, "--out", out, "--recipe", "paper", "--sequences", "alpha")
    before = masks_below(out)
    assert evaluate(*call) == 2
    message = capsys.readouterr().err
    assert "recipe: name=robust" in message
    assert message.rstrip().endswith("--overwrite.")
    assert masks_below(out) == before
    assert evaluate(*call, "--overwrite") == 0
    runs = json.loads((out / FILE_NAME).read_text())["sequences"]
    assert [run["name"] for run in runs] == ["alpha"]  # beta is of the other recipe


def test_an_interrupted_overwrite_leaves_nothing_finished(tracked, monkeypatch):
    data, out = tracked

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_track_sequence", interrupt)
    assert evaluate("--dataset", "davis2016", "--data", data, "--out", out, "--overwrite") == 130
    assert json.loads((out / FILE_NAME).read_text())["sequences"] == []


def test_a_sequence_that_lost_a_frame_is_tracked_again(davis2016, tmp_path):
    def call():
        track_dataset(load_dataset("davis2016", davis2016, only=["alpha"]), tmp_path / "out", config=CPU)
        return masks_below(tmp_path / "out")

    first = call()
    for part, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        (davis2016 / part / "480p" / "alpha" / f"00004.{suffix}").unlink()
    second = call()
    assert second["alpha/00008.png"][1] > first["alpha/00008.png"][1]


@pytest.mark.parametrize("field", ["commit", "code"])
def test_a_run_goes_on_with_another_commit_but_not_with_other_code(tracked, capsys, field):
    data, out = tracked
    path = out / FILE_NAME
    record = json.loads(path.read_text())
    record["provenance"][field] = "other"
    path.write_text(json.dumps(record))
    before = masks_below(out)
    code = evaluate("--dataset", "davis2016", "--data", data, "--out", out)
    assert code == (2 if field == "code" else 0)
    assert ("code: other" in capsys.readouterr().err) == (field == "code")
    assert masks_below(out) == before


def test_a_sequence_does_not_depend_on_those_before_it(tracked, tmp_path):
    data, out = tracked
    alone = tmp_path / "alone"
    track_dataset(load_dataset("davis2016", data, only=["beta"]), alone, config=CPU)
    for name in NAMES:
        assert (alone / "beta" / name).read_bytes() == (out / "beta" / name).read_bytes()


@pytest.mark.parametrize("broken", ["frame", "first mask", "size"])
def test_a_broken_sequence_is_one_sentence_and_keeps_the_others(davis2016, tmp_path, capsys, broken):
    frames, masks = (davis2016 / part / "480p" / "beta" for part in ("JPEGImages", "Annotations"))
    if broken == "frame":
        (frames / "00005.jpg").write_bytes(b"no image")
    elif broken == "first mask":
        (masks / "00000.png").write_bytes(b"no image")
    else:
        small = davis2016 / "JPEGImages" / "480p" / "alpha" / "00000.jpg"
        shutil.copy(small, frames / "00000.jpg")
        halve(masks / "00000.png")
    out = tmp_path / "out"
    assert evaluate("--dataset", "davis2016", "--data", davis2016, "--out", out) == 2
    output = capsys.readouterr()
    assert output.out == ""
    sentence = output.err.rstrip().splitlines()[-1]
    assert "beta" in sentence
    assert sentence.endswith(".")
    assert "Traceback" not in output.err
    if broken != "first mask":  # that is seen before anything is tracked
        assert [run["name"] for run in json.loads((out / FILE_NAME).read_text())["sequences"]] == ["alpha"]


def halve(path):
    import cv2

    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[::2, ::2])


def test_objects_that_appear_later_start_at_their_first_annotated_frame(youtube, tmp_path, monkeypatch):
    given = []
    step = Tracker.step

    def spy(tracker, frame, mask=None, *, touched=None):
        if mask is not None:
            given.append((frame.index, touched))
        return step(tracker, frame, mask, touched=touched)

    monkeypatch.setattr(Tracker, "step", spy)
    out = tmp_path / "out"
    call = ("--dataset", "youtube-vos", "--data", youtube, "--out", out)
    assert evaluate(*call) == 0
    assert given == [(1, (1,)), (4, (2,))]  # the objects known already are not corrected
    files = sorted((out / "Annotations" / "0a1b").iterdir())
    assert [file.name for file in files] == [f"{5 * i:05}.png" for i in range(COUNT)]
    found = [read_indexed_png(file) for file in files]
    truth = [read_indexed_png(youtube / "valid" / "Annotations" / "0a1b" / file.name) for file in files]
    assert [set(np.unique(mask)) - {0} for mask in found] == [set()] + [{1}] * 3 + [{1, 2}] * 6
    assert np.array_equal(found[1] == 1, truth[1] == 1)  # given, byte for byte
    assert np.array_equal(found[4] == 2, truth[4] == 2)
    assert not np.array_equal(found[4] == 1, truth[4] == 1)  # tracked: its annotation is not looked at again
    assert iou(found[4] == 1, truth[4] == 1) > 0.7
    report = json.loads((out / "report-valid.json").read_text())
    assert [(row["object"], row["frames"][0]) for row in report["objects"]] == [(1, "00010"), (2, "00025")]
    assert all(row["J"]["mean"] > 0.7 for row in report["objects"])


def test_workers_give_the_same_masks_and_a_broken_sequence_leaves_the_others(davis2016, tracked, tmp_path, capsys):
    broken = davis2016 / "JPEGImages" / "480p" / "alpha" / "00005.jpg"
    intact = broken.read_bytes()
    broken.write_bytes(b"no image")
    shared = tmp_path / "shared"
    call = ("--dataset", "davis2016", "--data", davis2016, "--out", shared, "--workers", 2)
    assert evaluate(*call) == 2
    error = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert "alpha" in error
    assert "Traceback" not in error
    assert [run["name"] for run in json.loads((shared / FILE_NAME).read_text())["sequences"]] == ["beta"]
    broken.write_bytes(intact)
    assert evaluate(*call) == 0
    out = tracked[1]
    assert {n: c for n, (c, _) in masks_below(shared).items()} == {n: c for n, (c, _) in masks_below(out).items()}
    alone, together = (json.loads((folder / "report.json").read_text()) for folder in (out, shared))
    assert together["objects"] == alone["objects"]
    assert {run["name"]: run["workers"] for run in together["sequences"]} == {"alpha": 1, "beta": 2}
    assert "up to 2 processes" in (shared / "report.md").read_text()


def test_seen_and_unseen_categories_are_told_apart(youtube, tmp_path):
    (youtube / "train").mkdir()
    training = {"videos": {"zz": {"objects": {"1": {"category": "ball", "frames": []}}}}}
    (youtube / "train" / "meta.json").write_text(json.dumps(training))
    meta = json.loads((youtube / "valid" / "meta.json").read_text())
    meta["videos"]["0a1b"]["objects"]["2"]["category"] = "kite"
    (youtube / "valid" / "meta.json").write_text(json.dumps(meta))
    out = tmp_path / "out"
    assert evaluate("--dataset", "youtube-vos", "--data", youtube, "--split", "val", "--out", out) == 0
    report = json.loads((out / "report-valid.json").read_text())
    seen, unseen = report["objects"]
    parts = report["generalisation"]
    assert (parts["seen"]["J"]["mean"], parts["unseen"]["F"]["mean"]) == (seen["J"]["mean"], unseen["F"]["mean"])
    four = [row[which]["mean"] for row in (seen, unseen) for which in ("J", "F")]
    assert parts["G"] == pytest.approx(np.mean(four))
    with zipfile.ZipFile(out / "submission-valid.zip") as archive:
        assert sorted(archive.namelist()) == [f"Annotations/0a1b/{5 * i:05}.png" for i in range(COUNT)]


def test_blind_splits_are_zipped_as_the_server_wants_them(davis2017, tmp_path, capsys):
    (davis2017 / "ImageSets" / "2017" / "test-dev.txt").write_text("pair\n")
    for name in NAMES[1:]:
        (davis2017 / "Annotations" / "480p" / "pair" / name).unlink()
    call = ("--dataset", "davis2017", "--data", davis2017, "--split", "test-dev")
    assert evaluate(*call, "--out", tmp_path / "out") == 0
    path = tmp_path / "out" / "submission-test-dev.zip"
    assert f"{COUNT} masks for the server: {path}" in capsys.readouterr().out
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [f"pair/{name}" for name in NAMES]
        first = archive.read(f"pair/{NAMES[0]}")
    assert first == (tmp_path / "out" / "pair" / NAMES[0]).read_bytes()
    assert evaluate(*call, "--zip", tmp_path / "mine.zip") == 0
    assert (tmp_path / "mine.zip").read_bytes() == path.read_bytes()
    assert "no scores" in (tmp_path / "out" / "report-test-dev.html").read_text()


def test_later_annotations_do_not_help_the_tracker(davis2017, tmp_path):
    """Blind runs (only the first mask is there, as in test-dev) give the same masks."""
    seeing = tmp_path / "seeing"
    track_dataset(load_dataset("davis2017", davis2017), seeing, config=CPU)
    for name in NAMES[1:]:
        (davis2017 / "Annotations" / "480p" / "pair" / name).unlink()
    blind = tmp_path / "blind"
    assert evaluate("--dataset", "davis2017", "--data", davis2017, "--out", blind) == 0
    assert json.loads((blind / "report-val.json").read_text())["objects"] == []
    for name in NAMES:
        assert (seeing / "pair" / name).read_bytes() == (blind / "pair" / name).read_bytes()


# -- refused before anything slow ------------------------------------------------------------------------------------
@pytest.fixture
def no_tracker(monkeypatch):
    """Fails the test when a model is loaded."""

    def refuse(*arguments):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("engine.runtime.factory.create_tracker", refuse)


@pytest.mark.usefixtures("no_tracker")
def test_a_folder_of_something_else_is_not_written_into(davis2016, tmp_path, capsys):
    call = ("--dataset", "davis2016", "--data", davis2016)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    assert evaluate(*call, "--out", tmp_path / "mine") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert evaluate(*call, "--out", tmp_path / "mine" / "thesis.txt") == 2
    assert "is a file" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.usefixtures("no_tracker")
def test_a_report_nobody_could_write_is_told_first(davis2016, tmp_path, capsys):
    call = ("--dataset", "davis2016", "--data", davis2016)
    assert evaluate(*call, "--json", tmp_path / "no" / "r.json") == 2
    assert "does not exist" in capsys.readouterr().err
    for name in NAMES[1:]:
        (davis2016 / "Annotations" / "480p" / "alpha" / name).unlink()
    assert evaluate(*call, "--sequences", "alpha") == 2
    assert "no ground truth" in capsys.readouterr().err


def test_frames_can_be_kept_out_of_the_report(tracked):
    data, out = tracked
    shutil.rmtree(out / "report-pictures")
    assert evaluate("--dataset", "davis2016", "--data", data, "--out", out, "--no-frames") == 0
    assert {path.name.partition("-")[0] for path in (out / "report-pictures").iterdir()} == {"iou", "quality"}


def test_a_damaged_record_is_told(tracked, capsys):
    data, out = tracked
    call = ("--dataset", "davis2016", "--data", data, "--out", out, "--sequences", "alpha")
    for content in ("{", "[]", '{"format": 99}'):
        (out / FILE_NAME).write_text(content)
        assert evaluate(*call) == 2
        assert FILE_NAME in capsys.readouterr().err
    assert evaluate(*call, "--overwrite") == 0


# -- where the code comes from ---------------------------------------------------------------------------------------
def test_the_commit_is_that_of_the_programs_own_repository(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        answer = subprocess.run(["git", "-C", tmp_path, *identity, *arguments], capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    assert commit_of(tmp_path) == "unknown"
    git("init")
    (tmp_path / "code.py").write_text("1")
    (tmp_path / "inner").mkdir()
    git("add", ".")
    git("commit", "-m", "one")
    assert commit_of(tmp_path) == git("rev-parse", "HEAD")
    assert commit_of(tmp_path / "inner") == "unknown"
    (tmp_path / "code.py").write_text("2")
    assert commit_of(tmp_path) == f"{git('rev-parse', 'HEAD')}+changes"


def test_the_fingerprint_changes_with_the_code_that_decides_masks(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    seen = []
    for name in ("models/a.py", "engine/tracker.py", "engine/propagation/b.py", "app/window.py", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
        seen.append(code_fingerprint())
    assert len(set(seen)) == 3
    assert seen[2] == seen[4]
    (tmp_path / "models" / "a.py").write_text("2")
    assert code_fingerprint() not in seen
