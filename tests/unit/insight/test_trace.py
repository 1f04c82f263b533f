"""Where a label comes from: the traced votes add up to what the kernels propagate."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import main
from engine.errors import MaskError
from engine.insight.votes import describe, light, votes_picture
from engine.propagation.recipe import PAPER, ROBUST
from engine.propagation.trace import trace_pixel
from engine.runtime.config import EngineConfig
from engine.runtime.factory import create_tracker
from engine.tracker import Tracker
from engine.types import Frame
from tests.support.clips import disc_frames, write_palette_png

COUNT, WIDTH, HEIGHT = 12, 160, 112
RECIPES = {
    "robust": ROBUST,
    "no window": replace(ROBUST, window=None),
    "pooled": replace(ROBUST, pool_recent=2, pool_keyframes=2),
    "pooled, no window": replace(ROBUST, window=None, pool_recent=2, pool_keyframes=2),
    "paper": replace(PAPER, cosine=True, logit_scale=None),
    "few voters": replace(PAPER, cosine=True, logit_scale=None, top_k=3),
}


@pytest.fixture(scope="module")
def clip():
    frames, masks = disc_frames(COUNT, WIDTH, HEIGHT, 2)
    return [Frame(i, i / 24, rgb) for i, rgb in enumerate(frames)], masks


@pytest.fixture(scope="module")
def embedder():
    return create_tracker(EngineConfig(device="cpu")).embedder


def tracked(embedder, recipe, clip, count=COUNT - 1):
    """A tracker that has seen `count` frames, with a correction of object 2 in frame 4."""
    frames, masks = clip
    tracker = Tracker(embedder, recipe)
    tracker.step(frames[0], masks[0])
    for index in range(1, count):
        tracker.step(frames[index], *([masks[index]] if index == 4 else []), touched=(2,) if index == 4 else None)
    return tracker


@pytest.mark.parametrize("name", RECIPES)
def test_traced_labels_are_the_propagated_ones(embedder, clip, name):
    tracker = tracked(embedder, RECIPES[name], clip)
    frame, truth = clip[0][-1], clip[1][-1]
    propagator, cells, columns = tracker.look_at(frame)
    with torch.inference_mode():
        labels, _ = propagator.propagate(cells, frame.index)
    rng = np.random.default_rng(0)
    places = [np.argwhere(truth == i)[rng.integers(50)] for i in (0, 1, 2)] + [(0, 0), (HEIGHT - 1, WIDTH - 1)]
    for y, x in places:
        for object_id in (1, 2):
            trace = trace_pixel(tracker, frame, int(x), int(y), object_id)
            expected = float(labels[columns[object_id], trace.row, trace.column])
            assert trace.label == pytest.approx(expected, abs=0.02)
            assert sum(voter.share for voter in trace.voters) == pytest.approx(1, abs=1e-4)
            assert sum(voter.said for voter in trace.voters) == pytest.approx(trace.label, abs=1e-4)
            shares = [voter.share for voter in trace.voters]
            assert shares == sorted(shares, reverse=True)
            if few := RECIPES[name].top_k:
                assert sum(int((voter.weights > 0).sum()) for voter in trace.voters) <= few


def test_an_object_is_decided_by_its_own_pixels_in_earlier_frames(embedder, clip):
    tracker = tracked(embedder, ROBUST, clip)
    frame, truth = clip[0][-1], clip[1][-1]
    for object_id in (1, 2):
        y, x = np.argwhere(truth == object_id).mean(0).astype(int)
        trace = trace_pixel(tracker, frame, int(x), int(y))
        assert trace.object_id == object_id
        assert trace.label > 0.9
        strongest = trace.voters[0]
        row, column = divmod(int(strongest.weights.argmax()), trace.width)
        was = clip[1][strongest.frame_index][row * 8 + 4, column * 8 + 4]
        assert was == object_id
        assert {voter.frame_index for voter in trace.voters} <= set(range(COUNT - 1))
    keyframes = [voter.frame_index for voter in trace.voters if voter.is_keyframe]
    assert set(keyframes) <= {0, 4}


def test_tracing_remembers_nothing(embedder, clip):
    tracker = tracked(embedder, ROBUST, clip)
    frame = clip[0][-1]
    before = tracker.bank_frames
    trace_pixel(tracker, frame, 80, 56)
    assert tracker.bank_frames == before
    other = tracked(embedder, ROBUST, clip)
    assert np.array_equal(tracker.step(frame).mask, other.step(frame).mask)


def test_what_cannot_be_traced_is_told(embedder, clip):
    frame = clip[0][0]
    with pytest.raises(MaskError, match="Nothing is painted"):
        trace_pixel(Tracker(embedder, ROBUST), frame, 0, 0)
    tracker = tracked(embedder, ROBUST, clip, 3)
    with pytest.raises(MaskError, match="no object 7"):
        trace_pixel(tracker, frame, 0, 0, 7)
    with pytest.raises(ValueError, match="outside"):
        trace_pixel(tracker, frame, WIDTH, 0)


def test_the_picture_lights_the_cells_that_voted(embedder, clip):
    weights = np.zeros((14, 20), np.float32)
    weights[3, 5] = 0.5
    grey = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    lit = light(grey, weights, 0.5)
    assert lit[28, 44].max() > 160
    assert lit[60, 100].max() == 30
    tracker = tracked(embedder, ROBUST, clip)
    frame = clip[0][-1]
    trace = trace_pixel(tracker, frame, 50, 56)
    picture = votes_picture(trace, frame.rgb, 50, 56, lambda index: clip[0][index])
    assert picture.shape[1] > 3 * picture.shape[0]
    lines = describe(trace)
    assert len(lines) == 1 + len(trace.voters)
    assert "of the vote" in lines[1]


def test_the_command_explains_a_pixel(clip, tmp_path, capsys):
    folder = tmp_path / "clip"
    folder.mkdir()
    for frame in clip[0]:
        cv2.imwrite(str(folder / f"{frame.index:03}.png"), frame.rgb[..., ::-1])
    mask = write_palette_png(clip[1][0], tmp_path / "mask.png")
    y, x = np.argwhere(clip[1][8] == 2).mean(0).astype(int)
    call = ["explain", str(folder), "--mask", str(mask), "--device", "cpu", "--out", str(tmp_path / "out.png")]
    assert main.main([*call, "--frame", "8", "--at", f"{x},{y}"]) == 0
    output = capsys.readouterr().out
    assert f"pixel {x},{y} of frame 8 is object 2" in output
    assert "frame 7:" in output
    assert cv2.imread(str(tmp_path / "out.png")) is not None
    for frame, at, words in (("0", "1,1", "from 1"), ("40", "1,1", "no frame 40"), ("3", "999,1", "999,1")):
        assert main.main([*call, "--frame", frame, "--at", at]) == 2
        assert words in capsys.readouterr().err
