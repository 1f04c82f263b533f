"""A convolution with its ReLU, or with an addition and a ReLU, in one pass over memory, from weights packed beforehand.

oneDNN can do this inside the convolution; PyTorch's compiler uses the operators called here, which need no compiler
themselves. They are no public interface, so they are only used where they exist and keep their promise on a first try;
otherwise, and where gradients are recorded or a graph is traced, PyTorch's plain operators are.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Conv(nn.Conv2d):
    """A convolution that may keep packed copies of its weights (`fuse`). Otherwise it is a plain `nn.Conv2d`."""

    fused = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._packed: dict[torch.Size, torch.Tensor] = {}

    def packed(self, size: torch.Size) -> torch.Tensor:
        """The weights in the layout oneDNN wants for inputs of this size; in another one it takes twice as long."""
        packed = self._packed.get(size)  # two threads may embed at the same time
        if packed is None:
            if len(self._packed) >= _SIZES:
                self._packed.clear()
            packed = self._packed[size] = _pack(self, size)
        return packed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if _fuses(x, self):
            return _pointwise(x, self.packed(x.shape), self, "none")
        return super().forward(x)


_SIZES = 4  # input sizes whose packed weights are kept: a tracker changes its working size now and then


def fuse(network: nn.Module) -> None:
    """Let all `Conv` in `network` compute fused in inference on this CPU. Their weights must not change any more."""
    for module in network.modules():
        if isinstance(module, Conv) and module.weight.device.type == "cpu" and _works(module.weight.dtype):
            module.fused = True


def conv_relu(x: torch.Tensor, conv: Conv) -> torch.Tensor:
    """relu(conv(x))."""
    if _fuses(x, conv):
        return _pointwise(x, conv.packed(x.shape), conv, "relu")
    return F.relu(conv(x), inplace=True)


def conv_add_relu(x: torch.Tensor, conv: Conv, other: torch.Tensor) -> torch.Tensor:
    """relu(conv(x) + other)."""
    if _fuses(x, conv):
        return _pointwise_binary(x, other, conv.packed(x.shape), conv)
    return F.relu(conv(x) + other, inplace=True)


def _fuses(x: torch.Tensor, conv: Conv) -> bool:
    return conv.fused and torch.is_inference_mode_enabled() and x.device.type == "cpu" and not _tracing()


def _tracing() -> bool:
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def _geometry(conv: nn.Conv2d) -> tuple[Any, ...]:
    return conv.padding, conv.stride, conv.dilation, conv.groups


def _pack(conv: nn.Conv2d, size: torch.Size) -> torch.Tensor:
    weight = conv.weight.detach().to_mkldnn()
    packed: torch.Tensor = torch._C._nn.mkldnn_reorder_conv2d_weight(weight, *_geometry(conv), list(size))  # type: ignore[call-arg]
    return packed


def _pointwise(x: torch.Tensor, weight: torch.Tensor, conv: nn.Conv2d, then: str) -> torch.Tensor:
    result: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, conv.bias, *_geometry(conv), then, [], None
    )
    return result


def _pointwise_binary(x: torch.Tensor, other: torch.Tensor, weight: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    result: torch.Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
        x, other, weight, conv.bias, *_geometry(conv), "add", 1.0, "relu", [], None
    )
    return result


@cache
def _works(dtype: torch.dtype) -> bool:
    """Whether this PyTorch has the operators, and they give what the plain ones give."""
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    if not (available and hasattr(torch.ops.mkldnn, "_convolution_pointwise")):
        return False
    generator = torch.Generator().manual_seed(0)

    def random(channels: int) -> torch.Tensor:
        noise = torch.randn(1, channels, 6, 6, generator=generator).to(dtype)
        return noise.contiguous(memory_format=torch.channels_last)

    conv = nn.Conv2d(8, 8, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
    x, other = random(8), random(8)
    try:
        with torch.inference_mode():
            plain, packed = conv(x), _pack(conv, x.shape)
            found = (_pointwise(x, packed, conv, "relu"), _pointwise_binary(x, other, packed, conv))
    except (RuntimeError, TypeError, AttributeError, NotImplementedError):
        return False
    tolerance = 0.05 if dtype != torch.float32 else 1e-4
    wanted = (F.relu(plain), F.relu(plain + other))
    return all(torch.allclose(a.float(), b.float(), tolerance, tolerance) for a, b in zip(found, wanted, strict=True))
