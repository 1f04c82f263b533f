"""Which frames and objects count, and what is said of masks that do not fit. Also ``main.py score``."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import main
from engine.errors import MaskError
from engine.evaluation.datasets import ALL_FRAMES, DAVIS, YOUTUBE_VOS, Dataset, VideoSequence, load_dataset
from engine.evaluation.report import Report, as_markdown, as_text, global_csv, per_sequence_csv
from engine.evaluation.scoring import score_dataset, score_sequence, summarise
from tests.support.clips import iou, read_indexed_png, write_palette_png
from tests.unit.evaluation.conftest import COUNT, HEIGHT, WIDTH

NAMES = [f"{i:05}" for i in range(COUNT)]


def sequence_of(folder, **options):
    masks = tuple(sorted(folder.glob("*.png")))
    return VideoSequence(folder.name, masks, masks, **options)


@pytest.fixture
def pair(davis2017, tmp_path):
    """(the sequence "pair", a folder with perfect masks of it)."""
    sequence = load_dataset("davis2017", davis2017).sequences[0]
    folder = tmp_path / "found"
    shutil.copytree(sequence.annotations[0].parent, folder)
    return sequence, folder


def repaint(path, change):
    mask = read_indexed_png(path).copy()
    change(mask)
    write_palette_png(mask, path)


def clear(mask):
    mask[:] = 0


def test_perfect_masks_score_1(pair):
    scores = score_sequence(*pair, DAVIS)
    assert [(s.sequence, s.object_id, s.mean) for s in scores] == [("pair", 1, 1.0), ("pair", 2, 1.0)]
    assert scores[0].region.recall == scores[0].contour.recall == 1
    assert scores[0].region.decay == 0


@pytest.mark.parametrize(
    ("protocol", "counting"), [(DAVIS, NAMES[1:-1]), (YOUTUBE_VOS, NAMES[1:]), (ALL_FRAMES, NAMES)]
)
def test_each_protocol_counts_its_frames(pair, protocol, counting):
    sequence, folder = pair
    for name in set(NAMES) - set(counting):
        (folder / f"{name}.png").unlink()  # not even looked at
    for score in score_sequence(sequence, folder, protocol):
        assert list(score.frames) == counting
        assert score.mean == 1


def test_a_lost_object_costs_only_itself_and_only_its_frames(pair):
    sequence, folder = pair
    repaint(folder / "00003.png", lambda mask: np.copyto(mask, 0, where=mask == 2))
    first, second = score_sequence(sequence, folder, DAVIS)
    assert first.mean == 1
    assert second.region_values == tuple(0.0 if name == "00003" else 1.0 for name in NAMES[1:-1])
    assert second.region.mean == pytest.approx((COUNT - 3) / (COUNT - 2))


def test_scores_are_those_of_the_masks(pair, davis2017):
    """J against the suite's own measure, for masks that are a frame late."""
    sequence, folder = pair
    masks = [read_indexed_png(path) for path in sequence.annotations]
    for index in range(1, COUNT):
        write_palette_png(masks[index - 1], folder / f"{index:05}.png")
    for score in score_sequence(sequence, folder, DAVIS):
        wanted = [iou(masks[i] == score.object_id, masks[i - 1] == score.object_id) for i in range(1, COUNT - 1)]
        assert score.region_values == pytest.approx(wanted)
        assert max(wanted) < 1


def test_later_objects_count_from_their_first_frame_on(youtube, tmp_path):
    sequence = load_dataset("youtube-vos", youtube).sequences[0]
    truth = sequence.annotations[0].parent
    by_id = {s.object_id: s for s in score_sequence(sequence, truth, YOUTUBE_VOS)}
    assert set(by_id) == {1, 2}  # 3 is not in meta.json
    assert by_id[1].frames[0] == "00010"
    assert by_id[2].frames[0] == "00025"
    assert {s.object_id for s in score_sequence(sequence_of(truth), truth, DAVIS)} == {3}


def test_void_pixels_cost_nothing(pair):
    sequence, folder = pair
    area = np.s_[:20, :20]
    for path in sequence.annotations:
        repaint(path, lambda mask: mask.__setitem__(area, 255))
    for name in NAMES[1:]:
        repaint(folder / f"{name}.png", lambda mask: mask.__setitem__(area, 2))
    assert [s.mean for s in score_sequence(sequence, folder, DAVIS)] == [1, 1]


def test_merged_objects_are_one(pair):
    sequence, folder = pair
    merged = sequence_of(sequence.annotations[0].parent, merge_objects=True)
    for name in NAMES:
        repaint(folder / f"{name}.png", lambda mask: np.copyto(mask, 7, where=mask > 0))
    assert [(s.object_id, s.mean) for s in score_sequence(merged, folder, DAVIS)] == [(1, 1.0)]


def test_masks_that_do_not_fit_are_named(pair):
    sequence, folder = pair
    bad = folder / "00004.png"
    repaint(bad, lambda mask: mask.__setitem__((0, 0), 9))
    with pytest.raises(MaskError, match=r"00004\.png holds an object 9"):
        score_sequence(sequence, folder, DAVIS)
    write_palette_png(np.zeros((4, 6), np.uint8), bad)
    with pytest.raises(MaskError, match=rf"00004\.png is 6 x 4 but the ground truth is {WIDTH} x {HEIGHT}"):
        score_sequence(sequence, folder, DAVIS)
    bad.write_bytes(b"no image")
    with pytest.raises(MaskError, match=r"00004\.png.*found"):
        score_sequence(sequence, folder, DAVIS)
    bad.unlink()
    with pytest.raises(MaskError, match=r"There is no file .*00004\.png"):
        score_sequence(sequence, folder, DAVIS)


def test_sequences_without_ground_truth_are_not_scored(pair, tmp_path):
    sequence, _ = pair
    lone = VideoSequence("lone", sequence.frames, (sequence.annotations[0], *[None] * (COUNT - 1)))
    dataset = Dataset("davis2017", tmp_path, "test-dev", (lone,), DAVIS)
    assert score_dataset(dataset, tmp_path) == []
    assert summarise([]) is None
    report = Report("davis2017 test-dev", "davis", ())
    assert "no ground truth" in as_text(report)
    assert global_csv(report).count("\n") == 1


def test_every_object_weighs_the_same_in_the_mean(pair):
    sequence, folder = pair
    for name in NAMES[1:]:
        repaint(folder / f"{name}.png", lambda mask: np.copyto(mask, 0, where=mask == 2))
    scores = score_sequence(sequence, folder, DAVIS)
    summary = summarise(scores)
    assert (summary.objects, summary.region.mean, summary.contour.mean, summary.mean) == (2, 0.5, 0.5, 0.5)
    report = Report("davis2017 val", "davis", tuple(scores))
    assert global_csv(report) == (
        "J&F-Mean,J-Mean,J-Recall,J-Decay,F-Mean,F-Recall,F-Decay\n0.500,0.500,0.500,0.000,0.500,0.500,0.000\n"
    )
    assert per_sequence_csv(report) == "Sequence,J-Mean,F-Mean\npair_1,1.000,1.000\npair_2,0.000,0.000\n"
    table = [line for line in as_markdown(report).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert "| pair | 2 | 0.000 |" in table[3]


# -- the command -----------------------------------------------------------------------------------------------------
def test_score_compares_trees(davis2017, tmp_path, capsys):
    truth = davis2017 / "Annotations" / "480p"
    found = tmp_path / "found"
    shutil.copytree(truth, found)
    repaint(found / "single" / "00002.png", clear)
    assert main.main(["score", str(found), str(truth), "--json", str(tmp_path / "r.json")]) == 0
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in capsys.readouterr().out.splitlines() if line}
    assert rows["pair", "2"][0] == "1.000"
    assert rows["single", "1"][1] == f"{(COUNT - 3) / (COUNT - 2):.3f}"
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["summary"]["objects"] == 4
    worst = next(row for row in report["objects"] if row["sequence"] == "single")
    assert dict(zip(worst["frames"], worst["J_values"], strict=True))["00002"] == 0


def test_score_compares_two_folders_of_masks(davis2016, davis2017, capsys):
    """White on black against palette ids."""
    white, palette = davis2016 / "Annotations" / "480p" / "alpha", davis2017 / "Annotations" / "480p" / "single"
    assert main.main(["score", str(palette), str(white), "--protocol", "all"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["alpha", "1", "1.000"]


def test_score_can_merge_objects(davis2016, davis2017, capsys):
    white, palette = davis2016 / "Annotations" / "480p" / "beta", davis2017 / "Annotations" / "480p" / "pair"
    assert main.main(["score", str(palette), str(white)]) == 2
    assert "object 2" in capsys.readouterr().err
    assert main.main(["score", str(palette), str(white), "--merge-objects"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2] == "1.000"


@pytest.mark.parametrize("what", ["missing tree", "missing sequence", "empty tree", "too short", "missing mask"])
def test_score_says_in_one_sentence_what_is_missing(davis2017, tmp_path, capsys, what):
    truth, found = davis2017 / "Annotations" / "480p", tmp_path / "found"
    shutil.copytree(truth, found)
    if what == "missing tree":
        shutil.rmtree(found)
    elif what == "missing sequence":
        shutil.rmtree(found / "pair")
    elif what == "empty tree":
        truth = tmp_path / "nothing"
        truth.mkdir()
    elif what == "too short":
        for name in NAMES[2:]:
            (truth / "pair" / f"{name}.png").unlink()
    else:
        (found / "pair" / "00003.png").unlink()
    assert main.main(["score", str(found), str(truth)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert ("pair" in output.err) or what in ("missing tree", "empty tree")
    assert output.err.rstrip().splitlines()[-1].endswith(".")
    assert "Traceback" not in output.err
