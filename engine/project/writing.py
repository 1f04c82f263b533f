"""From the values of a project to the rows of its file: only what changed since the last time, in one transaction."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from engine.object_state import ObjectState
from engine.project.mask_entries import Keyframe, StoreContents, Tracked
from engine.project.state import BankState, ProjectObject, ProjectState, SlotState, SourceReference, TrailState


@dataclass
class Written:
    """What the file is known to hold. Values are compared by identity where they are immutable and large."""

    keyframes: Mapping[int, Keyframe] = field(default_factory=dict)
    tracked: Mapping[int, Tracked] = field(default_factory=dict)
    stale: frozenset[int] = frozenset()
    objects: tuple[ProjectObject, ...] | None = None
    meta: dict[str, str] = field(default_factory=dict)
    bank: BankState | None = None
    slots: dict[tuple[str, int], bytes] = field(default_factory=dict)  # (pool, frame) -> digest

    def note(self, state: ProjectState, digests: dict[tuple[str, int], bytes] | None = None) -> None:
        """The file holds `state` now; `digests` of its memory's slots where they are known."""
        contents = state.contents
        self.keyframes, self.tracked, self.stale = contents.keyframes, contents.tracked, contents.stale
        self.objects = state.objects
        self.meta = meta_of(state)
        if state.bank is not None:
            self.bank = state.bank
            self.slots = digests if digests is not None else _digests(state.bank)


def write_changes(connection: sqlite3.Connection, written: Written, state: ProjectState) -> bool:
    """Bring the file from `written` to `state`, all or nothing. False when there was nothing to do.

    Raises:
        sqlite3.Error: nothing was written; `written` still holds.
    """
    connection.execute("BEGIN IMMEDIATE")
    before = connection.total_changes
    try:
        _write_meta(connection, written.meta, meta_of(state))
        if state.objects != written.objects:
            _write_objects(connection, state.objects)
        _write_keyframes(connection, written.keyframes, state.contents.keyframes)
        _write_tracked(connection, written, state.contents)
        connection.executemany("INSERT OR IGNORE INTO pictures VALUES (?, ?)", state.pictures.items())
        digests = written.slots
        if state.bank is not None and state.bank is not written.bank:
            digests = _digests(state.bank)
            _write_bank(connection, written.slots, digests, state.bank)
        changed = connection.total_changes != before
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends the transaction by itself
            connection.execute("ROLLBACK")
        raise
    written.note(state, digests)
    return changed


def meta_of(state: ProjectState) -> dict[str, str]:
    return {
        "source": _json(_source(state.source)),
        "engine": _json(asdict(state.engine)),
        "view": _json(asdict(state.view)),
    }


def _source(source: SourceReference) -> dict[str, object]:
    return {**asdict(source), "kind": source.kind.value}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))  # pure ASCII: names of files may hold what UTF-8 cannot


def _confidence(confidence: Mapping[int, float]) -> str:
    return _json({str(i): share for i, share in confidence.items()})


def _states(states: Mapping[int, ObjectState]) -> str:
    return _json({str(i): state.value for i, state in states.items()})


def _write_meta(connection: sqlite3.Connection, old: dict[str, str], new: dict[str, str]) -> None:
    rows = [(key, value) for key, value in new.items() if old.get(key) != value]
    connection.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", rows)


def _write_objects(connection: sqlite3.Connection, objects: tuple[ProjectObject, ...]) -> None:
    connection.execute("DELETE FROM objects")
    rows = []
    for place, item in enumerate(objects):
        red, green, blue = item.color
        name = item.name.encode("utf-8", "replace").decode()
        rows.append((item.id, place, name, red << 16 | green << 8 | blue, item.visible, item.locked))
    connection.executemany(
        "INSERT INTO objects (id, place, name, color, visible, locked) VALUES (?, ?, ?, ?, ?, ?)", rows
    )


def _delete(connection: sqlite3.Connection, table: str, old: Mapping[int, object], new: Mapping[int, object]) -> None:
    connection.executemany(f"DELETE FROM {table} WHERE frame = ?", [(frame,) for frame in old if frame not in new])


def _write_keyframes(connection: sqlite3.Connection, old: Mapping[int, Keyframe], new: Mapping[int, Keyframe]) -> None:
    _delete(connection, "keyframes", old, new)
    rows = []
    for frame, keyframe in new.items():
        if old.get(frame) is not keyframe:
            encoded, origin = keyframe.encoded, keyframe.origin
            rows.append(
                (
                    frame,
                    encoded.height,
                    encoded.width,
                    encoded.data,
                    bytes(sorted(keyframe.touched)),
                    bytes(sorted(keyframe.denied)),
                    keyframe.version,
                    origin.encoded.data if origin else None,
                    _confidence(origin.confidence) if origin else None,
                    origin.stale if origin else None,
                    _states(origin.states) if origin else None,
                )
            )
    connection.executemany("INSERT OR REPLACE INTO keyframes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _write_tracked(connection: sqlite3.Connection, written: Written, new: StoreContents) -> None:
    _delete(connection, "tracked", written.tracked, new.tracked)
    rows, old = [], written.tracked
    changed = {frame for frame, tracked in new.tracked.items() if old.get(frame) is not tracked}
    for frame in changed:
        encoded = new.tracked[frame].encoded
        confidence, states = _confidence(new.tracked[frame].confidence), _states(new.tracked[frame].states)
        rows.append((frame, encoded.height, encoded.width, encoded.data, confidence, frame in new.stale, states))
    connection.executemany("INSERT OR REPLACE INTO tracked VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    flipped = [frame for frame in written.stale ^ new.stale if frame in new.tracked and frame not in changed]
    connection.executemany(
        "UPDATE tracked SET stale = ? WHERE frame = ?", [(frame in new.stale, frame) for frame in flipped]
    )


def _digest(slot: SlotState) -> bytes:
    facts = repr((slot.order, slot.position, slot.is_keyframe, slot.known)).encode()
    return hashlib.sha256(facts + slot.tensors).digest()


def _digests(bank: BankState) -> dict[tuple[str, int], bytes]:
    return {(slot.pool, slot.frame_index): _digest(slot) for slot in bank.slots}


def _write_bank(
    connection: sqlite3.Connection,
    old: dict[tuple[str, int], bytes],
    new: dict[tuple[str, int], bytes],
    bank: BankState,
) -> None:
    ahead = bank.ahead
    facts = {
        "identity": bank.identity,
        "mark": list(bank.mark),
        "object_ids": list(bank.object_ids),
        "height": bank.height,
        "width": bank.width,
        "channels": bank.channels,
        "working_size": list(bank.working_size),
        "processed": bank.processed,
        "last": bank.last,
        "stepped": bank.stepped,
        "fed": {str(frame): version for frame, version in bank.fed.items()},
        "ahead": ahead
        and {
            "frame": ahead.frame_index,
            "confidence": _confidence(ahead.confidence),
            "version": ahead.keyframe_version,
            "states": _states(ahead.states),
        },
    }
    connection.execute(
        "INSERT OR REPLACE INTO bank (id, facts, ahead) VALUES (1, ?, ?)",
        (_json(facts), ahead.encoded.data if ahead else None),
    )
    connection.executemany(
        "DELETE FROM bank_slots WHERE pool = ? AND frame = ?", [key for key in old if key not in new]
    )
    rows = [
        (s.pool, s.frame_index, s.order, s.position, s.is_keyframe, bytes(sorted(s.known)), s.tensors)
        for s in bank.slots
        if old.get((s.pool, s.frame_index)) != new[s.pool, s.frame_index]
    ]
    connection.executemany("INSERT OR REPLACE INTO bank_slots VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("DELETE FROM bank_trails")  # all of them change with every frame
    connection.executemany("INSERT INTO bank_trails VALUES (?, ?, ?, ?, ?)", map(_trail_row, bank.trails))


def _trail_row(trail: TrailState) -> tuple[object, ...]:
    facts = {"cells": trail.cells, "areas": trail.areas, "likenesses": trail.likenesses}
    state = None if trail.state is None else trail.state.value
    return trail.object_id, state, trail.run, _json(facts), trail.looks
