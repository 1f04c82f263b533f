"""A session without threads or engine that does at once what the real one does in time, and a window on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.bridge import EngineBridge
from app.settings import Settings
from app.window.main_window import MainWindow
from engine.export.request import ExportRequest
from engine.object_state import ObjectState
from engine.project.recovery import Leftover
from engine.project.state import ProjectObject
from engine.runtime.config import EngineConfig
from engine.runtime.messages import (
    DisplayItem,
    EngineProgress,
    Event,
    Explained,
    ExportProgress,
    MaskKind,
    MasksChanged,
    Mode,
    ModeChanged,
    Notice,
    ObjectsChanged,
    ProjectChanged,
    ReplayChanged,
    Scribbled,
    Severity,
    ShownVoter,
    SourceClosed,
    SourceOpened,
    StatsSnapshot,
    TrackingFinished,
)
from engine.scribble_marks import INSIDE, OUTSIDE, Marks
from engine.types import Frame, Mask
from engine.video.source import SourceInfo, SourceKind

WIDTH, HEIGHT = 96, 64


def make_frame(index: int, width: int = WIDTH, height: int = HEIGHT) -> Frame:
    """A picture that differs from frame to frame."""
    yy, xx = np.mgrid[0:height, 0:width]
    rgb = np.stack([xx * 2 % 256, yy * 3 % 256, np.full_like(xx, index * 5 % 256)], axis=-1).astype(np.uint8)
    return Frame(index=index, time_s=index / 25, rgb=np.ascontiguousarray(rgb))


class FakeSession:
    """The session's contract, on one thread. `calls` keeps every command; `fail_open` makes the next open fail."""

    def __init__(self, frame_count: int | None = 50) -> None:
        self.frame_count = frame_count
        self.calls: list[tuple[Any, ...]] = []
        self.fail_open: Notice | None = None
        self.save_fails: Notice | None = None
        self.kept_unsaved: bool | None = None
        self.objects: tuple[ProjectObject, ...] = ()
        self.exports_ok = True
        self.engine_ready = True
        self.holds_export = False
        self.stats_now = StatsSnapshot()
        self.states_now: dict[int, dict[int, ObjectState]] = {}
        self._events: list[Event] = []
        self._fresh: DisplayItem | None = None
        self._info: SourceInfo | None = None
        self._mode = Mode.EMPTY
        self._generation = 0
        self.replay_frames: tuple[int, ...] = (3, 5, 6, 9)
        self._position = 0
        self._masks: dict[int, tuple[Mask, MaskKind]] = {}
        self._ids: tuple[int, ...] = ()
        self._deleted: dict[int, dict[int, tuple[Mask, MaskKind]]] = {}

    # -- for tests ---------------------------------------------------------------------------------------------
    def say(self, event: Event) -> None:
        self._events.append(event)

    def put(self, item: DisplayItem) -> None:
        self._fresh = item

    def live_frame(self, index: int) -> None:
        """The camera delivers a frame."""
        if self._mode is Mode.PREVIEW:
            self._show(index)
        elif self._mode is Mode.TRACKING:
            self._propagate(index)
            self._show(index)

    def advance(self) -> None:
        """A file plays or tracks one frame further."""
        if self._mode is Mode.TRACKING:
            self._propagate(self._position + 1)
        self._show(self._position + 1)

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    def last(self, name: str) -> tuple[Any, ...]:
        return next(call for call in reversed(self.calls) if call[0] == name)

    # -- inside ------------------------------------------------------------------------------------------------
    def _set_mode(self, mode: Mode) -> None:
        if mode is not self._mode:
            self._mode = mode
            self._events.append(ModeChanged(mode))

    def _show(self, index: int) -> None:
        self._position = index
        mask, kind = self._masks.get(index, (None, MaskKind.NONE))
        states = self.states_now.get(index, {})
        self._fresh = DisplayItem(make_frame(index), mask, kind, generation=self._generation, states=states)

    def _changed(self, first: int, last: int) -> None:
        self._events.append(MasksChanged(first, last))
        ids = tuple(sorted({int(i) for mask, _ in self._masks.values() for i in np.unique(mask) if i}))
        if ids != self._ids:
            self._ids = ids
            self._events.append(ObjectsChanged(ids))

    def _propagate(self, index: int) -> None:
        """The nearest keyframe's mask, unchanged."""
        keys = [i for i, (_, kind) in self._masks.items() if kind is MaskKind.KEYFRAME]
        if keys and self._masks.get(index, (None, MaskKind.NONE))[1] is not MaskKind.KEYFRAME:
            nearest = min(keys, key=lambda key: abs(key - index))
            self._masks[index] = (self._masks[nearest][0], MaskKind.TRACKED)
            self._changed(index, index)

    # -- the contract ------------------------------------------------------------------------------------------
    def start(self) -> None:
        self.calls.append(("start",))
        self._events.append(EngineProgress("Loading PyTorch", ready=False))
        self._events.append(EngineProgress("Ready", ready=True, device="cpu (bf16)", model="resnet50-half"))

    def shutdown(self, timeout_s: float = 5.0, *, keep_unsaved: bool = True) -> bool:
        self.calls.append(("shutdown", timeout_s))
        self.kept_unsaved = keep_unsaved
        return True

    def open_project(self, path: Path, source: Path | None = None, *, changed_ok: bool = False) -> None:
        self.calls.append(("open_project", path, source, changed_ok))

    def save_project(self, path: Path | None = None, *, overwrite: bool = False) -> None:
        self.calls.append(("save_project", path, overwrite))
        if self.save_fails is not None:
            self._events.append(self.save_fails)
        elif path is not None:
            self._events.append(ProjectChanged(path))

    def set_objects(self, objects: tuple[ProjectObject, ...]) -> None:
        self.objects = objects

    def set_marks(self, mark_in: int | None, mark_out: int | None) -> None:
        self.calls.append(("set_marks", mark_in, mark_out))

    def discard_leftover(self, leftover: Leftover) -> None:
        self.calls.append(("discard_leftover", leftover))

    def open(self, uri: str | Path) -> None:
        self.calls.append(("open", str(uri)))
        if self.fail_open is not None:
            self._events.append(self.fail_open)
            self.fail_open = None
            return
        text = str(uri)
        live = text.startswith("camera:") or "://" in text
        kind = SourceKind.CAMERA if text.startswith("camera:") else SourceKind.STREAM if live else SourceKind.FILE
        count = None if live else self.frame_count
        name = text.rsplit("/", 1)[-1]
        self._info = SourceInfo(kind, text, name, WIDTH, HEIGHT, 25.0, count, None if count is None else count / 25)
        self._generation += 1
        self._masks.clear()
        self._ids = ()
        self._events.append(SourceOpened(self._info, self._generation))
        self._show(0)
        self._mode = Mode.OPENING
        self._set_mode(Mode.PREVIEW if live else Mode.FROZEN)

    def close_source(self) -> None:
        self.calls.append(("close_source",))
        self._info = None
        self._generation += 1
        self._masks.clear()
        self._ids = ()
        self._set_mode(Mode.EMPTY)
        self._events.append(SourceClosed())

    def seek(self, index: int) -> None:
        self.calls.append(("seek", index))
        if self._info is not None and not self._info.live:
            self._set_mode(Mode.FROZEN)
            self._show(min(max(index, 0), (self._info.frame_count or 10**9) - 1))

    def play(self) -> None:
        self.calls.append(("play",))
        if self._info is not None:
            self._set_mode(Mode.PREVIEW if self._info.live else Mode.PLAYING)

    def freeze(self) -> None:
        self.calls.append(("freeze",))
        self._set_mode(Mode.FROZEN)

    def track(self, direction: int = 1, until: int | None = None) -> None:
        self.calls.append(("track", direction, until))
        if not self._ids:
            self._events.append(Notice(Severity.WARNING, "No object is painted yet."))
            return
        self._set_mode(Mode.TRACKING)

    def finish(self) -> None:
        """Tracking reaches the end."""
        while self._info is not None and self._position < (self._info.frame_count or 0) - 1:
            self.advance()
        self._set_mode(Mode.FROZEN)
        self._events.append(TrackingFinished(self._position))

    def step(self, direction: int = 1) -> None:
        self.calls.append(("step", direction))
        self._propagate(self._position + direction)
        self._show(self._position + direction)

    def replay(self) -> None:
        self.calls.append(("replay",))
        self._set_mode(Mode.FROZEN)
        self._events.append(ReplayChanged(tuple((index, index / 30) for index in self.replay_frames)))

    def retrack(self, index: int | None = None) -> None:
        self.calls.append(("retrack", index))

    def pause(self) -> None:
        self.calls.append(("pause",))
        self._set_mode(Mode.FROZEN)

    def set_mask(self, frame: Frame, mask: Mask, touched: Collection[int]) -> None:
        self.calls.append(("set_mask", frame, mask, frozenset(touched)))
        if mask.any():
            self._masks[frame.index] = (mask, MaskKind.KEYFRAME)
        else:
            self._masks.pop(frame.index, None)
        self._changed(frame.index, frame.index)

    def clear_mask(self, frame: Frame) -> None:
        self.calls.append(("clear_mask", frame))
        self._masks.pop(frame.index, None)
        self._changed(frame.index, frame.index)

    def delete_object(self, object_id: int) -> None:
        self.calls.append(("delete_object", object_id))
        self._deleted[object_id] = dict(self._masks)
        for index, (mask, kind) in list(self._masks.items()):
            rest = np.where(mask == object_id, 0, mask).astype(np.uint8)
            if rest.any():
                self._masks[index] = (rest, kind)
            else:
                del self._masks[index]
        self._changed(0, self._position)

    def restore_object(self, object_id: int) -> None:
        self.calls.append(("restore_object", object_id))
        for index, (mask, kind) in self._deleted.pop(object_id, {}).items():
            now, _ = self._masks.get(index, (np.zeros_like(mask), kind))
            if np.array_equal(now, np.where(mask == object_id, 0, mask)):
                self._masks[index] = (mask, kind)
        self._changed(0, self._position)

    def merge_objects(self, object_id: int, into: int) -> None:
        self.calls.append(("merge_objects", object_id, into))
        self._deleted[object_id] = {}
        for index, (mask, kind) in list(self._masks.items()):
            if (mask == object_id).any():
                self._deleted[object_id][index] = (mask, kind)
                self._masks[index] = (np.where(mask == object_id, into, mask).astype(np.uint8), kind)
        self._changed(0, self._position)
        self._show(self._position)

    def part_objects(self, object_id: int) -> None:
        self.calls.append(("part_objects", object_id))
        self._masks.update(self._deleted.pop(object_id, {}))
        self._changed(0, self._position)
        self._show(self._position)

    def mask_at(self, index: int) -> tuple[Mask | None, MaskKind]:
        return self._masks.get(index, (None, MaskKind.NONE))

    def mask_kinds(self) -> dict[int, MaskKind]:
        return {index: kind for index, (_, kind) in self._masks.items()}

    def confidences(self) -> dict[int, float]:
        return {index: 0.9 for index, (_, kind) in self._masks.items() if kind is MaskKind.TRACKED}

    def object_states(self) -> dict[int, dict[int, ObjectState]]:
        return self.states_now

    def explain(self, frame: Frame, x: int, y: int) -> None:
        self.calls.append(("explain", frame.index, x, y))
        pictures = [np.full((HEIGHT, WIDTH, 3), 40 * number, np.uint8) for number in (1, 2)]
        voters = (ShownVoter(3, False, 0.75, 0.9, pictures[0]), ShownVoter(0, True, 0.25, 1.0, pictures[1]))
        self._events.append(Explained(frame.index, x, y, 1, 0.93, voters))

    def read_motion(self, first: Frame, second: Frame) -> bool:
        self.calls.append(("read_motion", first.index, second.index))
        return self.engine_ready

    def scribble(self, frame: Frame, marks: Marks, serial: int) -> bool:
        """The smallest upright box around the strokes inside, less the strokes outside."""
        self.calls.append(("scribble", frame.index, serial))
        if self.engine_ready:
            pixels = np.zeros(marks.shape, dtype=bool)
            rows, columns = np.nonzero(marks == INSIDE)
            if len(rows):
                pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
            pixels &= marks != OUTSIDE
            self._events.append(Scribbled(frame.index, serial, pixels))
        return self.engine_ready

    def clear_tracking(self) -> None:
        self.calls.append(("clear_tracking",))
        self._masks = {i: entry for i, entry in self._masks.items() if entry[1] is MaskKind.KEYFRAME}
        self._changed(0, (self.frame_count or 1) - 1)

    def configure(self, config: EngineConfig) -> None:
        self.calls.append(("configure", config))

    def export(self, request: ExportRequest) -> None:
        self.calls.append(("export", request))
        total = len(self._masks)
        self._events.append(ExportProgress(1, total))
        if not self.holds_export:
            self._events.append(
                ExportProgress(total, total, True, self.exports_ok, "" if self.exports_ok else "Disk full.")
            )

    def cancel_export(self) -> None:
        self.calls.append(("cancel_export",))
        self._events.append(ExportProgress(1, len(self._masks), True, False, "Stopped.", cancelled=True))

    def start_recording(self, folder: Path) -> None:
        self.calls.append(("start_recording", folder))

    def stop_recording(self) -> None:
        self.calls.append(("stop_recording",))

    def take_display(self) -> DisplayItem | None:
        item, self._fresh = self._fresh, None
        return item

    def events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def stats(self) -> StatsSnapshot:
        return self.stats_now

    @property
    def mode(self) -> Mode:
        return self._mode


@dataclass
class Shell:
    """A window with its fake session. `pump()` lets everything that was said arrive."""

    window: MainWindow
    session: FakeSession
    bot: QtBot
    settings_path: Path
    extra: dict[str, Any] = field(default_factory=dict)

    def pump(self) -> None:
        for _ in range(3):
            self.window.bridge.poll()
            QApplication.processEvents()

    def open(self, uri: str = "/videos/clip.mp4") -> None:
        self.window.opening.open(uri)
        self.pump()

    def trigger(self, action_id: str) -> None:
        self.window.actions_table[action_id].trigger()
        self.pump()


MakeShell = Callable[..., Shell]


@pytest.fixture(autouse=True)
def no_qt_warnings(qtlog: Any) -> Iterator[None]:
    """What Qt warns of is a mistake of ours."""
    yield
    said = [record.message for record in qtlog.records if record.type.name != "QtDebugMsg"]
    own = ("propagateSizeHints", "not support raise()", "not support grabbing")  # the offscreen platform's
    assert [text for text in said if not any(words in text for words in own)] == []


@pytest.fixture
def show_active(qtbot: QtBot) -> Callable[[QWidget], None]:
    """Show a window and wait until it has the keyboard, without which no key reaches an action."""

    def show(window: QWidget) -> None:
        window.show()

        def active() -> bool:
            window.activateWindow()  # again and again: a window that is just going may take it back
            return bool(window.isActiveWindow())

        qtbot.waitUntil(active, timeout=15_000)

    return show


@pytest.fixture
def make_shell(qtbot: QtBot, tmp_path: Path, show_active: Callable[[QWidget], None]) -> Iterator[MakeShell]:
    """Open a window; every one made is closed at the end without a question."""
    made: list[Shell] = []

    def make(frame_count: int | None = 50, settings: Path | None = None, config: EngineConfig | None = None) -> Shell:
        path = settings or tmp_path / "settings.ini"
        session = FakeSession(frame_count)
        bridge = EngineBridge(cast(Any, session))
        window = MainWindow(bridge, Settings(path), config or EngineConfig())
        qtbot.addWidget(window, before_close_func=lambda w: w.close_at_once())
        show_active(window)
        bridge.start()
        shell = Shell(window, session, qtbot, path)
        shell.pump()
        made.append(shell)
        return shell

    yield make
    for shell in made:
        shell.window.close_at_once()


@pytest.fixture
def shell(make_shell: MakeShell) -> Shell:
    return make_shell()
