"""Stand-ins for cameras, files and the tracker, and a driver that awaits what a session does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from engine.errors import MaskError, SourceError
from engine.preparing import Preparation
from engine.runtime.config import EngineConfig
from engine.runtime.messages import DisplayItem, Event, ModeChanged, Notice
from engine.runtime.session import Session
from engine.types import Frame, Mask, SegmentationResult
from engine.video.source import SourceInfo, SourceKind

WIDTH, HEIGHT = 24, 16
TIMEOUT = 10.0


def picture(index: int) -> np.ndarray:
    """A picture that says which frame it is."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0] = index % 256
    rgb[..., 1] = index // 256
    return rgb


def index_of(rgb: np.ndarray) -> int:
    return int(rgb[0, 0, 0]) + 256 * int(rgb[0, 0, 1])


def square(object_id: int = 1, x: int = 2, y: int = 2) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y : y + 4, x : x + 4] = object_id
    return mask


class Gate:
    """Open by default; closed, it lets through only what `allow` permits. Ends for good with `open`."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._permits: int | None = None
        self.arrived = 0

    def close(self) -> None:
        with self._condition:
            self._permits = 0

    def allow(self, count: int) -> None:
        with self._condition:
            assert self._permits is not None
            self._permits += count
            self._condition.notify_all()

    def open(self) -> None:
        with self._condition:
            self._permits = None
            self._condition.notify_all()

    def passes(self) -> None:
        with self._condition:
            self.arrived += 1
            self._condition.notify_all()
            assert self._condition.wait_for(lambda: self._permits is None or self._permits > 0, TIMEOUT)
            if self._permits is not None:
                self._permits -= 1

    def wait_arrived(self, count: int) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: self.arrived >= count, TIMEOUT)


class FakeFile:
    """`count` frames of a file; `broken_at` raises there, `gate` holds reads back."""

    def __init__(
        self,
        count: int = 10,
        uri: str = "clip.mp4",
        *,
        interval_s: float = 0.0,
        broken_at: int | None = None,
        kind: SourceKind = SourceKind.FILE,
        announce: int | None = -1,
    ) -> None:
        self.count = count
        self.interval_s = interval_s
        self.broken_at = broken_at
        self.gate = Gate()
        self.reads: list[int] = []
        self.seeks: list[int] = []
        self.users: set[int] = set()
        self.closed = False
        self._next = 0
        frame_count = count if announce == -1 else announce
        self.info = SourceInfo(kind, uri, uri, WIDTH, HEIGHT, 25.0, frame_count, count / 25.0)
        self.dropped = 0

    def read(self) -> Frame | None:
        assert not self.closed
        self.users.add(threading.get_ident())
        self.gate.passes()
        index = self._next
        if index == self.broken_at:
            raise SourceError(f"The file is broken at frame {index}.", "Copy it again.")
        if index >= self.count:
            return None
        self._next += 1
        self.reads.append(index)
        return Frame(index, index * self.interval_s, picture(index))

    def seek(self, index: int) -> None:
        self.users.add(threading.get_ident())
        self.seeks.append(index)
        self._next = index

    def close(self) -> None:
        self.gate.open()
        self.closed = True


class FakeLive:
    """A camera whose pictures the test pushes. Unread ones are replaced by newer ones and counted."""

    def __init__(self, uri: str = "camera:0", kind: SourceKind = SourceKind.CAMERA) -> None:
        self.info = SourceInfo(kind, uri, uri, WIDTH, HEIGHT, 30.0)
        self.status = ""
        self.close_gate = Gate()
        self._condition = threading.Condition()
        self._pushed = 0
        self._returned = 0
        self._dropped = 0
        self._ended: SourceError | bool = False
        self.closed = False

    def push(self, count: int = 1) -> int:
        """`count` new pictures; returns the index of the last."""
        with self._condition:
            self._pushed += count
            self._condition.notify_all()
            return self._pushed - 1

    def end(self, error: SourceError | None = None) -> None:
        with self._condition:
            self._ended = error or True
            self._condition.notify_all()

    @property
    def pushed(self) -> int:
        return self._pushed

    @property
    def dropped(self) -> int:
        return self._dropped

    def read(self) -> Frame | None:
        with self._condition:
            self._condition.wait_for(lambda: self._pushed > self._returned or self._ended or self.closed)
            if isinstance(self._ended, SourceError):
                raise self._ended
            if self.closed or self._ended:
                return None
            self._dropped += self._pushed - 1 - self._returned
            self._returned = self._pushed
            return Frame(self._pushed - 1, time.monotonic(), picture(self._pushed - 1))

    def seek(self, index: int) -> None:
        raise SourceError("A camera cannot be rewound.")

    def close(self) -> None:
        self.close_gate.passes()
        with self._condition:
            self.closed = True
            self._condition.notify_all()


class FakeTracker:
    """Moves the last mask one pixel to the right per step, so that every result shows the history of steps."""

    evicted_keyframe: int | None = None
    embeds_ahead = False
    propagator = None

    def __init__(self, bell: threading.Event | None = None, model: str = "fake") -> None:
        self.embedder = SimpleNamespace(name=model)
        self.recipe = SimpleNamespace(name="shift", describe=lambda: "name=shift", references=7)
        self.short_side = 480
        self.sizes: list[tuple[int, int | None]] = []
        self._bell = bell
        self.calls: list[tuple[str, int]] = []
        self.touched: list[frozenset[int] | None] = []
        self.gate = Gate()
        self.results: dict[int, list[Mask]] = {}
        self.fail_at: dict[int, BaseException] = {}
        self.threads: set[int] = set()
        self._state: Mask | None = None
        self._known: set[int] = set()
        self._keyframes: set[int] = set()
        self._recent: list[int] = []

    def step(
        self, frame: Frame, mask: Mask | None = None, *, touched: Collection[int] | None = None, embedded: object = None
    ) -> SegmentationResult:
        self.threads.add(threading.get_ident())
        assert index_of(frame.rgb) == frame.index
        self.gate.passes()
        if frame.index in self.fail_at:
            raise self.fail_at.pop(frame.index)
        if mask is None and self._state is None:
            raise MaskError("Nothing is painted yet.", "Paint an object on a frame first.")
        self._note(("key" if mask is not None else "step", frame.index))
        if mask is not None:
            self.touched.append(None if touched is None else frozenset(touched))
            self._state = mask.copy()
            self._known |= {int(i) for i in np.unique(mask) if i}
            self._keyframes.add(frame.index)
            return SegmentationResult(frame, mask.copy(), is_keyframe=True)
        assert self._state is not None
        self._state = np.roll(self._state, 1, axis=1)
        self._recent = [*self._recent, frame.index][-7:]
        self.results.setdefault(frame.index, []).append(self._state)
        confidence = dict.fromkeys(self._known, 0.5)
        return SegmentationResult(frame, self._state.copy(), confidence, {"embed": 0.001})

    def _note(self, call: tuple[str, int]) -> None:
        self.calls.append(call)
        if self._bell is not None:
            self._bell.set()

    def delete_object(self, object_id: int) -> None:
        self._note(("delete", object_id))
        self._known.discard(object_id)
        if self._state is not None:
            self._state = np.where(self._state == object_id, 0, self._state).astype(np.uint8)

    def merge_objects(self, object_id: int, into: int) -> None:
        self._note(("merge", object_id))
        if object_id in self._known:
            self._known.discard(object_id)
            self._known.add(into)
        if self._state is not None:
            self._state = np.where(self._state == object_id, into, self._state).astype(np.uint8)

    def forget_keyframe(self, frame_index: int) -> None:
        self._note(("forget", frame_index))
        self._keyframes.discard(frame_index)

    def set_live(self, live: bool) -> None: ...

    def choose_working_size(self, short_side: int | None) -> None:
        self.short_side = short_side or 480

    def set_quality(self, short_side: int, references: int | None = None) -> None:
        self.short_side = short_side
        self.sizes.append((short_side, references))

    def refresh(self, frame: Frame, mask: Mask, touched: Collection[int]) -> None:
        self._note(("refresh", frame.index))

    def release_memory(self) -> None: ...

    @property
    def preparation(self) -> Preparation:
        return Preparation(self.short_side, 1)

    def rewind(self, frame_index: int, direction: int) -> None:
        self._recent = [i for i in self._recent if 0 <= (frame_index - i) * direction < 7]

    def recall(self, frame: Frame, mask: Mask, object_ids: Collection[int]) -> None:
        assert index_of(frame.rgb) == frame.index
        self._note(("recall", frame.index))
        self._state = mask.copy()
        self._known |= {int(i) for i in np.unique(mask) if i} | set(object_ids)
        self._recent = [*self._recent, frame.index][-7:]

    def forget_tracked(self) -> None:
        self._note(("forget_tracked", -1))
        self._recent.clear()

    def reset(self) -> None:
        self._state = None
        self._known.clear()
        self._keyframes.clear()
        self._recent.clear()

    @property
    def object_ids(self) -> tuple[int, ...]:
        return tuple(sorted(self._known))

    bank_bytes = 1000
    working_size = (WIDTH, HEIGHT)
    device_text = "cpu (fake)"
    notice = ""

    @property
    def bank_frames(self) -> tuple[int, int]:
        return len(self._keyframes), len(self._recent)


class Driver:
    """A session with fake parts; `wait` blocks until something holds, woken by every event and every shown frame."""

    def __init__(
        self,
        sources: dict[str, object],
        config: EngineConfig | None = None,
        start: bool = True,
        make_tracker: Callable[[EngineConfig], object] | None = None,
        autosave_dir: Path | None = None,
    ) -> None:
        """`make_tracker`: of the test's own, instead of `FakeTracker`."""
        self.make_tracker = make_tracker
        self.sources = sources
        self.opened: list[str] = []
        self.trackers: list[FakeTracker] = []
        self.build_gate = Gate()
        self.build_error: BaseException | None = None
        self.events: list[Event] = []
        self.items: list[DisplayItem] = []
        self._bell = threading.Event()
        self.session = Session(
            config or EngineConfig(),
            opener=self.open_source,
            create_tracker=self.create_tracker,
            autosave_dir=autosave_dir,
        )
        core = self.session._core
        put, publish = core.events.put, core.publish

        def put_and_ring(event: Event) -> None:
            put(event)
            self._bell.set()

        def publish_and_ring(*arguments: object) -> DisplayItem:
            item = publish(*arguments)
            self.items.append(item)
            self._bell.set()
            return item

        core.events.put = put_and_ring
        core.publish = publish_and_ring
        core.stats.frame_read = self._ringing(core.stats.frame_read)
        core.stats.frame_dropped = self._ringing(core.stats.frame_dropped)
        if start:
            self.session.start()

    def _ringing(self, method: Callable[..., None]) -> Callable[..., None]:
        def call_and_ring(*arguments: object) -> None:
            method(*arguments)
            self._bell.set()

        return call_and_ring

    def open_source(self, uri: str) -> object:
        self.opened.append(uri)
        source = self.sources.get(uri)
        if callable(source):
            source = source()
        if source is None:
            raise SourceError(f"{uri} cannot be opened.", "Choose another file.")
        return source

    def create_tracker(self, config: EngineConfig, progress: Callable[[str, float | None], None]) -> FakeTracker:
        progress("Loading the fake", None)
        self.build_gate.passes()
        if self.build_error is not None:
            error, self.build_error = self.build_error, None
            raise error
        if self.make_tracker is not None:
            return self.make_tracker(config)
        self.trackers.append(FakeTracker(self._bell, config.model or "fake"))
        return self.trackers[-1]

    @property
    def tracker(self) -> FakeTracker:
        return self.trackers[-1]

    def wait(self, predicate: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while True:
            self._bell.clear()
            self.events.extend(self.session.events())
            if predicate():
                return
            if not self._bell.wait(max(0.0, deadline - time.monotonic())):
                self.events.extend(self.session.events())
                assert predicate(), (self.session.mode, self.events[-5:], self.shown)
                return

    def wait_mode(self, mode: object) -> None:
        self.wait(lambda: self.session.mode is mode)

    def wait_ready(self) -> None:
        self.wait(lambda: self.session._core.engine_ready)

    def wait_shown(self, index: int) -> DisplayItem:
        self.wait(lambda: self.shown == index)
        item = self.session._core.shown
        assert item is not None
        return item

    def wait_event(self, kind: type, count: int = 1) -> Event:
        self.wait(lambda: sum(isinstance(e, kind) for e in self.events) >= count)
        return [e for e in self.events if isinstance(e, kind)][count - 1]

    @property
    def shown(self) -> int | None:
        item = self.session._core.shown
        return item.frame.index if item is not None else None

    @property
    def notices(self) -> list[str]:
        return [e.message for e in self.events if isinstance(e, Notice)]

    @property
    def modes(self) -> list[object]:
        return [e.mode for e in self.events if isinstance(e, ModeChanged)]

    def open(self, uri: str) -> None:
        """Open and wait for the first frame (files) or the preview (live)."""
        from engine.runtime.messages import SourceOpened

        before = sum(isinstance(e, SourceOpened) for e in self.events)
        self.session.open(uri)
        self.wait_event(SourceOpened, before + 1)

    def frame(self) -> Frame:
        """The frame on display."""
        item = self.session._core.shown
        assert item is not None
        return item.frame

    def paint(self, mask: Mask | None = None, touched: Collection[int] = (1,)) -> Mask:
        """Paint on the frame on display."""
        mask = square() if mask is None else mask
        self.session.set_mask(self.frame(), mask, touched)
        return mask

    def close(self) -> None:
        self.build_gate.open()
        for tracker in self.trackers:
            tracker.gate.open()
        for source in self.sources.values():
            if isinstance(source, FakeFile):
                source.gate.open()
        assert self.session.shutdown(TIMEOUT)
