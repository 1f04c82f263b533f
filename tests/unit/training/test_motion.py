import numpy as np
import pytest

from engine.training.config import IGNORE, StillsConfig
from engine.training.motion import Movement, Still, clip_of_composition, clip_of_whole, line_kernel
from engine.training.thin_plate import ThinPlate

SIZE = 64


def _still(colour: tuple[int, int, int], *, ring: bool = False) -> Still:
    """A disc of one colour on black."""
    y, x = np.mgrid[:80, :100]
    distance = np.hypot(y - 40, x - 50)
    rgb = np.zeros((80, 100, 3), np.uint8)
    ids = np.zeros((80, 100), np.uint8)
    rgb[distance < 25] = colour
    ids[distance < 25] = 1
    if ring:
        ids[(distance >= 23) & (distance < 27)] = IGNORE
    return Still(rgb, ids)


RED, GREEN, WHITE = (250, 0, 0), (0, 250, 0), (250, 250, 250)


@pytest.mark.parametrize("seed", range(8))
def test_labels_stay_on_their_objects(seed: int) -> None:
    background = Still(np.zeros((80, 100, 3), np.uint8), np.ones((80, 100), np.uint8))
    config = StillsConfig(blur=0.0)
    rng = np.random.default_rng(seed)
    frames, ids = clip_of_composition([_still(RED), _still(GREEN)], background, None, range(5), SIZE, rng, config)
    assert frames.shape == (5, SIZE, SIZE, 3)
    assert set(np.unique(ids)) <= {0, 1, 2}
    red, green = frames[..., 0] > 125, frames[..., 1] > 125
    assert (red == (ids == 1)).mean() > 0.99
    assert (green == (ids == 2)).mean() > 0.99


def test_objects_move_smoothly_but_do_move() -> None:
    background = Still(np.zeros((80, 100, 3), np.uint8), np.zeros((80, 100), np.uint8))
    moved = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        _, ids = clip_of_composition([_still(RED)], background, None, range(5), SIZE, rng, StillsConfig())
        masks = ids == 1
        if not all(mask.any() for mask in masks):
            continue
        centres = np.array([np.argwhere(mask).mean(0) for mask in masks])
        steps = np.hypot(*np.diff(centres, axis=0).T)
        assert steps.max() < 0.15 * SIZE
        moved += steps.sum() > 1
    assert moved >= 3


def test_an_occluder_hides_the_object_and_is_background() -> None:
    background = Still(np.zeros((80, 100, 3), np.uint8), np.zeros((80, 100), np.uint8))
    hidden = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        config = StillsConfig(blur=0.0)
        frames, ids = clip_of_composition([_still(RED)], background, _still(WHITE), range(5), SIZE, rng, config)
        front = frames.min(-1) > 200
        assert front.any()
        assert (ids[front] == 0).mean() > 0.98
        red = (frames[..., 0] > 200) & (frames[..., 1] < 50)
        assert (ids[red] == 1).all()
        hidden += bool(red.any())
    assert hidden


def test_the_uncertain_rim_stays_ignored() -> None:
    rng = np.random.default_rng(1)
    _, ids = clip_of_whole(_still(RED, ring=True), range(4), SIZE, rng, StillsConfig(blur=0.0))
    assert set(np.unique(ids)) == {0, 1, IGNORE}


def test_a_still_that_moves_as_a_whole_shows_its_object_once() -> None:
    """The background behind the object is filled in: no red remains where the label says background."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        frames, ids = clip_of_whole(_still(RED), range(5), SIZE, rng, StillsConfig(blur=0.0))
        red = frames[..., 0] > 125
        assert red.any()
        assert (ids[red] == 1).mean() > 0.97


def test_movement_without_speed_stands_still() -> None:
    movement = Movement((3.0, 4.0), (0.0, 0.0), 2.0, 1.0, 0.0, 0.0, 0.0, np.zeros((9, 2)))
    assert np.allclose(movement.matrix(0), 2 * np.eye(2))
    assert np.allclose(movement.matrix(4), movement.matrix(0))
    assert np.allclose(movement.position(4), (3, 4))


def test_a_thin_plate_passes_through_its_controls_and_keeps_affine_maps() -> None:
    rng = np.random.default_rng(0)
    controls = rng.uniform(-1, 1, (7, 2))
    plate = ThinPlate(controls)
    given_displacements = rng.normal(size=(7, 2))
    assert np.allclose(plate.displacement(controls, given_displacements), given_displacements, atol=1e-8)
    matrix, shift = rng.normal(size=(2, 2)), rng.normal(size=2)
    points = rng.uniform(-2, 2, (20, 2))
    assert np.allclose(plate.displacement(points, controls @ matrix + shift), points @ matrix + shift, atol=1e-8)


@pytest.mark.parametrize("speed", [(0.0, 0.0), (9.0, 0.0), (0.0, -20.0), (200.0, 200.0)])
def test_blur_keeps_brightness(speed: tuple[float, float]) -> None:
    assert line_kernel(speed).sum() == pytest.approx(1)
