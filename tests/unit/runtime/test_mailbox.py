from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runtime.mailbox import Mailbox, MailboxClosed, Policy

TIMEOUT = 10.0


def drain(mailbox):
    items = []
    while True:
        try:
            items.append(mailbox.get(TIMEOUT))
        except MailboxClosed:
            return items


def run(*targets):
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()


@settings(deadline=None, max_examples=25)
@given(count=st.integers(0, 300), capacity=st.integers(1, 5))
def test_block_neither_loses_nor_reorders(count, capacity):
    mailbox = Mailbox(capacity, Policy.BLOCK)
    received = []

    def produce():
        for item in range(count):
            assert mailbox.put(item)
        mailbox.close()

    run(produce, lambda: received.extend(drain(mailbox)))
    assert received == list(range(count))
    assert mailbox.dropped == 0


@settings(deadline=None, max_examples=25)
@given(count=st.integers(0, 300), capacity=st.integers(1, 5))
def test_newest_counts_every_drop_and_keeps_the_order(count, capacity):
    mailbox = Mailbox(capacity, Policy.NEWEST)
    received = []

    def produce():
        for item in range(count):
            assert mailbox.put(item)
        mailbox.close()

    run(produce, lambda: received.extend(drain(mailbox)))
    assert received == sorted(received)
    assert received[-1:] == list(range(count))[-1:]  # the newest always arrives
    assert mailbox.put_count == count
    assert mailbox.delivered == len(received)
    assert mailbox.delivered + mailbox.dropped == count


def test_newest_never_blocks_the_producer():
    mailbox = Mailbox(2, Policy.NEWEST)
    for item in range(1000):
        assert mailbox.put(item)
    assert [mailbox.get(), mailbox.get()] == [998, 999]
    assert mailbox.dropped == 998


def test_block_makes_the_producer_wait_for_room():
    mailbox = Mailbox(1, Policy.BLOCK)
    assert mailbox.put(1)
    assert not mailbox.put(2, timeout=0.01)
    assert mailbox.get() == 1
    assert mailbox.put(3, timeout=0.01)


@pytest.mark.parametrize("waiters", [1, 5])
def test_close_wakes_every_waiter_at_once(waiters):
    empty, full = Mailbox(1, Policy.BLOCK), Mailbox(1, Policy.BLOCK)
    full.put(0)
    ready = threading.Barrier(2 * waiters + 1)
    outcomes = []

    def get():
        ready.wait(TIMEOUT)
        try:
            empty.get()
        except MailboxClosed:
            outcomes.append("closed")

    def put():
        ready.wait(TIMEOUT)
        outcomes.append(full.put(1))

    def close():
        ready.wait(TIMEOUT)
        empty.close()
        full.close()

    run(*[get] * waiters, *[put] * waiters, close)
    assert sorted(map(str, outcomes)) == ["False"] * waiters + ["closed"] * waiters


def test_what_waits_at_the_close_can_still_be_had():
    mailbox = Mailbox(3, Policy.BLOCK)
    mailbox.put(1)
    mailbox.put(2)
    mailbox.close()
    assert not mailbox.put(3)
    assert drain(mailbox) == [1, 2]


def test_cleared_items_count_as_dropped():
    mailbox = Mailbox(3, Policy.BLOCK)
    mailbox.put(1)
    mailbox.put(2)
    mailbox.get()
    assert mailbox.clear() == 1
    assert (mailbox.put_count, mailbox.delivered, mailbox.dropped, len(mailbox)) == (2, 1, 1, 0)


def test_clear_lets_a_waiting_producer_go_on():
    mailbox = Mailbox(1, Policy.BLOCK)
    mailbox.put(1)
    started = threading.Event()
    taken = []

    def put():
        started.set()
        taken.append(mailbox.put(2))

    def clear():
        started.wait(TIMEOUT)
        mailbox.clear()

    run(put, clear)
    assert taken == [True]


def test_wake_is_not_lost_when_it_comes_before_the_wait():
    mailbox = Mailbox(1, Policy.BLOCK)
    mailbox.wake()
    assert mailbox.get(TIMEOUT) is None
    assert mailbox.get(timeout=0.01) is None  # used up: this one waited its time
    mailbox.put(5)
    mailbox.wake()
    assert mailbox.get() == 5


def test_a_mailbox_without_room_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Mailbox(0, Policy.BLOCK)


@settings(deadline=None, max_examples=25)
@given(count=st.integers(0, 200), capacity=st.integers(1, 3), policy=st.sampled_from(Policy))
def test_a_helper_works_on_every_item_once_and_in_order(count, capacity, policy):
    mailbox = Mailbox(capacity, policy)
    mailbox.start_work()
    received = []

    def produce():
        for item in range(count):
            assert mailbox.put((item, "raw"))
        mailbox.close()

    def help_out():
        while True:
            try:
                item, state = mailbox.begin_work()
            except MailboxClosed:
                return
            assert state == "raw"
            mailbox.finish_work((item, "done"))

    run(produce, help_out, lambda: received.extend(drain(mailbox)))
    numbers = [item for item, _ in received]
    assert {state for _, state in received} <= {"done"}
    assert numbers == sorted(set(numbers))
    assert mailbox.put_count == count == mailbox.delivered + mailbox.dropped
    if policy is Policy.BLOCK:
        assert numbers == list(range(count))


def test_the_helper_is_one_item_ahead_and_that_one_is_not_replaced_by_newer_ones():
    mailbox = Mailbox(1, Policy.NEWEST)
    mailbox.start_work()
    mailbox.put("a")
    assert mailbox.begin_work() == "a"
    mailbox.put("b")
    mailbox.put("c")
    assert (len(mailbox), mailbox.dropped) == (2, 1)
    assert mailbox.get(0.01) is None, "a is not done"
    mailbox.finish_work("A")
    began = []
    helper = threading.Thread(target=lambda: began.append(mailbox.begin_work()))
    helper.start()
    helper.join(0.05)
    assert not began, "A is not taken"
    assert mailbox.get(TIMEOUT) == "A"
    helper.join(TIMEOUT)
    assert began == ["c"]


def test_clearing_drops_the_item_a_helper_is_busy_with():
    mailbox = Mailbox(2, Policy.BLOCK)
    mailbox.start_work()
    mailbox.put("a")
    mailbox.begin_work()
    assert mailbox.clear() == 1
    mailbox.finish_work("A")
    assert (len(mailbox), mailbox.put_count, mailbox.delivered, mailbox.dropped) == (0, 1, 0, 1)
    mailbox.put("b")
    assert mailbox.begin_work() == "b"


@pytest.mark.parametrize("done", [False, True])
def test_a_helper_that_leaves_leaves_everything_to_the_consumer(done):
    mailbox = Mailbox(2, Policy.BLOCK)
    mailbox.start_work()
    mailbox.put("a")
    mailbox.put("b")
    mailbox.begin_work()
    if done:
        mailbox.finish_work("A")
    mailbox.stop_work()
    mailbox.finish_work("late")
    with pytest.raises(MailboxClosed):
        mailbox.begin_work()
    assert [mailbox.get(TIMEOUT), mailbox.get(TIMEOUT)] == ["A" if done else "a", "b"]
    assert mailbox.delivered == mailbox.put_count == 2


def test_close_and_wake_reach_the_helper_and_the_consumer_behind_it():
    mailbox = Mailbox(1, Policy.BLOCK)
    mailbox.start_work()
    mailbox.put("a")
    mailbox.begin_work()
    mailbox.wake()
    assert mailbox.get(TIMEOUT) is None
    mailbox.close()
    mailbox.finish_work("A")
    assert mailbox.get(TIMEOUT) == "A"
    for ask in (mailbox.begin_work, mailbox.get):
        with pytest.raises(MailboxClosed):
            ask()
