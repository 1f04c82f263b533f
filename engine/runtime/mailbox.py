"""A bounded queue between two threads, lossless (BLOCK) or always fresh (NEWEST), that close wakes at once.

A third one may do a part of the consumer's work on the next item while the consumer is busy with the one before
(`start_work`, `begin_work`). That item still counts as waiting, so nothing is lost or counted twice on the way.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Policy(Enum):
    """What `put` does when the mailbox is full."""

    NEWEST = "newest"  # the oldest waiting item makes room and counts as dropped
    BLOCK = "block"  # the producer waits


class MailboxClosed(Exception):  # noqa: N818 - the normal end of a stream, not an error
    """Nothing more will come: the mailbox is closed and empty."""


@dataclass(eq=False)
class _Worked(Generic[T]):
    """The item a helper works on, or is done with."""

    item: T
    done: bool = False


class Mailbox(Generic[T]):
    """Thread-safe; any number of producers and consumers. At every moment put_count == delivered + dropped + len."""

    def __init__(self, capacity: int, policy: Policy) -> None:
        if capacity < 1:
            raise ValueError("a mailbox holds at least one item")
        self._capacity = capacity
        self._policy = policy
        self._items: deque[T] = deque()
        self._lock = threading.Lock()
        self._not_empty = threading.Condition(self._lock)
        self._not_full = threading.Condition(self._lock)
        self._closed = False
        self._woken = False
        self._helped = False
        self._worked: _Worked[T] | None = None  # beside the capacity
        self._put_count = 0
        self._delivered = 0
        self._dropped = 0

    def put(self, item: T, timeout: float | None = None) -> bool:
        """Append `item`; NEWEST never waits, BLOCK waits for room up to `timeout` seconds (None: for ever).

        Returns:
            False when the mailbox is (or, while waiting, becomes) closed or the time is up: `item` was not taken.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            if self._policy is Policy.BLOCK:
                while len(self._items) >= self._capacity and not self._closed:
                    if not self._wait(self._not_full, deadline):
                        return False
            if self._closed:
                return False
            while len(self._items) >= self._capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._put_count += 1
            self._not_empty.notify_all()
            return True

    def get(self, timeout: float | None = None) -> T | None:
        """The oldest item; waits up to `timeout` seconds (None: for ever).

        Returns:
            None when the time is up or `wake` was called. None is therefore no item.

        Raises:
            MailboxClosed: closed, and every item that was waiting has been delivered.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while not self._deliverable():
                if self._closed and not self._waiting():
                    raise MailboxClosed
                if self._woken:
                    self._woken = False
                    return None
                if not self._wait(self._not_empty, deadline):
                    return None
            self._delivered += 1
            if self._worked is None:
                item = self._items.popleft()
            else:
                item, self._worked = self._worked.item, None
                self._not_empty.notify_all()  # the helper may begin with the next one
            self._not_full.notify()
            return item

    def _deliverable(self) -> bool:
        return self._worked.done if self._worked is not None else bool(self._items) and not self._helped

    def _waiting(self) -> int:
        return len(self._items) + (self._worked is not None)

    def start_work(self) -> None:
        """A helper is coming: until `stop_work` the consumer gets only items that went through its hands."""
        with self._lock:
            self._helped = True

    def begin_work(self) -> T:
        """For one helper: the item the consumer gets next, once it has taken the one before. `finish_work` must follow.

        Raises:
            MailboxClosed: closed and empty, or `stop_work` was called.
        """
        with self._lock:
            while self._helped and (self._worked is not None or not self._items):
                if self._closed and self._worked is None:
                    raise MailboxClosed
                self._not_empty.wait()
            if not self._helped:
                raise MailboxClosed
            self._worked = _Worked(self._items.popleft())
            self._not_full.notify()
            return self._worked.item

    def finish_work(self, item: T) -> None:
        """What became of the item; the consumer gets this instead. Nothing happens when it was cleared meanwhile."""
        with self._lock:
            if self._worked is not None:
                self._worked.item, self._worked.done = item, True
                self._not_empty.notify_all()

    def stop_work(self) -> None:
        """The helper leaves; the consumer gets the items as they are. Idempotent."""
        with self._lock:
            self._helped = False
            if self._worked is not None:
                self._items.appendleft(self._worked.item)
                self._worked = None
            self._not_empty.notify_all()

    def close(self) -> None:
        """Take nothing more; wake every waiter at once. What waits can still be had with `get`. Idempotent."""
        with self._lock:
            self._closed = True
            self._not_empty.notify_all()
            self._not_full.notify_all()

    def clear(self) -> int:
        """Throw away what waits (it counts as dropped); returns how many items that were."""
        with self._lock:
            thrown = self._waiting()
            self._items.clear()
            self._worked = None
            self._dropped += thrown
            self._not_full.notify_all()
            self._not_empty.notify_all()
            return thrown

    def wake(self) -> None:
        """Make the consumer that waits, or the next that would have to, return None from `get` and look around."""
        with self._lock:
            self._woken = True
            self._not_empty.notify_all()

    def _wait(self, condition: threading.Condition, deadline: float | None) -> bool:
        if deadline is None:
            condition.wait()
            return True
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return False
        condition.wait(remaining)
        return True

    def __len__(self) -> int:
        with self._lock:
            return self._waiting()

    @property
    def closed(self) -> bool:
        with self._lock:
            return self._closed

    @property
    def put_count(self) -> int:
        """Items taken in so far."""
        with self._lock:
            return self._put_count

    @property
    def delivered(self) -> int:
        """Items handed out so far."""
        with self._lock:
            return self._delivered

    @property
    def dropped(self) -> int:
        """Items replaced by newer ones or cleared so far. Exact."""
        with self._lock:
            return self._dropped
