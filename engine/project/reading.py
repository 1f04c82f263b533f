"""From the rows of a project file to its values. Every row may come from a stranger, so every value is checked."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from typing import Any

from engine.object_state import ObjectState
from engine.project.mask_codec import EncodedMask, checked_mask
from engine.project.mask_entries import Keyframe, StoreContents, Tracked
from engine.project.state import (
    MAX_FRAMES,
    MAX_MASK_BYTES,
    MAX_TEXT,
    AheadState,
    BankState,
    Fingerprint,
    ProjectEngine,
    ProjectError,
    ProjectObject,
    ProjectState,
    ProjectView,
    SlotState,
    SourceReference,
    TrailState,
)
from engine.types import MAX_OBJECT_ID
from engine.video.source import MAX_PIXELS, MAX_SIDE, SourceKind

MAX_SLOTS = 256
MAX_BANK_BYTES = 2**31
MAX_TRAIL = 256  # numbers a trail may hold of a kind
MAX_LOOKS_BYTES = 2**20
MAX_NAME = 200
_MAX_VERSION = 2**53


class _DamagedError(ValueError):
    """A value that LiveMask cannot have written."""


def read_state(connection: sqlite3.Connection) -> ProjectState:
    """Everything the file holds. The memory bank is None when there is none, or when it is damaged.

    Raises:
        ProjectError: a row is damaged or beyond the limits.
        sqlite3.Error: the file cannot be read.
    """
    try:
        meta = _read_meta(connection)
        source = _source(meta.get("source"))
        contents = _contents(connection, source)
        objects = tuple(_objects(connection))
        engine, view = _engine(meta.get("engine", {})), _view(meta.get("view", {}))
    except _DamagedError as error:
        raise ProjectError(f"The project is damaged: {error}.", "Use a copy of it.") from error
    try:
        bank = _bank(connection, source)
    except _DamagedError:
        bank = None  # the masks are whole; tracking starts again from the keyframes
    return ProjectState(source, contents, objects, engine, view, bank)


def source_name(connection: sqlite3.Connection) -> str:
    """The name of the project's source.

    Raises:
        ProjectError: its entry is damaged.
    """
    try:
        return _source(_read_meta(connection).get("source")).name
    except _DamagedError as error:
        raise ProjectError(f"The project is damaged: {error}.", "Use a copy of it.") from error


# -- values ----------------------------------------------------------------------------------------------------------
def _int(value: Any, low: int, high: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _DamagedError(f"{what} is {str(value)[:40]!r}")
    return value


def _frame(value: Any) -> int:
    return _int(value, 0, MAX_FRAMES, "a frame number")


def _maybe_frame(value: Any) -> int | None:
    return None if value is None else _frame(value)


def _text(value: Any, limit: int, what: str) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise _DamagedError(f"{what} is no text of at most {limit} characters")
    return value


def _bytes(value: Any, limit: int, what: str) -> bytes:
    if not isinstance(value, bytes) or len(value) > limit:
        raise _DamagedError(f"{what} holds no data of at most {limit} bytes")
    return value


def _ids(value: Any) -> tuple[int, ...]:
    ids = tuple(_bytes(value, MAX_OBJECT_ID, "a list of objects"))
    if 0 in ids or len(set(ids)) != len(ids):
        raise _DamagedError("a list of objects names one twice, or the background")
    return ids


def _json(value: Any, what: str) -> Any:
    try:
        return json.loads(_text(value, MAX_TEXT, what))
    except (ValueError, RecursionError) as error:
        raise _DamagedError(f"{what} cannot be read") from error


def _dict(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _DamagedError(f"{what} cannot be read")
    return value


def _confidence(value: Any) -> dict[int, float]:
    confidence: dict[int, float] = {}
    for key, share in _dict(_json(value, "a confidence"), "a confidence").items():
        if not key.isascii() or not key.isdigit() or len(key) > 3 or not isinstance(share, (int, float)):
            raise _DamagedError("a confidence cannot be read")
        if not math.isfinite(share) or not 0 <= share <= 1:
            raise _DamagedError("a confidence is not between 0 and 1")
        confidence[_int(int(key), 1, MAX_OBJECT_ID, "an object")] = float(share)
    return confidence


def _object_states(value: Any) -> dict[int, ObjectState]:
    states = {}
    for key, word in _dict(_json(value, "the states of objects"), "the states of objects").items():
        states[_int(_number(key), 1, MAX_OBJECT_ID, "an object")] = _object_state(word)
    return states


def _object_state(word: Any) -> ObjectState:
    try:
        return ObjectState(word)
    except ValueError as error:
        raise _DamagedError("the state of an object is one nobody knows") from error


# -- parts -----------------------------------------------------------------------------------------------------------
def _read_meta(connection: sqlite3.Connection) -> dict[str, Any]:
    keys = ("source", "engine", "view")
    rows = connection.execute(
        f"SELECT key, substr(value, 1, {MAX_TEXT + 1}) FROM meta WHERE key IN (?, ?, ?)", keys
    ).fetchall()
    return {key: _dict(_json(value, f"its {key}"), f"its {key}") for key, value in rows}


def _source(value: Any) -> SourceReference:
    data = _dict(value, "its source")
    width = _int(data.get("width"), 1, 2**31, "the width of its frames")
    height = _int(data.get("height"), 1, 2**31, "the height of its frames")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ProjectError(
            f"The project's frames are {width} x {height}; the limit is {MAX_SIDE} pixels a side and "
            f"{MAX_PIXELS // 10**6} million in all.",
            "It is not opened.",
        )
    kind = data.get("kind")
    if kind not in (SourceKind.FILE.value, SourceKind.FOLDER.value):
        raise _DamagedError("its source is neither a video nor a folder")
    mark = data.get("fingerprint")
    return SourceReference(
        kind=SourceKind(kind),
        path=_text(data.get("path"), 4096, "the place of its source"),
        name=_text(data.get("name"), 1024, "the name of its source"),
        width=width,
        height=height,
        fingerprint=None if mark is None else _fingerprint(_dict(mark, "its fingerprint")),
        beside=_text(data.get("beside", ""), 4096, "the place of its source"),
        own=data.get("own") is True,
    )


def _fingerprint(data: dict[str, Any]) -> Fingerprint:
    count = data.get("frame_count")
    return Fingerprint(
        _int(data.get("size"), 0, 2**63, "the size of its source"),
        _text(data.get("digest"), 64, "its fingerprint"),
        None if count is None else _int(count, 0, MAX_FRAMES, "the number of frames"),
    )


def _engine(data: dict[str, Any]) -> ProjectEngine:
    model, recipe, size = data.get("model"), data.get("recipe"), data.get("working_size")
    return ProjectEngine(
        None if model is None else _text(model, 100, "its model"),
        None if recipe is None else _text(recipe, 100, "its recipe"),
        None if size is None else _int(size, 16, MAX_SIDE, "its working size"),
    )


def _view(data: dict[str, Any]) -> ProjectView:
    return ProjectView(
        _frame(data.get("position", 0)),
        bool(data.get("tracking", False)),
        _maybe_frame(data.get("mark_in")),
        _maybe_frame(data.get("mark_out")),
    )


def _objects(connection: sqlite3.Connection) -> Iterator[ProjectObject]:
    rows = connection.execute("SELECT id, name, color, visible, locked FROM objects ORDER BY place, id LIMIT 256")
    for object_id, name, color, visible, locked in rows:
        rgb = _int(color, 0, 0xFFFFFF, "a colour")
        printable = "".join(c for c in _text(name, MAX_TEXT, "a name") if c.isprintable())[:MAX_NAME].strip()
        object_id = _int(object_id, 1, MAX_OBJECT_ID, "an object")
        yield ProjectObject(
            object_id,
            printable or f"Object {object_id}",
            (rgb >> 16, rgb >> 8 & 255, rgb & 255),
            bool(visible),
            bool(locked),
        )


def _contents(connection: sqlite3.Connection, source: SourceReference) -> StoreContents:
    total = 0
    for table, columns in (
        ("keyframes", "length(mask) + coalesce(length(origin_mask), 0)"),
        ("tracked", "length(mask)"),
    ):
        total += int(connection.execute(f"SELECT coalesce(sum({columns}), 0) FROM {table}").fetchone()[0])
    if total > MAX_MASK_BYTES:
        raise ProjectError(
            f"The masks of the project take {total} bytes; the limit is {MAX_MASK_BYTES}.", "It is not opened."
        )

    def mask(data: Any, height: Any, width: Any, frame: int) -> EncodedMask:
        if (height, width) != (source.height, source.width):
            raise _DamagedError(f"the mask of frame {frame} does not fit the video")
        try:
            return checked_mask(source.height, source.width, _bytes(data, MAX_MASK_BYTES, "a mask"))
        except ValueError as error:
            raise _DamagedError(f"the mask of frame {frame} cannot be unpacked") from error

    keyframes: dict[int, Keyframe] = {}
    rows = connection.execute(
        "SELECT frame, height, width, mask, touched, denied, version, origin_mask, origin_confidence, origin_stale, "
        "origin_states FROM keyframes ORDER BY frame"
    )
    for number, height, width, data, touched, denied, version, origin_mask, *of_origin in rows:
        frame = _frame(number)
        origin = None
        if origin_mask is not None:
            encoded, (confidence, is_stale, states) = mask(origin_mask, height, width, frame), of_origin
            known = {} if states is None else _object_states(states)  # a project of an older version has none
            origin = Tracked(encoded, _confidence(confidence), bool(is_stale), known)
        keyframes[frame] = Keyframe(
            mask(data, height, width, frame),
            frozenset(_ids(touched)),
            frozenset(_ids(denied)),
            _int(version, 0, _MAX_VERSION, "a version"),
            origin,
        )
    tracked: dict[int, Tracked] = {}
    stale: set[int] = set()
    rows = connection.execute(
        "SELECT frame, height, width, mask, confidence, stale, states FROM tracked ORDER BY frame"
    )
    for number, height, width, data, confidence, is_stale, states in rows:
        frame = _frame(number)
        encoded = mask(data, height, width, frame)
        tracked[frame] = Tracked(encoded, _confidence(confidence), states=_object_states(states))
        if is_stale:
            stale.add(frame)
    version = max((k.version for k in keyframes.values()), default=0)
    return StoreContents(keyframes, tracked, frozenset(stale), version)


# -- the memory bank -------------------------------------------------------------------------------------------------
def _bank(connection: sqlite3.Connection, source: SourceReference) -> BankState | None:
    row = connection.execute("SELECT facts, ahead FROM bank WHERE id = 1").fetchone()
    if row is None:
        return None
    facts = _dict(_json(row[0], "the memory"), "the memory")
    count, total = connection.execute("SELECT count(*), coalesce(sum(length(tensors)), 0) FROM bank_slots").fetchone()
    if count > MAX_SLOTS or total > MAX_BANK_BYTES:
        raise _DamagedError("the memory is too large")
    size = facts.get("working_size")
    fed = _dict(facts.get("fed"), "the memory")
    if not isinstance(size, list) or len(size) != 2:
        raise _DamagedError("the memory cannot be read")
    return BankState(
        identity=_text(facts.get("identity"), MAX_TEXT, "the memory"),
        mark=_mark(facts.get("mark")),
        object_ids=_listed_ids(facts.get("object_ids")),
        height=_int(facts.get("height"), 1, MAX_SIDE, "the memory's height"),
        width=_int(facts.get("width"), 1, MAX_SIDE, "the memory's width"),
        channels=_int(facts.get("channels"), 1, MAX_SIDE, "the memory's channels"),
        working_size=(_int(size[0], 1, MAX_SIDE, "a size"), _int(size[1], 1, MAX_SIDE, "a size")),
        processed=_int(facts.get("processed"), 0, _MAX_VERSION, "a count"),
        last=_maybe_frame(facts.get("last")),
        stepped=bool(facts.get("stepped")),
        fed={_frame(_number(k)): _int(v, 0, _MAX_VERSION, "a version") for k, v in fed.items()},
        slots=tuple(_slots(connection)),
        ahead=_ahead(facts.get("ahead"), row[1], source),
        trails=tuple(_trails(connection)),
    )


def _mark(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) > 64 or not all(isinstance(v, (int, float)) for v in value):
        raise _DamagedError("the memory cannot be read")
    return tuple(float(v) for v in value)


def _number(key: str) -> int:
    if not key.isascii() or not key.isdigit() or len(key) > 12:
        raise _DamagedError("a number cannot be read")
    return int(key)


def _listed_ids(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MAX_OBJECT_ID:
        raise _DamagedError("the memory's objects cannot be read")
    return _ids(bytes(_int(v, 1, MAX_OBJECT_ID, "an object") for v in value))


def _slots(connection: sqlite3.Connection) -> Iterator[SlotState]:
    rows = connection.execute(
        "SELECT pool, place, frame, position, is_keyframe, known, tensors FROM bank_slots ORDER BY pool, place"
    )
    for pool, place, frame, position, is_keyframe, known, tensors in rows:
        if pool not in ("recent", "keyframe"):
            raise _DamagedError("the memory has a part nobody knows")
        yield SlotState(
            pool,
            _int(place, 0, MAX_SLOTS, "a place"),
            _frame(frame),
            _int(position, 0, _MAX_VERSION, "a position"),
            bool(is_keyframe),
            _ids(known),
            _bytes(tensors, MAX_BANK_BYTES, "the memory"),
        )


def _trails(connection: sqlite3.Connection) -> Iterator[TrailState]:
    rows = connection.execute("SELECT object, state, run, facts, looks FROM bank_trails ORDER BY object")
    for object_id, state, run, facts, looks in rows:
        known = _dict(_json(facts, "a trail"), "a trail")
        yield TrailState(
            _int(object_id, 1, MAX_OBJECT_ID, "an object"),
            None if state is None else _object_state(state),
            _int(run, 0, MAX_FRAMES, "a count"),
            _int(known.get("cells"), 1, MAX_PIXELS, "a count"),
            _numbers(known.get("areas")),
            _numbers(known.get("likenesses")),
            _bytes(looks, MAX_LOOKS_BYTES, "a trail"),
        )


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) > MAX_TRAIL:
        raise _DamagedError("a trail cannot be read")
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e12 for v in value):
        raise _DamagedError("a trail holds something else than numbers")
    return tuple(float(v) for v in value)


def _ahead(data: Any, encoded: Any, source: SourceReference) -> AheadState | None:
    if data is None or encoded is None:
        return None
    data = _dict(data, "the memory")
    try:
        mask = checked_mask(source.height, source.width, _bytes(encoded, MAX_MASK_BYTES, "a mask"))
    except ValueError as error:
        raise _DamagedError("a mask cannot be unpacked") from error
    version = data.get("version")
    return AheadState(
        _frame(data.get("frame")),
        mask,
        _confidence(data.get("confidence")),
        None if version is None else _int(version, 0, _MAX_VERSION, "a version"),
        _object_states(data.get("states", "{}")),
    )
