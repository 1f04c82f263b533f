"""What a mask store needs to take back a deletion, a merge or a pin: the entries from before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from engine.project.mask_entries import Entry


class PastEntries:
    """Used with the store's lock held. Entries share their compressed masks with the store, so they cost little."""

    def __init__(self) -> None:
        self._pinned: dict[int, Entry] = {}  # what keyframes were that the user kept as the tracker had left them
        self._deleted: dict[int, dict[int, tuple[Entry, Entry]]] = {}  # object -> frame -> before and after

    def clear(self) -> None:
        self._pinned.clear()
        self._deleted.clear()

    def pin(self, index: int, before: Entry) -> None:
        self._pinned[index] = before

    def unpin(self, index: int, now: Entry) -> Entry | None:
        """What the frame was before it was pinned; None when it was not, or was painted on since."""
        before = self._pinned.pop(index, None)
        if before is None or before.tracked is None or now.keyframe is None:
            return None
        return before if before.tracked.encoded == now.keyframe.encoded else None

    def delete(self, object_id: int, entries: Mapping[int, tuple[Entry, Entry]]) -> None:
        """Deleting this object, or merging it, turned the first entry of each frame into the second."""
        self._deleted[object_id] = dict(entries)

    def use(self, object_ids: Collection[int]) -> None:
        """These ids are painted: what other objects of theirs were is of no more use."""
        for object_id in object_ids:
            self._deleted.pop(object_id, None)

    def restore(self, object_id: int, look: Callable[[int], Entry]) -> Iterator[tuple[int, Entry]]:
        """(frame, what to put back) wherever `look` still finds the mask that was left."""
        for index, (before, after) in self._deleted.pop(object_id, {}).items():
            now = look(index)
            if not now.shows_the_same(after):
                continue  # edited or tracked anew since
            keyframe = before.keyframe
            if keyframe is not None and now.keyframe is not None and after.keyframe is not None:
                touched = keyframe.touched | (now.keyframe.touched - after.keyframe.touched)
                denied = keyframe.denied | (now.keyframe.denied - after.keyframe.denied)
                keyframe = replace(keyframe, touched=touched, denied=denied)
            yield index, Entry(keyframe, before.tracked, before.stale or now.stale)
