"""Embedding the next frame beside the engine changes when things are done, never what comes out."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from engine.propagation.recipe import ROBUST
from engine.runtime.embed_ahead import EmbedAhead, busy_seconds
from engine.runtime.jobs import FramePacket
from engine.runtime.mailbox import Mailbox, MailboxClosed, Policy
from engine.tracker import Tracker
from tests.unit.test_tracker import RED, ColourEmbedder, painted, scene

TIMEOUT = 10.0
FRAMES = 12


class Noting(ColourEmbedder):
    """Notes which thread embedded what, and with how many threads of PyTorch's; fails at `fail_in`'s call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []
        self.fail_in = ""

    def embed(self, rgb):
        name = threading.current_thread().name
        self.calls.append((name, torch.get_num_threads()))
        if self.fail_in and name.startswith(self.fail_in):
            raise RuntimeError("injected")
        return super().embed(rgb)


def frames():
    return [scene(index, (8 + 4 * index, 40, RED)) for index in range(FRAMES)]


def filled(mailbox: Mailbox[FramePacket]) -> Mailbox[FramePacket]:
    for frame in frames()[1:]:
        assert mailbox.put(FramePacket(frame, 0.0))
    mailbox.close()
    return mailbox


def track_all(tracker, ahead, mailbox, between=lambda number: None):
    masks, packets = [], []
    while True:
        try:
            packet = mailbox.get(TIMEOUT)
        except MailboxClosed:
            return masks, packets
        between(packet.frame.index)
        with ahead.step():
            masks.append(tracker.step(packet.frame, embedded=packet.embedded).mask)
        packets.append(packet)


def seeded(embedder):
    tracker = Tracker(embedder, ROBUST)
    first = frames()[0]
    tracker.step(first, painted(first.rgb.shape[:2], (8, 40, 1)))
    embedder.calls.clear()
    return tracker


@pytest.fixture
def plain_masks():
    tracker = seeded(Noting())
    return [tracker.step(frame).mask for frame in frames()[1:]]


def test_masks_are_the_same_and_another_thread_embeds_every_frame_once(plain_masks, torch_threads):
    torch_threads(2)
    embedder = Noting()
    tracker = seeded(embedder)
    mailbox = filled(Mailbox(FRAMES, Policy.BLOCK))
    with EmbedAhead(mailbox, lambda: tracker) as ahead:
        masks, packets = track_all(tracker, ahead, mailbox)
    assert all(np.array_equal(a, b) for a, b in zip(masks, plain_masks, strict=True))
    assert [name for name, _ in embedder.calls] == ["livemask-embed"] * (FRAMES - 1)
    assert all(packet.embedded is not None for packet in packets)
    assert torch.get_num_threads() == 2
    assert all(
        threads == (1 if packet.beside else 2) for packet, (_, threads) in zip(packets, embedder.calls, strict=True)
    )


@pytest.mark.parametrize("reason", ["one thread", "a network that takes all cores", "no tracker"])
def test_nothing_is_done_ahead_where_it_wins_no_time(plain_masks, torch_threads, reason):
    torch_threads(1 if reason == "one thread" else 2)
    embedder = Noting()
    embedder.takes_all_cores = reason == "a network that takes all cores"
    tracker = seeded(embedder)
    mailbox = filled(Mailbox(FRAMES, Policy.BLOCK))
    with EmbedAhead(mailbox, lambda: None if reason == "no tracker" else tracker) as ahead:
        masks, packets = track_all(tracker, ahead, mailbox)
    assert all(np.array_equal(a, b) for a, b in zip(masks, plain_masks, strict=True))
    assert all(packet.embedded is None for packet in packets)
    assert {name for name, _ in embedder.calls} == {threading.current_thread().name}


def test_what_fails_ahead_is_tried_again_by_the_engine(plain_masks, torch_threads):
    torch_threads(2)
    embedder = Noting()
    tracker = seeded(embedder)
    embedder.fail_in = "livemask-embed"
    mailbox = filled(Mailbox(FRAMES, Policy.BLOCK))
    with EmbedAhead(mailbox, lambda: tracker) as ahead:
        masks, _ = track_all(tracker, ahead, mailbox)
    assert all(np.array_equal(a, b) for a, b in zip(masks, plain_masks, strict=True))


def test_an_embedding_of_another_size_or_network_is_made_anew(torch_threads):
    torch_threads(2)
    tracker = seeded(Noting())
    sizes = []

    def change(index):
        if index == 4:
            tracker.choose_working_size(48)
        if index == 8:
            tracker.embedder = Noting()

    mailbox = filled(Mailbox(FRAMES, Policy.BLOCK))
    with EmbedAhead(mailbox, lambda: tracker) as ahead:
        masks, packets = track_all(tracker, ahead, mailbox, lambda i: (change(i), sizes.append(tracker.working_size)))
    assert tracker.working_size == (64, 48)
    assert packets[3].embedded.size == (128, 96), "it was made before the change"
    assert all(mask.any() for mask in masks)


def test_leaving_early_loses_no_packet(torch_threads):
    torch_threads(2)
    tracker = seeded(Noting())
    mailbox = filled(Mailbox(FRAMES, Policy.BLOCK))
    with EmbedAhead(mailbox, lambda: tracker):
        assert mailbox.get(TIMEOUT).frame.index == 1
    assert [mailbox.get(TIMEOUT).frame.index for _ in range(2, FRAMES)] == list(range(2, FRAMES))


def test_how_long_a_frame_keeps_the_engine_busy():
    tracker = seeded(Noting())
    frame = frames()[1]
    embedded = tracker.embed_ahead(frame)
    assert embedded.seconds > 0
    assert busy_seconds(FramePacket(frame, 0.0), 0.5) == 0.5
    assert busy_seconds(FramePacket(frame, 0.0, embedded), 0.5) == 0.5 + embedded.seconds
    assert busy_seconds(FramePacket(frame, 0.0, embedded, beside=True), 99.0) == 99.0
    assert busy_seconds(FramePacket(frame, 0.0, embedded, beside=True), 0.0) == embedded.seconds
