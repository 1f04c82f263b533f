"""Counting what a frame costs: multiplications and additions of every product and convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

T = TypeVar("T")


def count_gflop(work: Callable[[], T]) -> float:
    """10^9 multiplications and additions of one call, the fused convolutions of `models.fused` included."""
    with FlopCounterMode(display=False, custom_mapping=_fused_convolutions()) as counter:
        work()
    return float(counter.get_total_flops()) / 1e9


def _fused_convolutions() -> dict[Any, Any]:
    operators = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
    return {} if operators is None else {operators: _convolution_flop}


def _convolution_flop(*shapes: Any, out_shape: Any = None, **_: Any) -> int:
    """`shapes` are those of the arguments: input, (added tensor,) weight O x I x kh x kw, ...; tensors only are tuples
    of numbers."""
    four = [tuple(shape) for shape in shapes if isinstance(shape, torch.Size) and len(shape) == 4]
    weight = four[-1]
    rows, columns = out_shape[-2:]
    return int(2 * weight[0] * weight[1] * weight[2] * weight[3] * rows * columns * out_shape[0])
