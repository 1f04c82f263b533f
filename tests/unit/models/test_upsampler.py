"""Learned enlargement of labels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.enlarging import enlarge
from models.fused import Conv, conv_add_relu, conv_relu, fuse
from models.logits import DenseLogits, StageLogits
from models.resnet_half import STAGE_CHANNELS, STEM_CHANNELS, HalfResNetTrunk
from models.upsampler import (
    FACTOR,
    NEIGHBOURS,
    Upsampler,
    bilinear_logits,
    upsample_labels,
)


def test_it_starts_as_bilinear_enlargement() -> None:
    labels = torch.rand(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    logits = bilinear_logits().flatten().expand(2, 7, 9, -1)
    expected = F.interpolate(labels, scale_factor=float(FACTOR), mode="bilinear", align_corners=False)
    torch.testing.assert_close(upsample_labels(labels, logits), expected, atol=6e-3, rtol=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), columns=st.integers(1, 4), height=st.integers(1, 9), width=st.integers(1, 9))
def test_enlarged_labels_are_weighted_means_of_their_surroundings(
    seed: int, columns: int, height: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.rand(1, columns + 1, height, width, generator=generator).softmax(1)
    logits = 3 * torch.randn(1, height, width, NEIGHBOURS * FACTOR**2, generator=generator)
    fine = upsample_labels(labels, logits)
    assert fine.shape == (1, columns + 1, FACTOR * height, FACTOR * width)
    torch.testing.assert_close(fine.sum(1), torch.ones(1, FACTOR * height, FACTOR * width))
    cell = F.max_pool2d(fine, FACTOR)
    assert bool((cell <= F.max_pool2d(labels, 3, stride=1, padding=1) + 1e-6).all())
    one = upsample_labels(F.one_hot(labels.argmax(1), columns + 1).permute(0, 3, 1, 2).float()[:, :1], logits)
    assert bool(((one >= 0) & (one <= 1 + 1e-6)).all())


@pytest.mark.parametrize("columns", [1, 5])
@pytest.mark.parametrize("corner", [(0, 0), (4, 5)])
def test_only_edges_need_the_weights(columns: int, corner: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.zeros(columns, 24, 30)
    top, left = corner
    for column in range(columns):
        labels[column, top + 2 * column : top + 2 * column + 3, left + 3 : left + 9] = 1.0
    labels += 1e-4 * torch.rand(labels.shape, generator=generator)
    logits = torch.randn(24, 30, NEIGHBOURS * FACTOR**2, generator=generator)
    full = upsample_labels(labels[None], logits[None])[0]
    enlarged = enlarge(labels, DenseLogits(logits))
    rows, across = enlarged.planes.shape[1:]
    assert rows * across < full[0].numel()
    whole = torch.zeros_like(full)
    whole[:, FACTOR * enlarged.top :, FACTOR * enlarged.left :][:, :rows, :across] = enlarged.planes
    torch.testing.assert_close(whole, full, atol=1e-3, rtol=0)
    torch.testing.assert_close(enlarged.means, F.avg_pool2d(full, FACTOR), atol=1e-3, rtol=0)


def test_nothing_to_enlarge() -> None:
    enlarged = enlarge(torch.zeros(2, 5, 6), DenseLogits(torch.zeros(5, 6, NEIGHBOURS * FACTOR**2)))
    assert not enlarged.planes.any()
    assert not enlarged.means.any()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), height=st.integers(2, 9), width=st.integers(2, 9), dense=st.booleans())
def test_weights_of_a_few_cells_are_those_of_all(data: st.DataObject, height: int, width: int, dense: bool) -> None:
    count = height * width
    cells = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=count, unique=True))
    logits = a_frame_s_logits(8 * height, 8 * width)
    logits.DENSE_SHARE = -1.0 if dense else 2.0
    asked = torch.tensor(cells)
    torch.testing.assert_close(logits.at(asked), logits.all().flatten(0, 1)[asked], atol=1e-4, rtol=1e-4)


def test_sizes_that_are_no_multiples_of_a_cell_take_all_weights() -> None:
    logits = a_frame_s_logits(37, 51)
    asked = torch.tensor([34, 0, 7])
    torch.testing.assert_close(logits.at(asked), logits.all().flatten(0, 1)[asked])


def a_frame_s_logits(height: int, width: int) -> StageLogits:
    torch.manual_seed(0)
    upsampler = Upsampler(STEM_CHANNELS, *STAGE_CHANNELS)
    for conv in (upsampler.spread, upsampler.weights):
        torch.nn.init.normal_(conv.weight, std=0.1)
    with torch.inference_mode():
        stages = HalfResNetTrunk()(torch.rand(1, 3, height, width).contiguous(memory_format=torch.channels_last))
    return StageLogits(upsampler.requires_grad_(False), stages)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47), (17, 95)])
def test_weights_come_for_every_cell_of_odd_sizes_too(height: int, width: int) -> None:
    upsampler = Upsampler(STEM_CHANNELS, *STAGE_CHANNELS)
    with torch.inference_mode():
        logits = upsampler(HalfResNetTrunk()(torch.rand(1, 3, height, width)))
    assert logits.shape == (1, -(-height // 8), -(-width // 8), NEIGHBOURS * FACTOR**2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_convolutions_equal_plain_ones(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    conv = Conv(16, 24, 3, stride=2, padding=1).to(dtype).to(memory_format=torch.channels_last)
    x = torch.randn(1, 16, 9, 11).to(dtype).contiguous(memory_format=torch.channels_last)
    other = torch.randn(1, 24, 5, 6).to(dtype).contiguous(memory_format=torch.channels_last)
    plain = conv(x).detach()
    fuse(conv)
    assert conv.fused
    tolerance = {"atol": 0.04, "rtol": 0.02} if dtype == torch.bfloat16 else {"atol": 1e-5, "rtol": 1e-5}
    with torch.inference_mode():
        torch.testing.assert_close(conv(x), plain, **tolerance)
        torch.testing.assert_close(conv_relu(x, conv), plain.relu(), **tolerance)
        torch.testing.assert_close(conv_add_relu(x, conv, other), (plain + other).relu(), **tolerance)


def test_gradients_pass_through_the_plain_operators() -> None:
    conv = Conv(2, 2, 1)
    conv_add_relu(conv_relu(torch.rand(1, 2, 3, 3), conv), conv, torch.rand(1, 2, 3, 3)).sum().backward()
    assert conv.weight.grad is not None
