"""The switches of the virtual camera, on a fake device."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import numpy as np
import pytest

from engine.errors import ExportError
from engine.runtime.virtual_camera import VirtualCamera
from engine.video.overlay import compose_overlay
from tests.gui.shell.conftest import HEIGHT, WIDTH, make_frame

GREEN = (0, 177, 64)


class Devices:
    """Stands in for the system's cameras."""

    device = "Fake camera"

    def __init__(self) -> None:
        self.opened: list[tuple[int, int, float]] = []
        self.closed = 0
        self.last = np.zeros((1, 1, 3), np.uint8)
        self.fails: Exception | None = None
        self.users: set[int] = set()

    def open(self, width: int, height: int, fps: float) -> Devices:
        if self.fails is not None:
            raise self.fails
        self.opened.append((width, height, fps))
        return self

    def send(self, frame: Any) -> None:
        self.users.add(threading.get_ident())
        if self.fails is not None:
            raise self.fails
        self.last = frame

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def devices(shell: Any) -> Devices:
    made = Devices()
    shell.window.virtual_camera.make_camera = partial(VirtualCamera, open_device=made.open)
    return made


@pytest.fixture
def painted(shell: Any, devices: Devices) -> Any:
    """A frame with two objects on it."""
    shell.open()
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:30, 10:40], mask[40:50, 50:70] = 1, 2
    shell.window.bridge.set_mask(make_frame(0), mask, {1, 2})
    shell.window.bridge.seek(0)
    shell.pump()
    while 2 not in shell.window.objects:
        shell.trigger("new_object")
    shell.extra["mask"] = mask
    return shell


def switches(shell: Any) -> tuple[bool, bool]:
    table = shell.window.actions_table
    return table["virtual_overlay"].isChecked(), table["virtual_green"].isChecked()


def until_sent(shell: Any, devices: Devices, expected: Any) -> None:
    shell.bot.waitUntil(lambda: np.array_equal(devices.last, expected), timeout=10_000)


def overlay(shell: Any, mask: Any) -> Any:
    canvas = shell.window.canvas
    return compose_overlay(make_frame(0).rgb, mask, canvas.shown_style().colors, canvas.overlay_opacity)


def test_nothing_to_send_without_a_source(shell: Any, devices: Devices) -> None:
    assert not shell.window.actions_table["virtual_overlay"].isEnabled()
    shell.open()
    assert shell.window.actions_table["virtual_overlay"].isEnabled()
    assert devices.opened == []


def test_what_goes_out_is_what_is_shown(painted: Any, devices: Devices) -> None:
    mask, window = painted.extra["mask"], painted.window
    painted.trigger("virtual_overlay")
    until_sent(painted, devices, overlay(painted, mask))
    assert devices.opened[0][:2] == (WIDTH, HEIGHT)
    assert devices.users.isdisjoint({threading.get_ident()})
    painted.bot.waitUntil(lambda: any("Fake camera" in item.text for item in window.notices.items), timeout=10_000)
    window.looks.set_opacity(0.25)
    until_sent(painted, devices, overlay(painted, mask))
    window.objects.set_visible(2, False)
    until_sent(painted, devices, overlay(painted, np.where(mask == 2, 0, mask).astype(np.uint8)))
    painted.trigger("hide_overlay")
    until_sent(painted, devices, make_frame(0).rgb)


def test_the_two_pictures_take_turns_on_one_device(painted: Any, devices: Devices) -> None:
    painted.trigger("virtual_overlay")
    assert switches(painted) == (True, False)
    painted.trigger("virtual_green")
    assert switches(painted) == (False, True)
    green = np.where(painted.extra["mask"][..., None] > 0, make_frame(0).rgb, np.array(GREEN, np.uint8))
    until_sent(painted, devices, green)
    assert len(devices.opened) == 1
    painted.trigger("virtual_green")
    assert switches(painted) == (False, False)
    painted.bot.waitUntil(lambda: devices.closed == 1, timeout=10_000)


@pytest.mark.parametrize("ended_by", ["another source", "closing it", "closing the window"])
def test_it_ends_with_its_source(painted: Any, devices: Devices, ended_by: str) -> None:
    painted.trigger("virtual_overlay")
    painted.bot.waitUntil(lambda: devices.opened != [], timeout=10_000)
    if ended_by == "another source":
        painted.window.bridge.open("/videos/other.mp4")
    elif ended_by == "closing it":
        painted.window.bridge.close_source()
    else:
        painted.window.close_at_once()
    painted.pump()
    assert switches(painted) == (False, False)
    painted.bot.waitUntil(lambda: devices.closed == 1, timeout=10_000)


def test_what_fails_is_told_and_can_be_chosen_again(painted: Any, devices: Devices) -> None:
    devices.fails = ExportError("No virtual camera is there.", "Make one.")
    painted.trigger("virtual_overlay")
    painted.bot.waitUntil(lambda: switches(painted) == (False, False), timeout=10_000)
    notices = painted.window.notices
    painted.bot.waitUntil(lambda: any("No virtual camera" in item.text for item in notices.items), timeout=10_000)
    assert not any("Fake camera" in item.text for item in notices.items)
    devices.fails = None
    painted.trigger("virtual_overlay")
    until_sent(painted, devices, overlay(painted, painted.extra["mask"]))
    devices.fails = RuntimeError("pulled")
    painted.bot.waitUntil(lambda: switches(painted) == (False, False), timeout=10_000)
    painted.bot.waitUntil(lambda: any("takes no pictures" in item.text for item in notices.items), timeout=10_000)
    assert devices.closed == 1
