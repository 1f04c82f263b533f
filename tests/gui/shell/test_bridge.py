"""The bridge: what arrives in the window, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.bridge import FAST_MS, IDLE_MS, EngineBridge
from engine.export.request import ExportRequest
from engine.runtime.messages import DisplayItem, MaskKind, Mode
from engine.types import Frame


def frame(index: int) -> Frame:
    return Frame(index, index / 25, np.zeros((8, 12, 3), np.uint8))


@pytest.fixture
def session(shell: Any) -> Any:
    return shell.session


@pytest.fixture
def bridge(shell: Any) -> EngineBridge:
    return cast(EngineBridge, shell.window.bridge)


@pytest.fixture
def shown(bridge: EngineBridge) -> list[DisplayItem]:
    items: list[DisplayItem] = []
    bridge.item_ready.connect(items.append)
    return items


def test_an_item_of_a_former_source_is_ignored(shell: Any, bridge: EngineBridge, shown: list[DisplayItem]) -> None:
    shell.open("/videos/a.mp4")
    shell.open("/videos/b.mp4")
    shown.clear()
    shell.session.put(DisplayItem(frame(7), None, generation=1))
    bridge.poll()
    assert shown == []


def test_an_item_that_comes_before_its_source_is_announced_waits(
    shell: Any, bridge: EngineBridge, shown: list[DisplayItem]
) -> None:
    shell.open("/videos/a.mp4")
    shown.clear()
    early = DisplayItem(frame(0), None, generation=2)
    shell.session.put(early)
    bridge.poll()
    assert shown == []
    shell.session.open("/videos/b.mp4")  # announces generation 2
    shell.session.take_display()
    bridge.poll()
    assert shown == [early]


def test_painted_objects_count_at_once(shell: Any, bridge: EngineBridge) -> None:
    shell.open()
    mask = np.zeros((64, 96), np.uint8)
    mask[3:9, 3:9] = 4
    item = shell.window.canvas.item
    bridge.set_mask(item.frame, mask, {4, 5})
    assert bridge.painted_ids == {4}  # without a poll; object 5 has no pixel


def test_masks_are_unsaved_until_exported(shell: Any, bridge: EngineBridge, tmp_path: Path) -> None:
    shell.open()
    assert not bridge.unsaved
    mask = np.ones((64, 96), np.uint8)
    bridge.set_mask(shell.window.canvas.item.frame, mask, {1})
    shell.pump()
    assert bridge.unsaved
    for incomplete in (ExportRequest("overlay", tmp_path), ExportRequest("masks", tmp_path, last=3)):
        bridge.export(incomplete)
        shell.pump()
        assert bridge.unsaved  # a video does not give the masks back, a part not all of them
    bridge.export(ExportRequest("masks", tmp_path))
    shell.pump()
    assert not bridge.unsaved
    bridge.set_mask(shell.window.canvas.item.frame, mask * 2, {2})
    shell.pump()
    assert bridge.unsaved
    bridge.clear_mask(shell.window.canvas.item.frame)
    shell.pump()
    assert not bridge.unsaved  # nothing is left to lose


def test_what_is_painted_live_is_unsaved_and_what_is_tracked_is_not(shell: Any, bridge: EngineBridge) -> None:
    shell.open("camera:0")
    frame = shell.window.canvas.item.frame
    bridge.set_mask(frame, np.ones((64, 96), np.uint8), {1})
    shell.pump()
    assert bridge.unsaved
    bridge.track()
    shell.session.live_frame(1)
    shell.pump()
    bridge.pause()
    bridge.clear_mask(frame)
    shell.pump()
    assert list(bridge.mask_kinds().values()) == [MaskKind.TRACKED]
    assert not bridge.unsaved


def test_the_timer_slows_down_at_rest(shell: Any, bridge: EngineBridge, qtbot: QtBot) -> None:
    shell.open()
    assert bridge._timer.interval() == FAST_MS  # just after a command
    qtbot.waitUntil(lambda: bridge._timer.interval() == IDLE_MS, timeout=5000)
    shell.session._set_mode(Mode.TRACKING)
    bridge.poll()
    assert bridge._timer.interval() == FAST_MS


def test_shutdown_is_bounded_and_stops_the_timers(shell: Any, bridge: EngineBridge) -> None:
    assert bridge.shutdown(1.5)
    assert shell.session.calls[-1] == ("shutdown", 1.5)
    assert not bridge._timer.isActive()
    assert not bridge._stats_timer.isActive()
