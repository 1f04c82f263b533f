from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.events import LIMIT, EventQueue
from engine.runtime.messages import (
    EngineProgress,
    ExportProgress,
    MasksChanged,
    Mode,
    ModeChanged,
    Notice,
    ObjectsChanged,
    Severity,
    SourceClosed,
    TrackingFinished,
)


def queued(*events):
    queue = EventQueue()
    for event in events:
        queue.put(event)
    return queue.drain()


def test_events_come_in_order_and_once():
    queue = EventQueue()
    queue.put(ModeChanged(Mode.TRACKING))
    queue.put(TrackingFinished(3))
    assert queue.drain() == [ModeChanged(Mode.TRACKING), TrackingFinished(3)]
    assert queue.drain() == []


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)).map(sorted), min_size=1))
def test_changed_masks_are_merged_and_none_is_left_out(ranges):
    [merged] = queued(*(MasksChanged(*r) for r in ranges))
    assert merged == MasksChanged(min(r[0] for r in ranges), max(r[1] for r in ranges))


def test_only_the_newest_progress_counts():
    assert queued(EngineProgress("a", False), Notice(Severity.INFO, "x"), EngineProgress("b", True)) == [
        Notice(Severity.INFO, "x"),
        EngineProgress("b", True),
    ]
    assert queued(*(ExportProgress(i, 9) for i in range(9)), ExportProgress(9, 9, True, True)) == [
        ExportProgress(8, 9),
        ExportProgress(9, 9, True, True),
    ]
    assert queued(ExportProgress(2, 2, True), ExportProgress(1, 5)) == [
        ExportProgress(2, 2, True),
        ExportProgress(1, 5),
    ]


def test_a_notice_is_not_repeated_while_unread():
    notice = Notice(Severity.ERROR, "Once.")
    assert queued(notice, notice) == [notice]


def test_another_source_voids_news_of_the_former_ones_masks():
    assert queued(MasksChanged(0, 9), ObjectsChanged((1,)), ModeChanged(Mode.EMPTY), SourceClosed()) == [
        ModeChanged(Mode.EMPTY),
        SourceClosed(),
    ]


def test_a_queue_nobody_reads_stays_bounded_and_keeps_the_newest_mode():
    queue = EventQueue()
    for i in range(5000):
        queue.put(ModeChanged([Mode.FROZEN, Mode.TRACKING][i % 2]))
        queue.put(Notice(Severity.INFO, f"text {i}"))
    events = queue.drain()
    assert len(events) == LIMIT
    assert [e for e in events if isinstance(e, ModeChanged)][-1] == ModeChanged(Mode.TRACKING)
    assert events[-1] == Notice(Severity.INFO, "text 4999")
