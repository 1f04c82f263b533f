"""The pixel buffer of the widget: whatever is moved or invalidated, a refresh gives the picture as it should be."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.canvas.compositor import Pixels32
from app.canvas.view_buffer import ViewBuffer
from app.painting.raster import Rect

WIDTH, HEIGHT = 37, 29
offsets = st.integers(-45, 45)
steps = st.one_of(
    st.tuples(st.just("scroll"), offsets, offsets),
    st.tuples(st.just("change"), st.integers(0, WIDTH - 6), st.integers(0, HEIGHT - 5)),
    st.tuples(st.just("refresh"), st.just(0), st.just(0)),
)


class World:
    """An endless picture that a buffer shows a window of; some of its pixels change."""

    def __init__(self) -> None:
        self.left, self.top = 0, 0
        self.changes: dict[tuple[int, int], int] = {}
        self.composed = 0

    def compose(self, target: Pixels32, block: Rect) -> None:
        self.composed += block.area
        target[block.slices] = self.picture()[block.slices]

    def picture(self) -> Pixels32:
        x, y = np.meshgrid(np.arange(WIDTH) - self.left, np.arange(HEIGHT) - self.top)
        picture = ((x * 7919 + y * 104729) % 2**24).astype(np.uint32)
        for (cx, cy), value in self.changes.items():
            picture[(x - cx) // 6 + (y - cy) // 5 * 1000 == 0] = value
        return picture


@given(todo=st.lists(steps, max_size=12))
def test_any_order_of_moves_changes_and_refreshes_shows_the_right_picture(todo: list[tuple[str, int, int]]) -> None:
    buffer, world = ViewBuffer(), World()
    buffer.resize(WIDTH, HEIGHT)
    for number, (what, x, y) in enumerate(todo):
        if what == "scroll":
            world.left, world.top = world.left + x, world.top + y
            buffer.scroll(x, y)
        elif what == "change":
            world.changes[x - world.left, y - world.top] = number
            buffer.invalidate(Rect(x, y, 6, 5))
        else:
            buffer.refresh(world.compose)
    buffer.refresh(world.compose)
    np.testing.assert_array_equal(buffer.pixels, world.picture())
    assert buffer.image.pixel(3, 4) & 0xFFFFFF == world.picture()[4, 3]


def test_a_small_move_computes_only_what_comes_into_sight() -> None:
    buffer, world = ViewBuffer(), World()
    buffer.resize(WIDTH, HEIGHT)
    buffer.refresh(world.compose)
    world.composed, world.left, world.top = 0, 3, -2
    buffer.scroll(3, -2)
    buffer.refresh(world.compose)
    assert world.composed == 3 * HEIGHT + 2 * WIDTH
    buffer.refresh(world.compose)
    assert world.composed == 3 * HEIGHT + 2 * WIDTH
