"""Helpers of the model tests: networks that look trained, and a misbehaving server on the loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
import torchvision
from torch import nn

from models.spec import WeightsFile


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are tiny: several OpenMP threads only wait for each other, on a busy machine for very long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _look_trained(network: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight.zero_()
                module.bias.zero_()
            if isinstance(module, nn.Conv2d):  # He scale
                fan_in = module.weight[0].numel()
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * (2 / fan_in) ** 0.5)
            if isinstance(module, nn.BatchNorm2d):
                size = module.running_mean.shape
                module.running_mean.copy_(torch.randn(size, generator=generator) * 0.1)
                module.running_var.copy_(torch.rand(size, generator=generator) + 0.5)
                module.weight.copy_(torch.rand(size, generator=generator) * 0.4 + 0.4)
                module.bias.copy_(torch.randn(size, generator=generator) * 0.1)
                module.num_batches_tracked.fill_(100)
    return network.eval()


@pytest.fixture(scope="session")
def look_trained() -> Callable[[nn.Module], nn.Module]:
    """Gives a network weights and BatchNorm statistics as if it had been trained (the same on every call)."""
    return _look_trained


@pytest.fixture(scope="session")
def imagenet_resnet50() -> nn.Module:
    """torchvision's ResNet-50 with weights that look trained."""
    with torch.device("meta"):  # skips torchvision's own random numbers
        network = torchvision.models.resnet50()
    return _look_trained(network.to_empty(device="cpu"))


@dataclass
class Mirror:
    """A web server with one file and one way to misbehave.

    Attributes:
        mode: "range" (well-behaved), "no-range" (ignores Range), "truncate" (closes after half of what it should send),
            "corrupt" (flips a byte), "endless" (never stops sending), "redirect" (to `location`), or a status code.
        ranges: the Range header of each request, "" for none.
        gate: when set to an Event, answers wait for it.
    """

    content: bytes
    mode: str = "range"
    location: str = ""
    truncations: int = 1_000_000
    ranges: list[str] = field(default_factory=list)
    gate: threading.Event | None = None
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        mirror = self.server.mirror
        asked = self.headers.get("Range", "")
        mirror.ranges.append(asked)
        if mirror.gate is not None:
            mirror.gate.wait(30)
        if mirror.mode.isdigit():
            self.send_response(int(mirror.mode))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if mirror.mode == "redirect":
            self.send_response(302)
            self.send_header("Location", mirror.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = mirror.content
        if mirror.mode == "corrupt":
            content = bytes([content[0] ^ 1]) + content[1:]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and mirror.mode != "no-range" else 0
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if mirror.mode != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if mirror.mode == "truncate" and mirror.truncations > 0:
            mirror.truncations -= 1
            body = body[: len(body) // 2]
        try:
            self.wfile.write(body)
            while mirror.mode == "endless":
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass  # the client hung up, as it should

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    mirror: Mirror


@pytest.fixture
def serve() -> Iterator[Callable[..., Mirror]]:
    """Starts a `Mirror` on the loopback; all are stopped at the end of the test."""
    servers: list[_Server] = []

    def start(content: bytes, mode: str = "range", **settings: object) -> Mirror:
        server = _Server(("127.0.0.1", 0), _Handler)
        server.mirror = Mirror(content, mode, **settings)  # type: ignore[arg-type]
        server.mirror.url = f"http://127.0.0.1:{server.server_address[1]}/weights.bin"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server.mirror

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def weights_file() -> Callable[..., WeightsFile]:
    """Describes `content` as a weights file with these mirrors."""

    def describe(content: bytes, *mirrors: Mirror | str, digits: int = 64) -> WeightsFile:
        urls = tuple(mirror if isinstance(mirror, str) else mirror.url for mirror in mirrors)
        return WeightsFile("weights.bin", hashlib.sha256(content).hexdigest()[:digits], len(content), urls)

    return describe
