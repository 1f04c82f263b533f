"""The window on the real session, real files and threads; only the network is replaced, by one that copies masks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from app.bridge import EngineBridge
from app.dialogs.export_dialog import ExportDialog
from app.settings import Settings
from app.window.main_window import MainWindow
from engine.preparing import Preparation
from engine.runtime.config import EngineConfig
from engine.runtime.messages import MaskKind, Mode
from engine.runtime.session import Session
from engine.types import Frame, Mask, SegmentationResult

Key = Qt.Key
CONTROL = Qt.KeyboardModifier.ControlModifier
TIMEOUT = 20_000


class CopyingTracker:
    """The mask of the last keyframe, wherever one looks."""

    evicted_keyframe = None
    embeds_ahead = False
    propagator = None
    bank_bytes = 1000
    bank_frames = (1, 1)
    working_size = (160, 120)
    device_text = "cpu (copies)"
    notice = ""
    embedder = SimpleNamespace(name="copies")
    recipe = SimpleNamespace(name="copies", references=5)
    short_side = 120
    preparation = Preparation(short_side, 1)

    def __init__(self) -> None:
        self._mask: Mask | None = None

    def step(
        self, frame: Frame, mask: Mask | None = None, *, touched: Collection[int] | None = None, embedded: object = None
    ) -> SegmentationResult:
        if mask is not None:
            self._mask = mask.copy()
            return SegmentationResult(frame, mask.copy(), is_keyframe=True)
        assert self._mask is not None
        return SegmentationResult(frame, self._mask.copy(), {int(i): 0.9 for i in np.unique(self._mask) if i})

    def delete_object(self, object_id: int) -> None:
        if self._mask is not None:
            self._mask = np.where(self._mask == object_id, 0, self._mask).astype(np.uint8)

    def merge_objects(self, object_id: int, into: int) -> None:
        if self._mask is not None:
            self._mask = np.where(self._mask == object_id, into, self._mask).astype(np.uint8)

    def forget_keyframe(self, frame_index: int) -> None: ...

    def set_live(self, live: bool) -> None: ...

    def choose_working_size(self, short_side: int | None) -> None: ...

    def set_quality(self, short_side: int, references: int | None = None) -> None: ...

    def release_memory(self) -> None: ...

    def rewind(self, frame_index: int, direction: int) -> None: ...

    def recall(self, frame: Frame, mask: Mask, object_ids: Collection[int]) -> None: ...

    def forget_tracked(self) -> None: ...

    def reset(self) -> None:
        self._mask = None

    @property
    def object_ids(self) -> tuple[int, ...]:
        return () if self._mask is None else tuple(int(i) for i in np.unique(self._mask) if i)


class App:
    """A window and what a user does with it. Every `until` waits for a state, never for a time."""

    def __init__(self, window: MainWindow, bot: QtBot) -> None:
        self.window = window
        self.bot = bot
        self.canvas = window.canvas
        self.bridge = window.bridge

    def until(self, state: Callable[[], object]) -> None:
        self.bot.waitUntil(lambda: bool(state()), timeout=TIMEOUT)

    def open(self, uri: str) -> None:
        self.window.opening.open(uri)
        self.until(lambda: self.bridge.mode in (Mode.FROZEN, Mode.PREVIEW) and self.canvas.item is not None)

    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.canvas, key, modifiers)

    def place(self, x: float, y: float) -> QPoint:
        return self.canvas.from_frame(x, y).toPoint()

    def stroke(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=self.place(*start))
        QTest.mouseMove(self.canvas, self.place(*end))
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=self.place(*end))

    @property
    def shown(self) -> int:
        assert self.canvas.item is not None
        return self.canvas.item.frame.index

    @property
    def notices(self) -> list[str]:
        return [item.text for item in self.window.notices.items]


@pytest.fixture
def app(qtbot: QtBot, tmp_path: Path, show_active: Callable[[QWidget], None]) -> Iterator[App]:
    session = Session(EngineConfig(), create_tracker=lambda config, progress: CopyingTracker())  # type: ignore[arg-type, return-value]
    settings = Settings(tmp_path / "settings.ini")
    settings.brush_radius = 6
    window = MainWindow(EngineBridge(session), settings, EngineConfig())
    qtbot.addWidget(window, before_close_func=lambda w: w.close_at_once())
    show_active(window)
    window.bridge.start()
    yield App(window, qtbot)
    window.close_at_once()
    assert window.stopped_in_time


def test_paint_track_correct_undo_export(app: App, disc_clip: Any, tmp_path: Path) -> None:
    app.open(str(disc_clip.path))
    last = len(disc_clip.masks) - 1
    assert app.window.transport.counter.text() == f"Frame 0 / {last}"

    app.stroke((70, 50), (80, 60))
    app.until(lambda: app.bridge.painted_ids == {1})
    app.key(Key.Key_Space)
    app.until(lambda: app.bridge.mode is Mode.FROZEN and app.shown == last)
    app.until(lambda: len(app.window.timeline.model.kinds) == last + 1)
    assert app.window.timeline.model.keyframes == [0]
    assert app.canvas.displayed_mask is not None
    assert app.canvas.displayed_mask[55, 75] == 1

    # A second object, in the middle; what was tracked behind it is out of date until it is tracked again.
    app.window.tracking.go_to(10)
    app.until(lambda: app.shown == 10)
    app.key(Key.Key_N)
    app.stroke((30, 30), (36, 34))
    app.until(lambda: app.window.timeline.model.keyframes == [0, 10])
    assert app.bridge.mask_at(last)[1] is MaskKind.STALE
    app.key(Key.Key_F)
    app.until(lambda: app.bridge.mode is Mode.FROZEN and app.shown == last)
    mask = app.bridge.mask_at(last)[0]
    assert mask is not None
    assert set(np.unique(mask)) == {0, 1, 2}

    # Undo goes back to the frame it concerns, twice: the stroke, then the object.
    app.key(Key.Key_Z, CONTROL)
    app.until(lambda: app.shown == 10)
    app.until(lambda: app.canvas.displayed_mask is not None and 2 not in np.unique(app.canvas.displayed_mask))
    app.key(Key.Key_Y, CONTROL)
    app.until(lambda: app.canvas.displayed_mask is not None and 2 in np.unique(app.canvas.displayed_mask))
    app.until(lambda: app.bridge.mask_at(10)[1] is MaskKind.KEYFRAME)

    app.window.output.export()
    (dialog,) = app.window.findChildren(ExportDialog)
    dialog.formats.choose("masks")
    dialog.where.edit.setText(str(tmp_path / "masks"))
    dialog.start()
    app.until(lambda: dialog.result() == ExportDialog.DialogCode.Accepted)
    written = sorted(path.name for path in (tmp_path / "masks").glob("*.png"))
    assert written == [f"{index:05}.png" for index in range(last + 1)]
    assert not app.bridge.unsaved
    assert not any("error" in text.lower() for text in app.notices)


def test_clearing_and_deleting_reach_the_store(app: App, disc_clip: Any) -> None:
    app.open(str(disc_clip.path))
    app.stroke((70, 50), (80, 60))
    app.until(lambda: app.bridge.mask_at(0)[1] is MaskKind.KEYFRAME)
    app.key(Key.Key_Backspace)
    app.until(lambda: app.bridge.mask_at(0)[1] is MaskKind.NONE)
    app.until(lambda: app.bridge.painted_ids == frozenset())
    app.key(Key.Key_Z, CONTROL)
    app.until(lambda: app.bridge.mask_at(0)[1] is MaskKind.KEYFRAME)
    app.key(Key.Key_Period)  # track one frame
    app.until(lambda: app.bridge.mask_at(1)[1] is MaskKind.TRACKED)
    app.key(Key.Key_Delete)
    app.until(lambda: app.bridge.mask_kinds() == {})
    app.key(Key.Key_Z, CONTROL)
    app.until(lambda: app.bridge.mask_at(0)[1] is MaskKind.KEYFRAME or app.shown == 1)
    assert app.window.objects.ids == (1,)


def test_objects_added_at_20_frames_leave_the_first_frame_as_it_was(app: App, disc_clip: Any) -> None:
    app.open(str(disc_clip.path))
    app.stroke((70, 50), (80, 60))
    app.until(lambda: app.bridge.mask_at(0)[1] is MaskKind.KEYFRAME)
    seed = app.bridge.mask_at(0)[0]
    assert seed is not None
    app.key(Key.Key_F)
    app.until(lambda: app.bridge.mode is Mode.FROZEN and app.shown == len(disc_clip.masks) - 1)
    for number in range(1, 21):
        app.window.tracking.go_to(number)
        app.until(lambda n=number: app.shown == n and app.bridge.mode is Mode.FROZEN)
        app.key(Key.Key_N)
        app.stroke((60 + number, 40), (90 - number, 70))  # over what the first object is there
        app.until(lambda n=number: app.bridge.mask_at(n)[1] is MaskKind.KEYFRAME)
        mask = app.bridge.mask_at(number)[0]
        assert mask is not None
        assert number + 1 in mask
        np.testing.assert_array_equal(app.bridge.mask_at(0)[0], seed)
    app.window.tracking.go_to(0)
    app.until(lambda: app.shown == 0)
    app.key(Key.Key_N)
    app.stroke((20, 20), (74, 55))
    app.until(lambda: app.bridge.mask_at(0)[0] is not None and 22 in app.bridge.mask_at(0)[0])
    mask = app.bridge.mask_at(0)[0]
    assert mask is not None
    np.testing.assert_array_equal(mask[mask != 22], seed[mask != 22])
    assert app.window.objects.ids == tuple(range(1, 23))
    for _ in range(2 * 21):  # every stroke and every object but the first
        app.key(Key.Key_Z, CONTROL)
        app.until(lambda: app.canvas.item is not None and not app.canvas.edit.waits)
    app.until(lambda: app.window.objects.ids == (1,))
    np.testing.assert_array_equal(app.bridge.mask_at(0)[0], seed)


def two_tracked(app: App, disc_clip: Any) -> dict[int, tuple[Mask | None, MaskKind]]:
    """Two objects painted on the first frame and tracked to the end; the masks of every frame."""
    app.open(str(disc_clip.path))
    app.stroke((70, 50), (80, 60))
    app.key(Key.Key_N)
    app.stroke((20, 20), (30, 30))
    app.until(lambda: app.bridge.painted_ids == {1, 2})
    app.key(Key.Key_F)
    last = len(disc_clip.masks) - 1
    app.until(lambda: app.bridge.mode is Mode.FROZEN and app.shown == last)
    return {index: app.bridge.mask_at(index) for index in range(last + 1)}


def test_a_deleted_object_comes_back_in_tracked_frames(app: App, disc_clip: Any) -> None:
    before = two_tracked(app, disc_clip)
    app.key(Key.Key_Delete)
    app.until(lambda: 2 not in app.bridge.painted_ids)
    assert not np.any(app.bridge.mask_at(max(before))[0] == 2)
    app.key(Key.Key_Z, CONTROL)
    app.until(lambda: app.bridge.painted_ids == {1, 2})
    for index, (mask, kind) in before.items():
        now, its_kind = app.bridge.mask_at(index)
        np.testing.assert_array_equal(now, mask)
        assert its_kind is kind


def test_keeping_a_frame_as_keyframe_is_undone_from_anywhere(app: App, disc_clip: Any) -> None:
    app.open(str(disc_clip.path))
    app.stroke((70, 50), (80, 60))
    app.until(lambda: app.bridge.painted_ids == {1})
    app.key(Key.Key_Period)
    app.until(lambda: app.shown == 1 and app.bridge.mask_at(1)[1] is MaskKind.TRACKED)
    before = app.bridge.mask_at(1)[0]
    app.key(Key.Key_K)
    app.until(lambda: app.bridge.mask_at(1)[1] is MaskKind.KEYFRAME)
    assert app.canvas.edit.undo_text == "Keep as keyframe"
    app.window.tracking.go_to(0)
    app.until(lambda: app.shown == 0)
    app.key(Key.Key_Z, CONTROL)
    app.until(lambda: app.shown == 1 and app.bridge.mask_at(1)[1] is MaskKind.TRACKED)
    np.testing.assert_array_equal(app.bridge.mask_at(1)[0], before)
    app.key(Key.Key_Y, CONTROL)
    app.until(lambda: app.bridge.mask_at(1)[1] is MaskKind.KEYFRAME)


def test_merged_objects_are_tracked_as_one_and_parted_by_undo(app: App, disc_clip: Any) -> None:
    before = two_tracked(app, disc_clip)
    last = max(before)
    app.window.objects.merge(2, 1)
    app.until(lambda: app.bridge.painted_ids == {1})
    for index, (mask, kind) in before.items():
        now, its_kind = app.bridge.mask_at(index)
        np.testing.assert_array_equal(now, np.where(mask == 2, 1, mask))
        assert its_kind is kind
    app.key(Key.Key_Z, CONTROL)
    app.until(lambda: app.bridge.painted_ids == {1, 2})
    for index, (mask, kind) in before.items():
        now, its_kind = app.bridge.mask_at(index)
        np.testing.assert_array_equal(now, mask)
        assert its_kind is kind
    app.window.tracking.go_to(0)
    app.until(lambda: app.shown == 0)
    app.key(Key.Key_F)  # the tracker learns the two anew
    app.until(lambda: app.bridge.mode is Mode.FROZEN and app.shown == last)
    mask = app.bridge.mask_at(last)[0]
    assert mask is not None
    assert np.array_equal(np.unique(mask), np.unique(before[last][0]))


def test_scrubbing_ends_at_the_frame_under_the_pointer(app: App, disc_clip: Any) -> None:
    app.open(str(disc_clip.path))
    line = app.window.timeline
    QTest.mousePress(line, Qt.MouseButton.LeftButton, pos=QPoint(round(line.x_of(2)), 27))
    for index in (5, 17, 3, 21, 13):
        QTest.mouseMove(line, QPoint(round(line.x_of(index)), 27))
    QTest.mouseRelease(line, Qt.MouseButton.LeftButton, pos=QPoint(round(line.x_of(13)), 27))
    app.until(lambda: app.shown == 13)
    assert line.current == 13


def test_a_mask_file_and_a_missing_video(app: App, disc_clip: Any, tmp_path: Path) -> None:
    app.open(str(disc_clip.path))
    assert app.window.editing.import_mask(disc_clip.mask_path, app.window)
    app.until(lambda: app.bridge.painted_ids == {1})
    stored = app.bridge.mask_at(0)[0]
    assert stored is not None
    assert np.array_equal(stored, cv2.imread(str(disc_clip.mask_path), cv2.IMREAD_UNCHANGED) > 0) or stored.any()
    app.bridge._unsaved = False  # the question before masks are lost has its own tests
    app.window.opening.open(str(tmp_path / "missing.mp4"))
    app.until(lambda: app.notices)
    app.until(lambda: app.bridge.mode is Mode.FROZEN)
    assert app.bridge.info is not None
    assert app.bridge.info.uri == str(disc_clip.path)
    assert app.bridge.mask_at(0)[1] is MaskKind.KEYFRAME


def test_live_freeze_paint_track_record(
    app: App, disc_clip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.open(f"live:{disc_clip.path}")
    assert app.bridge.live
    app.until(lambda: app.shown >= 2)
    app.stroke((70, 50), (80, 60))
    app.until(lambda: app.bridge.mode is Mode.FROZEN and app.bridge.painted_ids == {1})
    app.key(Key.Key_Space)
    app.until(lambda: app.bridge.mode is Mode.TRACKING)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    app.window.actions_table["record"].trigger()
    before = app.shown
    app.until(lambda: app.shown > before + 3 and app.canvas.displayed_mask is not None)
    QTest.mousePress(app.canvas, Qt.MouseButton.LeftButton, pos=app.place(20, 20))
    held = app.shown
    number = app.bridge._session.stats().processed
    app.until(lambda: app.bridge._session.stats().processed > number + 2)
    QTest.mouseMove(app.canvas, app.place(24, 22))
    assert app.shown == held  # tracking goes on underneath, the frame under the brush stands
    QTest.mouseRelease(app.canvas, Qt.MouseButton.LeftButton, pos=app.place(24, 22))
    app.until(lambda: app.shown > held)
    assert app.bridge.mode is Mode.TRACKING
    app.window.actions_table["record"].trigger()
    app.key(Key.Key_Space)
    app.until(lambda: app.bridge.mode is Mode.FROZEN)
    (folder,) = tmp_path.glob("livemask-*")
    app.until(lambda: list(folder.rglob("*.png")) and list(folder.rglob("*.mp4")))
