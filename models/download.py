"""Fetch weights on request: resumable, verified, bounded, and safe when two processes ask at once. No torch here."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import ssl
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from models.cache import cache_dir, exclusive
from models.errors import ModelError
from models.spec import WeightsFile
from models.transport import ForbiddenAddressError, open_url

Progress = Callable[[str, float | None], None]
Cancelled = Callable[[], bool]

_CHUNK = 1 << 18
_MARGIN = 1 << 20  # bytes beyond the declared size before a transfer is cut off
_GAIN = 1 << 20  # an attempt that brought this much does not count as failed
_MIB = 2**20


class DownloadCancelledError(ModelError):
    """The user stopped the download; what has arrived stays and the next one goes on from there."""


class _AttemptError(Exception):
    """One transfer failed. `permanent` means this mirror will not do better on a new try."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


def fetch(
    weights: WeightsFile,
    dest_dir: Path | None = None,
    progress: Progress | None = None,
    offline_path: Path | None = None,
    *,
    cancelled: Cancelled | None = None,
    attempts: int = 3,
    backoff_s: float = 1.0,
    timeout_s: float = 20.0,
) -> Path:
    """The verified file, from `offline_path`, from the cache, or from the first mirror that delivers it.

    Args:
        dest_dir: cache folder, made when missing; None for the user's cache.
        progress: called with a text and the fraction done (None where it is unknown).
        offline_path: a file the user already has; verified and used in place, the network is not touched.
        cancelled: asked between chunks and during waits.
        attempts: failed tries in a row per mirror; the wait doubles from `backoff_s`.
        timeout_s: of each network operation.

    Raises:
        DownloadCancelledError: `cancelled` returned True.
        ModelError: wrong checksum, no mirror could deliver, or the folder cannot be written. It says what to do.
    """
    if offline_path is not None:
        return verify(weights, offline_path, progress)
    folder = dest_dir or cache_dir()
    target = folder / weights.filename
    if _is_good(weights, target, progress):
        return target
    if not weights.urls:
        raise ModelError(f"{weights.filename} cannot be downloaded.", _way_out(target))
    job = _Job(weights, target, progress or _silent, cancelled or _never, timeout_s)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / f"{weights.filename}.lock", job.wait_for_other):
            # Another process may have brought it while this one waited.
            if not _is_good(weights, target, progress):
                job.run(attempts, backoff_s)
    except OSError as error:
        raise ModelError(f"{target} cannot be written ({error.strerror or error}).", _way_out(target)) from error
    return target


def verify(weights: WeightsFile, path: Path, progress: Progress | None = None) -> Path:
    """Return `path` when its SHA-256 is the declared one.

    Raises:
        ModelError: the file cannot be read or is another one.
    """
    try:
        digest = _digest(path, progress or _silent)
    except OSError as error:
        raise ModelError(
            f"The weights file {path} cannot be read ({error.strerror or error}).", "Check the path."
        ) from error
    if not weights.matches(digest):
        raise ModelError(
            f"{path} is not {weights.filename}: its SHA-256 begins {digest[:12]}, expected {weights.sha256[:12]}.",
            "It is another file, or damaged: download it again.",
        )
    return path


class _Job:
    """One file on its way from the mirrors to its place."""

    def __init__(
        self, weights: WeightsFile, target: Path, progress: Progress, cancelled: Cancelled, timeout_s: float
    ) -> None:
        self.weights = weights
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        self.progress = progress
        self.cancelled = cancelled
        self.timeout_s = timeout_s

    def wait_for_other(self) -> None:
        self._check_cancelled()
        self.progress(f"Waiting for another process that downloads {self.weights.filename}", None)

    def run(self, attempts: int, backoff_s: float) -> None:
        reasons: list[str] = []
        for url in self.weights.urls:
            failures, best = 0, self._part_size()
            while failures < attempts:
                try:
                    self._attempt(url)
                    return
                except _AttemptError as error:
                    reasons.append(f"{urlsplit(url).hostname}: {error}")
                    if error.permanent:
                        break
                    # Only new ground counts as progress, so a mirror that starts over for ever is given up.
                    failures = 0 if self._part_size() - best >= _GAIN else failures + 1
                    best = max(best, self._part_size())
                    if failures < attempts:
                        self._pause(backoff_s * 2**failures / 2)
        told = "; ".join(dict.fromkeys(reasons))
        raise ModelError(f"{self.weights.filename} could not be downloaded ({told}).", _way_out(self.target))

    def _attempt(self, url: str) -> None:
        """Bring the rest of the part file, verify it, and move it to its place."""
        self._check_cancelled()
        resumed = self._part_size() > 0
        if self._part_size() < self.weights.size_bytes:
            self._transfer(url)
        size = self._part_size()
        if size < self.weights.size_bytes:
            raise _AttemptError(f"the transfer ended after {size} of {self.weights.size_bytes} bytes")
        if not self.weights.matches(_digest(self.part, self.progress)):
            self.part.unlink()  # nothing in it can be trusted
            # What was resumed may have been a mixture of two files; a whole file will be as wrong the next time.
            raise _AttemptError("the file has the wrong checksum", permanent=not resumed)
        os.replace(self.part, self.target)
        self.progress(f"Downloaded {self.weights.filename}", 1.0)

    def _transfer(self, url: str) -> None:
        have = self._part_size()
        headers = {"User-Agent": "livemask", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            response = open_url(url, headers, self.timeout_s)
        except ForbiddenAddressError as error:
            raise _AttemptError(str(error), permanent=True) from error
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # our part file is longer than theirs
                self.part.unlink(missing_ok=True)
            permanent = 400 <= error.code < 500 and error.code not in (408, 416, 429)
            raise _AttemptError(f"HTTP {error.code}", permanent=permanent) from error
        except urllib.error.URLError as error:
            untrusted = isinstance(error.reason, ssl.SSLCertVerificationError)
            raise _AttemptError(str(error.reason), permanent=untrusted) from error
        except (http.client.HTTPException, OSError) as error:
            raise _AttemptError(str(error) or type(error).__name__) from error
        with response:
            resumed = response.status == 206 and _range_start(response.headers.get("Content-Range", "")) == have
            if response.status != 200 and not resumed:
                self.part.unlink(missing_ok=True)
                raise _AttemptError("the server would not resume")
            self._copy(response, have if resumed else 0)

    def _copy(self, response: http.client.HTTPResponse, offset: int) -> None:
        limit = self.weights.size_bytes + _MARGIN
        done = offset
        with self.part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            _check_space(self.part, self.weights.size_bytes - offset)
            while chunk := _receive(response):
                self._check_cancelled()
                done += len(chunk)
                if done > limit:
                    break
                file.write(chunk)
                share = min(done / self.weights.size_bytes, 1.0)
                amount = f"{done / _MIB:.1f} of {self.weights.size_bytes / _MIB:.1f} MiB"
                self.progress(f"Downloading {self.weights.filename}: {amount}", share)
        if done > limit:
            self.part.unlink()
            raise _AttemptError("the file is larger than declared", permanent=True)

    def _part_size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _check_cancelled(self) -> None:
        if self.cancelled():
            raise DownloadCancelledError(
                f"The download of {self.weights.filename} was stopped.", "Start it again to go on."
            )

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check_cancelled()
            time.sleep(min(left, 0.1))


def _receive(response: http.client.HTTPResponse) -> bytes:
    """What has arrived (so a slow line can be cancelled and loses nothing), b"" at the end."""
    try:
        return response.read1(_CHUNK)
    except (http.client.HTTPException, OSError) as error:
        raise _AttemptError(str(error) or type(error).__name__) from error


def _range_start(content_range: str) -> int | None:
    """First byte of "bytes 100-199/200", None when the header is not like that."""
    unit, _, rest = content_range.partition(" ")
    start = rest.partition("-")[0]
    return int(start) if unit == "bytes" and start.isascii() and start.isdigit() else None


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise ModelError(
            f"No room for the download in {path.parent} ({free / _MIB:.0f} MiB free, {needed / _MIB:.0f} needed).",
            "Free some space, or set LIVEMASK_CACHE to another folder.",
        )


def _digest(path: Path, progress: Progress) -> str:
    sha = hashlib.sha256()
    progress(f"Checking {path.name}", None)
    with path.open("rb") as file:
        while chunk := file.read(_MIB):
            sha.update(chunk)
    return sha.hexdigest()


def _is_good(weights: WeightsFile, path: Path, progress: Progress | None) -> bool:
    try:
        right_size = path.stat().st_size == weights.size_bytes
        return right_size and weights.matches(_digest(path, progress or _silent))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error}).", _way_out(path)) from error


def _way_out(target: Path) -> str:
    return f"Put the file at {target} or pass --weights FILE."


def _silent(text: str, fraction: float | None) -> None:
    pass


def _never() -> bool:
    return False
