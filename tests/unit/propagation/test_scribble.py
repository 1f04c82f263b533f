"""The smart scribble against a dense solution, and on pictures whose answer is plain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from engine.propagation.scribble import RULE, Affinity, ScribbleReader, certainty, diffuse, frame_affinity
from engine.scribble_marks import INSIDE, OUTSIDE, PROBABLY_INSIDE, by_colour, sharpen
from engine.types import Frame

H, W = 96, 128


def picture() -> tuple[np.ndarray, np.ndarray]:
    """Two alike reddish discs on noisy green; the truth is the left one."""
    random = np.random.default_rng(3)
    rgb = np.full((H, W, 3), (40, 120, 50), np.uint8)
    truth = np.zeros((H, W), np.uint8)
    cv2.circle(truth, (36, 50), 24, 1, -1)
    both = truth.copy()
    cv2.circle(both, (104, 44), 16, 1, -1)
    rgb[both > 0] = (180, 60, 50)
    return np.clip(rgb + random.normal(0, 6, rgb.shape), 0, 255).astype(np.uint8), truth > 0


def grid_cells(rgb: np.ndarray) -> torch.Tensor:
    """An embedding that knows nothing but colour."""
    small = cv2.resize(rgb, (W // 8, H // 8), interpolation=cv2.INTER_AREA)
    return torch.nn.functional.normalize(torch.from_numpy(small.astype(np.float32) - 90), dim=-1)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_the_fixed_point_is_that_of_a_dense_solution() -> None:
    random = torch.Generator().manual_seed(1)
    cells = torch.nn.functional.normalize(torch.randn(5, 6, 8, generator=random), dim=-1)
    rgb = torch.randint(0, 256, (40, 48, 3), generator=random).byte().numpy()
    affinity = frame_affinity(cells, rgb)
    marked = torch.rand(30, 2, generator=random)
    found = diffuse(affinity, marked, 0.99, tolerance=1e-7)
    matrix = affinity.matrix.to_dense().double()
    oracle = torch.linalg.solve(torch.eye(30, dtype=torch.float64) - 0.99 * matrix, 0.01 * marked.double())
    np.testing.assert_allclose(found.numpy(), oracle.numpy(), rtol=2e-3, atol=1e-5)
    iterated = marked.clone()
    for _ in range(3000):
        iterated = 0.99 * affinity.spread(iterated) + 0.01 * marked
    np.testing.assert_allclose(found.numpy(), iterated.numpy(), rtol=2e-3, atol=1e-5)


def test_the_affinity_is_symmetric_and_normalised_as_in_the_paper() -> None:
    rgb, _ = picture()
    matrix = frame_affinity(grid_cells(rgb), rgb).matrix.to_dense().double()
    np.testing.assert_allclose(matrix.numpy(), matrix.T.numpy(), atol=1e-7)
    assert float(matrix.diagonal().abs().max()) == 0
    assert float(torch.linalg.eigvalsh(matrix).abs().max()) == pytest.approx(1, abs=1e-4)
    # Two cells in a row share one weight; nothing else is there to divide it by.
    pair = Affinity(torch.sparse_coo_tensor([[0, 1], [1, 0]], [0.3, 0.3], (2, 2), check_invariants=False))
    np.testing.assert_allclose(pair.matrix.to_dense().numpy(), [[0, 1], [1, 0]], atol=1e-6)


def test_a_grid_of_one_row_works() -> None:
    affinity = frame_affinity(torch.ones(1, 4, 3), np.zeros((8, 32, 3), np.uint8))
    labels = diffuse(affinity, torch.tensor([[1.0], [0], [0], [0]]), RULE.alpha)
    assert (labels > 0.1).all()


def test_one_stroke_finds_its_object_and_not_its_double() -> None:
    rgb, truth = picture()
    marks = np.zeros((H, W), np.uint8)
    cv2.line(marks, (26, 50), (46, 50), INSIDE, 3)
    cells = grid_cells(rgb)
    sure = certainty(frame_affinity(cells, rgb), marks, cells.shape[:2])
    assert sure.shape == (H, W)
    assert sure[50, 36] > 0.5 > 0.2 > sure[90, 70]
    assert iou(sharpen(rgb, sure, marks), truth) > 0.93


def test_strokes_are_kept_to_whatever_the_colours_say() -> None:
    rgb, truth = picture()
    marks = np.zeros((H, W), np.uint8)
    cv2.line(marks, (26, 50), (46, 50), INSIDE, 3)
    cv2.line(marks, (36, 66), (36, 80), INSIDE, 3)  # runs out of the disc
    marks[30:40, 30:44] = OUTSIDE
    found = sharpen(rgb, truth.astype(np.float32), marks)
    assert found[marks == INSIDE].all()
    assert not found[marks == OUTSIDE].any()


@pytest.mark.parametrize("way", ["network", "colour"])
def test_a_box_alone_is_enough(way: str) -> None:
    rgb, truth = picture()
    marks = np.full((H, W), OUTSIDE, np.uint8)
    marks[22:80, 8:66] = PROBABLY_INSIDE
    found = by_colour(rgb, marks) if way == "colour" else ScribbleReader(FakeTracker()).read(Frame(0, 0.0, rgb), marks)
    assert iou(found, truth) > 0.93


def test_nothing_inside_is_no_object() -> None:
    rgb, _ = picture()
    marks = np.zeros((H, W), np.uint8)
    marks[:4] = OUTSIDE
    assert not by_colour(rgb, marks).any()
    assert not ScribbleReader(FakeTracker()).read(Frame(0, 0.0, rgb), marks).any()


class FakeTracker:
    """Has a network that knows colours, and counts how often it is asked."""

    class embedder:  # noqa: N801
        device = torch.device("cpu")

    def __init__(self) -> None:
        self.short_side = 480
        self.looks = 0

    def embed(self, frame: Frame) -> torch.Tensor:
        self.looks += 1
        return grid_cells(frame.rgb)


def test_further_strokes_on_a_frame_cost_no_further_look_of_the_network() -> None:
    rgb, truth = picture()
    tracker = FakeTracker()
    reader = ScribbleReader(tracker)
    frame = Frame(0, 0.0, rgb)
    marks = np.zeros((H, W), np.uint8)
    cv2.line(marks, (30, 50), (42, 50), INSIDE, 3)
    first = reader.read(frame, marks)
    marks[80:84, 60:100] = OUTSIDE
    assert iou(reader.read(frame, marks), truth) > 0.9
    assert iou(first, truth) > 0.9
    assert tracker.looks == 1
    reader.read(Frame(1, 0.0, rgb[:, ::-1].copy()), marks)
    assert tracker.looks == 2
    with pytest.raises(ValueError, match="do not fit"):
        reader.read(frame, marks[:-1])
