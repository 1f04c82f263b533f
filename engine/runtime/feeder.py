"""Which keyframes the tracker has seen, and showing it those it has not, before it goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.project.mask_codec import decode_mask
from engine.project.mask_entries import Keyframe
from engine.project.mask_store import MaskStore
from engine.runtime.capture import Opener
from engine.runtime.core import SessionCore
from engine.runtime.jobs import TrackJob
from engine.runtime.messages import Severity
from engine.runtime.tuner import Tuner
from engine.types import Frame, SegmentationResult
from engine.video.source import FrameSource

if TYPE_CHECKING:  # importing it imports torch, which only the engine thread does
    from engine.tracker import Tracker

log = logging.getLogger(__name__)

MAX_FED = 16  # a memory bank keeps fewer; showing it hundreds after a change of model would only take time


def nearest_covering(store: MaskStore, candidates: Sequence[int], index: int, limit: int) -> list[int]:
    """The `limit` candidates nearest to `index`, and beyond them each one that shows an object the nearer ones lack."""
    chosen: list[int] = []
    objects: set[int] = set()
    for candidate in sorted(candidates, key=lambda c: abs(c - index)):
        keyframe = store.keyframe(candidate)
        if keyframe is None:
            continue
        shows = keyframe.touched.intersection(keyframe.encoded.object_ids)
        if len(chosen) < limit or not shows <= objects:
            chosen.append(candidate)
            objects |= shows
    return chosen


class KeyframeFeeder:
    """Used by the engine thread alone."""

    def __init__(self, core: SessionCore, opener: Opener, tuner: Tuner) -> None:
        self._core = core
        self._opener = opener
        self._tuner = tuner
        self._fed: dict[int, int] = {}  # frame index -> version the tracker has seen
        self._short_side: int | None = None  # at which it has seen them
        self._blurred: set[int] = set()  # those it has seen at another size

    def forget_all(self) -> None:
        """The tracker is new or was reset."""
        self._fed.clear()
        self._blurred.clear()
        self._short_side = None

    def forget(self, index: int) -> None:
        self._fed.pop(index, None)

    def seen(self) -> dict[int, int]:
        """Keyframe -> version the tracker has seen, for a project."""
        return dict(self._fed)

    def restore(self, seen: Mapping[int, int]) -> None:
        """The tracker remembers what a project kept."""
        self._fed = dict(seen)

    def has_seen(self, index: int, keyframe: Keyframe) -> bool:
        return self._fed.get(index) == keyframe.version

    def learn(self, tracker: Tracker, frame: Frame, keyframe: Keyframe) -> SegmentationResult:
        """Show the tracker a keyframe; the user hears when an older one had to make room for it."""
        if self._short_side is None:
            self._short_side = tracker.short_side
        mask = decode_mask(keyframe.encoded)
        result = self._tuner.attempt(tracker, lambda: tracker.step(frame, mask, touched=keyframe.touched))
        self._seen(frame.index, keyframe)
        gone = tracker.evicted_keyframe
        if gone is not None:
            self._core.say(
                Severity.INFO,
                f"The engine's memory of keyframes is full: frame {frame.index} took the place of frame {gone}.",
                "Its mask stays in the project; only the tracker no longer looks at it.",
            )
        return result

    def refresh(self, tracker: Tracker, index: int) -> None:
        """After a change of the working size, show the tracker one keyframe at the new one: the nearest to `index`.

        One at a time, so that a live source does not stand still. Those whose picture is gone stay resampled.
        """
        if self._short_side != tracker.short_side:
            self._blurred = set(self._fed)
            self._short_side = tracker.short_side
        for k in sorted(self._blurred, key=lambda k: abs(k - index)):
            self._blurred.discard(k)
            keyframe, frame = self._core.store.keyframe(k), self._core.frames.get(k)
            if frame is not None and keyframe is not None and self.has_seen(k, keyframe):
                mask, touched = decode_mask(keyframe.encoded), keyframe.touched
                self._tuner.attempt(tracker, lambda: tracker.refresh(frame, mask, touched))  # noqa: B023 - done at once
                return

    def _seen(self, index: int, keyframe: Keyframe) -> None:
        self._fed[index] = keyframe.version

    def due(self, job: TrackJob, index: int) -> list[int]:
        """Keyframes the tracker must see before it tracks frame `index`, in the order to show them.

        Those the job's way has passed (for live sources all); those ahead are met on the way.
        """
        store = self._core.store
        passed = [
            k
            for k in store.keyframes()
            if (job.live or job.behind(k, index)) and k != index and not self._is_fed(store, k)
        ]
        return sorted(passed, reverse=job.direction < 0)

    def unseen_from(self, index: int) -> list[int]:
        """Keyframes from frame `index` on that the tracker must see yet."""
        return self.unseen(k for k in self._core.store.keyframes() if k >= index)

    def unseen(self, indices: Iterable[int]) -> list[int]:
        """Those of these keyframes that the tracker must see yet."""
        return [index for index in indices if not self._is_fed(self._core.store, index)]

    def feed(self, tracker: Tracker, job: TrackJob, index: int, due: Sequence[int]) -> None:
        """Show the tracker the keyframes `due` before frame `index`; stops early when the job is no longer wanted.

        Raises:
            UserError: the tracker refuses one, or its picture cannot be read again.
        """
        store = self._core.store
        chosen = set(nearest_covering(store, due, index, MAX_FED))
        reader: FrameSource | None = None
        try:
            for k in due:
                if not self._core.is_current(job):
                    return
                keyframe = store.keyframe(k)
                if keyframe is None:
                    continue
                if k in chosen:
                    frame = self._core.frames.get(k)
                    if frame is None and not job.live:
                        reader = reader or self._opener(self._uri())
                        reader.seek(k)
                        frame = reader.read()
                    if frame is not None:
                        self.learn(tracker, frame, keyframe)
                    else:
                        self._core.say(
                            Severity.WARNING,
                            f"The engine cannot use the mask painted on frame {k}: its picture is gone.",
                            "Paint the object again on a newer frame if it is not found.",
                        )
                        self._seen(k, keyframe)
                else:
                    self._seen(k, keyframe)
        finally:
            if reader is not None:
                reader.close()

    def feed_any(self, tracker: Tracker, job: TrackJob, index: int) -> None:
        """A tracker that knows no object yet sees the keyframes nearest to `index`, wherever they lie."""
        store = self._core.store
        nearest = nearest_covering(store, [k for k in store.keyframes() if k != index], index, 1)
        self.feed(tracker, job, index, sorted(nearest, key=lambda k: -abs(k - index)))

    def _is_fed(self, store: MaskStore, index: int) -> bool:
        keyframe = store.keyframe(index)
        return keyframe is None or self.has_seen(index, keyframe)

    def _uri(self) -> str:
        with self._core.lock:
            return self._core.info.uri if self._core.info is not None else ""
