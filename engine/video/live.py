"""Live sources: a reader thread that keeps the newest frame only, counts what nobody read, and reconnects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from engine.errors import SourceError
from engine.types import Frame, Rgb
from engine.video.source import SourceInfo, SourceKind

Picture = Callable[[], Rgb]  # makes the H x W x 3 pixels; called only for pictures that somebody reads
QUIET_S = 0.9  # without a picture for so long (and three times the usual gap), the user is told

Wait = Callable[[float], bool]  # sleeps so many seconds; True as soon as the source is being closed


class GrabError(Exception):
    """A picture could not be had; the reader tries again or reconnects. The text says why, in words for the user."""


class EndOfStreamError(Exception):
    """A finite stream is over."""


class Grabber(Protocol):
    """Where a live source gets its pictures from. Every method is called on the reader thread only."""

    @property
    def name(self) -> str:
        """Short text for a title bar and for messages."""
        ...

    @property
    def fps(self) -> float | None:
        """Nominal frames per second, known after `open`."""
        ...

    def open(self) -> None:
        """Connect, or connect again. Raises SourceError or GrabError."""
        ...

    def grab(self, wait: Wait) -> Picture:
        """Block until the next picture is there. Raises GrabError, EndOfStreamError or SourceError (fatal)."""
        ...

    def close(self) -> None:
        """Disconnect. Idempotent."""
        ...


@dataclass(frozen=True)
class RetryPolicy:
    """What to do when pictures stop coming.

    Attributes:
        tolerate_s: grabbing is simply repeated for so long before the connection counts as lost.
        first_delay_s, factor, max_delay_s: pauses between attempts to reconnect (exponential back-off).
        give_up_s: seconds of reconnecting before the source fails; 0 never reconnects.
    """

    tolerate_s: float = 0.0
    first_delay_s: float = 0.25
    factor: float = 2.0
    max_delay_s: float = 1.0  # what has come back is there again within this time and what connecting takes
    give_up_s: float = 30.0


class LiveSource:
    """The newest-frame-wins reader shared by cameras, streams and paced files.

    `Frame.index` counts captured frames; a frame that a newer one replaced before anybody read it adds to `dropped`
    and leaves a gap. After reconnecting to a source that changed its size, frames are scaled to the first size.

    Args:
        grabber: gives the pictures; owned by the reader thread from now on.
        kind, uri: for `info`.
        policy: what to do when pictures stop coming.
        open_timeout_s: how long to wait for the first picture.
        stall_timeout_s: `read` raises SourceError when no picture came for so long, whatever the reader thread is
            blocked in; None leaves it to the grabber's own time-outs.
        clock, wait: monotonic seconds and the sleep; replaced in tests.

    Raises:
        SourceError: no first picture.

    Attributes:
        status: what the user should know at the moment ("Reconnecting ...", "No picture ..."), or "".
        warning: None (files have one).
    """

    def __init__(
        self,
        grabber: Grabber,
        kind: SourceKind,
        uri: str,
        *,
        policy: RetryPolicy = RetryPolicy(),
        open_timeout_s: float = 15.0,
        stall_timeout_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Wait | None = None,
    ) -> None:
        self._grabber = grabber
        self._policy = policy
        self._stall_timeout_s = stall_timeout_s
        self._clock = clock
        self._stop = threading.Event()
        self._wait: Wait = wait or self._stop.wait
        self._changed = threading.Condition()
        self._slot: tuple[int, float, Picture] | None = None
        self._captured = 0
        self._dropped = 0
        self._over = False
        self._error: SourceError | None = None
        self._reconnecting = False
        self._last_at = clock()
        self._gap = 0.0  # between the last two pictures
        self.warning: str | None = None
        self._thread = threading.Thread(target=self._reader, name=f"grab {grabber.name}", daemon=True)
        self._thread.start()
        try:
            width, height = self._first_size(open_timeout_s)
        except BaseException:
            self.close()
            raise
        self._info = SourceInfo(kind, uri, grabber.name, width, height, fps=grabber.fps)

    # -- the source protocol -----------------------------------------------------------------------------------
    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def status(self) -> str:
        if self._reconnecting:
            return f"Reconnecting to {self._grabber.name}"
        quiet = not self._over and self._clock() - self._last_at > max(QUIET_S, 3 * self._gap)
        return f"No picture from {self._grabber.name}" if quiet else ""

    @property
    def dropped(self) -> int:
        return self._dropped

    @property
    def captured(self) -> int:
        """Pictures grabbed so far; always read + dropped + (1 when one is waiting)."""
        return self._captured

    def read(self) -> Frame | None:
        """Block until a frame newer than the last one is there; None after `close` and at the end of a finite stream.

        Raises:
            SourceError: the source is lost for good.
        """
        with self._changed:
            if not self._changed.wait_for(self._something_to_tell, self._stall_timeout_s):
                raise SourceError(
                    f"{self._grabber.name} has stopped delivering pictures.", "Check the connection and open it again."
                )
            if self._stop.is_set() or self._slot is None:
                if self._error is not None and not self._stop.is_set():
                    raise self._error
                return None
            (index, at, picture), self._slot = self._slot, None
        rgb = self._pixels(picture)
        if rgb.shape[:2] != (self._info.height, self._info.width):
            scaled = cv2.resize(rgb, (self._info.width, self._info.height), interpolation=cv2.INTER_AREA)
            rgb = scaled.astype(np.uint8, copy=False)
        return Frame(index, at, rgb)

    def seek(self, index: int) -> None:
        raise SourceError(f"{self._grabber.name} is live: there is nothing to seek in.", "Record it first.")

    def close(self) -> None:
        """Wake a blocked read at once and release the device as soon as the reader thread comes out of its call."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=1.0)

    # -- consumer side -----------------------------------------------------------------------------------------
    def _something_to_tell(self) -> bool:
        return self._slot is not None or self._over or self._stop.is_set()

    def _first_size(self, timeout_s: float) -> tuple[int, int]:
        with self._changed:
            if not self._changed.wait_for(self._something_to_tell, timeout_s):
                raise SourceError(
                    f"{self._grabber.name} sent no picture within {timeout_s:.0f} seconds.",
                    "Check that it is switched on and not used by another program.",
                )
            slot = self._slot
            if slot is None:
                raise self._error or SourceError(f"{self._grabber.name} contains no picture.", "Choose another source.")
        height, width = self._pixels(slot[2]).shape[:2]
        return width, height

    def _pixels(self, picture: Picture) -> Rgb:
        try:
            return picture()
        except Exception as error:  # whatever a driver or decoder raises: the user can only open the source again
            raise SourceError(f"A picture of {self._grabber.name} is unusable: {error}.", "Open it again.") from error

    # -- reader thread -----------------------------------------------------------------------------------------
    def _reader(self) -> None:
        error: SourceError | None = None
        try:
            self._grabber.open()
            self._grab_until_stopped()
        except EndOfStreamError:
            pass
        except SourceError as problem:
            error = problem
        except GrabError as problem:
            error = SourceError(f"{self._grabber.name} cannot be opened: {problem}.", "Check that it is switched on.")
        except Exception as problem:
            # Nobody waits for this thread's exceptions: hand them to the reader of frames.
            error = SourceError(f"{self._grabber.name} failed: {problem}.", "Open it again.")
            error.__cause__ = problem
        finally:
            self._grabber.close()
            with self._changed:
                self._over = True
                self._error = error
                self._changed.notify_all()

    def _grab_until_stopped(self) -> None:
        failing_since: float | None = None
        while not self._stop.is_set():
            try:
                picture = self._grabber.grab(self._wait)
                failing_since = None
            except GrabError as problem:
                now = self._clock()
                failing_since = now if failing_since is None else failing_since
                if now - failing_since < self._policy.tolerate_s:
                    self._wait(0.02)
                    continue
                again = self._reconnect(problem)
                if again is None:
                    return
                picture, failing_since = again, None
            self._publish(picture)

    def _reconnect(self, problem: GrabError) -> Picture | None:
        """The first picture after the connection came back; None when closed meanwhile."""
        since = self._clock()
        delay = self._policy.first_delay_s
        reason: Exception = problem
        while not self._stop.is_set():
            if self._clock() - since >= self._policy.give_up_s:
                raise SourceError(f"{self._grabber.name} was lost: {reason}.", "Check it and open it again.")
            self._reconnecting = True
            if self._wait(delay):
                break
            delay = min(delay * self._policy.factor, self._policy.max_delay_s)
            try:
                self._grabber.close()
                self._grabber.open()
                picture = self._grabber.grab(self._wait)
            except GrabError as again:
                reason = again
            except SourceError as again:
                reason = GrabError(again.message.rstrip("."))
            else:
                self._reconnecting = False
                return picture
        return None

    def _publish(self, picture: Picture) -> None:
        with self._changed:
            if self._stop.is_set():
                return
            if self._slot is not None:
                self._dropped += 1
            now = self._clock()
            self._gap, self._last_at = now - self._last_at, now
            self._slot = (self._captured, now, picture)
            self._captured += 1
            self._changed.notify_all()
