"""Replaying a network's kernels on a graphics card as one CUDA graph.

A small network is over before the processor has launched its kernels one by one; a graph launches all of them at once.
A graph holds fixed addresses, so input and output live in buffers of their own, one set per input shape.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

_SHAPES = 2  # graphs kept: the present working size and the one before
_WARM_UP = 3
_log = logging.getLogger(__name__)

Tensors = tuple[torch.Tensor | None, ...]
Network = Callable[[torch.Tensor], Tensors]
Capture = Callable[[Network, torch.Tensor], Network]


class Graphed:
    """A network that is captured at the first input of each shape and replayed from then on.

    Where capturing fails (an old driver, an operator that waits for the device) the network is called plainly for good.
    """

    def __init__(self, network: Network, capture: Capture | None = None) -> None:
        """`capture` records one call; the default is `capture_cuda`, tests bring another."""
        self._network = network
        self._capture = capture or capture_cuda
        self._replays: dict[tuple[torch.Size, torch.dtype], Network] = {}
        self.failed: str | None = None

    def __call__(self, x: torch.Tensor) -> Tensors:
        if self.failed is not None:
            return self._network(x)
        key = (x.shape, x.dtype)
        if key not in self._replays:
            if len(self._replays) >= _SHAPES:
                self._replays.pop(next(iter(self._replays)))
            try:
                self._replays[key] = self._capture(self._network, x)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self.failed = str(error).splitlines()[0]
                _log.info("no CUDA graph: %s", self.failed)
                self._replays.clear()
                return self._network(x)
        return self._replays[key](x)


def capture_cuda(network: Network, x: torch.Tensor) -> Network:
    """Record `network` for inputs of the shape of `x`.

    Raises:
        RuntimeError: it cannot be captured.
    """
    static = torch.empty_like(x, memory_format=torch.preserve_format)
    static.copy_(x)
    # Libraries choose their algorithms in the first calls, which must not be recorded; nor may they run on the stream
    # that others use.
    stream = torch.cuda.Stream(x.device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(x.device))
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            network(static)
    torch.cuda.current_stream(x.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = network(static)

    def replay(new: torch.Tensor) -> Tensors:
        static.copy_(new)
        graph.replay()
        return tuple(None if result is None else result.clone() for result in results)  # the next replay overwrites

    return replay
