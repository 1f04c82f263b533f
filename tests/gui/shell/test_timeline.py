"""The time line: its model, clicking, scrubbing, what it draws."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QColor
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from app.panels.timeline_model import TimelineModel, tick_step
from app.panels.transport_bar import clock, timecode
from engine.runtime.messages import MaskKind

KINDS = st.dictionaries(st.integers(0, 400), st.sampled_from([MaskKind.TRACKED, MaskKind.KEYFRAME, MaskKind.STALE]))


@given(kinds=KINDS, pixels=st.integers(50, 2000))
def test_spans_cover_every_mask_once_in_order(kinds: dict[int, MaskKind], pixels: int) -> None:
    model = TimelineModel(401)
    model.set_kinds(kinds, {})
    spans = model.spans(pixels)
    for one, two in pairwise(spans):
        assert one.last < two.first
    for index, kind in kinds.items():
        (span,) = [s for s in spans if s.first <= index <= s.last]
        assert (span.kind is MaskKind.STALE) == (kind is MaskKind.STALE)
    reach = max(1, int(401 / pixels))
    for span in spans:  # no frame without a mask looks as if it had one, as far as pixels can tell
        inside = sorted(i for i in kinds if span.first <= i <= span.last)
        assert all(b - a <= reach for a, b in pairwise(inside))


def test_a_drop_in_confidence_is_a_span_of_its_own() -> None:
    model = TimelineModel(100)
    kinds = dict.fromkeys(range(100), MaskKind.TRACKED)
    model.set_kinds(kinds, {i: 0.2 if 40 <= i < 50 else 0.9 for i in range(100)})
    assert [(s.first, s.last, s.confidence) for s in model.spans(1000)] == [(0, 39, 0.9), (40, 49, 0.2), (50, 99, 0.9)]


def test_crowded_frames_show_their_lowest_confidence() -> None:
    model = TimelineModel(10_000)
    model.set_kinds(
        dict.fromkeys(range(10_000), MaskKind.TRACKED), {i: 0.1 if i == 5000 else 0.9 for i in range(10_000)}
    )
    spans = model.spans(100)
    assert len(spans) <= 100
    (worst,) = [s for s in spans if s.first <= 5000 <= s.last]
    assert worst.confidence == 0.1


def test_a_source_of_unknown_length_grows() -> None:
    model = TimelineModel(None)
    assert model.count == 0
    assert model.see(9)
    assert model.count == 10
    assert not model.see(3)


def test_keyframes_beside() -> None:
    model = TimelineModel(50)
    model.set_kinds({5: MaskKind.KEYFRAME, 6: MaskKind.TRACKED, 20: MaskKind.KEYFRAME}, {})
    assert model.keyframe_beside(10, -1) == 5
    assert model.keyframe_beside(10, +1) == 20
    assert model.keyframe_beside(5, -1) is None
    assert model.keyframe_beside(20, +1) is None


@given(
    count=st.integers(1, 200_000), width=st.floats(200, 3000), fps=st.sampled_from([None, 12.0, 23.976, 25.0, 59.94])
)
def test_labels_of_the_ruler_do_not_crowd(count: int, width: float, fps: float | None) -> None:
    step = tick_step(count, width, fps)
    assert step >= 1
    assert count / step <= max(width / 70.0 + 1, 1) or step >= 100_000


@pytest.mark.parametrize(
    ("seconds", "fps", "text"),
    [
        (0.0, 25.0, "00:00:00:00"),
        (0.04, 25.0, "00:00:00:01"),
        (62.96, 25.0, "00:01:02:24"),
        (3600.0, 25.0, "01:00:00:00"),
        (1001 / 30000, 30000 / 1001, "00:00:00:01"),
        (1.5, None, "00:00:01.50"),
    ],
)
def test_time_codes(seconds: float, fps: float | None, text: str) -> None:
    assert timecode(seconds, fps) == text


@given(index=st.integers(0, 100_000), fps=st.sampled_from([12.0, 24.0, 25.0, 30.0, 50.0, 60.0]))
def test_whole_rates_count_frames_exactly(index: int, fps: float) -> None:
    hours, minutes, seconds, frames = map(int, timecode(index / fps, fps).split(":"))
    assert ((hours * 60 + minutes) * 60 + seconds) * fps + frames == index


def test_clock() -> None:
    assert clock(59.9) == "00:59"
    assert clock(3661) == "01:01:01"


def at(shell: Any, index: int) -> QPoint:
    return QPoint(round(shell.window.timeline.x_of(index)), 27)


def test_a_click_goes_to_a_frame(shell: Any) -> None:
    shell.open()
    QTest.mouseClick(shell.window.timeline, Qt.MouseButton.LeftButton, pos=at(shell, 31))
    shell.pump()
    assert shell.session.last("seek") == ("seek", 31)
    assert shell.window.canvas.item.frame.index == 31


def test_dragging_scrubs_and_the_ends_hold(shell: Any) -> None:
    shell.open()
    line = shell.window.timeline
    QTest.mousePress(line, Qt.MouseButton.LeftButton, pos=at(shell, 10))
    for index in (15, 20, 25):
        QTest.mouseMove(line, at(shell, index))
    QTest.mouseMove(line, QPoint(line.width() + 200, 27))
    QTest.mouseRelease(line, Qt.MouseButton.LeftButton, pos=QPoint(line.width() + 200, 27))
    QTest.mouseMove(line, at(shell, 5))  # not pressed any more
    assert [call[1] for call in shell.session.calls if call[0] == "seek"] == [10, 15, 20, 25, 49]


@given(index=st.integers(0, 49))
def test_places_and_frames_agree(index: int) -> None:
    from app.panels.timeline import Timeline
    from app.theme import DARK
    from engine.video.source import SourceInfo, SourceKind

    line = Timeline(DARK)
    line.resize(900, 44)
    line.show_source(SourceInfo(SourceKind.FILE, "a", "a", 8, 8, 25.0, 50))
    assert line.index_at(line.x_of(index)) == index


def test_a_live_line_cannot_be_scrubbed_and_says_live(shell: Any) -> None:
    shell.open("camera:0")
    line = shell.window.timeline
    QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(200, 27))
    assert "seek" not in shell.session.names()
    red = QColor(shell.window.themes.theme.live)
    picture = line.grab().toImage()
    assert picture.pixelColor(19, picture.height() // 2) == red


def test_masks_keyframes_and_playhead_are_drawn(shell: Any) -> None:
    shell.open()
    line, theme = shell.window.timeline, shell.window.themes.theme
    kinds = {**dict.fromkeys(range(10, 30), MaskKind.TRACKED), 10: MaskKind.KEYFRAME}
    line.show_kinds(kinds, dict.fromkeys(range(11, 30), 0.95))
    line.show_frame(40)
    QApplication.processEvents()
    picture = line.grab().toImage()

    def color(index: int) -> str:
        return picture.pixelColor(round(line.x_of(index)), 27).name()  # type: ignore[no-any-return]

    assert color(10) == theme.keyframe
    assert color(20) == theme.tracked
    assert color(35) == theme.surface
    assert color(40) == theme.text


def test_masks_reach_the_line_while_tracking(shell: Any) -> None:
    shell.open()
    mask = shell.window.canvas
    QTest.mouseClick(mask, Qt.MouseButton.LeftButton, pos=mask.from_frame(40, 30).toPoint())
    shell.pump()
    QTest.keyClick(mask, Qt.Key.Key_Space)
    for _ in range(5):
        shell.session.advance()
    shell.pump()
    shell.bot.waitUntil(lambda: len(shell.window.timeline.model.kinds) == 6, timeout=3000)
