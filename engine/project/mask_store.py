"""Every mask of the open source, compressed in memory, with where it came from."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from engine.object_state import ObjectState
from engine.project.mask_codec import EncodedMask, decode_mask, encode_mask, without_objects
from engine.project.mask_entries import Entry, Keyframe, MaskSnapshot, StoreChange, StoreContents, Tracked
from engine.project.past_entries import PastEntries
from engine.runtime.messages import MaskKind
from engine.types import Mask

LIVE_LIMIT = 300  # tracked masks a live source keeps


def _unchanged(object_ids: frozenset[int], encoded: EncodedMask, origin: EncodedMask) -> frozenset[int]:
    """Those of `object_ids` whose pixels are the same in both masks."""
    new, old = decode_mask(encoded), decode_mask(origin)
    return frozenset(i for i in object_ids if np.array_equal(new == i, old == i))


class MaskStore:
    """Thread-safe. A frame has at most one mask: the user's (keyframe) or a tracked one."""

    def __init__(self, limit: int | None = None) -> None:
        """`limit`: keep only that many tracked masks, the latest stored (live sources). Keyframes always stay."""
        self._limit = limit
        self._lock = threading.Lock()
        self._keyframes: dict[int, Keyframe] = {}
        self._tracked: dict[int, Tracked] = {}  # in the order they were stored
        self._stale: set[int] = set()
        self._bytes = 0
        self._objects: Counter[int] = Counter()
        self._past = PastEntries()
        self._version = 0
        self._changes = 0

    # -- the user's edits ----------------------------------------------------------------------------------------
    def put_keyframe(self, index: int, mask: Mask, touched: Collection[int]) -> StoreChange:
        """Store the user's mask; tracked masks after it, up to the next keyframe, become stale.

        When no touched object has pixels and none is denied (see `Keyframe`), the edit was taken back: the frame is no
        keyframe any more, and what other objects it shows counts as tracked. So it does when every touched object looks
        as the tracker had left it.
        """
        encoded = encode_mask(mask)
        with self._lock:
            old = self._keyframes.get(index)
            ids = frozenset(int(i) for i in touched if i > 0)
            self._past.use(ids)
            self._version += 1
            self._changes += 1
            if old is not None:
                back = _unchanged(ids, encoded, old.origin.encoded) if old.origin is not None else frozenset[int]()
                keyframe = Keyframe(encoded, (ids | old.touched) - back, old.denied - back, self._version, old.origin)
                if keyframe == replace(old, version=self._version):
                    return StoreChange()  # known already
            else:
                tracked = self._tracked.get(index)
                denied = ids.intersection(tracked.encoded.object_ids) if tracked is not None else frozenset[int]()
                origin = None
                if tracked is not None and tracked.encoded != encoded:
                    origin = replace(tracked, stale=index in self._stale)
                elif tracked is not None:
                    self._past.pin(index, self._entry(index))
                keyframe = Keyframe(encoded, ids, denied, self._version, origin)
            gone = self._settle(index, keyframe)
            return StoreChange.of([index, *self._mark_stale(index)], [index] if gone and old is not None else [])

    def unpin(self, index: int) -> StoreChange:
        """A keyframe that shows what the tracker had left there is tracked again; others stay as they are."""
        with self._lock:
            former = self._past.unpin(index, self._entry(index))
            if former is None:
                return StoreChange()
            self._changes += 1
            self._put_back(index, former)
            return StoreChange.of([index], [index])

    def remove(self, index: int) -> StoreChange:
        """Forget the mask of one frame; if it was a keyframe, tracked masks that hang on it become stale."""
        with self._lock:
            if index not in self._keyframes and index not in self._tracked:
                return StoreChange()
            self._changes += 1
            was_keyframe = index in self._keyframes
            stale = self._mark_stale(index) if was_keyframe else []
            self._discard(index)
            return StoreChange.of([index, *stale], [index] if was_keyframe else [])

    def delete_object(self, object_id: int) -> StoreChange:
        """Turn the object's pixels to background everywhere. Keyframes that meant nothing else stop being keyframes.

        When no painted object is left at all, the tracked masks go too. `restore_object` takes it back.
        """
        gone_object = frozenset([object_id])
        with self._lock:
            self._changes += 1
            before = {index: self._entry(index) for index in (*self._keyframes, *self._tracked)}
            changed: list[int] = []
            gone: list[int] = []
            for index, keyframe in list(self._keyframes.items()):
                if object_id not in keyframe.touched and object_id not in keyframe.encoded.object_ids:
                    continue
                changed.append(index)
                keyframe = replace(
                    keyframe,
                    encoded=without_objects(keyframe.encoded, gone_object),
                    touched=keyframe.touched - gone_object,
                    denied=keyframe.denied - gone_object,
                    origin=keyframe.origin and keyframe.origin.without(gone_object),
                )
                if self._settle(index, keyframe):
                    gone.append(index)
            for index, tracked in list(self._tracked.items()):
                if object_id in tracked.encoded.object_ids:
                    changed.append(index)
                    self._swap_tracked(index, tracked.without(gone_object))
            if not any(keyframe.encoded.object_ids for keyframe in self._keyframes.values()):
                changed.extend(self._tracked)
                for index in list(self._tracked):
                    self._discard(index)
            self._past.delete(object_id, {index: (before[index], self._entry(index)) for index in set(changed)})
            return StoreChange.of(changed, gone)

    def merge_objects(self, object_id: int, into: int) -> StoreChange:
        """Make one object a part of another in every mask. `restore_object(object_id)` takes it back."""
        with self._lock:
            self._changes += 1
            entries: dict[int, tuple[Entry, Entry]] = {}
            for index, keyframe in list(self._keyframes.items()):
                merged = keyframe.merged(object_id, into)
                if merged != keyframe:
                    before = self._entry(index)
                    self._settle(index, merged)
                    entries[index] = (before, self._entry(index))
            for index, tracked in list(self._tracked.items()):
                if index not in entries and (joined := tracked.merged(object_id, into)) != tracked:
                    before = self._entry(index)
                    self._swap_tracked(index, joined)
                    entries[index] = (before, self._entry(index))
            self._past.delete(object_id, entries)
            return StoreChange.of(entries)

    def restore_object(self, object_id: int) -> StoreChange:
        """Undo of `delete_object` and `merge_objects`: put back what it changed, wherever the mask is still the one
        it left.
        """
        with self._lock:
            self._changes += 1
            changed = []
            for index, entry in self._past.restore(object_id, self._entry):
                changed.append(index)
                self._put_back(index, entry)
            self._keep_to_limit()
            return StoreChange.of(changed)

    def drop_tracked(self) -> StoreChange:
        """Forget every tracked mask; keyframes stay."""
        with self._lock:
            self._changes += 1
            indices = list(self._tracked)
            for index in indices:
                self._discard(index)
            return StoreChange.of(indices)

    def clear(self) -> None:
        with self._lock:
            self._changes += 1
            self._past.clear()
            self._keyframes.clear()
            self._tracked.clear()
            self._stale.clear()
            self._objects.clear()
            self._bytes = 0

    # -- the engine's results ------------------------------------------------------------------------------------
    def put_tracked(
        self,
        index: int,
        encoded: EncodedMask,
        confidence: Mapping[int, float] | None = None,
        states: Mapping[int, ObjectState] | None = None,
    ) -> bool:
        """Store a tracked mask; False (and no change) when the frame is a keyframe: the user's masks are never lost."""
        with self._lock:
            if index in self._keyframes:
                return False
            self._changes += 1
            self._discard(index)
            self._swap_tracked(index, Tracked(encoded, dict(confidence or {}), states=dict(states or {})))
            self._keep_to_limit()
            return True

    # -- reading -------------------------------------------------------------------------------------------------
    def get(self, index: int) -> tuple[Mask | None, MaskKind]:
        """The mask (H x W uint8, read-only) and its kind; decompresses one mask."""
        with self._lock:
            keyframe, tracked = self._keyframes.get(index), self._tracked.get(index)
            kind = self._kind(index)
        if keyframe is not None:
            return decode_mask(keyframe.encoded), kind
        if tracked is not None:
            return decode_mask(tracked.encoded), kind
        return None, MaskKind.NONE

    def keyframe(self, index: int) -> Keyframe | None:
        with self._lock:
            return self._keyframes.get(index)

    def keyframes(self) -> list[int]:
        """Frame indices of the keyframes, ascending."""
        with self._lock:
            return sorted(self._keyframes)

    def kind(self, index: int) -> MaskKind:
        with self._lock:
            return self._kind(index)

    def kinds(self) -> dict[int, MaskKind]:
        """Every stored frame and its kind."""
        with self._lock:
            kinds = dict.fromkeys(self._tracked, MaskKind.TRACKED)
            kinds.update(dict.fromkeys(self._stale, MaskKind.STALE))
            kinds.update(dict.fromkeys(self._keyframes, MaskKind.KEYFRAME))
            return kinds

    def confidence(self, index: int) -> Mapping[int, float]:
        """Object id -> confidence of a tracked mask; empty for any other frame."""
        with self._lock:
            tracked = self._tracked.get(index)
            return tracked.confidence if tracked is not None else {}

    def confidences(self) -> dict[int, float]:
        """Tracked frame -> the lowest confidence of its objects (frames without any figure are left out)."""
        with self._lock:
            return {i: min(t.confidence.values()) for i, t in self._tracked.items() if t.confidence}

    def states(self, index: int) -> Mapping[int, ObjectState]:
        """Object id -> how it fares in this frame: as tracked, or sure where the user painted it."""
        with self._lock:
            return self._states(index)

    def all_states(self) -> dict[int, Mapping[int, ObjectState]]:
        """The same of every stored frame (frames of which nothing is known are left out)."""
        with self._lock:
            told = {index: self._states(index) for index in (*self._tracked, *self._keyframes)}
        return {index: states for index, states in told.items() if states}

    def snapshot(self) -> MaskSnapshot:
        """Every mask as it is now, for an export that must not see later edits."""
        with self._lock:
            encoded = {i: t.encoded for i, t in self._tracked.items()}
            encoded.update({i: k.encoded for i, k in self._keyframes.items()})
            confidences = {i: t.confidence for i, t in self._tracked.items() if t.confidence}
        return MaskSnapshot(encoded, confidences)

    def contents(self) -> StoreContents:
        """Everything there is now, for a project."""
        with self._lock:
            return StoreContents(dict(self._keyframes), dict(self._tracked), frozenset(self._stale), self._version)

    def restore(self, contents: StoreContents) -> StoreChange:
        """Hold exactly these entries from now on."""
        with self._lock:
            self._changes += 1
            former = {*self._keyframes, *self._tracked}
            self._past.clear()
            self._keyframes = dict(contents.keyframes)
            self._tracked = {i: t for i, t in contents.tracked.items() if i not in contents.keyframes}
            self._stale = set(contents.stale).intersection(self._tracked)
            self._version = max(contents.version, self._version)
            self._bytes = 0
            self._objects.clear()
            for encoded in [k.encoded for k in self._keyframes.values()] + [t.encoded for t in self._tracked.values()]:
                self._count(encoded, 1)
            return StoreChange.of({*former, *self._keyframes, *self._tracked})

    @property
    def changes(self) -> int:
        """Another number after every change."""
        with self._lock:
            return self._changes

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids with a pixel in any stored mask, ascending."""
        with self._lock:
            return tuple(sorted(self._objects))

    @property
    def painted_ids(self) -> tuple[int, ...]:
        """Ids with a pixel in any keyframe, ascending."""
        with self._lock:
            return tuple(sorted({i for k in self._keyframes.values() for i in k.encoded.object_ids}))

    @property
    def byte_count(self) -> int:
        """Compressed bytes of all masks."""
        with self._lock:
            return self._bytes

    def __len__(self) -> int:
        with self._lock:
            return len(self._keyframes) + len(self._tracked)

    # -- with the lock held --------------------------------------------------------------------------------------
    def _states(self, index: int) -> Mapping[int, ObjectState]:
        keyframe = self._keyframes.get(index)
        if keyframe is None:
            tracked = self._tracked.get(index)
            return tracked.states if tracked is not None else {}
        said = dict(keyframe.origin.states) if keyframe.origin is not None else {}
        said.update(dict.fromkeys(keyframe.denied, ObjectState.LOST))
        said.update(dict.fromkeys(keyframe.encoded.object_ids, ObjectState.SURE))
        return said

    def _entry(self, index: int) -> Entry:
        return Entry(self._keyframes.get(index), self._tracked.get(index), index in self._stale)

    def _put_back(self, index: int, entry: Entry) -> None:
        self._discard(index)
        if entry.keyframe is not None:
            self._version += 1  # the tracker has to see it again
            self._keyframes[index] = replace(entry.keyframe, version=self._version)
            self._count(entry.keyframe.encoded, 1)
        elif entry.tracked is not None:
            self._swap_tracked(index, entry.tracked)
            if entry.stale:
                self._stale.add(index)

    def _kind(self, index: int) -> MaskKind:
        if index in self._keyframes:
            return MaskKind.KEYFRAME
        if index in self._stale:
            return MaskKind.STALE
        return MaskKind.TRACKED if index in self._tracked else MaskKind.NONE

    def _settle(self, index: int, keyframe: Keyframe) -> bool:
        """Store as keyframe; when the edit says nothing (any more), as tracked or not at all: then True."""
        self._discard(index)
        if keyframe.touched.intersection(keyframe.encoded.object_ids) or keyframe.touched & keyframe.denied:
            self._keyframes[index] = keyframe
            self._count(keyframe.encoded, 1)
            return False
        origin = keyframe.origin
        if origin is not None and origin.encoded == keyframe.encoded:
            self._swap_tracked(index, origin)
            if origin.stale:
                self._stale.add(index)
        elif keyframe.encoded.object_ids:
            self._swap_tracked(index, Tracked(keyframe.encoded))
        return True

    def _keep_to_limit(self) -> None:
        while self._limit is not None and len(self._tracked) > self._limit:
            self._discard(next(iter(self._tracked)))

    def _swap_tracked(self, index: int, tracked: Tracked) -> None:
        old = self._tracked.get(index)
        if old is not None:
            self._count(old.encoded, -1)
        self._tracked[index] = tracked
        self._count(tracked.encoded, 1)

    def _discard(self, index: int) -> None:
        for entry in (self._keyframes.pop(index, None), self._tracked.pop(index, None)):
            if entry is not None:
                self._count(entry.encoded, -1)
        self._stale.discard(index)

    def _count(self, encoded: EncodedMask, sign: int) -> None:
        self._bytes += sign * encoded.nbytes
        for object_id in encoded.object_ids:
            self._objects[object_id] += sign
            if not self._objects[object_id]:
                del self._objects[object_id]

    def _mark_stale(self, index: int) -> list[int]:
        """Tracked frames after `index`, up to the next keyframe, were made without knowing of this edit."""
        until = min((k for k in self._keyframes if k > index), default=None)
        marked = [i for i in self._tracked if i > index and (until is None or i < until) and i not in self._stale]
        self._stale.update(marked)
        return marked
