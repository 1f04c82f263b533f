"""How objects fare, as the user sees it: strips on the time line, icons in the list, the next doubt, the sound."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter
from PyQt6.QtTest import QTest

from app.panels.state_look import paint_state, state_color
from app.panels.state_strips import StateStrips
from app.theme import DARK, LIGHT, Theme
from engine.object_state import ObjectState
from engine.runtime.messages import MaskKind

SURE, UNSURE, LOST, FOUND = ObjectState.SURE, ObjectState.UNSURE, ObjectState.LOST, ObjectState.FOUND_AGAIN
WORST = [SURE, FOUND, UNSURE, LOST]
STATES = st.dictionaries(
    st.integers(0, 200), st.dictionaries(st.integers(1, 3), st.sampled_from(list(ObjectState)), max_size=3)
)


@given(states=STATES, pixels=st.integers(20, 400))
def test_spans_show_every_frame_and_never_better_than_it_was(
    states: dict[int, dict[int, ObjectState]], pixels: int
) -> None:
    strips = StateStrips()
    strips.set_states(states)
    assert set(strips.object_ids) == {i for told in states.values() for i in told}
    for object_id in strips.object_ids:
        spans = strips.spans(object_id, 201, pixels)
        assert all(one.last < two.first for one, two in pairwise(spans))
        for index, told in states.items():
            if object_id in told:
                (span,) = [s for s in spans if s.first <= index <= s.last]
                assert WORST.index(span.state) >= WORST.index(told[object_id])
                if pixels >= 201:
                    assert span.state is told[object_id]


@given(states=STATES, index=st.integers(0, 200), keyframes=st.sets(st.integers(0, 200), max_size=5))
def test_the_next_doubt_is_where_one_begins(
    states: dict[int, dict[int, ObjectState]], index: int, keyframes: set[int]
) -> None:
    strips = StateStrips()
    strips.set_states(states, keyframes)

    def doubtful(frame: int, object_id: int) -> bool:
        return states.get(frame, {}).get(object_id) in (UNSURE, LOST)

    begins = sorted(
        f for f in states if f not in keyframes and any(doubtful(f, i) and not doubtful(f - 1, i) for i in (1, 2, 3))
    )
    assert strips.doubt_beside(index, +1) == next((f for f in begins if f > index), None)
    assert strips.doubt_beside(index, -1) == next((f for f in reversed(begins) if f < index), None)


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_states_are_told_apart_without_colour(theme: Theme) -> None:
    """As grey pictures, patterns on: no two states look alike."""

    def grey(state: ObjectState) -> list[int]:
        image = QImage(40, 8, QImage.Format.Format_RGB32)
        image.fill(QColor(theme.surface))
        painter = QPainter(image)
        paint_state(painter, QRectF(0, 1, 39, 6), state, theme)
        painter.end()
        lightest = max(image.pixelColor(x, y).lightness() for x in range(40) for y in range(8))
        darkest = min(image.pixelColor(x, y).lightness() for x in range(40) for y in range(8))
        half = (lightest + darkest) / 2
        return [int(image.pixelColor(x, y).lightness() > half) for y in range(2, 6) for x in range(2, 38)]

    pictures = {state: grey(state) for state in ObjectState}
    for one in ObjectState:
        for two in ObjectState:
            if one is not two:
                assert sum(a != b for a, b in zip(pictures[one], pictures[two], strict=True)) > 10
    assert len({state_color(theme, state) for state in ObjectState}) == 4


def track_with(shell: Any, states: dict[int, dict[int, ObjectState]]) -> None:
    """Object 1 painted on frame 0 and tracked to the end, with these states."""
    shell.open()
    canvas = shell.window.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(40, 30).toPoint())
    shell.pump()
    shell.session.states_now = states
    QTest.keyClick(canvas, Qt.Key.Key_Space)
    shell.session.finish()
    shell.pump()
    line = shell.window.timeline
    shell.bot.waitUntil(lambda: len(line.model.kinds) == 50 and line.strips.object_ids == (1,), timeout=5000)


LIFE = {
    i: {1: UNSURE if 10 <= i < 14 else LOST if 14 <= i < 20 else FOUND if 20 <= i < 30 else SURE} for i in range(50)
}


def test_j_walks_the_doubts(shell: Any) -> None:
    track_with(shell, {**LIFE, **{i: {1: UNSURE} for i in range(40, 42)}})
    canvas = shell.window.canvas
    shell.window.tracking.go_to(0)
    shell.pump()
    for key, wanted in (("J", 10), ("J", 40), ("Shift+J", 10)):
        modifier = Qt.KeyboardModifier.ShiftModifier if "+" in key else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(canvas, Qt.Key.Key_J, modifier)
        shell.pump()
        assert canvas.item.frame.index == wanted
    QTest.keyClick(canvas, Qt.Key.Key_J, Qt.KeyboardModifier.ShiftModifier)
    shell.pump()
    assert canvas.item.frame.index == 10  # nothing before: it says so and stays


def test_the_strip_shows_the_states_and_tells_them(shell: Any) -> None:
    track_with(shell, LIFE)
    line, theme = shell.window.timeline, shell.window.themes.theme
    shell.bot.waitUntil(lambda: line.height() == line.sizeHint().height() > 44, timeout=5000)
    picture = line.grab().toImage()
    box = line.row_box(0)
    ratio = picture.devicePixelRatio()

    def colors(index: int) -> set[str]:
        x = round(line.x_of(index))
        return {
            picture.pixelColor(round((x + dx) * ratio), round((box.top() + dy) * ratio)).name()
            for dx in range(-3, 4)
            for dy in range(6)
        }

    assert theme.tracked in colors(5)
    assert {theme.unsure} < colors(12)  # striped
    assert theme.lost in colors(17)
    assert theme.found in colors(25)
    assert line.tip_at(QPointF(line.x_of(17), box.center().y())) == "Object 1: lost"
    assert line.tip_at(QPointF(line.x_of(25), box.center().y())) == "Object 1: found again"
    assert line.tip_at(QPointF(line.x_of(17), 5)) == ""


def test_the_list_shows_the_state_of_the_frame_on_display(shell: Any) -> None:
    track_with(shell, LIFE)
    row = shell.window.object_dock.row(1)
    for index, word in ((5, "sure"), (12, "unsure"), (16, "lost"), (22, "found again")):
        shell.window.tracking.go_to(index)
        shell.pump()
        assert row.state.toolTip() == row.state.accessibleName() == f"Object 1 is {word}"
        assert not row.state.pixmap().isNull()
    shell.session.close_source()
    shell.pump()
    assert shell.window.object_dock._states == {}


def test_a_sound_warns_when_a_live_object_is_lost(shell: Any) -> None:
    sounds: list[int] = []
    shell.window.states.beep = lambda: sounds.append(1)
    shell.open("camera:0")
    canvas = shell.window.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(40, 30).toPoint())
    shell.pump()
    shell.session.states_now = {i: {1: LOST if i in (5, 6, 12) else SURE} for i in range(40)}
    shell.session.track()

    def run(frames: range) -> None:
        for index in frames:
            shell.session.live_frame(index)
            shell.pump()

    run(range(1, 10))
    assert sounds == []  # nobody asked for it
    shell.trigger("lost_sound")
    assert shell.window.settings.lost_sound
    run(range(10, 20))
    assert sounds == [1]


def test_the_sound_warns_of_doubt_too_and_not_of_good_news(shell: Any) -> None:
    sounds: list[int] = []
    shell.window.states.beep = lambda: sounds.append(shell.session._position)
    shell.trigger("lost_sound")
    shell.open("camera:0")
    canvas = shell.window.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(40, 30).toPoint())
    shell.pump()
    course = [SURE, UNSURE, UNSURE, SURE, FOUND, SURE, UNSURE, LOST, UNSURE, SURE]
    shell.session.states_now = {index: {1: state} for index, state in enumerate(course, 1)}
    shell.session.track()
    for index in range(1, len(course) + 1):
        shell.window.states._last_sound = -100.0  # as if some time had passed
        shell.session.live_frame(index)
        shell.pump()
    assert sounds == [2, 7, 8]


def test_a_long_list_has_strips_for_the_first_and_the_selected(shell: Any) -> None:
    shell.open()
    for _ in range(9):
        shell.trigger("new_object")
    line = shell.window.timeline
    line.show_kinds({0: MaskKind.TRACKED}, {}, {0: dict.fromkeys(range(1, 10), SURE)})
    shell.window.objects.select(9)
    assert [item.id for item in line._rows()] == [1, 2, 3, 4, 5, 9]
