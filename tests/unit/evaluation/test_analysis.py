"""What reports say beyond J and F: temporal stability, kinds of failure, plots and pages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.evaluation.analysis import analyse
from engine.evaluation.datasets import DAVIS, Dataset, load_dataset
from engine.evaluation.failures import Failure, classify, count_kinds
from engine.evaluation.pages import Picture, Section, as_html, as_markdown, file_name
from engine.evaluation.publish import publish
from engine.evaluation.report import Report
from engine.evaluation.scoring import score_dataset
from engine.evaluation.stability import change, mean_change, outline, shape_contexts
from tests.support.clips import write_palette_png
from tests.unit.evaluation.conftest import COUNT

SIZE = 96


def disc(x=48.0, y=48.0, radius=25.0, bumps=0.0, phase=0.0):
    """A disc whose rim waves by `bumps` of its radius."""
    yy, xx = np.mgrid[:SIZE, :SIZE]
    angle = np.arctan2(yy - y, xx - x)
    return np.hypot(yy - y, xx - x) <= radius * (1 + bumps * np.sin(6 * angle + phase))


def shape(mask):
    points = outline(mask)
    assert points is not None
    return shape_contexts(points)


# -- stability -------------------------------------------------------------------------------------------------------
@settings(deadline=None, max_examples=20)
@given(st.integers(-15, 15), st.integers(-15, 15))
def test_motion_alone_costs_nothing(dx, dy):
    assert mean_change([disc(bumps=0.2), np.roll(disc(bumps=0.2), (dy, dx), (0, 1))]) == pytest.approx(0, abs=1e-9)


def test_flicker_costs_the_more_the_stronger_it_is():
    costs = [mean_change([disc(), disc(bumps=b), disc(), disc(bumps=b, phase=2)]) for b in (0.0, 0.05, 0.15, 0.3)]
    assert costs[0] == pytest.approx(0, abs=1e-9)
    assert costs == sorted(costs)
    assert costs[-1] > 0.1


def test_change_is_a_share_and_the_same_both_ways():
    first, second = shape(disc(bumps=0.3)), shape(disc(radius=12))
    assert 0 < change(first, second) <= 1
    assert change(first, second) == pytest.approx(change(second, first), rel=0.1)


def test_where_an_outline_begins_does_not_matter():
    first = shape(disc(bumps=0.3))
    assert change(first, np.roll(first, 37, axis=0)) == pytest.approx(0, abs=1e-9)


def test_masks_without_an_outline_are_left_out():
    nothing, point = np.zeros((SIZE, SIZE), bool), np.zeros((SIZE, SIZE), bool)
    point[3, 3] = True
    assert outline(nothing) is None
    assert outline(point) is None
    assert mean_change([disc(), nothing, disc(), point]) is None
    assert mean_change([disc(), nothing, disc(), disc()]) == pytest.approx(0, abs=1e-9)


# -- failures --------------------------------------------------------------------------------------------------------
def ids(**objects):
    """o1=mask, o2=mask ... -> H x W ids."""
    out = np.zeros((SIZE, SIZE), np.uint8)
    for name, mask in objects.items():
        out[mask] = int(name[1:])
    return out


NOTHING = np.zeros((SIZE, SIZE), bool)
LEFT, RIGHT = disc(x=20, radius=15), disc(x=70, radius=15)


@pytest.mark.parametrize(
    ("found", "truth", "kind"),
    [
        (ids(o1=LEFT), ids(o2=RIGHT), Failure.PHANTOM),
        (ids(), ids(o1=LEFT), Failure.LOST),
        (ids(o1=RIGHT), ids(o1=LEFT, o2=RIGHT), Failure.SWAPPED),
        (ids(o1=RIGHT), ids(o1=LEFT), Failure.ADRIFT),
        (ids(o1=disc(radius=40)), ids(o1=disc(radius=15)), Failure.LEAK),
        (ids(o1=disc(radius=10)), ids(o1=disc(radius=30)), Failure.SHRUNK),
    ],
)
def test_bad_frames_are_told_apart(found, truth, kind):
    assert classify(found, truth, 1, region=0.1, contour=0.1) is kind


def test_only_bad_frames_are_failures():
    found, truth = ids(o1=LEFT), ids(o1=LEFT)
    assert classify(found, truth, 1, region=0.9, contour=0.9) is None
    assert classify(found, truth, 1, region=0.9, contour=0.4) is Failure.ROUGH


# -- a whole data set ------------------------------------------------------------------------------------------------
@pytest.fixture
def scored(davis2017, tmp_path):
    """(data set, folder of results): the truth itself, but object 1 of pair vanishes in frame 4 and 2 takes its place
    in frame 5."""
    dataset = load_dataset("davis2017", davis2017)
    out = tmp_path / "out"
    shutil.copytree(davis2017 / "Annotations" / "480p" / "pair", out / "pair")
    truth = [np.array(Image.open(out / "pair" / f"{i:05}.png")) for i in range(COUNT)]
    write_palette_png(np.where(truth[4] == 1, np.uint8(0), truth[4]), out / "pair" / "00004.png")
    write_palette_png(np.choose(truth[5], np.uint8([0, 2, 1])).astype(np.uint8), out / "pair" / "00005.png")
    return dataset, out


def report_on(dataset: Dataset, out) -> Report:
    scores = score_dataset(dataset, out)
    stability, failures = analyse(dataset, out, scores)
    return Report(dataset.title, DAVIS.name, tuple(scores), stability=stability, failures=failures)


def test_failures_are_found_where_they_are(scored):
    report = report_on(*scored)
    assert [(bad.object_id, bad.frame, bad.kind) for bad in report.failures] == [
        (1, "00004", Failure.LOST), (1, "00005", Failure.SWAPPED), (2, "00005", Failure.SWAPPED),
    ]  # fmt: skip
    assert count_kinds(report.failures) == {Failure.LOST: 1, Failure.SWAPPED: 2}
    for one in report.stability:
        assert one.found == pytest.approx(one.true, abs=0.05)
    assert [one.jitter for one in report.stability] == pytest.approx([2 / 7, 2 / 7])  # down and up again


class Pictures(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources = []

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.sources.append(dict(attributes)["src"])


def test_pages_show_curves_failures_and_the_worst_frames(scored):
    dataset, out = scored
    publish(report_on(dataset, out), dataset, out, suffix="-val")
    page = (out / "report-val.html").read_text()
    pictures = Pictures()
    pictures.feed(page)
    assert len(pictures.sources) == 3  # a curve, and the worst frame of either object
    assert all(source.startswith("data:image/png;base64,") for source in pictures.sources)
    text = (out / "report-val.md").read_text()
    for words in ("swapped", "lost at 00004", "pair, object 1, frame 00004: J 0.000", "temporal stability"):
        assert words in page
        assert words in text
    names = [f"report-val-pictures/{name}.png" for name in ("iou-pair", "worst-pair-1", "worst-pair-2")]
    for name in names:
        assert f"({name})" in text
        with Image.open(out / name) as image:
            assert image.size[0] > 300


def test_a_report_without_frames_shows_none_and_says_all_else(scored):
    dataset, out = scored
    publish(report_on(dataset, out), dataset, out, with_frames=False)
    assert [path.name for path in (out / "report-pictures").iterdir()] == ["iou-pair.png"]
    for page in ("report.html", "report.md"):
        text = (out / page).read_text()
        assert "Worst frames" not in text
        assert "lost at 00004" in text


def test_without_matplotlib_everything_but_the_plots_is_there(scored, monkeypatch):
    dataset, out = scored
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("engine.evaluation.publish.plots_available", lambda: False)
    publish(report_on(dataset, out), dataset, out)
    text = (out / "report.md").read_text()
    assert "pip install matplotlib" in text
    assert "worst-pair-1" in text
    assert not (out / "report-pictures" / "iou-pair.png").exists()


def test_reading_data_sets_and_scores_needs_no_matplotlib():
    code = "import sys, engine.evaluation.publish, engine.commands.eval; assert 'matplotlib' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_from_data_sets_cannot_break_a_page():
    section = Section("<b>", ("a & b",), ("<script>",), ([["x|y"], ["<i>"]],), (Picture("p", b"", 'say "hi"'),))
    page = as_html("<title>", [section])
    assert "<script>" not in page
    assert "<i>" not in page
    assert "&quot;hi&quot;" in page
    assert "x\\|y" in as_markdown("t", [section], "here")
    assert file_name("../a b/<c>") == "a-b-c"


def test_curves_are_pictures():
    from engine.evaluation.plots import quality_and_speed, sweep_curve

    for png in (quality_and_speed({"a": (3.0, 0.7)}), sweep_curve("t", "u", ["1", "2"], [0.1, 0.2], "2")):
        with Image.open(BytesIO(png)) as image:
            assert min(image.size) > 100
