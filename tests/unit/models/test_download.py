"""Downloads against real servers on the loopback, most of which misbehave."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from models import download
from models.cache import cache_dir
from models.download import DownloadCancelledError
from models.errors import ModelError
from models.spec import WeightsFile
from models.transport import is_allowed

CONTENT = random.Random(1).randbytes(3_000_001)
DEAD = "http://127.0.0.1:9/weights.bin"  # the discard port: refused at once

fetch = partial(download.fetch, attempts=3, backoff_s=0.0, timeout_s=10.0)


def test_delivers_the_file_and_reports_progress(tmp_path, serve, weights_file):
    shares: list[float | None] = []
    mirror = serve(CONTENT)
    path = fetch(weights_file(CONTENT, mirror), tmp_path / "new" / "folder", lambda _, share: shares.append(share))
    assert path.read_bytes() == CONTENT
    known = [share for share in shares if share is not None]
    assert known == sorted(known)
    assert known[-1] == 1.0
    assert [p.name for p in path.parent.iterdir() if p.suffix != ".lock"] == ["weights.bin"]


def test_a_cached_file_needs_no_network(tmp_path, serve, weights_file):
    mirror = serve(CONTENT)
    weights = weights_file(CONTENT, mirror)
    fetch(weights, tmp_path)
    fetch(weights, tmp_path)
    assert len(mirror.ranges) == 1


def test_a_damaged_cached_file_is_replaced(tmp_path, serve, weights_file):
    (tmp_path / "weights.bin").write_bytes(bytes(len(CONTENT)))
    assert fetch(weights_file(CONTENT, serve(CONTENT)), tmp_path).read_bytes() == CONTENT


def test_a_broken_transfer_resumes_where_it_stopped(tmp_path, serve, weights_file):
    mirror = serve(CONTENT, "truncate", truncations=2)
    assert fetch(weights_file(CONTENT, mirror), tmp_path).read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert mirror.ranges == ["", f"bytes={half}-", f"bytes={half + (len(CONTENT) - half) // 2}-"]


def test_an_earlier_part_file_is_resumed(tmp_path, serve, weights_file):
    (tmp_path / "weights.bin.part").write_bytes(CONTENT[:1000])
    mirror = serve(CONTENT)
    assert fetch(weights_file(CONTENT, mirror), tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == ["bytes=1000-"]


def test_a_server_without_range_starts_over(tmp_path, serve, weights_file):
    (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
    assert fetch(weights_file(CONTENT, serve(CONTENT, "no-range")), tmp_path).read_bytes() == CONTENT


def test_a_foreign_part_file_is_dropped_after_the_checksum_fails(tmp_path, serve, weights_file):
    (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
    mirror = serve(CONTENT)
    assert fetch(weights_file(CONTENT, mirror), tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == ["bytes=1000-", ""]


def test_mirrors_are_tried_in_order(tmp_path, serve, weights_file):
    missing, corrupt, good, unused = serve(b"", "404"), serve(CONTENT, "corrupt"), serve(CONTENT), serve(CONTENT)
    weights = weights_file(CONTENT, DEAD, missing, corrupt, good, unused)
    assert fetch(weights, tmp_path).read_bytes() == CONTENT
    # What is wrong for good is asked for once only.
    assert [len(mirror.ranges) for mirror in (missing, corrupt, good, unused)] == [1, 1, 1, 0]


def test_a_passing_server_fault_is_retried(tmp_path, serve, weights_file):
    mirror = serve(CONTENT, "503")
    with pytest.raises(ModelError, match="HTTP 503"):
        fetch(weights_file(CONTENT, mirror), tmp_path)
    assert len(mirror.ranges) == 3


def test_a_mirror_that_never_finishes_is_given_up(tmp_path, serve, weights_file):
    mirror = serve(CONTENT, "no-range")
    mirror.content = CONTENT[:-1]
    with pytest.raises(ModelError, match=f"after {len(CONTENT) - 1} of {len(CONTENT)} bytes"):
        fetch(weights_file(CONTENT, mirror), tmp_path)
    assert len(mirror.ranges) <= 4


def test_corrupt_content_never_reaches_the_cache(tmp_path, serve, weights_file):
    with pytest.raises(ModelError, match="wrong checksum"):
        fetch(weights_file(CONTENT, serve(CONTENT, "corrupt")), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["weights.bin.lock"]


def test_an_endless_answer_is_cut_off(tmp_path, serve, weights_file):
    with pytest.raises(ModelError, match="larger than declared"):
        fetch(weights_file(CONTENT, serve(CONTENT, "endless")), tmp_path)
    assert not (tmp_path / "weights.bin.part").exists()


def test_without_network_the_message_says_where_to_put_the_file(tmp_path, weights_file):
    with pytest.raises(ModelError) as caught:
        fetch(weights_file(CONTENT, DEAD), tmp_path)
    assert str(tmp_path / "weights.bin") in caught.value.way_out
    assert "--weights FILE" in caught.value.way_out
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    assert fetch(weights_file(CONTENT, DEAD), tmp_path) == tmp_path / "weights.bin"


def test_cancelling_keeps_what_has_arrived(tmp_path, serve, weights_file):
    mirror = serve(CONTENT)
    weights = weights_file(CONTENT, mirror)
    arrived = threading.Event()

    def progress(text: str, share: float | None) -> None:
        if share:
            arrived.set()

    with pytest.raises(DownloadCancelledError):
        fetch(weights, tmp_path, progress, cancelled=arrived.is_set)
    size = (tmp_path / "weights.bin.part").stat().st_size
    assert 0 < size < len(CONTENT)
    assert fetch(weights, tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == ["", f"bytes={size}-"]


def test_cancelling_ends_a_wait_between_tries(tmp_path, weights_file):
    asked = iter([False, True])
    with pytest.raises(DownloadCancelledError):
        fetch(weights_file(CONTENT, DEAD), tmp_path, backoff_s=3600.0, cancelled=lambda: next(asked))


def test_two_at_once_download_once(tmp_path, serve, weights_file):
    gate = threading.Event()
    mirror = serve(CONTENT, gate=gate)
    weights = weights_file(CONTENT, mirror)

    def progress(text: str, share: float | None) -> None:
        if text.startswith("Waiting"):
            gate.set()  # the second one is held off by the first: let the server answer

    with ThreadPoolExecutor(2) as pool:
        paths = [future.result(60) for future in [pool.submit(fetch, weights, tmp_path, progress) for _ in range(2)]]
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]
    assert len(mirror.ranges) == 1


@pytest.mark.parametrize("digits", [64, 8])
def test_an_offline_file_is_verified_and_used_in_place(tmp_path, weights_file, digits):
    mine = tmp_path / "mine.pth"
    mine.write_bytes(CONTENT)
    assert fetch(weights_file(CONTENT, DEAD, digits=digits), tmp_path / "cache", offline_path=mine) == mine
    mine.write_bytes(CONTENT + b"x")
    with pytest.raises(ModelError, match=r"mine.pth is not weights.bin: its SHA-256 begins \w{12}"):
        fetch(weights_file(CONTENT, DEAD, digits=digits), tmp_path / "cache", offline_path=mine)
    assert not (tmp_path / "cache").exists()


def test_a_missing_offline_file_is_told(tmp_path, weights_file):
    with pytest.raises(ModelError, match="cannot be read"):
        fetch(weights_file(CONTENT, DEAD), tmp_path, offline_path=tmp_path / "none.pth")


def test_redirects_are_followed_on_the_loopback_but_not_to_plain_http_elsewhere(tmp_path, serve, weights_file):
    good = serve(CONTENT)
    assert fetch(weights_file(CONTENT, serve(b"", "redirect", location=good.url)), tmp_path / "a")
    for location in ("http://192.0.2.1/weights.bin", "file:///etc/hostname", "ftp://192.0.2.1/weights.bin"):
        with pytest.raises(ModelError, match=r"not allowed|redirect"):
            fetch(weights_file(CONTENT, serve(b"", "redirect", location=location)), tmp_path / "b")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.org/a", True),
        ("http://127.0.0.1:80/a", True),
        ("http://[::1]/a", True),
        ("http://localhost/a", True),
        ("http://example.org/a", False),
        ("http://localhost.example.org/a", False),
        ("http://127.0.0.1.example.org/a", False),
        ("http://127.0.0.1@example.org/a", False),
        ("file:///etc/passwd", False),
        ("ftp://127.0.0.1/a", False),
        ("https:///a", False),
        ("http://[::1", False),
    ],
)
def test_only_https_and_the_loopback_are_opened(url, allowed):
    assert is_allowed(url) is allowed


def test_a_forbidden_address_is_not_opened(tmp_path, weights_file):
    with pytest.raises(ModelError, match="only https"):
        fetch(weights_file(CONTENT, "http://192.0.2.1/weights.bin"), tmp_path)


def test_an_unwritable_place_is_told(tmp_path, serve, weights_file):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="cannot be") as caught:
        fetch(weights_file(CONTENT, serve(CONTENT)), tmp_path / "file" / "models")
    assert "--weights FILE" in caught.value.way_out


def test_a_full_disk_is_told_before_the_transfer(tmp_path, serve, weights_file, monkeypatch):
    usage = download.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ModelError, match="No room"):
        fetch(weights_file(CONTENT, serve(CONTENT)), tmp_path)


@pytest.mark.parametrize("name", ["", "../evil.pth", "/etc/evil", "a\\b", "C:evil", ".hidden"])
def test_file_names_cannot_leave_the_cache(name):
    with pytest.raises(ValueError, match="plain file name"):
        WeightsFile(name, "0" * 64, 1)


@pytest.mark.parametrize("digest", ["", "0676ba6", "0676BA61", "zzzzzzzz", "0" * 65])
def test_a_checksum_must_be_one(digest):
    with pytest.raises(ValueError, match="SHA-256"):
        WeightsFile("a.pth", digest, 1)


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    set_platform: Callable[[str], None] = lambda name: monkeypatch.setattr("models.cache.sys.platform", name)  # noqa: E731
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("LIVEMASK_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    for platform, base in (("linux", "xdg"), ("darwin", "Library/Caches"), ("win32", "local")):
        set_platform(platform)
        assert cache_dir() == tmp_path / base / "livemask" / "models"
    set_platform("linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dir() == tmp_path / ".cache" / "livemask" / "models"
    monkeypatch.setenv("LIVEMASK_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own" / "models"
