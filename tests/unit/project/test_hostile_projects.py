"""Projects from strangers: nothing in them runs, leads elsewhere or swells; what is wrong is told in one sentence."""

from __future__ import annotations

import contextlib
import os
import pickle
import sqlite3
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import SourceError
from engine.project import pictures
from engine.project.fingerprint import fingerprint
from engine.project.mask_codec import checked_mask, encode_mask
from engine.project.pictures import ProjectPictures, encode_picture
from engine.project.project_file import create, open_project
from engine.project.source_place import check_fits, find_source, recognise
from engine.project.state import Fingerprint, ProjectError, ProjectState, SourceReference
from engine.video.open import open_source
from engine.video.source import MAX_SIDE, SourceInfo, SourceKind
from tests.support.clips import png_claiming
from tests.unit.project.conftest import HEIGHT, WIDTH, make_state, square


def read(path: Path) -> ProjectState:
    project = open_project(path)
    try:
        return project.read()
    finally:
        project.close()


@pytest.fixture
def tampered(state: ProjectState, project_path: Path) -> Callable[..., Path]:
    """A project on which a stranger ran SQL."""

    def tamper(statement: str, *values: object) -> Path:
        create(project_path, state).close()
        connection = sqlite3.connect(project_path, isolation_level=None)
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(statement, values)
        connection.close()
        return project_path

    return tamper


# -- files that are no projects ----------------------------------------------------------------------------------
@pytest.mark.parametrize("content", [b"", b"\0", b"PK\x03\x04" + bytes(100), pickle.dumps(print), b"SQLite format 3\0"])
def test_what_is_no_project_is_told(project_path: Path, content: bytes) -> None:
    project_path.write_bytes(content)
    with pytest.raises(ProjectError, match=r"no LiveMask project|is damaged|cannot be opened"):
        open_project(project_path)
    assert project_path.read_bytes() == content
    assert os.listdir(project_path.parent) == [project_path.name]


def test_a_folder_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is no file"):
        open_project(tmp_path)
    with pytest.raises(ProjectError, match="is not there"):
        open_project(tmp_path / "missing.livemask")


def test_the_database_of_another_program_is_left_alone(project_path: Path) -> None:
    connection = sqlite3.connect(project_path)
    connection.execute("CREATE TABLE meta (key TEXT, value TEXT)")
    connection.close()
    before = project_path.read_bytes()
    with pytest.raises(ProjectError, match="no LiveMask project"):
        open_project(project_path)
    assert project_path.read_bytes() == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_project_opens_or_is_refused_and_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    whole, path = tmp_path / "whole.livemask", tmp_path / "damaged.livemask"
    if not whole.exists():
        create(whole, make_state(tmp_path, frames=40)).close()
    content = bytearray(whole.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    for _ in range(data.draw(st.integers(0, 20))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(ProjectError):  # any other error fails the test
        state = read(path)
        assert all(k.encoded.height == HEIGHT for k in state.contents.keyframes.values())
    for leftover in tmp_path.glob("damaged.livemask-*"):
        leftover.unlink()


# -- nothing runs ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER evil AFTER INSERT ON tracked BEGIN DELETE FROM keyframes; END",
        "CREATE VIEW evil AS SELECT load_extension('evil')",
        "CREATE TABLE more (id INTEGER)",
        "CREATE VIRTUAL TABLE evil USING fts4(text)",
        "CREATE INDEX evil ON tracked (abs(frame))",
        "DROP TABLE objects",
        "ALTER TABLE objects ADD COLUMN evil TEXT GENERATED ALWAYS AS (hex(zeroblob(100000000)))",
    ],
)
def test_foreign_tables_triggers_and_views_are_refused(tampered: Callable[..., Path], statement: str) -> None:
    with pytest.raises(ProjectError, match=r"tables that LiveMask did not make|damaged"):
        open_project(tampered(statement))


# -- nothing swells ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("width", "height"), [(MAX_SIDE + 1, 1), (1, 10**9), (MAX_SIDE, MAX_SIDE)], ids=["wide", "tall", "large"]
)
def test_huge_frames_are_refused_with_the_limit(
    state: ProjectState, project_path: Path, width: int, height: int
) -> None:
    create(project_path, replace(state, source=replace(state.source, width=width, height=height))).close()
    with pytest.raises(ProjectError, match=rf"{width} x {height}; the limit is {MAX_SIDE} pixels a side"):
        read(project_path)


def test_a_decompression_bomb_is_cut_off(tampered: Callable[..., Path]) -> None:
    bomb = zlib.compress(bytes(300 * 2**20), 9)
    assert len(bomb) < 2**20
    path = tampered("UPDATE tracked SET mask = ? WHERE frame = 6", bomb)
    tracemalloc.start()
    try:
        with pytest.raises(ProjectError, match="mask of frame 6 cannot be unpacked"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200))
def test_masks_of_any_content_are_masks_or_refused(content: bytes) -> None:
    for data in (content, zlib.compress(content)):
        try:
            encoded = checked_mask(HEIGHT, WIDTH, data)
        except ValueError:
            continue
        assert (encoded.height, encoded.width) == (HEIGHT, WIDTH)


def test_a_true_mask_passes_the_check() -> None:
    for mask in (square(), np.zeros((HEIGHT, WIDTH), np.uint8), np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256):
        encoded = encode_mask(mask.astype(np.uint8))
        assert checked_mask(HEIGHT, WIDTH, encoded.data) == encoded
        with pytest.raises(ValueError, match="runs"):
            checked_mask(HEIGHT + 1, WIDTH, encoded.data)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE keyframes SET frame = ? WHERE frame = 3", 10**12),
        ("UPDATE keyframes SET frame = ? WHERE frame = 3", -1),
        ("UPDATE keyframes SET version = ?", "many"),
        ("UPDATE keyframes SET touched = ?", b"\0\1"),
        ("UPDATE keyframes SET touched = ?", bytes(300)),
        ("UPDATE keyframes SET width = ?", WIDTH + 1),
        ("UPDATE tracked SET mask = ?", "text"),
        ("UPDATE tracked SET confidence = ?", "{"),
        ("UPDATE tracked SET confidence = ?", '{"1": 7}'),
        ("UPDATE tracked SET confidence = ?", '{"1": NaN}'),
        ("UPDATE tracked SET confidence = ?", '{"999": 0.5}'),
        ("UPDATE tracked SET confidence = ?", "[" * 100_000),
        ("UPDATE tracked SET states = ?", '{"1": "asleep"}'),
        ("UPDATE tracked SET states = ?", '{"1": ["sure"]}'),
        ("UPDATE tracked SET states = ?", '{"0": "sure"}'),
        ("UPDATE keyframes SET origin_states = ?", "[]"),
        ("UPDATE objects SET id = ? WHERE id = 7", 256),
        ("UPDATE objects SET color = ?", -5),
        ("UPDATE objects SET name = ?", b"bytes"),
        ("UPDATE meta SET value = ? WHERE key = 'source'", "[]"),
        ("UPDATE meta SET value = ? WHERE key = 'source'", "{}"),
        ("UPDATE meta SET value = ? WHERE key = 'view'", '{"position": 1e300}'),
        ("UPDATE meta SET value = ? WHERE key = 'engine'", '{"model": ["a"]}'),
        ("UPDATE meta SET value = ? WHERE key = 'source'", " " * 2**21),
        ("DELETE FROM meta WHERE key = ?", "source"),
    ],
)
def test_impossible_values_are_refused(tampered: Callable[..., Path], statement: str, value: object) -> None:
    with pytest.raises(ProjectError, match="The project is damaged"):
        read(tampered(statement, value))


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE bank SET facts = ?", "{}"),
        ("UPDATE bank SET ahead = ?", b"no mask"),
        ("UPDATE bank_slots SET pool = ?", "third"),
        ("UPDATE bank_slots SET known = ?", b"\0"),
        ("UPDATE bank_trails SET object = object + ?", 255),
        ("UPDATE bank_trails SET state = ?", "asleep"),
        ("UPDATE bank_trails SET run = ?", -1),
        ("UPDATE bank_trails SET facts = ?", '{"cells": 0, "areas": [], "likenesses": []}'),
        ("UPDATE bank_trails SET facts = ?", '{"cells": 6, "areas": [NaN], "likenesses": []}'),
        ("UPDATE bank_trails SET facts = ?", '{"cells": 6, "areas": [1], "likenesses": ' + str([1] * 300) + "}"),
        ("UPDATE bank_trails SET looks = ?", "text"),
    ],
)
def test_a_damaged_memory_costs_the_memory_only(
    tampered: Callable[..., Path], state: ProjectState, statement: str, value: object
) -> None:
    path = tampered(statement + (" WHERE frame = 4" if "pool" in statement else ""), value)
    assert read(path) == replace(state, bank=None)


def test_names_lose_what_cannot_be_printed(tampered: Callable[..., Path]) -> None:
    path = tampered("UPDATE objects SET name = ? WHERE id = 7", "\x1b[2J\u202e\n" + "A" * 1000)
    names = {item.id: item.name for item in read(path).objects}
    assert names[7] == "[2J" + "A" * 197
    assert names[1] == "Hänsel <b>"


# -- nothing leads elsewhere -------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
def test_links_beside_a_project_are_not_followed(state: ProjectState, project_path: Path, suffix: str) -> None:
    create(project_path, state).close()
    victim = project_path.with_name("victim")
    victim.write_bytes(b"precious")
    project_path.with_name(project_path.name + suffix).symlink_to(victim)
    with pytest.raises(ProjectError, match="is a link"):
        open_project(project_path)
    assert victim.read_bytes() == b"precious"


def test_saving_over_a_link_leaves_what_it_points_to(state: ProjectState, project_path: Path) -> None:
    victim = project_path.with_name("victim")
    victim.write_bytes(b"precious")
    project_path.symlink_to(victim)
    create(project_path, state, overwrite=True).close()
    assert victim.read_bytes() == b"precious"
    assert not project_path.is_symlink()


def reference(path: str, beside: str = "", mark: Fingerprint | None = None) -> SourceReference:
    return SourceReference(SourceKind.FILE, path, "clip.mp4", WIDTH, HEIGHT, mark, beside)


@pytest.mark.parametrize(
    "path",
    [
        "camera:0",
        "http://127.0.0.1:1/x",
        "rtsp://host/x",
        "live:/etc/passwd",
        "//host/share/x",
        "\\\\host\\x",
        "clip",
        "\0",
    ],
)
def test_only_files_are_sources(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip").write_bytes(b"a name without a place")
    assert find_source(reference(path), tmp_path / "a.livemask") is None


def test_a_device_is_no_source() -> None:
    assert recognise(reference("/dev/zero"), Path("/dev/zero")) is None


def test_beside_the_project_ends_at_its_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "clip.mp4").write_bytes(b"a video")
    (inside / "way_out").symlink_to(outside)
    (inside / "link.mp4").symlink_to(outside / "clip.mp4")
    project = inside / "a.livemask"
    for beside in (
        "../outside/clip.mp4",
        str(outside / "clip.mp4"),
        "way_out/clip.mp4",
        "link.mp4",
        "a/../../outside/clip.mp4",
    ):
        assert find_source(reference("/missing", beside), project) is None, beside
    found = find_source(reference("/missing", "clip.mp4"), project)
    assert found is not None
    assert found.path == inside / "clip.mp4"


# -- the right source ----------------------------------------------------------------------------------------------
def test_a_source_is_known_by_its_content(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    content = bytearray(os.urandom(400_000))
    clip.write_bytes(content)
    mark = fingerprint(clip)
    os.utime(clip, (1, 1))
    clip = clip.rename(tmp_path / "other name.mp4")
    assert fingerprint(clip) == mark
    for place in (0, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        clip.write_bytes(changed)
        assert fingerprint(clip) != mark
    clip.write_bytes(content[:-1])
    assert fingerprint(clip) != mark


def test_a_folder_is_known_by_its_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(5):
        (folder / f"{index}.png").write_bytes(bytes([index]) * 100)
    mark = fingerprint(folder)
    (folder / "notes.txt").write_text("no picture")
    assert fingerprint(folder) == mark
    (folder / "2.png").write_bytes(b"changed" * 20)
    assert fingerprint(folder) != mark


def test_the_same_video_is_found_before_a_changed_one(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"changed")
    moved = tmp_path / "elsewhere.mp4"
    moved.write_bytes(b"the video")
    known = reference(str(moved), "clip.mp4", fingerprint(moved))
    project = tmp_path / "a.livemask"
    found = find_source(known, project)
    assert found is not None
    assert (found.path, found.same) == (moved, True)
    moved.unlink()
    found = find_source(known, project)
    assert found is not None
    assert (found.path.name, found.same) == ("clip.mp4", False)


def test_masks_must_fit_the_source() -> None:
    info = SourceInfo(SourceKind.FILE, "/x/clip.mp4", "clip.mp4", WIDTH, HEIGHT, 25.0, 10)
    check_fits(reference("/x"), info, 9, same=False)
    check_fits(reference("/x"), info, 12, same=True)  # a container that promises too few frames
    with pytest.raises(ProjectError, match="10 frames, but the project has a mask on frame 12"):
        check_fits(reference("/x"), info, 12, same=False)
    with pytest.raises(ProjectError, match=f"{WIDTH * 2} x {HEIGHT}, but"):
        check_fits(reference("/x"), replace(info, width=WIDTH * 2), 9, same=True)


# -- pictures of its own ---------------------------------------------------------------------------------------------
@pytest.fixture
def album(project_path: Path, state: ProjectState) -> Callable[..., Path]:
    """A project with two pictures of its own, on which a stranger ran SQL."""

    def make(statement: str = "SELECT 1", *values: object) -> Path:
        rgb = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
        own = replace(state.source, own=True, path="", fingerprint=None)
        create(project_path, replace(state, source=own, pictures=dict.fromkeys((0, 1), encode_picture(rgb)))).close()
        with contextlib.closing(sqlite3.connect(project_path, isolation_level=None)) as connection:
            connection.execute(statement, values)
        return project_path

    return make


def test_pictures_come_back_to_the_pixel(album: Callable[..., Path]) -> None:
    with contextlib.closing(ProjectPictures(album())) as source:
        assert (source.info.width, source.info.height, source.info.frame_count) == (WIDTH, HEIGHT, 2)
        frame = source.read()
        assert frame is not None
        assert np.array_equal(frame.rgb.reshape(-1), np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8))
        assert source.read() is not None
        assert source.read() is None
    assert source.read() is None


@pytest.mark.filterwarnings("ignore:Image size")  # Pillow warns, too
@pytest.mark.parametrize(
    ("statement", "value", "told"),
    [
        ("UPDATE pictures SET png = ?", b"", "is empty"),
        ("UPDATE pictures SET png = ?", "text", "is empty"),
        ("UPDATE pictures SET png = ?", pickle.dumps(print), "damaged or no image"),
        ("UPDATE pictures SET png = ?", png_claiming(12_000), "the limit is"),
        ("UPDATE pictures SET png = ?", png_claiming(60_000), "too many pixels"),
        ("UPDATE pictures SET png = zeroblob(?)", 2**20, "damaged or no image"),
        ("UPDATE pictures SET frame = ? WHERE frame = 1", 10**12, "are damaged"),
        ("DELETE FROM pictures WHERE frame = ?", 0, "are damaged"),
        ("DELETE FROM pictures WHERE frame < ?", 9, "without pictures of its own"),
    ],
)
def test_pictures_of_a_strangers_are_pictures_or_refused(
    album: Callable[..., Path], statement: str, value: object, told: str
) -> None:
    with pytest.raises(SourceError, match=told):
        ProjectPictures(album(statement, value))


def test_a_picture_of_another_size_is_told(album: Callable[..., Path]) -> None:
    other = encode_picture(np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8))
    with contextlib.closing(ProjectPictures(album("UPDATE pictures SET png = ? WHERE frame = 1", other))) as source:
        assert source.read() is not None
        with pytest.raises(SourceError, match="but the first one is"):
            source.read()


def test_a_picture_that_is_too_large_is_not_even_read(
    album: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", 1000)
    with pytest.raises(SourceError, match="are damaged"):
        ProjectPictures(album("UPDATE pictures SET png = zeroblob(?)", 1001))


def test_a_video_is_no_project_of_pictures(state: ProjectState, project_path: Path) -> None:
    create(project_path, state).close()
    with pytest.raises(SourceError, match=r"without pictures of its own\. Name its video"):
        open_source(project_path)
