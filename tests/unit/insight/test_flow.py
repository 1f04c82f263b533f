"""Optical flow off the affinity: exact on made-up embeddings, within a cell on a textured object that moves."""

from __future__ import annotations

import struct
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import main
from engine.errors import ExportError, SourceError
from engine.insight.motion import FlowReader, colours, dis_flow, endpoint_error, flow_between, read_flo, write_flo
from engine.propagation.flow import affinity_flow, flow_in_pixels
from engine.propagation.recipe import get_recipe
from engine.runtime.config import EngineConfig
from engine.runtime.factory import create_tracker
from engine.types import Frame
from tests.support.clips import _texture, disc_frames, encode

HEIGHT, WIDTH = 9, 12
CLIP_HEIGHT, CLIP_WIDTH = 240, 320


def embedding(seed=0, height=HEIGHT, width=WIDTH):
    """Random unit vectors: no cell is like another."""
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=(64, height, width)).astype(np.float32))
    return torch.nn.functional.normalize(values, dim=0)


# -- the function ----------------------------------------------------------------------------------------------------
@settings(deadline=None, max_examples=25)
@given(st.integers(-3, 3), st.integers(-3, 3))
def test_a_shift_by_whole_cells_is_found_exactly(dx, dy):
    first = embedding()
    second = torch.roll(first, (dy, dx), (1, 2))
    flow, certainty = affinity_flow(first, second, logit_scale=100.0, radius=4)
    inside = np.s_[max(0, -dy) : HEIGHT - max(0, dy), max(0, -dx) : WIDTH - max(0, dx)]
    assert flow[0][inside] == pytest.approx(dx, abs=0.02)
    assert flow[1][inside] == pytest.approx(dy, abs=0.02)
    assert certainty[inside].min() > 0.95


def test_it_is_the_mean_displacement_of_all_votes():
    """Against the whole affinity matrix, cut to the window."""
    first, second, radius, scale = embedding(1), embedding(2), 3, 5.0
    flow, _ = affinity_flow(first, second, logit_scale=scale, radius=radius, sigma=2.0)
    place = torch.cartesian_prod(torch.arange(HEIGHT), torch.arange(WIDTH)).float()
    step = place[None] - place[:, None]  # cells x cells x (y, x)
    logit = scale * first.flatten(1).T @ second.flatten(1) - step.square().sum(-1) / 4
    logit = logit.masked_fill(step.abs().amax(-1) > radius, float("-inf"))
    expected = (logit.softmax(1)[..., None] * step).sum(1).T.flip(0).reshape(2, HEIGHT, WIDTH)
    assert torch.allclose(flow, expected, atol=1e-5)


def test_a_plain_wall_moves_nowhere_and_says_so():
    wall = torch.ones(8, HEIGHT, WIDTH)
    flow, certainty = affinity_flow(wall, wall, logit_scale=30.0, radius=2)
    assert flow[:, 2:-2, 2:-2] == pytest.approx(0, abs=1e-5)
    assert certainty == pytest.approx(0, abs=1e-5)


def test_cells_become_pixels():
    flow = torch.tensor([1.0, -2.0])[:, None, None].expand(2, HEIGHT, WIDTH)
    pixels = flow_in_pixels(flow, 90, 60)
    assert pixels.shape == (90, 60, 2)
    assert torch.allclose(pixels, torch.tensor([5.0, -20.0]).expand(90, 60, 2))


@pytest.mark.parametrize(("other", "radius"), [((3, 4, 4), 2), ((4, 4), 2), ((4, 4, 4), 0)])
def test_what_does_not_fit_is_refused(other, radius):
    with pytest.raises(ValueError, match=r"shape|radius"):
        affinity_flow(torch.zeros(4, 4, 4), torch.zeros(*other), logit_scale=1.0, radius=radius)


# -- frames ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def tracker():
    return create_tracker(EngineConfig(device="cpu", working_size=240))


def moving_disc(dx, dy):
    """(first frame, second frame, where the disc is in the first); the ground moves 5 pixels to the left."""
    ground = _texture(CLIP_HEIGHT, CLIP_WIDTH + 20, 1, (40, 70, 40), (130, 160, 120))
    cloth = _texture(2 * CLIP_HEIGHT, 2 * CLIP_WIDTH, 10, (150, 40, 30), (250, 170, 80))
    yy, xx = np.mgrid[:CLIP_HEIGHT, :CLIP_WIDTH]
    frames, places = [], []
    for x, y, pan in ((150, 120, 0), (150 + dx, 120 + dy, 5)):
        rgb = ground[:, pan : pan + CLIP_WIDTH].copy()
        inside = (xx - x) ** 2 + (yy - y) ** 2 <= 60**2
        shift = np.array([[1, 0, x - CLIP_WIDTH], [0, 1, y - CLIP_HEIGHT]], np.float32)
        rgb[inside] = cv2.warpAffine(cloth, shift, (CLIP_WIDTH, CLIP_HEIGHT))[inside]
        frames.append(rgb)
        places.append(inside)
    return frames[0], frames[1], places[0]


@pytest.mark.parametrize("motion", [(0, 0), (6, 4), (12, -8), (-20, 10)])
def test_a_textured_object_is_followed_to_within_a_cell(tracker, motion):
    first, second, inside = moving_disc(*motion)
    found = flow_between(tracker, first, second)
    assert found.pixels.shape == (CLIP_HEIGHT, CLIP_WIDTH, 2)
    truth = np.broadcast_to(np.array(motion, np.float32), found.pixels.shape)
    assert found.cell == (8, 8)
    assert found.in_cells(endpoint_error(found.pixels, truth, inside)) < 1.0
    # An outside judge that knows nothing of embeddings agrees.
    assert found.in_cells(endpoint_error(found.pixels, dis_flow(first, second), inside)) < 1.0


def test_frames_of_two_sizes_are_refused(tracker):
    with pytest.raises(SourceError, match="32 x 24 and 40 x 24"):
        flow_between(tracker, np.zeros((24, 32, 3), np.uint8), np.zeros((24, 40, 3), np.uint8))


def test_the_raw_features_of_the_paper_recipe_work_too(tracker):
    tracker = type(tracker)(tracker.embedder, get_recipe("robust"), working_size=120)
    first, second, inside = moving_disc(8, 0)
    found = flow_between(tracker, first, second)
    assert found.cell == (16, 16)
    assert endpoint_error(found.pixels, np.broadcast_to(np.array([8, 0], np.float32), found.pixels.shape), inside) < 8


# -- files and the command -------------------------------------------------------------------------------------------
def test_flo_files_are_what_middlebury_says(tmp_path):
    flow = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    path = tmp_path / "a.flo"
    write_flo(path, flow)
    content = path.read_bytes()
    assert struct.unpack("<fii", content[:12]) == (202021.25, 7, 5)
    assert np.array_equal(np.frombuffer(content[12:], "<f4").reshape(5, 7, 2), flow)
    assert np.array_equal(read_flo(path), flow)
    assert [file.name for file in tmp_path.iterdir()] == ["a.flo"]
    with pytest.raises(ExportError):
        write_flo(tmp_path / "no" / "a.flo", flow)
    for damaged in (
        b"",
        b"PIEH",
        content[:-1],
        b"PIEI" + content[4:],
        struct.pack("<fii", 202021.25, 1 << 30, 1 << 30),
    ):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match=r"\.flo"):
            read_flo(path)
    with pytest.raises(SourceError, match=r"\.flo"):
        read_flo(tmp_path / "b.flo")


def test_colours_share_a_scale():
    slow, fast = np.zeros((4, 4, 2), np.float32), np.zeros((4, 4, 2), np.float32)
    slow[..., 0], fast[..., 0] = 1, 10
    pale, strong = colours([slow, fast])
    assert pale.min() > strong.min()  # the slower one is nearer to white
    assert pale.shape == (4, 4, 3)


def flow_command(*arguments):
    return main.main(["flow", "--device", "cpu", "--size", "240", *map(str, arguments)])


def test_the_command_draws_and_writes(tmp_path, capsys):
    first, second, _ = moving_disc(12, -8)
    for name, rgb in (("a.png", first), ("b.png", second)):
        cv2.imwrite(str(tmp_path / name), rgb[..., ::-1])
    truth = np.zeros((CLIP_HEIGHT, CLIP_WIDTH, 2), np.float32)
    write_flo(tmp_path / "truth.flo", truth)
    arguments = (tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "flo.png", "--flo", tmp_path / "f.flo")
    assert flow_command(*arguments, "--beside", tmp_path / "beside.png", "--truth", tmp_path / "truth.flo") == 0
    output = capsys.readouterr().out
    assert "DIS" in output
    assert "endpoint error" in output
    picture = cv2.imread(str(tmp_path / "flo.png"))
    assert picture.shape == (CLIP_HEIGHT, CLIP_WIDTH, 3)
    flow = read_flo(tmp_path / "f.flo")
    assert np.median(flow[100:140, 130:170], (0, 1)) == pytest.approx([12, -8], abs=3)
    assert np.abs(colours([flow])[0].astype(int) - picture[..., ::-1]).mean() < 40  # one scale with the DIS flow
    beside = cv2.imread(str(tmp_path / "beside.png"))
    assert beside.shape[1] > 4 * beside.shape[0]


def test_frames_of_a_clip(tmp_path, capsys):
    frames, _ = disc_frames(4, 160, 112)
    clip = encode(frames, tmp_path / "clip.mp4")
    assert flow_command(clip, "--frame", 2, "--out", tmp_path / "flow.flo") == 0
    assert read_flo(tmp_path / "flow.flo").shape == (112, 160, 2)
    assert flow_command(clip, "--frame", 3, "--out", tmp_path / "flow.flo") == 2
    assert "no frame 4" in capsys.readouterr().err
    assert flow_command(clip, "--out", tmp_path / "flow.flo") == 2
    assert "--frame" in capsys.readouterr().err


def test_a_run_of_frames_embeds_each_once(tracker, monkeypatch):
    seen = []
    look_at = tracker.look_at
    monkeypatch.setattr(tracker, "look_at", lambda frame: seen.append(frame.index) or look_at(frame))
    frames = [Frame(i, 0.0, rgb) for i, rgb in enumerate(disc_frames(4, 160, 112)[0])]
    reader = FlowReader()
    found = [reader.read(tracker, one, two) for one, two in pairwise(frames)]
    assert seen == [0, 1, 2, 3]
    for flow, one, two in zip(found, frames, frames[1:], strict=False):
        assert np.array_equal(flow.pixels, flow_between(tracker, one.rgb, two.rgb).pixels)


def test_colours_can_have_a_fixed_scale():
    slow, fast = np.zeros((4, 4, 2), np.float32), np.zeros((4, 4, 2), np.float32)
    slow[..., 0], fast[..., 0] = 5, 50
    alone, full, beyond = (colours([flow], longest=10)[0] for flow in (slow, 2 * slow, fast))
    assert np.array_equal(full, beyond)
    assert alone.min() > full.min()
