import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.training.augment import colour_matrix, jitter_colours, number_objects
from engine.training.clips import ClipDataset, StepSampler, clip_positions
from engine.training.config import ClipConfig, StillsConfig
from engine.training.material import BrokenDataError, gather_material
from engine.training.pictures import BrokenSampleError, read_ids, read_pair
from engine.training.sources import DataSource, find_data
from tests.unit.training.conftest import FRAMES, NAMES, toy_config, toy_frame, write_toy


def _dataset(folder: Path, seed: int = 0, **clip: object) -> ClipDataset:
    options = ClipConfig(**{"references": 2, "crop": 32, **clip})  # type: ignore[arg-type]
    return ClipDataset([find_data(folder, "davis2016")], options, StillsConfig(), seed)


def test_a_clip_depends_on_its_number_and_the_seed_alone(toy_data: Path) -> None:
    first, second = _dataset(toy_data, colour_jitter=0.4), _dataset(toy_data, colour_jitter=0.4)
    second[3]  # a worker that has made other clips before makes the same one
    unpickled: ClipDataset = pickle.loads(pickle.dumps(second))
    for dataset in (second, unpickled):
        assert (first[7].frames == dataset[7].frames).all()
        assert first[7].name == dataset[7].name
    other = _dataset(toy_data, seed=1, colour_jitter=0.4)
    assert any((first[k].frames != other[k].frames).any() for k in range(3))


def test_a_pass_over_the_data_visits_every_target_once(toy_data: Path) -> None:
    dataset = _dataset(toy_data)
    expected = {f"{name} {last}" for name in NAMES for last in range(2, FRAMES)}
    assert len(dataset) == len(expected)
    for lap in range(2):
        assert {dataset[lap * len(dataset) + k].name for k in range(len(dataset))} == expected


def test_crop_and_flips_are_the_same_for_the_whole_clip(tmp_path: Path) -> None:
    """A still video must stay still, and the mask must stay on the object, whatever is drawn."""
    rgb, ids = toy_frame(0, 0)
    images, masks = tmp_path / "JPEGImages/480p/still", tmp_path / "Annotations/480p/still"
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for index in range(4):
        cv2.imwrite(str(images / f"{index:05}.png"), rgb[..., ::-1])
        cv2.imwrite(str(masks / f"{index:05}.png"), ids * 255)
    dataset = _dataset(tmp_path, crop_tries=20, colour_jitter=0.1, scale=(0.8, 1.3))
    for number in range(12):
        clip = dataset[number]
        assert (clip.frames == clip.frames[0]).all()
        assert (clip.masks == clip.masks[0]).all()
        assert clip.masks.any()
        reddish = clip.frames[0, ..., 0].astype(int) > clip.frames[0, ..., 2]
        core = cv2.erode((clip.masks[0] == 1).astype(np.uint8), np.ones((5, 5))) > 0
        outside = cv2.dilate((clip.masks[0] == 1).astype(np.uint8), np.ones((5, 5))) == 0
        assert reddish[core].mean() > 0.9
        assert reddish[outside].mean() < 0.1


def test_the_reference_strategies_of_table_2() -> None:
    def positions(last: int, **clip: object) -> list[int]:
        return clip_positions(last, 1, ClipConfig(**clip))  # type: ignore[arg-type]

    assert positions(50, references=1) == [49, 50]
    assert positions(50, references=3) == [47, 48, 49, 50]
    assert positions(50) == list(range(41, 51))
    assert positions(50, strategy="uniform") == [10, 14, 19, 24, 29, 34, 39, 44, 49, 50]
    assert positions(50, strategy="sparse") == [6, 14, 22, 30, 38, 46, 47, 48, 49, 50]


@given(
    last=st.integers(5, 200),
    step=st.integers(1, 9),
    strategy=st.sampled_from(["consecutive", "uniform", "sparse"]),
    targets=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_clips_have_their_length_and_end_at_the_target(last: int, step: int, strategy: str, targets: int) -> None:
    clip = ClipConfig(references=5, strategy=strategy, targets=targets if strategy == "consecutive" else 1)  # type: ignore[arg-type]
    last = max(last, clip.frames - 1)
    positions = clip_positions(last, step, clip)
    assert len(positions) == clip.frames
    assert positions == sorted(set(positions))
    assert positions[-1] == last
    assert positions[0] >= 0


@given(world=st.sampled_from([1, 2, 4]), accumulate=st.sampled_from([1, 2]), first=st.integers(0, 5))
@settings(max_examples=24, deadline=None)
def test_a_step_takes_the_same_clips_however_it_is_spread(world: int, accumulate: int, first: int) -> None:
    steps, batch = 6, 8
    taken: dict[int, list[int]] = {step: [] for step in range(first, steps)}
    for rank in range(world):
        sampler = StepSampler(first_step=first, steps=steps, batch=batch, accumulate=accumulate, rank=rank, world=world)
        passes = list(sampler)
        assert len(passes) == len(sampler)
        for number, clips in enumerate(passes):
            taken[first + number // accumulate] += clips
    assert {step: sorted(clips) for step, clips in taken.items()} == {
        step: list(range(step * batch, (step + 1) * batch)) for step in range(first, steps)
    }


def test_sources_are_drawn_by_weight(toy_data: Path) -> None:
    source = find_data(toy_data, "davis2016")
    two = [DataSource("davis2016", f, w, source.sequences[i : i + 1]) for i, f, w in ((0, "a", 3.0), (1, "b", 1.0))]
    dataset = ClipDataset(two, ClipConfig(references=2, crop=32), StillsConfig(), 0)
    names = [dataset[k].name.split()[0] for k in range(200)]
    assert 0.65 < names.count(NAMES[0]) / 200 < 0.85


def test_object_ids_become_as_few_columns_as_possible() -> None:
    ids = np.array([[[0, 7, 255], [200, 7, 0]]], np.uint8)
    assert number_objects(ids).tolist() == [[[0, 1, 255], [2, 1, 0]]]


def test_neutral_colour_change_is_none_and_grey_stays_grey() -> None:
    assert np.allclose(colour_matrix(1, 1, 1, 0, 100), np.eye(3, 4), atol=1e-9)
    grey = np.full((1, 4, 4, 3), 90, np.uint8)
    config = ClipConfig(colour_jitter=0.4, hue_jitter=0.5)
    changed = jitter_colours(grey, np.random.default_rng(3), config)
    assert np.ptp(changed.astype(int), axis=-1).max() <= 1
    assert np.allclose(
        colour_matrix(1, 1, 0, 0, 0)[:, :3], np.tile([0.299, 0.587, 0.114], (3, 1)), atol=1e-9
    )  # no saturation: luma everywhere
    assert np.allclose(colour_matrix(1, 0.5, 1, 0, 80) @ [80, 80, 80, 1], 80)  # contrast turns about the mean


def test_masks_of_stills_and_of_davis(tmp_path: Path) -> None:
    def write(values: list[int]) -> str:
        path = tmp_path / "mask.png"
        cv2.imwrite(str(path), np.array([values], np.uint8))
        return str(path)

    assert read_ids(write([0, 128, 255]), coding="still").tolist() == [[0, 255, 1]]
    assert read_ids(write([0, 1, 3]), coding="still").tolist() == [[0, 1, 3]]
    assert read_ids(write([0, 255, 3]), coding="binary").tolist() == [[0, 1, 0]]
    assert read_ids(write([0, 1, 2]), coding="binary").tolist() == [[0, 1, 1]]
    palette = Image.fromarray(np.array([[0, 2, 255]], np.uint8))
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] * 85 + [0, 0, 0])
    palette.save(tmp_path / "palette.png")
    assert read_ids(str(tmp_path / "palette.png"), coding="ids").tolist() == [[0, 2, 255]]


def _damage(folder: Path) -> None:
    truncated = folder / "JPEGImages/480p/ant/00001.jpg"
    truncated.write_bytes(truncated.read_bytes()[:-200])
    cv2.imwrite(str(folder / "Annotations/480p/bee/00002.png"), np.zeros((10, 10), np.uint8))
    (folder / "Annotations/480p/cow/00003.png").write_bytes(b"no picture")


def test_a_truncated_jpeg_is_broken_and_not_half_a_picture(tmp_path: Path) -> None:
    folder = write_toy(tmp_path)
    _damage(folder)
    with pytest.raises(BrokenSampleError, match=r"ant/00001\.jpg.*damaged"):
        read_pair(
            str(folder / "JPEGImages/480p/ant/00001.jpg"),
            str(folder / "Annotations/480p/ant/00001.png"),
            coding="binary",
        )


def test_broken_samples_are_named_and_replaced(tmp_path: Path) -> None:
    folder = write_toy(tmp_path)
    _damage(folder)
    (folder / "Annotations/480p/dog-toy/00004.png").unlink()
    material = gather_material([find_data(folder, "davis2016")], toy_config())
    broken = material.broken_samples(limit=1.0)
    for number in range(2 * len(material.clips)):
        clip = material.clips[number]
        assert clip.frames.shape == (3, 32, 32, 3)
        broken.add(clip.broken)
    assert broken.found == {
        "dog-toy/00004": "no mask",
        "ant/00001.jpg": "the file is damaged",
        "bee/00002.png": "the mask is 10 x 10, not 48 x 48",
        "cow/00003.png": "the file is damaged",
    }
    assert broken.summary() == "4 of 20 samples were broken and left out."


def test_too_many_broken_samples_stop_the_run() -> None:
    from engine.training.material import BrokenSamples

    broken = BrokenSamples(total=200, limit=0.01)
    broken.add([("a", "gone"), ("a", "gone"), ("b", "gone")])
    broken.check()  # exactly 1 %
    broken.add([("c", "torn")])
    with pytest.raises(BrokenDataError, match=r"3 of 200 .* c \(torn\)"):
        broken.check()
