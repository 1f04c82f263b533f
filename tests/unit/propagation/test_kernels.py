"""The fast kernels equal the plain implementation: odd sizes, 1-20 objects, 1-12 references, chunk and tile edges."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.propagation.affinity import DenseKernel, Votes, WindowedKernel, key_cells, query_cells
from engine.propagation.grid import TileLayout
from engine.propagation.prior import axis_log_prior, pair_log_prior, spatial_prior, window_log_prior
from engine.propagation.propagator import Propagator
from engine.propagation.recipe import PAPER, TRACE, Recipe
from engine.propagation.reference import Reference, propagate_labels
from engine.propagation.sampling import Sampling


def _unit(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def _scene(seed: int, height: int, width: int, objects: int, references: int) -> tuple[torch.Tensor, ...]:
    """Query h x w x C, keys R x h x w x C, labels R x h x w x d (rows sum to at most 1), known R x d."""
    generator = torch.Generator().manual_seed(seed)
    query = _unit(generator, height, width, 16)
    keys = _unit(generator, references, height, width, 16)
    labels = torch.rand(references, height, width, objects + 1, generator=generator).softmax(-1)[..., 1:]
    known = torch.rand(references, objects, generator=generator) > 0.3
    known[0] = True  # somebody knows every object
    return query, keys, labels, known


def _propagator(recipe: Recipe, height: int, width: int, objects: int) -> Propagator:
    propagator = Propagator(
        recipe,
        height=height,
        width=width,
        channels=16,
        logit_scale=10.0,
        dtype=torch.float32,
        device=torch.device("cpu"),
    )
    propagator.bank.reserve_objects(objects)
    return propagator


def _fill(rows: torch.Tensor, width: int) -> torch.Tensor:
    """Pad the last axis to the bank's number of object columns."""
    return torch.nn.functional.pad(rows, (0, width - rows.shape[-1]))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    height=st.integers(1, 27),
    width=st.integers(1, 37),
    objects=st.integers(1, 20),
    references=st.integers(1, 12),
    window=st.sampled_from([None, 1, 3, 12]),
    keyframes=st.integers(0, 3),
    pool=st.sampled_from([1, 2]),
    fine=st.integers(0, 3),
)
@example(seed=0, height=12, width=16, objects=8, references=1, window=3, keyframes=0, pool=1, fine=1)
@example(seed=1, height=13, width=17, objects=9, references=12, window=12, keyframes=3, pool=2, fine=1)
@example(seed=2, height=24, width=32, objects=20, references=2, window=1, keyframes=1, pool=2, fine=0)
def test_weighted_mean_equals_plain_implementation(
    seed: int,
    height: int,
    width: int,
    objects: int,
    references: int,
    window: int | None,
    keyframes: int,
    pool: int,
    fine: int,
) -> None:
    recipe = Recipe(
        name="test",
        sampling=Sampling.CONSECUTIVE_9,
        references=references,
        sigma_dense=4.0,
        motion_prior=False,
        window=window,
        pool_recent=pool,
        fine_references=fine,
        pool_keyframes=pool,
        keyframes=max(keyframes, 1),
        sigma_keyframe=9.0,
    )
    query, keys, labels, known = _scene(seed, height, width, objects, references + keyframes)
    propagator = _propagator(recipe, height, width, objects)
    bank = propagator.bank
    plain = []
    voice = known.float()
    if keyframes:  # the slots written below are keyframes references, references + 1, ...; the target is `references`
        reach = torch.where(known[references:], torch.arange(keyframes)[:, None].float(), torch.inf)
        voice[references:] = torch.where(reach == reach.amin(0), 1.0, 0.3) * known[references:]
    for index in range(references + keyframes):
        stored = (
            index,
            keys[index],
            _fill(labels[index], bank.objects),
            _fill(known[index], bank.objects),
        )
        is_keyframe = index >= references
        (bank.set_keyframe if is_keyframe else bank.add_recent)(*stored)
        plain.append(
            Reference(
                keys[index].permute(2, 0, 1),
                labels[index].permute(2, 0, 1),
                voice[index],
                sigma=9.0 if is_keyframe else 4.0,
                window=None if is_keyframe else window,
                pool=1 if not is_keyframe and window is not None and index >= references - fine else pool,
            )
        )
    expected, _ = propagate_labels(query.permute(2, 0, 1), plain, logit_scale=10.0)
    got, mass = propagator.propagate(query, references)
    torch.testing.assert_close(got[:objects], expected, atol=2e-5, rtol=0)
    assert torch.equal(mass, torch.ones(height, width))
    assert not got[objects:].any()


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    height=st.integers(1, 9),
    width=st.integers(1, 11),
    objects=st.integers(1, 20),
    references=st.integers(1, 12),
    chunk=st.integers(1, 100),
    top_k=st.sampled_from([0, 0, 1, 2, 5, 50, 2000]),
)
@example(seed=0, height=9, width=11, objects=2, references=4, chunk=7, top_k=5)
def test_softmax_equals_plain_implementation(
    seed: int, height: int, width: int, objects: int, references: int, chunk: int, top_k: int
) -> None:
    """The paper's recipe with the order of softmax and prior it has, at every chunk size, and with few voters."""
    query, keys, labels, known = _scene(seed, height, width, objects, references)
    known[:] = True
    kernel = DenseKernel(height, width, [8.0, 21.0], torch.device("cpu"))
    columns = torch.cat([labels, torch.ones_like(labels[..., :1])], -1)
    sigmas = [8.0 if index % 2 else 21.0 for index in range(references)]
    sums = kernel.softmax(
        7.0 * query.reshape(-1, 16),
        [key.reshape(-1, 16) for key in keys],
        [column.reshape(-1, objects + 1) for column in columns],
        sigmas,
        chunk=chunk,
        top_k=top_k,
    )
    plain = [
        Reference(k.permute(2, 0, 1), label.permute(2, 0, 1), row, sigma=sigma)
        for k, label, row, sigma in zip(keys, labels, known.float(), sigmas, strict=True)
    ]
    expected, mass = propagate_labels(query.permute(2, 0, 1), plain, logit_scale=7.0, renormalise=False, top_k=top_k)
    votes = Votes.empty(height, width, objects, torch.device("cpu"))
    for part in sums:
        votes.add(part, known[0].float())
    torch.testing.assert_close(votes.share() * sums[..., -1].sum(0), expected, atol=2e-5, rtol=0)
    torch.testing.assert_close(sums[..., -1].sum(0), mass, atol=2e-5, rtol=0)


def test_only_the_strongest_voters_have_a_say() -> None:
    """One voter: the cell with the greatest affinity times prior of all references gives its label, whole."""
    query, keys, labels, known = _scene(4, 7, 8, 3, 5)
    recipe = replace(PAPER, references=5, sampling=Sampling.CONSECUTIVE_9, motion_prior=False, top_k=1)
    propagator = _propagator(recipe, 7, 8, 3)
    bank = propagator.bank
    known[:] = True
    for index in range(5):
        row = (keys[index], _fill(labels[index], bank.objects), _fill(known[index], bank.objects))
        bank.add_recent(index, *row)
    got, mass = propagator.propagate(query, 5)
    logits = 10.0 * query.flatten(0, 1) @ keys.reshape(-1, 16).T
    prior = spatial_prior(7, 8, 8.0).repeat(1, 5)
    best = (logits.exp() * prior).argmax(1)
    of_best = prior.gather(1, best[:, None]).reshape(7, 8)
    torch.testing.assert_close(mass, of_best)
    expected = (labels.reshape(-1, 3)[best].reshape(7, 8, 3) * of_best[..., None]).permute(2, 0, 1)
    torch.testing.assert_close(got[:3], expected)


def test_voters_are_counted_for_the_plain_softmax_only() -> None:
    with pytest.raises(ValueError, match="plain softmax"):
        Recipe(name="test", top_k=5)
    with pytest.raises(ValueError, match="negative"):
        replace(PAPER, top_k=-1)


@pytest.mark.parametrize("chunk", [1, 2, 53, 54, 55, 1000])
def test_dense_kernel_does_not_depend_on_the_chunk(chunk: int) -> None:
    query, keys, labels, _ = _scene(3, 6, 9, 2, 2)
    kernel = DenseKernel(6, 9, [], torch.device("cpu"))
    arguments = (
        query_cells(query, 10.0, 5.0).flatten(0, 1),
        [key_cells(key).flatten(0, 1) for key in keys],
        [torch.cat([label, torch.ones(6, 9, 1)], -1).flatten(0, 1) for label in labels],
    )
    torch.testing.assert_close(kernel(*arguments, chunk=chunk), kernel(*arguments, chunk=54))


def test_bf16_stays_close_to_fp32() -> None:
    """The shift channel keeps the rounded logits small near the best match; without it the error is ten times this."""
    query, keys, labels, _ = _scene(5, 20, 30, 3, 2)
    query = torch.nn.functional.normalize(keys[0] + 0.3 * query, dim=-1)  # good matches exist, as in video
    results = {}
    for dtype in (torch.float32, torch.bfloat16):
        recipe = Recipe(name="test", sampling=Sampling.CONSECUTIVE_9, references=2, window=5, motion_prior=False)
        propagator = Propagator(
            recipe, height=20, width=30, channels=16, logit_scale=40.0, dtype=dtype, device=torch.device("cpu")
        )
        known = torch.arange(propagator.bank.objects) < 3
        for index in range(2):
            cells = keys[index].to(dtype)
            propagator.bank.add_recent(index, cells, _fill(labels[index], propagator.bank.objects), known)
        results[dtype] = propagator.propagate(query.to(dtype), 2)[0][:3]
    assert (results[torch.float32] - results[torch.bfloat16]).abs().mean() < 0.01


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 50),
    radius=st.integers(1, 13),
    channels=st.integers(1, 4),
    pool=st.sampled_from([1, 2]),
)
@settings(max_examples=40, deadline=None)
def test_the_block_of_a_tile_is_its_neighbourhood(
    height: int, width: int, radius: int, channels: int, pool: int
) -> None:
    layout = TileLayout(height, width, radius, pool=pool)
    rows, columns = -(-height // pool), -(-width // pool)
    cells = torch.arange(rows * columns * channels, dtype=torch.float32).reshape(rows, columns, channels) + 1
    blocks = torch.full((*layout.shape, channels), -1.0)
    layout.write(blocks, cells)
    step = layout.tile // pool
    for row in range(layout.rows):
        for column in range(layout.columns):
            block = blocks[row, column].reshape(layout.block, layout.block, channels)
            for y in (0, layout.halo, layout.block - 1):
                for x in (0, layout.halo, layout.block - 1):
                    at_y, at_x = row * step + y - layout.halo, column * step + x - layout.halo
                    inside = 0 <= at_y < rows and 0 <= at_x < columns
                    assert torch.equal(block[y, x], cells[at_y, at_x] if inside else torch.zeros(channels))
    query = torch.arange(height * width * channels, dtype=torch.float32).reshape(height, width, channels)
    assert torch.equal(layout.untile(layout.query_tiles(query)), query)


@pytest.mark.parametrize("pool", [1, 2])
def test_window_table_is_the_prior_of_a_grid_as_large_as_the_block(pool: int) -> None:
    layout = TileLayout(height=4, width=6, radius=4, tile=4, pool=pool)
    halo = layout.halo * pool
    side = layout.tile + 2 * halo
    expected = pair_log_prior(side, side, 8.0, 4, pool).reshape(side, side, layout.block**2)
    expected = expected[halo : halo + 4, halo : halo + 4].flatten(0, 1)
    torch.testing.assert_close(window_log_prior(layout, 8.0), expected)


def test_pair_prior_is_the_spatial_prior_where_nothing_is_pooled() -> None:
    torch.testing.assert_close(pair_log_prior(5, 7, 8.0, None).exp(), spatial_prior(5, 7, 8.0))
    centre = pair_log_prior(6, 6, None, 2, pool=2).reshape(6, 6, 3, 3)[0, 0]
    assert torch.isfinite(centre).tolist() == [[True, True, False], [True, True, False], [False, False, False]]


def test_a_frame_is_copied_for_the_kernel_once_and_again_when_it_changes() -> None:
    propagator = _propagator(Recipe(name="test", references=4, window=2, pool_recent=2, keyframes=1), 6, 7, 1)
    bank = propagator.bank
    generator = torch.Generator().manual_seed(0)
    known = torch.arange(bank.objects) < 1
    for index in range(6):
        bank.add_recent(index, _unit(generator, 6, 7, 16), _fill(torch.rand(6, 7, 1), bank.objects), known)
    query = _unit(generator, 6, 7, 16)
    assert propagator.propagate(query, 6)[0][0].any()
    bank.clear_column(0)
    assert not propagator.propagate(query, 6)[0].any()


def test_memory_of_10000_frames_is_the_memory_of_ten() -> None:
    propagator = _propagator(
        Recipe(name="test", sampling=Sampling.CONSECUTIVE_9, references=3, window=2, keyframes=2), 3, 4, 1
    )
    bank = propagator.bank
    generator = torch.Generator().manual_seed(0)
    known = torch.arange(bank.objects) < 1
    size, storage = bank.nbytes, None
    for index in range(10_000):
        keys = _unit(generator, 3, 4, 16)
        labels = _fill(torch.rand(3, 4, 1, generator=generator), bank.objects)
        bank.add_recent(index, keys, labels, known)
        if index % 100 == 0:
            bank.set_keyframe(index, keys, labels, known)
        if storage is None:
            storage = bank.recent[0].keys.untyped_storage().data_ptr()
    assert bank.nbytes == size
    assert bank.recent[0].keys.untyped_storage().data_ptr() == storage
    assert [slot.frame_index for slot in bank.recent] == list(range(9_991, 10_000))[-len(bank.recent) :]
    assert bank.keyframes[0].frame_index == 0, "the first keyframe never leaves"
    assert PAPER.history == 44


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.02), (torch.float16, 0.01)])
@pytest.mark.parametrize("grid", [(60, 107), (135, 240), (3, 400)])
def test_the_prior_rides_in_the_product(dtype: torch.dtype, tolerance: float, grid: tuple[int, int]) -> None:
    """Extra channels against the axis tables, at 480p, 1080p and an odd strip; summed in fp32 as matrix units do."""
    zero = torch.zeros(*grid, 4, dtype=dtype)
    rows = torch.arange(0, grid[0] * grid[1], 97)
    query = query_cells(zero, 30.0, 21.0).flatten(0, 1).float()[rows]
    log_prior = query @ key_cells(zero).flatten(0, 1).float().T
    y, x = rows // grid[1], rows % grid[1]
    expected = axis_log_prior(grid[0], 21.0)[y][:, :, None] + axis_log_prior(grid[1], 21.0)[x][:, None, :]
    assert ((log_prior - expected.flatten(1)).abs() / (1 + expected.flatten(1).abs() / 8)).max() < tolerance


@pytest.mark.parametrize("keyframe", [False, True])
def test_tiles_without_a_trace_of_an_object_are_left_out_unseen(
    keyframe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small object in a large frame: most tiles are skipped, and no label is off by more than a trace."""
    recipe = Recipe(
        name="test", sampling=Sampling.CONSECUTIVE_9, references=2, window=4, keyframes=1, sigma_keyframe=3.0
    )
    query, keys, _, _ = _scene(7, 40, 56, 1, 2)
    propagator = _propagator(recipe, 40, 56, 1)
    labels = torch.zeros(40, 56, propagator.bank.objects)
    labels[10:14, 20:26, 0] = 1.0
    labels[..., 0] += 0.5 * TRACE
    known = torch.arange(propagator.bank.objects) < 1
    for index in range(2):
        propagator.bank.add_recent(index, keys[index], labels, known)
    if keyframe:
        propagator.bank.set_keyframe(0, keys[0], labels, known)
    computed: list[int] = []
    original = WindowedKernel.__call__

    def counting(self: WindowedKernel, tiles: torch.Tensor, *rest: object) -> torch.Tensor:
        spans = rest[-1]
        computed.append(sum(last - first for first, last in spans) if isinstance(spans, list) else -1)
        return original(self, tiles, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(WindowedKernel, "__call__", counting)
    got, _ = propagator.propagate(query, 2)
    assert 0 < computed[0] < 5 * 7 / 2
    monkeypatch.setattr(Propagator, "_spans", lambda self, held: None)
    expected, _ = propagator.propagate(query, 2)
    assert computed[-1] == -1
    torch.testing.assert_close(got, expected, atol=TRACE, rtol=0)


@pytest.mark.parametrize("where", [(10, 20), (11, 21), (38, 54), (0, 0)])
@pytest.mark.parametrize("shown", [False, True])
@pytest.mark.parametrize("objects", [1, 3])
def test_keyframes_are_asked_about_few_cells_and_no_label_is_off(
    where: tuple[int, int], shown: bool, objects: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects of 2 x 2 cells anywhere are found by every second cell, also those that recent frames have lost."""
    height, width, channels = 40, 56, 32
    generator = torch.Generator().manual_seed(3)
    looks = _unit(generator, 1 + objects, channels)
    names = torch.zeros(height, width, dtype=torch.long)
    for number in range(objects):
        y, x = (where[0] + 12 * number) % (height - 1), (where[1] + 17 * number) % (width - 1)
        names[y : y + 2, x : x + 2] = 1 + number
    cells = torch.nn.functional.normalize(
        looks[names] + 0.02 * torch.randn(height, width, channels, generator=generator), dim=-1
    )
    recipe = Recipe(name="test", sampling=Sampling.CONSECUTIVE_9, references=2, window=4, keyframes=1, pool_keyframes=1)
    got = {}
    asked: list[int] = []
    original = DenseKernel.__call__

    def counting(self: DenseKernel, query: torch.Tensor, *rest: object) -> torch.Tensor:
        asked.append(len(query))
        return original(self, query, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(DenseKernel, "__call__", counting)
    for spacing in (1, 2):
        asked.clear()
        propagator = Propagator(
            replace(recipe, keyframe_lattice=spacing), height=height, width=width, channels=channels,
            logit_scale=40.0, dtype=torch.float32, device=torch.device("cpu"),
        )  # fmt: skip
        propagator.bank.reserve_objects(objects)
        labels = torch.zeros(height, width, propagator.bank.objects)
        for number in range(objects):
            labels[..., number] = (names == 1 + number).float()
        known = torch.arange(propagator.bank.objects) < objects
        propagator.bank.set_keyframe(0, cells, labels, known)
        propagator.bank.add_recent(0, cells, labels if shown else torch.zeros_like(labels), known)
        got[spacing], _ = propagator.propagate(cells, 1)
        assert propagator.from_keyframes is not None
        assert bool((propagator.from_keyframes[:objects].amax(0)[names > 0] > 0.9).all())
    torch.testing.assert_close(got[2], got[1], atol=TRACE, rtol=0)
    assert sum(asked) < 0.6 * height * width
