"""Learned enlargement of labels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fused import Conv, conv_add_relu, conv_relu, fuse
from models.resnet_half import STAGE_CHANNELS, STEM_CHANNELS, HalfResNetTrunk
from models.upsampler import (
    FACTOR,
    NEIGHBOURS,
    Upsampler,
    bilinear_logits,
    enlarge,
    upsample_labels,
    upsample_labels_at_edges,
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
def test_only_edges_need_the_weights(columns: int) -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.zeros(columns, 12, 15)
    for column in range(columns):
        labels[column, 2 * column : 2 * column + 3, 3:9] = 1.0
    labels += 1e-4 * torch.rand(labels.shape, generator=generator)
    logits = torch.randn(12, 15, NEIGHBOURS * FACTOR**2, generator=generator)
    full = upsample_labels(labels[None], logits[None])[0]
    torch.testing.assert_close(upsample_labels_at_edges(labels, logits), full, atol=1e-3, rtol=0)
    torch.testing.assert_close(enlarge(labels, logits), full, atol=1e-3, rtol=0)


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
