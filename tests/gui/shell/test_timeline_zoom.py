"""Magnifying and moving the time line, small pictures below it, and long files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from app.bridge import EngineBridge
from app.panels.thumbnails import MOST, ThumbnailReader, stride_for
from app.panels.timeline import Timeline
from app.panels.timeline_model import TimelineModel
from app.panels.timeline_view import FEWEST, TimelineView
from app.settings import Settings
from app.theme import DARK
from app.window.main_window import MainWindow
from engine.errors import DeviceError
from engine.runtime.config import EngineConfig
from engine.runtime.messages import MaskKind
from engine.runtime.session import Session
from engine.video.file import VideoFileSource
from engine.video.source import SourceInfo, SourceKind

TWO_HOURS = 36_000  # frames, at 5 a second
TIMEOUT = 30_000


# -- which frames are on show ------------------------------------------------------------------------------------------
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("zoom"), st.floats(0.05, 20), st.floats(-50, 200_000)),
        st.tuples(st.just("scroll"), st.floats(-1e6, 1e6), st.just(0.0)),
        st.tuples(st.just("reveal"), st.floats(0, 1), st.just(0.0)),
    ),
    max_size=12,
)


@given(count=st.integers(1, 200_000), moves=MOVES)
def test_what_is_on_show_never_leaves_the_file(count: int, moves: list[tuple[str, float, float]]) -> None:
    view = TimelineView(count)
    for name, value, around in moves:
        if name == "zoom":
            view.zoom(value, around)
        elif name == "scroll":
            view.scroll(value)
        else:
            index = round(value * (count - 1))
            view.reveal(index)
            assert -1e-6 <= view.share_of(index) <= 1 + 1e-6
        whole = max(count - 1, 1)
        assert 0 <= view.first <= view.first + view.span <= whole + 1e-6
        assert view.span >= min(FEWEST, whole)
        first, last = view.window
        assert 0 <= first <= last <= count - 1 or count == 1


@given(around=st.integers(0, 9_999), factor=st.floats(1.01, 50))
def test_the_frame_under_the_pointer_stays_there(around: int, factor: float) -> None:
    view = TimelineView(10_000)
    before = view.share_of(around)
    view.zoom(factor, around)
    assert view.share_of(around) == pytest.approx(before, abs=1e-6)
    view.zoom(1 / factor, around)
    assert view.first == pytest.approx(0, abs=1e-3)


@given(kinds=st.dictionaries(st.integers(0, 400), st.sampled_from(list(MaskKind)[1:])), at=st.integers(0, 390))
def test_spans_of_a_window_are_those_of_the_whole_within_it(kinds: dict[int, MaskKind], at: int) -> None:
    model = TimelineModel(401)
    model.set_kinds(kinds, {})
    window = (at, at + 10)
    covered = {i for span in model.spans(5000, window) for i in range(span.first, span.last + 1)}
    assert covered == {i for i in kinds if at <= i <= at + 10}
    keyframes = [i for i, kind in sorted(kinds.items()) if kind is MaskKind.KEYFRAME and at <= i <= at + 10]
    assert model.keyframes_within(*window) == keyframes


@pytest.mark.usefixtures("qapp")
@given(index=st.integers(0, TWO_HOURS - 1), factor=st.floats(1, 4000))
def test_places_and_frames_agree_when_magnified(index: int, factor: float) -> None:
    line = Timeline(DARK)
    line.resize(900, 44)
    line.show_source(SourceInfo(SourceKind.FILE, "a", "a", 8, 8, 5.0, TWO_HOURS))
    line.view.zoom(factor, index)
    per_pixel = line.view.span / 872
    assert abs(line.index_at(line.x_of(index)) - index) <= max(per_pixel, 0)


def wheel(line: Timeline, x: float, notches: int, control: bool) -> None:
    modifiers = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
    place = QPointF(x, 27)
    event = QWheelEvent(
        place, line.mapToGlobal(place), QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton, modifiers,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(line, event)


def test_wheel_keys_and_middle_button(make_shell: Any) -> None:
    shell = make_shell(frame_count=10_000)
    shell.open()
    line = shell.window.timeline
    x = line.x_of(7_000)
    wheel(line, x, 10, control=True)
    assert line.view.span < 2_000
    assert line.x_of(7_000) == pytest.approx(x, abs=1)
    first = line.view.first
    wheel(line, x, -2, control=False)
    assert line.view.first > first
    QTest.mousePress(line, Qt.MouseButton.MiddleButton, pos=QPoint(300, 27))
    before = line.view.first
    QTest.mouseMove(line, QPoint(400, 27))
    QTest.mouseRelease(line, Qt.MouseButton.MiddleButton, pos=QPoint(400, 27))
    assert line.view.first < before
    assert "seek" not in shell.session.names()
    QTest.keyClick(shell.window.canvas, Qt.Key.Key_Backslash)
    assert line.view.is_whole
    QTest.keyClick(shell.window.canvas, Qt.Key.Key_Equal)
    assert line.view.span == pytest.approx(9_999 / 2)
    QTest.keyClick(shell.window.canvas, Qt.Key.Key_Minus)
    assert line.view.is_whole


def test_a_click_on_a_magnified_line_goes_to_that_very_frame(make_shell: Any) -> None:
    shell = make_shell(frame_count=TWO_HOURS)
    shell.open()
    line = shell.window.timeline
    line.zoom(1000, 20_000)
    for index in (20_003, 20_004):
        QTest.mouseClick(line, Qt.MouseButton.LeftButton, pos=QPoint(round(line.x_of(index)), 27))
        assert shell.session.last("seek") == ("seek", index)


def test_the_line_follows_the_frame_shown_and_a_drag_beyond_its_end(make_shell: Any) -> None:
    shell = make_shell(frame_count=10_000)
    shell.open()
    line = shell.window.timeline
    line.zoom(100, 0)
    shell.window.tracking.go_to(5_000)
    shell.pump()
    assert 0 <= line.view.share_of(5_000) <= 1
    QTest.mousePress(line, Qt.MouseButton.LeftButton, pos=QPoint(400, 27))
    QTest.mouseMove(line, QPoint(line.width() + 60, 27))
    QTest.mouseRelease(line, Qt.MouseButton.LeftButton, pos=QPoint(line.width() + 60, 27))
    assert shell.session.last("seek")[1] > 5_000
    assert 0 <= line.view.share_of(line.current) <= 1


def test_another_source_starts_with_all_frames(make_shell: Any) -> None:
    shell = make_shell(frame_count=500)
    shell.open()
    shell.window.timeline.zoom(10)
    shell.open("/videos/other.mp4")
    assert shell.window.timeline.view.is_whole


# -- a file of two hours -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def two_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours at five frames a second; the brightness of a frame says which one it is."""
    path: Path = tmp_path_factory.mktemp("long") / "two_hours.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", 5)
        stream.width, stream.height, stream.gop_size = 32, 16, 50
        picture = np.zeros((16, 32, 3), np.uint8)
        for index in range(TWO_HOURS):
            picture[:] = index * 255 // TWO_HOURS
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    return path


class CountingSource(VideoFileSource):
    """Counts the frames handed out, and holds them back while the gate is closed."""

    handed_out = 0
    gate = threading.Event()

    def read(self) -> Any:
        assert type(self).gate.wait(30)
        type(self).handed_out += 1
        return super().read()


@pytest.fixture
def long_window(qtbot: Any, tmp_path: Path, two_hours: Path, show_active: Any) -> Any:
    CountingSource.handed_out = 0
    CountingSource.gate.set()

    def no_engine(*_: Any) -> Any:
        raise DeviceError("There is no engine in this test.")

    session = Session(opener=lambda uri: CountingSource(Path(uri)), create_tracker=no_engine)
    bridge = EngineBridge(session)
    window = MainWindow(bridge, Settings(tmp_path / "settings.ini"), EngineConfig())
    qtbot.addWidget(window, before_close_func=lambda w: w.close_at_once())
    window.actions_table["show_thumbnails"].setChecked(False)
    window.timeline.show_thumbnails(False)
    show_active(window)
    bridge.start()
    window.opening.open(str(two_hours))
    qtbot.waitUntil(lambda: window.canvas.item is not None, timeout=TIMEOUT)
    return window


def test_a_hundred_scrubs_end_on_the_last_and_read_only_a_few(long_window: Any, qtbot: Any) -> None:
    line = long_window.timeline
    before = CountingSource.handed_out
    CountingSource.gate.clear()  # the hand is faster than the decoder
    QTest.mousePress(line, Qt.MouseButton.LeftButton, pos=QPoint(20, 27))
    for step in range(100):
        QTest.mouseMove(line, QPoint(20 + step * 8, 27))
    wanted = line.index_at(20 + 99 * 8)
    QTest.mouseRelease(line, Qt.MouseButton.LeftButton, pos=QPoint(20 + 99 * 8, 27))
    assert line.current == wanted  # the playhead is there already
    CountingSource.gate.set()
    qtbot.waitUntil(lambda: long_window.canvas.item.frame.index == wanted, timeout=TIMEOUT)
    assert long_window.canvas.item.frame.rgb.mean() == pytest.approx(wanted * 255 / TWO_HOURS, abs=6)
    qtbot.waitUntil(lambda: long_window.bridge._session._core.job is None, timeout=TIMEOUT)
    assert CountingSource.handed_out - before <= 2  # the one under way and the last: none waited in a queue


def test_small_pictures_of_two_hours_take_one_frame_each(two_hours: Path, qtbot: Any) -> None:
    got: dict[int, float] = {}
    done = threading.Event()

    def ready(uri: str, index: int, rgb: Any) -> None:
        got[index] = float(rgb.mean())
        if len(got) == 9:
            done.set()

    reader = ThumbnailReader(ready)
    reader.open(str(two_hours))
    wanted = list(range(0, TWO_HOURS, 4096))
    reader.want(wanted, 4096)
    assert done.wait(TIMEOUT / 1000)
    reader.close()
    assert sorted(got) == wanted
    for index, brightness in got.items():  # within one group of pictures, which is far less than a stride
        assert brightness == pytest.approx(index * 255 / TWO_HOURS, abs=6)
    assert reader.read_count == 9


def test_a_seek_point_is_near_and_never_ahead(two_hours: Path) -> None:
    source = VideoFileSource(two_hours)
    for index in (0, 1, 49, 50, 51, 17_777, TWO_HOURS - 1):
        assert 0 <= index - source.seek_point(index) < 50
        source.seek(source.seek_point(index))
        frame = source.read()
        assert frame is not None
        assert frame.index == source.seek_point(index)
    source.close()


# -- small pictures ----------------------------------------------------------------------------------------------------
class SlowSource:
    """Holds every read until it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.reads: list[int] = []
        self.closed = False
        self._next = 0

    def seek(self, index: int) -> None:
        self._next = index

    def read(self) -> Any:
        from engine.types import Frame

        self.reads.append(self._next)
        assert self.gate.acquire(timeout=30)
        return Frame(self._next, 0.0, np.full((40, 60, 3), self._next % 256, np.uint8))

    def close(self) -> None:
        self.closed = True


def test_the_newest_wish_wins_and_the_former_is_dropped(qtbot: Any) -> None:
    source, got = SlowSource(), []
    reader = ThumbnailReader(lambda uri, index, rgb: got.append(index), lambda uri: source)  # type: ignore[arg-type]
    reader.open("clip")
    reader.want(range(100), 1)
    qtbot.waitUntil(lambda: source.reads == [0], timeout=TIMEOUT)
    reader.want([500, 501], 1)
    source.gate.release(3)
    qtbot.waitUntil(lambda: got == [0, 500, 501], timeout=TIMEOUT)
    reader.pause(True)
    reader.want([7], 1)
    reader.open(None)
    qtbot.waitUntil(lambda: source.closed, timeout=TIMEOUT)
    assert source.reads == [0, 500, 501]
    reader.close()


@given(span=st.floats(1, 1e6), room=st.floats(100, 4000))
def test_thumbnails_neither_overlap_nor_lie_far_apart(span: float, room: float) -> None:
    stride = stride_for(span, room, 60)
    apart = stride * room / span
    assert apart >= 60 - 1e-6
    assert stride == 1 or apart < 2 * 60 + 1e-6
    assert stride < 4 or apart <= 1.5 * 60 + 1e-6


def test_pictures_appear_below_the_line_once_and_can_be_hidden(shell: Any, make_shell: Any, qtbot: Any) -> None:
    line = shell.window.timeline
    source = SlowSource()
    source.gate.release(10_000)
    line.thumbnails.reader._opener = lambda uri: source
    height = line.sizeHint().height()
    shell.open()
    assert line.sizeHint().height() > height
    qtbot.waitUntil(lambda: len(line.thumbnails.pictures) > 3, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not line.thumbnails.reader._wanted, timeout=TIMEOUT)
    assert len(source.reads) == len(set(source.reads)) <= MOST
    color = line.grab().toImage().pixelColor(round(line.x_of(0)) + 8, line.height() - 15)
    assert color.red() == color.green() == color.blue() == 0
    shell.trigger("show_thumbnails")
    assert line.sizeHint().height() == height
    again = make_shell(settings=shell.settings_path)
    assert not again.window.actions_table["show_thumbnails"].isChecked()


def test_painting_asks_the_model_for_what_is_on_show_only(make_shell: Any) -> None:
    """Moving the playhead draws from a picture that is there; a new picture looks at the window alone."""
    shell = make_shell(frame_count=TWO_HOURS)
    shell.open()
    line = shell.window.timeline
    line.show_kinds(dict.fromkeys(range(TWO_HOURS), MaskKind.TRACKED), {})
    line.zoom(500, 18_000)
    line.grab()
    asked: list[Any] = []
    spans = line.model.spans
    line.model.spans = lambda pixels, window: asked.append(window) or spans(pixels, window)  # type: ignore[method-assign]
    for index in range(18_000, 18_020):
        line.show_frame(index)
        line.grab()
    assert asked == []
    line.zoom(1.5)
    line.grab()
    ((first, last),) = asked
    assert last - first < 100
