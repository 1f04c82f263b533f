"""What a mask store holds and tells: immutable values that threads share, projects keep and exports read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from engine.object_state import ObjectState
from engine.project.mask_codec import EncodedMask, decode_mask, turned_into, without_objects
from engine.types import Mask


@dataclass(frozen=True)
class Tracked:
    """A mask the tracker made. `stale` is used where it is an origin; the store keeps that of all others by itself."""

    encoded: EncodedMask
    confidence: Mapping[int, float] = field(default_factory=dict)
    stale: bool = False
    states: Mapping[int, ObjectState] = field(default_factory=dict)

    def without(self, object_ids: frozenset[int]) -> Tracked:
        confidence = {i: c for i, c in self.confidence.items() if i not in object_ids}
        states = {i: s for i, s in self.states.items() if i not in object_ids}
        return replace(self, encoded=without_objects(self.encoded, object_ids), confidence=confidence, states=states)

    def merged(self, object_id: int, into: int) -> Tracked:
        """With one object as a part of another: as sure as the less sure part, and lost only where both are."""
        encoded = turned_into(self.encoded, frozenset([object_id]), into)
        confidence, states = dict(self.confidence), dict(self.states)
        parts = [i for i in (object_id, into) if i in confidence or i in states]
        there = [i for i in parts if states.get(i) is not ObjectState.LOST] or parts
        told = min(there, key=lambda i: confidence.get(i, 1.0), default=into)
        for known in (confidence, states):
            known.pop(object_id, None)
            known.pop(into, None)
        if told in self.confidence:
            confidence[into] = self.confidence[told]
        if told in self.states:
            states[into] = self.states[told]
        return replace(self, encoded=encoded, confidence=confidence, states=states)


@dataclass(frozen=True)
class Keyframe:
    """A mask the user gave.

    Attributes:
        touched: ids whose pixels the user meant, over all edits of this frame.
        denied: touched ids that a tracked mask had shown here before the first edit. Such an id without pixels is a
            statement ("it is not here"), where any other id without pixels is an edit taken back.
        origin: the tracked mask that was corrected, None when the first edit found none or kept it as it was (a pin).
            An object that edits have brought back to it is no longer touched.
        version: another number after every edit of the user's (a deleted object is no edit), so that the engine can
            tell whether the tracker has seen the newest.
    """

    encoded: EncodedMask
    touched: frozenset[int]
    denied: frozenset[int]
    version: int
    origin: Tracked | None = None

    def merged(self, object_id: int, into: int) -> Keyframe:
        """What is said of one object is said of another: this frame shows all of it."""
        gone, stays = frozenset([object_id]), frozenset([into])
        return replace(
            self,
            encoded=turned_into(self.encoded, gone, into),
            touched=(self.touched - gone) | stays if object_id in self.touched else self.touched,
            denied=(self.denied - gone) | stays if object_id in self.denied else self.denied,
            origin=self.origin and self.origin.merged(object_id, into),
        )


@dataclass(frozen=True)
class Entry:
    """What a store holds of one frame: a keyframe, a tracked mask, or nothing."""

    keyframe: Keyframe | None = None
    tracked: Tracked | None = None
    stale: bool = False

    def shows_the_same(self, other: Entry) -> bool:
        """Both are of one kind and have the same pixels, however they came about."""
        (mine, my_kind), (its, its_kind) = self._shown, other._shown
        return my_kind == its_kind and mine == its

    @property
    def _shown(self) -> tuple[EncodedMask | None, bool]:
        shown = self.keyframe or self.tracked
        return (None if shown is None else shown.encoded), self.keyframe is not None


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


@dataclass(frozen=True)
class StoreContents:
    """Every entry of a store at one moment, shared and not copied; what a project saves and opens again.

    Attributes:
        version: the highest number any keyframe was given so far.
    """

    keyframes: Mapping[int, Keyframe] = field(default_factory=dict)
    tracked: Mapping[int, Tracked] = field(default_factory=dict)
    stale: frozenset[int] = frozenset()
    version: int = 0


class MaskSnapshot(Mapping[int, Mask]):
    """Frame index -> mask as the store was at one moment; shares the compressed bytes, decompresses on access."""

    def __init__(
        self, encoded: Mapping[int, EncodedMask], confidences: Mapping[int, Mapping[int, float]] | None = None
    ) -> None:
        self._encoded = dict(sorted(encoded.items()))
        self._confidences = confidences or {}

    def __getitem__(self, index: int) -> Mask:
        return decode_mask(self._encoded[index])

    def __iter__(self) -> Iterator[int]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)

    def confidence(self, index: int) -> Mapping[int, float]:
        """Object id -> confidence of a tracked mask; empty for any other frame."""
        return self._confidences.get(index, {})

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids with a pixel in any mask, ascending."""
        return tuple(sorted({i for encoded in self._encoded.values() for i in encoded.object_ids}))

    def digest(self) -> str:
        """Differs whenever a mask or a confidence does."""
        known = hashlib.sha256()
        for index, encoded in self._encoded.items():
            known.update(f"{index} {encoded.height} {encoded.width} {sorted(self.confidence(index).items())}".encode())
            known.update(encoded.data)
        return known.hexdigest()
