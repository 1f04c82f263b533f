"""The screen as a source: what is grabbed where, at which pace, and what is said when it cannot be."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SourceError
from engine.video.open import open_source
from engine.video.screen import FPS, Region, ScreenSource, ScreenSpec, screen_count, screen_picture

WIDTH, HEIGHT = 64, 48


class Screens:
    """Two screens side by side; every pixel tells its place: red its column, green its row."""

    monitors = (
        {"left": 0, "top": 0, "width": 2 * WIDTH, "height": HEIGHT},
        {"left": 0, "top": 0, "width": WIDTH, "height": HEIGHT},
        {"left": WIDTH, "top": 0, "width": WIDTH, "height": HEIGHT},
    )

    def __init__(self):
        self.closed = False
        self.fail = False

    def grab(self, place):
        if self.fail:
            raise RuntimeError("XGetImage() failed")
        rows = np.arange(place["top"], place["top"] + place["height"])[:, None]
        columns = np.arange(place["left"], place["left"] + place["width"])[None, :]
        bgra = np.zeros((place["height"], place["width"], 4), np.uint8)
        bgra[..., 2], bgra[..., 1] = columns, rows
        return SimpleNamespace(raw=bytearray(bgra.tobytes()), width=place["width"], height=place["height"])

    def close(self):
        self.closed = True


@pytest.mark.parametrize(
    ("spec", "left", "top", "size"),
    [
        ("screen:0", 0, 0, (64, 48)),
        ("screen:1", 64, 0, (64, 48)),
        ("screen:1:10,20,30,16", 74, 20, (30, 16)),
        ("screen:0:48,32,16,16", 48, 32, (16, 16)),
    ],
)
def test_the_named_part_is_delivered(spec, left, top, size):
    screens = Screens()
    source = ScreenSource(ScreenSpec.parse(spec), open_screens=lambda: screens)
    try:
        assert source.info.live
        assert (source.info.width, source.info.height) == size
        assert source.info.uri == spec
        assert source.info.fps == FPS
        rgb = source.read().rgb
        assert rgb.shape == (size[1], size[0], 3)
        assert rgb[0, 0].tolist() == [left, top, 0]
        assert rgb[-1, -1].tolist() == [left + size[0] - 1, top + size[1] - 1, 0]
    finally:
        source.close()
    assert screens.closed


def test_it_is_looked_at_at_an_even_pace():
    now, waits = [0.0], []

    def wait(seconds):
        waits.append(seconds)
        now[0] += seconds
        return False

    from engine.video.screen import _ScreenGrabber

    grabber = _ScreenGrabber(ScreenSpec(0), Screens, lambda: now[0])
    grabber.open()
    for _ in range(4):
        grabber.grab(wait)
        now[0] += 0.01
    assert waits == pytest.approx([1 / FPS - 0.01] * 3)
    now[0] += 1.0
    grabber.grab(wait)
    assert len(waits) == 3, "a picture that is late is not waited for, and none are made up for"
    grabber.grab(wait)
    assert waits[3] == pytest.approx(1 / FPS)
    grabber.close()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("screen:2", "There is no screen 2"),
        ("screen:0:50,0,20,20", "64 x 48 pixels"),
        ("screen:0:-1,0,20,20", "64 x 48 pixels"),
        ("screen:0:0,0,15,40", "at least 16 x 16"),
        ("screen:left", "does not name a screen"),
        ("screen:0:1,2,3", "does not name a screen"),
    ],
)
def test_what_is_not_there_is_named(spec, message):
    with pytest.raises(SourceError) as caught:
        ScreenSource(ScreenSpec.parse(spec), open_screens=Screens)
    assert message in f"{caught.value.message} {caught.value.way_out}"


def test_a_screen_that_cannot_be_read(monkeypatch):
    screens = Screens()
    screens.fail = True
    with pytest.raises(SourceError, match="cannot be read"):
        screen_picture(0, lambda: screens)
    assert screens.closed
    monkeypatch.setitem(__import__("sys").modules, "mss", None)
    with pytest.raises(SourceError, match="needs the package mss"):
        open_source("screen:0")


def test_screens_are_counted_and_shown():
    assert screen_count(Screens) == 2
    assert screen_picture(1, Screens)[0, 0].tolist() == [64, 0, 0]


@given(
    st.builds(
        ScreenSpec,
        st.integers(0, 9),
        st.none() | st.builds(Region, *[st.integers(-100, 10_000)] * 2, *[st.integers(0, 10_000)] * 2),
    )
)
def test_specs_survive_being_written(spec):
    assert ScreenSpec.parse(str(spec)) == spec
