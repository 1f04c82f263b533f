"""Stages are timed with the device idle in between."""

from __future__ import annotations

import pytest
import torch

from engine.evaluation.timing import time_exactly


class Embedder:
    name, channels, stride, cosine, logit_scale, dtype = "probe", 3, 8, True, 5.0, torch.float32

    def __init__(self, kind, log):
        self.device, self.log = torch.device(kind), log

    def embed(self, rgb):
        self.log.append("embed")
        return rgb


class DetailedEmbedder(Embedder):
    def embed_detailed(self, rgb):
        self.log.append("embed_detailed")
        return rgb, None


class Tracker:
    def __init__(self, embedder):
        self.embedder = embedder


@pytest.mark.parametrize("kind", [Embedder, DetailedEmbedder])
def test_a_card_is_waited_for_before_and_after_each_embedding(monkeypatch, kind):
    log = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: log.append(str(device)))
    tracker = Tracker(kind("cuda:1", log))
    time_exactly(tracker)
    rgb = torch.zeros(1)
    assert tracker.embedder.embed(rgb) is rgb
    assert log == ["cuda:1", "embed", "cuda:1"]
    assert isinstance(tracker.embedder, kind)
    if kind is DetailedEmbedder:
        assert tracker.embedder.embed_detailed(rgb)[0] is rgb
        assert log[3:] == ["cuda:1", "embed_detailed", "cuda:1"]
    for name in ("name", "channels", "stride", "cosine", "logit_scale", "dtype", "device"):
        assert getattr(tracker.embedder, name) == getattr(Embedder("cuda:1", log), name)


def test_the_processor_needs_no_waiting():
    embedder = Embedder("cpu", [])
    tracker = Tracker(embedder)
    time_exactly(tracker)
    assert tracker.embedder is embedder
