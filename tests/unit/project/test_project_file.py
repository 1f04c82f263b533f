"""The project file: what goes in comes out, only changes are written, and nothing goes halfway."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.project import schema
from engine.project.mask_codec import encode_mask
from engine.project.mask_entries import Keyframe, StoreContents, Tracked
from engine.project.mask_store import MaskStore
from engine.project.project_file import create, in_use, open_project, with_suffix
from engine.project.state import ProjectError, ProjectState
from tests.unit.project.conftest import make_state, square

ROOT = Path(__file__).resolve().parents[3]


def read(path: Path) -> ProjectState:
    project = open_project(path)
    try:
        return project.read()
    finally:
        project.close()


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_everything_comes_back_as_it_was(state: ProjectState, project_path: Path) -> None:
    create(project_path, state).close()
    assert read(project_path) == state
    assert os.listdir(project_path.parent) == ["work.livemask"]  # one file, once it is closed


def test_only_what_changed_is_written_again(state: ProjectState, project_path: Path) -> None:
    project = create(project_path, state)
    assert state.bank is not None
    assert not project.write(state)
    tracked = {**state.contents.tracked, 8: Tracked(encode_mask(square(1, 11)), {1: 0.5})}
    del tracked[4]
    contents = replace(state.contents, tracked=tracked, stale=frozenset([6, 8]))
    bank = replace(state.bank, slots=state.bank.slots[:1] + state.bank.slots[2:])
    later = replace(
        state, contents=contents, bank=bank, objects=state.objects[:1], view=replace(state.view, position=8)
    )
    before = project._connection.total_changes
    assert project.write(later)
    # One mask, two flags, one mask gone; the bank's facts and one slot; its trails and the objects anew (2 gone, 2 and
    # 1 written); the view.
    assert project._connection.total_changes - before == 1 + 2 + 1 + 2 + 4 + 3 + 1
    assert project.write(replace(later, bank=None)) is False  # no bank at hand: the one in the file stays
    project.close()
    assert read(project_path) == later


def test_a_store_goes_through_a_project_with_its_meaning(project_path: Path, tmp_path: Path) -> None:
    store = MaskStore()
    store.put_keyframe(0, square(), [1])
    for index in range(1, 5):
        store.put_tracked(index, encode_mask(square(1, 2 + index)), {1: 0.5})
    store.put_keyframe(2, square(1, 10), [1])
    create(project_path, replace(make_state(tmp_path), contents=store.contents())).close()
    again = MaskStore()
    again.restore(read(project_path).contents)
    assert again.kinds() == store.kinds()
    assert again.object_ids == (1,)
    assert again.byte_count == store.byte_count
    assert again.contents() == store.contents()
    # The correction on frame 2, painted back to what the tracker had made, corrects nothing: its origin was kept.
    for one in (store, again):
        one.put_keyframe(2, square(1, 4), [1])
    assert again.kinds() == store.kinds()
    assert again.keyframe(2) is None


def test_saving_under_another_name_takes_the_memory_along(state: ProjectState, project_path: Path) -> None:
    first = create(project_path, state)
    other = project_path.with_name("other.livemask")
    second = create(other, replace(state, bank=None), like=first)
    first.close()
    second.close()
    assert read(other) == state


def test_a_picture_and_its_mask_are_written_as_one(state: ProjectState, project_path: Path) -> None:
    """Whatever moment the end comes at: a mask never lies on a picture that is not there."""
    state = replace(state, contents=StoreContents(), bank=None)
    keyframe = Keyframe(encode_mask(square()), frozenset([1]), frozenset(), 1)
    seen = set()
    counts = "SELECT (SELECT count(*) FROM pictures), (SELECT count(*) FROM keyframes)"

    def look() -> int:
        seen.update(rows(project_path, counts))
        return 0

    project = create(project_path, state)
    project._connection.set_progress_handler(look, 1)
    for number in range(3):
        contents = StoreContents(dict.fromkeys(range(number + 1), keyframe), version=1)
        assert project.write(replace(state, contents=contents, pictures={number: b"a picture"}))
    project._connection.set_progress_handler(None, 0)
    project.close()
    assert seen >= {(0, 0), (1, 1), (2, 2)}
    assert all(pictures == masks for pictures, masks in seen)
    assert rows(project_path, "SELECT count(*) FROM pictures") == [(3,)]


def test_a_name_that_is_taken_needs_a_word(state: ProjectState, project_path: Path) -> None:
    project_path.write_bytes(b"something else")
    with pytest.raises(ProjectError, match=r"There is a file work\.livemask already"):
        create(project_path, state)
    assert project_path.read_bytes() == b"something else"
    create(project_path, state, overwrite=True).close()
    assert read(project_path) == state


def test_the_log_of_a_replaced_project_is_not_taken_for_the_new_ones(
    state: ProjectState, project_path: Path, tmp_path: Path
) -> None:
    crashed = create(project_path, make_state(tmp_path, frames=40))
    crashed.write(make_state(tmp_path, frames=30))
    wal = project_path.with_name(project_path.name + "-wal")
    kept = {path: path.read_bytes() for path in (project_path, wal)}
    assert kept[wal]
    crashed.close()
    for path, content in kept.items():  # as a killed process leaves them
        path.write_bytes(content)
    create(project_path, state, overwrite=True).close()
    assert read(project_path) == state


def test_the_suffix_is_added_where_it_lacks() -> None:
    assert with_suffix(Path("a/b")) == Path("a/b.livemask")
    assert with_suffix(Path("a/b.mp4")) == Path("a/b.mp4.livemask")
    assert with_suffix(Path("a/b.LiveMask")) == Path("a/b.LiveMask")


# -- a full disk -------------------------------------------------------------------------------------------------
def test_a_full_disk_keeps_the_old_state_and_says_so(state: ProjectState, project_path: Path, tmp_path: Path) -> None:
    project = create(project_path, state)
    pages = project._connection.execute("PRAGMA page_count").fetchone()[0]
    project._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite now meets the end of the disk
    assert state.bank is not None
    slots = tuple(replace(slot, tensors=os.urandom(100_000)) for slot in state.bank.slots)
    larger = replace(make_state(tmp_path, frames=40), bank=replace(state.bank, slots=slots))
    for _ in range(2):
        with pytest.raises(ProjectError, match=r"the disk is full.*what was saved before is intact"):
            project.write(larger)
    assert project.read() == state
    project._connection.execute("PRAGMA max_page_count = 100000")
    assert project.write(larger)
    project.close()
    assert read(project_path) == larger


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no disk of its own to fill")
def test_a_full_disk_and_a_read_only_one_hide_nothing_that_was_saved(tmp_path: Path) -> None:
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-m", "tests.support.small_disk", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    if "unshare: " in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip("this machine lends nobody a disk")
    assert done.returncode == 0, done.stderr
    full = "a.livemask cannot be saved: the disk is full."
    assert json.loads(done.stdout) == {
        # On the full disk: masks an export finds, offers to recover, masks a window finds, the answer to a save; the
        # answer once there is room, and the masks then.
        "closed": [5, 1, 5, full, "", 6],
        "unclosed": [30, 1, 30, full, "", 31],
        "read-only": "a.livemask was not closed, and what was saved last cannot be read on a read-only disk. Copy it, "
        "together with a.livemask-wal, to another disk.",
        "writable again": 40,
        "closed, read-only": [True, 40],
    }


def test_a_disk_that_fills_while_saving_under_a_new_name_leaves_the_old_file(
    state: ProjectState, project_path: Path
) -> None:
    """In a process that may not write files beyond 20 kB, as a quota would have it."""
    create(project_path, state).close()
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from engine.project.project_file import create\n"
        "from engine.project.state import ProjectError\n"
        "from tests.unit.project.conftest import make_state\n"
        "path = Path(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    create(path, make_state(path.parent, frames=900), overwrite=True)\n"
        "except ProjectError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(project_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "work.livemask cannot be saved" in done.stdout, done.stderr
    assert os.listdir(project_path.parent) == ["work.livemask"]
    assert read(project_path) == state


def test_a_project_that_was_taken_away_is_told(state: ProjectState, project_path: Path, tmp_path: Path) -> None:
    project = create(project_path, state)
    project_path.unlink()
    with pytest.raises(ProjectError, match="gone"):
        project.write(make_state(tmp_path, frames=9))
    project.close()


# -- two at once -------------------------------------------------------------------------------------------------
def test_a_second_process_reads_only_until_the_first_ends(state: ProjectState, project_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from engine.project.project_file import open_project\n"
        "project = open_project(Path(sys.argv[1]))\n"
        "state = project.read()\n"
        "print(project.read_only, project.why_read_only, len(state.contents.tracked), flush=True)\n"
        "sys.stdin.readline()\n"
        "project.close()\n"
    )
    first = create(project_path, state)
    command = [sys.executable, "-c", script, str(project_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "True it is open in another LiveMask 5\n"
        # The reader does not keep the writer from saving.
        assert first.write(make_state(project_path.parent, frames=9))
        second.communicate("\n", timeout=60)
    assert in_use(project_path)
    first.close()
    assert not in_use(project_path)
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as third:
        assert third.stdout is not None
        assert third.stdout.readline() == "False  9\n"
        reader = open_project(project_path)
        assert reader.read_only
        with pytest.raises(ProjectError, match="reading only"):
            reader.write(state)
        with pytest.raises(ProjectError, match="open in another LiveMask"):
            create(project_path, state, overwrite=True)
        reader.close()
        third.communicate("\n", timeout=60)
    assert os.listdir(project_path.parent) == ["work.livemask"]


def test_a_write_protected_project_is_opened_for_reading(state: ProjectState, project_path: Path) -> None:
    create(project_path, state).close()
    project = open_project(project_path, read_only=True)
    assert project.read_only
    assert project.read() == state
    project.close()


# -- older and newer formats -------------------------------------------------------------------------------------
def in_version(version: int, path: Path, folder: Path) -> ProjectState:
    """Write a project as an older version did: its tables, and what they can hold. Returns what is in it."""
    create(folder / "new.livemask", make_state(folder)).close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.execute("ATTACH ? AS new", [str(folder / "new.livemask")])
        for step in schema.STEPS[:version]:
            old.executescript(step)
        for (table,) in old.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
            old.execute(f"INSERT INTO main.{table} SELECT {columns} FROM new.{table}")
        old.execute(f"PRAGMA main.application_id = {schema.APPLICATION_ID}")
        old.execute(f"PRAGMA main.user_version = {version}")
        old.commit()
    (folder / "new.livemask").unlink()
    state = make_state(folder)
    return without_states(replace(state, bank=None) if version < 2 else state) if version < 3 else state


def without_states(state: ProjectState) -> ProjectState:
    contents = state.contents
    keyframes = {i: replace(k, origin=k.origin and replace(k.origin, states={})) for i, k in contents.keyframes.items()}
    tracked = {i: replace(t, states={}) for i, t in contents.tracked.items()}
    bank = state.bank and replace(state.bank, trails=())
    return replace(state, contents=replace(contents, keyframes=keyframes, tracked=tracked), bank=bank)


@pytest.mark.parametrize("version", range(1, schema.VERSION))
@pytest.mark.parametrize("read_only", [False, True])
def test_a_project_of_an_older_version_is_brought_to_this_one(
    project_path: Path, tmp_path: Path, read_only: bool, version: int
) -> None:
    expected = in_version(version, project_path, tmp_path)
    before = project_path.read_bytes()
    project = open_project(project_path, read_only=read_only)
    assert project.read() == expected
    if read_only:
        project.close()
        assert project_path.read_bytes() == before
        return
    assert project.write(make_state(tmp_path))
    project.close()
    assert read(project_path) == make_state(tmp_path)
    assert rows(project_path, "PRAGMA user_version") == [(schema.VERSION,)]
    fresh = tmp_path / "fresh.livemask"
    create(fresh, make_state(tmp_path)).close()
    tables = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert rows(project_path, tables) == rows(fresh, tables)


def test_a_migration_that_fails_leaves_the_old_file(
    project_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = in_version(1, project_path, tmp_path)
    steps = (*schema.STEPS[:1], schema.STEPS[1] + "; CREATE TABLE meta (again INTEGER)")
    monkeypatch.setattr(schema, "STEPS", steps)
    with pytest.raises(ProjectError, match="cannot be opened"):
        open_project(project_path)
    assert rows(project_path, "PRAGMA user_version") == [(1,)]
    assert rows(project_path, "SELECT count(*) FROM sqlite_master WHERE name = 'bank'") == [(0,)]
    monkeypatch.undo()
    assert read(project_path) == expected


def test_a_project_of_a_newer_version_is_refused_untouched(state: ProjectState, project_path: Path) -> None:
    create(project_path, state).close()
    connection = sqlite3.connect(project_path)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    before = project_path.read_bytes()
    with pytest.raises(ProjectError, match=r"newer LiveMask.*Update"):
        open_project(project_path)
    assert project_path.read_bytes() == before
    assert not in_use(project_path)


def test_a_copy_elsewhere_opens(state: ProjectState, project_path: Path, tmp_path: Path) -> None:
    create(project_path, state).close()
    (tmp_path / "ä %20 #?").mkdir()
    copy = shutil.copy(project_path, tmp_path / "ä %20 #?" / "50% #1.livemask")
    assert read(Path(copy)) == state


def test_names_that_are_no_text_survive(state: ProjectState, project_path: Path) -> None:
    """File names on Linux are bytes; objects may be named by anything that can be pasted."""
    odd = os.fsdecode(b"/videos/\xff\xfe.mp4")
    source = replace(state.source, path=odd, name=odd[-6:])
    objects = (replace(state.objects[0], name="cat \ud83d"), *state.objects[1:])
    create(project_path, replace(state, source=source, objects=objects)).close()
    again = read(project_path)
    assert again.source == source
    assert again.objects[0].name == "cat ?"
