"""The tables of a project file, version by version, and the check that a file has these and nothing else.

A new project runs through every step, so that old files and new ones end at the very same tables.
"""

from __future__ import annotations

import sqlite3

from engine.project.state import ProjectError

APPLICATION_ID = 0x4C4D736B  # "LMsk", in the header of every project file

_VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (
    id INTEGER PRIMARY KEY, place INTEGER NOT NULL, name TEXT NOT NULL, color INTEGER NOT NULL,
    visible INTEGER NOT NULL, locked INTEGER NOT NULL);
CREATE TABLE keyframes (
    frame INTEGER PRIMARY KEY, height INTEGER NOT NULL, width INTEGER NOT NULL, mask BLOB NOT NULL,
    touched BLOB NOT NULL, denied BLOB NOT NULL, version INTEGER NOT NULL,
    origin_mask BLOB, origin_confidence TEXT, origin_stale INTEGER);
CREATE TABLE tracked (
    frame INTEGER PRIMARY KEY, height INTEGER NOT NULL, width INTEGER NOT NULL, mask BLOB NOT NULL,
    confidence TEXT NOT NULL, stale INTEGER NOT NULL);
"""

# The memory bank, one row per remembered frame so that only those that changed are written again.
_VERSION_2 = """
CREATE TABLE bank (id INTEGER PRIMARY KEY, facts TEXT NOT NULL, ahead BLOB);
CREATE TABLE bank_slots (
    pool TEXT NOT NULL, frame INTEGER NOT NULL, place INTEGER NOT NULL, position INTEGER NOT NULL,
    is_keyframe INTEGER NOT NULL, known BLOB NOT NULL, tensors BLOB NOT NULL, PRIMARY KEY (pool, frame));
"""

# How objects fare, and what the next confidence hangs on: without it work would not go on exactly.
_VERSION_3 = """
ALTER TABLE tracked ADD COLUMN states TEXT NOT NULL DEFAULT '{}';
ALTER TABLE keyframes ADD COLUMN origin_states TEXT;
CREATE TABLE bank_trails (
    object INTEGER PRIMARY KEY, state TEXT, run INTEGER NOT NULL, facts TEXT NOT NULL, looks BLOB NOT NULL);
"""

# The pictures of painted frames that cannot be read again, those of cameras and streams.
_VERSION_4 = """
CREATE TABLE pictures (frame INTEGER PRIMARY KEY, png BLOB NOT NULL);
"""

STEPS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
VERSION = len(STEPS)


def version_of(connection: sqlite3.Connection) -> int:
    """The format's version in a project file.

    Raises:
        ProjectError: it is no project, or one of a newer LiveMask.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ProjectError("This file is no LiveMask project.", "Choose another file.")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise ProjectError(
            f"The project was saved by a newer LiveMask (format {version}, this one reads up to {VERSION}).",
            "Update LiveMask.",
        )
    if version < 1:
        raise ProjectError("The project is damaged: it states no format.", "Use a copy of it.")
    return version


def migrate(connection: sqlite3.Connection) -> int:
    """Bring the tables to the present version, all steps or none; returns the version they had. 0: a new file."""
    if int(connection.execute("PRAGMA user_version").fetchone()[0]) == VERSION:
        return VERSION  # nothing is written: it opens on a full disk, too
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for step in STEPS[version:]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends the transaction by itself
            connection.execute("ROLLBACK")
        raise
    return version


def check_tables(connection: sqlite3.Connection, version: int) -> None:
    """A project has the tables of its version; triggers, views and virtual tables would run what a stranger wrote.

    Raises:
        ProjectError: there is anything else.
    """
    if _tables(connection) != _expected(version):
        raise ProjectError("The project holds tables that LiveMask did not make.", "It is not opened; use a copy.")


def _expected(version: int) -> set[tuple[str, str, str]]:
    model = sqlite3.connect(":memory:")
    try:
        for step in STEPS[:version]:
            model.executescript(step)
        return _tables(model)
    finally:
        model.close()


def _tables(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return {(str(kind), str(name), " ".join(str(sql).split())) for kind, name, sql in rows}
