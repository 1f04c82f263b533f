"""A project on the disk: one SQLite file, opened by one LiveMask for writing and by any other for reading only.

SQLite's write-ahead log makes every save all or nothing, also when the process is killed or the power fails; the log
lies beside the file while it is open and is gone once it is closed. A project is used by the thread that opened it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from engine.project import schema
from engine.project.reading import read_state, source_name
from engine.project.state import SUFFIX, ProjectError, ProjectState
from engine.project.writing import Written, write_changes
from engine.video.atomic import temporary_beside

_HEADER = b"SQLite format 3\0"
_SIDECARS = ("-wal", "-shm", "-journal")


class ProjectFile:
    """An open project. Make one with `create` or `open_project`; `close` it."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        lock: FileLock | None,
        why: str = "",
        guard: FileLock | None = None,
    ) -> None:
        """
        Args:
            lock: None: read-only, and `why` says why in half a sentence.
            guard: keeps others from writing while it is read, so that no log is left beside it.
        """
        self.path = path
        self.why_read_only = why
        self._connection = connection
        self._lock = lock
        self._guard = guard
        self._written = Written()

    @property
    def read_only(self) -> bool:
        return self._lock is None

    def read(self) -> ProjectState:
        """Everything in it.

        Raises:
            ProjectError: damaged, or beyond the limits of `engine.project.state`.
        """
        with _told(self.path, "read"):
            state = read_state(self._connection)
        self._written.note(state)
        return state

    def summary(self) -> tuple[str, int, int]:
        """(name of the source, keyframes, tracked masks), without reading the masks.

        Raises:
            ProjectError: damaged.
        """
        with _told(self.path, "read"):
            name = source_name(self._connection)
            counts = [
                self._connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("keyframes", "tracked")
            ]
        return name, int(counts[0]), int(counts[1])

    def pictures(self, limit: int) -> Iterator[bytes]:
        """The pictures it brings along, one after the other, each a PNG (or what a stranger put there).

        Raises:
            ProjectError: damaged, or one is larger than `limit` bytes.
        """
        with _told(self.path, "read"):
            rows = self._connection.execute("SELECT frame, length(png) FROM pictures ORDER BY frame").fetchall()
            for number, (frame, length) in enumerate(rows):
                if frame != number or not isinstance(length, int) or length > limit:
                    raise ProjectError(f"The pictures in {self.path.name} are damaged.", "Use a copy of it.")
                (data,) = self._connection.execute("SELECT png FROM pictures WHERE frame = ?", [frame]).fetchone()
                yield bytes(data) if isinstance(data, bytes) else b""

    def write(self, state: ProjectState) -> bool:
        """Save what changed since the last `read` or `write`. False when nothing did.

        Raises:
            ProjectError: it cannot be written (the disk is full, it was taken away ...); the file keeps its old state.
        """
        if self._lock is None:
            raise ProjectError(f"{self.path.name} is open for reading only.", "Save under another name.")
        if not self.path.exists():
            raise ProjectError(f"{self.path.name} is gone from its folder.", "Save the project anew, under any name.")
        with _told(self.path, "saved"):
            return write_changes(self._connection, self._written, state)

    def close(self) -> None:
        """Put the log into the file and let others have it. Idempotent."""
        with contextlib.suppress(sqlite3.Error):  # a full disk: the log stays beside the file and counts as part of it
            if not self.read_only:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
        for held in (self._lock, self._guard):
            if held is not None:
                _release(held)
        self._lock = self._guard = None

    def remove(self) -> None:
        """Close it and delete its files."""
        self._connection.close()
        for path in (self.path, *_sidecars(self.path)):
            path.unlink(missing_ok=True)
        if self._lock is not None:
            _release(self._lock)
            self._lock = None


def with_suffix(path: Path) -> Path:
    """The path with the project's ending, which file dialogs leave to us."""
    return path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)


def create(path: Path, state: ProjectState, *, overwrite: bool = False, like: ProjectFile | None = None) -> ProjectFile:
    """Write a new project and open it. It appears under its name only when it is complete and on the disk.

    Args:
        overwrite: replace a file of that name; False refuses to.
        like: the project whose memory bank goes along when `state` has none.

    Raises:
        ProjectError: it cannot be written, or a project of that name is in use; what was there stays.
    """
    path = Path(os.path.abspath(path))
    with _told(path, "saved"):
        lock = _acquire(path)
    if lock is None:
        raise ProjectError(f"{path.name} is open in another LiveMask.", "Choose another name.")
    temporary = temporary_beside(path)
    try:
        with _told(path, "saved"):
            if path.exists() and not overwrite:
                raise ProjectError(f"There is a file {path.name} already.", "Choose another name.")
            _build(temporary, state, like)
            _settle_former(path)
            os.replace(temporary, path)
            _sync(path.parent)
            project = ProjectFile(path, _connect(path), lock)
    except BaseException:
        for leftover in (temporary, *_sidecars(temporary)):
            leftover.unlink(missing_ok=True)
        _release(lock)
        raise
    project._written.note(state)
    if state.bank is None and like is not None:
        project._written.bank, project._written.slots = like._written.bank, dict(like._written.slots)
    return project


def open_project(path: Path, *, read_only: bool = False) -> ProjectFile:
    """Open a project; for reading only when another LiveMask has it, when its folder cannot be written, or as asked.

    Projects of older versions are brought to the present one (in memory, where they may not be written).

    Raises:
        ProjectError: missing, damaged, no project, or of a newer version.
    """
    path = Path(path)
    with _told(path, "opened"):
        path = path.resolve(strict=True)
        _check_files(path)
        lock, why = _lock_to_write(path)
        guard = None
        if read_only:
            lock, guard, why = None, lock, "as asked"
        try:
            connection = _connect(path) if lock is not None else _connect_to_read(path, alone=guard is not None)
        except BaseException:
            for held in (lock, guard):
                if held is not None:
                    _release(held)
            raise
    return ProjectFile(path, connection, lock, why, guard)


def in_use(path: Path) -> bool:
    """Whether some LiveMask has the project open for writing."""
    try:
        lock = _acquire(path)
    except OSError:
        return False
    if lock is None:
        return True
    _release(lock)
    return False


# -- connections -----------------------------------------------------------------------------------------------------
def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _connect_to_write(path)
    except sqlite3.OperationalError:  # a full disk has no room for the index of the log that readers would share
        return _connect_to_write(path, alone=True)


def _connect_to_write(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """`alone`: nobody else may read meanwhile; then it opens on a full disk, too, and saves once there is room."""
    connection = _open(path, "rw")
    try:
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _check(connection)
        connection.execute("PRAGMA journal_mode = WAL")  # a network share without shared memory stays with a journal
        connection.execute("PRAGMA synchronous = FULL")
        schema.migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_read(path: Path, *, alone: bool) -> sqlite3.Connection:
    """`alone`: nobody can write meanwhile. Who may write takes the log away behind himself, so he does it this way."""
    connection = _open(path, "rw" if alone else "ro")
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:  # no index of a log can be made, as on a read-only disk: the file alone
        connection.close()
        log = _sidecars(path)[0]
        if alone:  # a full disk, as in `_connect`
            connection = _open(path, "rw")
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA query_only = ON")
        elif log.exists() and log.stat().st_size:
            raise ProjectError(
                f"{path.name} was not closed, and what was saved last cannot be read on a read-only disk.",
                f"Copy it, together with {log.name}, to another disk.",
            ) from error
        else:
            connection = _open(path, "ro", "&immutable=1")
    try:
        if _check(connection) < schema.VERSION:
            copy = sqlite3.connect(":memory:", isolation_level=None)
            connection.backup(copy)
            connection.close()
            connection = copy
            schema.migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path, mode: str, more: str = "") -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.as_uri()}?mode={mode}{more}", uri=True, isolation_level=None, timeout=5.0)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _check(connection: sqlite3.Connection) -> int:
    version = schema.version_of(connection)
    schema.check_tables(connection, version)
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise ProjectError("The project is damaged.", "Use a copy of it.")
    return version


def _check_files(path: Path) -> None:
    """Before SQLite touches anything: a regular file of the right kind, and no link beside it."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ProjectError(f"{path.name} is no file.", "Choose a project file.")
    for beside in (*_sidecars(path), _lock_path(path)):
        if beside.is_symlink() or (beside.exists() and not beside.is_file()):
            raise ProjectError(f"{beside.name} beside the project is a link.", "Remove it; it is not followed.")
    with path.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            raise ProjectError(f"{path.name} is no LiveMask project, or is damaged.", "Choose another file.")


def _build(temporary: Path, state: ProjectState, like: ProjectFile | None) -> None:
    connection = sqlite3.connect(temporary, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        written = Written()
        if like is not None:
            like._connection.backup(connection)
            written = Written(**vars(like._written))
            connection.execute("PRAGMA journal_mode = DELETE")
        schema.migrate(connection)
        write_changes(connection, written, state)
    finally:
        connection.close()
    _sync(temporary)


def _settle_former(path: Path) -> None:
    """The log of a project that is about to be replaced must not be taken for the new one's."""
    if not any(sidecar.exists() for sidecar in _sidecars(path)):
        return
    with contextlib.suppress(sqlite3.Error):
        connection = _open(path, "rw")
        with contextlib.closing(connection):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for sidecar in _sidecars(path):
        sidecar.unlink(missing_ok=True)


def _sidecars(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _SIDECARS]


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # folders cannot be opened there; renames are logged by the file system
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- the lock --------------------------------------------------------------------------------------------------------
def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _acquire(path: Path) -> FileLock | None:
    """The lock, which ends with its process however that ends; None when another has it.

    Raises:
        OSError: none can be made in this folder.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))  # the library would make it
    lock = FileLock(_lock_path(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _lock_to_write(path: Path) -> tuple[FileLock | None, str]:
    """The lock, or None and why there is none."""
    if not os.access(path, os.W_OK):
        return None, "the file is write-protected"
    try:
        lock = _acquire(path)
    except OSError:
        return None, "its folder cannot be written"
    return lock, "" if lock is not None else "it is open in another LiveMask"


def _release(lock: FileLock) -> None:
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink()  # while it is ours; one who waits for it notices and makes a new one
    lock.release()


# -- errors ----------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """Turn what SQLite and the system say into one sentence for the user."""
    try:
        yield
    except ProjectError:
        raise
    except FileNotFoundError as error:
        raise ProjectError(
            f"{path.name} cannot be {what}: it is not there.", "Check the name and the folder."
        ) from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path.name} is damaged.", "Use a copy of it.") from error
    except (sqlite3.Error, OSError) as error:
        raise ProjectError(*_reason(path.name, what, error)) from error


def _reason(name: str, what: str, error: Exception) -> tuple[str, str]:
    text = (getattr(error, "strerror", None) or str(error)).rstrip(".")
    full = "is full" in text or "No space left" in text or "quota" in text.lower() or "too large" in text.lower()
    if full:
        return f"{name} cannot be {what}: the disk is full.", "Free some space; what was saved before is intact."
    if "not a database" in text or "malformed" in text:
        return f"{name} is damaged.", "Use a copy of it."
    return f"{name} cannot be {what}: {text}.", "Check the disk and the permissions of the folder."
