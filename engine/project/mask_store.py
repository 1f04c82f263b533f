"""Every mask of the open source, compressed in memory, with where it came from."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from engine.project.mask_codec import EncodedMask, decode_mask, encode_mask, without_objects
from engine.runtime.messages import MaskKind
from engine.types import Mask

LIVE_LIMIT = 300  # tracked masks a live source keeps


@dataclass(frozen=True)
class Keyframe:
    """A mask the user gave.

    Attributes:
        touched: ids whose pixels the user meant, over all edits of this frame.
        denied: touched ids that a tracked mask had shown here before the first edit. Such an id without pixels is a
            statement ("it is not here"), where any other id without pixels is an edit taken back.
        version: another number after every edit of the user's (a deleted object is no edit), so that the engine can
            tell whether the tracker has seen the newest.
    """

    encoded: EncodedMask
    touched: frozenset[int]
    denied: frozenset[int]
    version: int


@dataclass(frozen=True)
class _Tracked:
    encoded: EncodedMask
    confidence: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StoreChange:
    """What an edit did.

    Attributes:
        first, last: frames whose mask or kind changed, inclusive; None when nothing did.
        keyframes_gone: frames that are no keyframes any more.
    """

    first: int | None = None
    last: int | None = None
    keyframes_gone: tuple[int, ...] = ()

    @staticmethod
    def of(indices: Collection[int], keyframes_gone: Collection[int] = ()) -> StoreChange:
        if not indices:
            return StoreChange(keyframes_gone=tuple(sorted(keyframes_gone)))
        return StoreChange(min(indices), max(indices), tuple(sorted(keyframes_gone)))


class MaskSnapshot(Mapping[int, Mask]):
    """Frame index -> mask as the store was at one moment; shares the compressed bytes, decompresses on access."""

    def __init__(self, encoded: Mapping[int, EncodedMask]) -> None:
        self._encoded = dict(sorted(encoded.items()))

    def __getitem__(self, index: int) -> Mask:
        return decode_mask(self._encoded[index])

    def __iter__(self) -> Iterator[int]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)


class MaskStore:
    """Thread-safe. A frame has at most one mask: the user's (keyframe) or a tracked one."""

    def __init__(self, limit: int | None = None) -> None:
        """`limit`: keep only that many tracked masks, the latest stored (live sources). Keyframes always stay."""
        self._limit = limit
        self._lock = threading.Lock()
        self._keyframes: dict[int, Keyframe] = {}
        self._tracked: dict[int, _Tracked] = {}  # in the order they were stored
        self._stale: set[int] = set()
        self._bytes = 0
        self._objects: Counter[int] = Counter()
        self._version = 0

    # -- the user's edits ----------------------------------------------------------------------------------------
    def put_keyframe(self, index: int, mask: Mask, touched: Collection[int]) -> StoreChange:
        """Store the user's mask; tracked masks after it, up to the next keyframe, become stale.

        When no touched object has pixels and none is denied (see `Keyframe`), the edit was taken back: the frame is no
        keyframe any more, and what other objects it shows counts as tracked.
        """
        encoded = encode_mask(mask)
        with self._lock:
            old = self._keyframes.get(index)
            tracked = self._tracked.get(index)
            ids = frozenset(int(i) for i in touched if i > 0)
            if old is not None:
                all_touched, denied = ids | old.touched, old.denied
            else:
                all_touched, denied = ids, frozenset[int]()
            if tracked is not None:
                denied |= ids.intersection(tracked.encoded.object_ids)
            self._version += 1
            gone = self._settle(index, encoded, all_touched, denied, self._version)
            return StoreChange.of([index, *self._mark_stale(index)], [index] if gone and old is not None else [])

    def remove(self, index: int) -> StoreChange:
        """Forget the mask of one frame; if it was a keyframe, tracked masks that hang on it become stale."""
        with self._lock:
            if index not in self._keyframes and index not in self._tracked:
                return StoreChange()
            was_keyframe = index in self._keyframes
            stale = self._mark_stale(index) if was_keyframe else []
            self._discard(index)
            return StoreChange.of([index, *stale], [index] if was_keyframe else [])

    def delete_object(self, object_id: int) -> StoreChange:
        """Turn the object's pixels to background everywhere. Keyframes that meant nothing else stop being keyframes.

        When no painted object is left at all, the tracked masks go too.
        """
        gone_object = frozenset([object_id])
        with self._lock:
            changed: list[int] = []
            gone: list[int] = []
            for index, keyframe in list(self._keyframes.items()):
                if object_id not in keyframe.touched and object_id not in keyframe.encoded.object_ids:
                    continue
                changed.append(index)
                encoded = without_objects(keyframe.encoded, gone_object)
                touched, denied = keyframe.touched - gone_object, keyframe.denied - gone_object
                if self._settle(index, encoded, touched, denied, keyframe.version):
                    gone.append(index)
            for index, tracked in list(self._tracked.items()):
                if object_id in tracked.encoded.object_ids:
                    changed.append(index)
                    confidence = {i: c for i, c in tracked.confidence.items() if i != object_id}
                    self._swap_tracked(index, _Tracked(without_objects(tracked.encoded, gone_object), confidence))
            if not any(keyframe.encoded.object_ids for keyframe in self._keyframes.values()):
                changed.extend(self._tracked)
                for index in list(self._tracked):
                    self._discard(index)
            return StoreChange.of(changed, gone)

    def drop_tracked(self) -> StoreChange:
        """Forget every tracked mask; keyframes stay."""
        with self._lock:
            indices = list(self._tracked)
            for index in indices:
                self._discard(index)
            return StoreChange.of(indices)

    def clear(self) -> None:
        with self._lock:
            self._keyframes.clear()
            self._tracked.clear()
            self._stale.clear()
            self._objects.clear()
            self._bytes = 0

    # -- the engine's results ------------------------------------------------------------------------------------
    def put_tracked(self, index: int, encoded: EncodedMask, confidence: Mapping[int, float] | None = None) -> bool:
        """Store a tracked mask; False (and no change) when the frame is a keyframe: the user's masks are never lost."""
        with self._lock:
            if index in self._keyframes:
                return False
            self._discard(index)
            self._swap_tracked(index, _Tracked(encoded, dict(confidence or {})))
            while self._limit is not None and len(self._tracked) > self._limit:
                self._discard(next(iter(self._tracked)))
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

    def snapshot(self) -> MaskSnapshot:
        """Every mask as it is now, for an export that must not see later edits."""
        with self._lock:
            encoded = {i: t.encoded for i, t in self._tracked.items()}
            encoded.update({i: k.encoded for i, k in self._keyframes.items()})
        return MaskSnapshot(encoded)

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
    def _kind(self, index: int) -> MaskKind:
        if index in self._keyframes:
            return MaskKind.KEYFRAME
        if index in self._stale:
            return MaskKind.STALE
        return MaskKind.TRACKED if index in self._tracked else MaskKind.NONE

    def _settle(
        self, index: int, encoded: EncodedMask, touched: frozenset[int], denied: frozenset[int], version: int
    ) -> bool:
        """Store as keyframe; when the edit says nothing (any more), as tracked or not at all: then True."""
        self._discard(index)
        if touched.intersection(encoded.object_ids) or touched & denied:
            self._keyframes[index] = Keyframe(encoded, touched, denied, version)
            self._count(encoded, 1)
            return False
        if encoded.object_ids:
            self._swap_tracked(index, _Tracked(encoded))
        return True

    def _swap_tracked(self, index: int, tracked: _Tracked) -> None:
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
