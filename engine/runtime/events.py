"""The queue of events the app drains: in order, bounded, and without a flood of the same thing."""

from __future__ import annotations

import threading

from engine.runtime.messages import (
    EngineProgress,
    Event,
    Explained,
    ExportProgress,
    MasksChanged,
    ModeChanged,
    MotionRead,
    Notice,
    ObjectsChanged,
    ProjectChanged,
    ProjectOpened,
    Scribbled,
    SourceClosed,
    SourceOpened,
    TrackingFinished,
)

LIMIT = 256


class EventQueue:
    """Thread-safe. An app that never drains it loses only repetitions: the newest state of everything stays."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._events: list[Event] = []

    def put(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, MasksChanged):
                self._merge_masks(event)
                return
            if isinstance(event, (SourceOpened, SourceClosed)):  # news of the former source's masks is void
                void = (MasksChanged, ObjectsChanged, TrackingFinished, Explained, MotionRead, Scribbled, ProjectOpened)
                self._events = [old for old in self._events if not isinstance(old, void)]
            if isinstance(
                event, (EngineProgress, ObjectsChanged, Explained, MotionRead, Scribbled, ProjectChanged)
            ) or (isinstance(event, ExportProgress) and not event.finished):
                self._drop_older(event)
            if isinstance(event, Notice) and event in self._events:
                return  # said already and not read yet
            self._events.append(event)
            if len(self._events) > self._limit:
                self._shrink()

    def drain(self) -> list[Event]:
        """Every event since the last call, oldest first."""
        with self._lock:
            events, self._events = self._events, []
            return events

    def _merge_masks(self, event: MasksChanged) -> None:
        for position, old in enumerate(self._events):
            if isinstance(old, MasksChanged):
                self._events[position] = MasksChanged(min(old.first, event.first), max(old.last, event.last))
                return
        self._events.append(event)

    def _drop_older(self, event: Event) -> None:
        self._events = [
            old
            for old in self._events
            if type(old) is not type(event) or (isinstance(old, ExportProgress) and old.finished)
        ]

    def _shrink(self) -> None:
        # Changes of mode that a later one has overtaken are the least loss; after those, whatever is oldest.
        modes = [i for i, old in enumerate(self._events) if isinstance(old, ModeChanged)]
        del self._events[modes[0] if len(modes) > 1 else 0]
