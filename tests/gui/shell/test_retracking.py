"""Re-tracking after a correction, to keyframes and between marks, from the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from engine.runtime.messages import MaskKind

KINDS = {
    **dict.fromkeys(range(5, 31), MaskKind.TRACKED),
    5: MaskKind.KEYFRAME,
    15: MaskKind.KEYFRAME,
    30: MaskKind.KEYFRAME,
}


@pytest.fixture
def tracked(shell: Any) -> Any:
    """A file with keyframes at 5, 15 and 30, standing on frame 20."""
    shell.open()
    shell.window.objects.add()
    shell.window.tracking.go_to(20)
    shell.pump()
    shell.window.timeline.show_kinds(KINDS, {})
    shell.session.calls.clear()
    return shell


def stroke(shell: Any) -> None:
    canvas = shell.window.canvas
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(40, 30).toPoint())
    shell.pump()


def told(shell: Any) -> list[str]:
    return [
        item.notice.message for item in shell.window.notices.items if "around this correction" in item.notice.message
    ]


def test_the_key_asks_for_the_frame_shown(tracked: Any) -> None:
    QTest.keyClick(tracked.window.canvas, Qt.Key.Key_K, Qt.KeyboardModifier.ShiftModifier)
    assert ("retrack", 20) in tracked.session.calls


def test_a_correction_is_followed_by_one_offer_that_names_the_key(tracked: Any) -> None:
    stroke(tracked)
    stroke(tracked)
    assert len(told(tracked)) == 1
    assert "retrack" not in tracked.session.names()
    assert not tracked.window.retracking.quiet.isActive()


def test_a_first_mask_is_no_correction(shell: Any) -> None:
    shell.open()
    stroke(shell)
    assert told(shell) == []


def test_switched_on_it_happens_by_itself_once_the_hand_rests(tracked: Any, make_shell: Any) -> None:
    tracked.trigger("retrack_auto")
    stroke(tracked)
    quiet = tracked.window.retracking.quiet
    assert quiet.isActive()
    assert told(tracked) == []
    canvas = tracked.window.canvas
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(20, 20).toPoint())
    quiet.timeout.emit()  # a stroke is under way: not now
    assert "retrack" not in tracked.session.names()
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=canvas.from_frame(20, 20).toPoint())
    quiet.timeout.emit()
    assert tracked.session.last("retrack") == ("retrack", 20)
    again = make_shell(settings=Path(tracked.settings_path))
    assert again.window.actions_table["retrack_auto"].isChecked()


def test_who_has_gone_elsewhere_is_not_pulled_back(tracked: Any) -> None:
    tracked.trigger("retrack_auto")
    stroke(tracked)
    tracked.window.tracking.go_to(3)
    tracked.pump()
    tracked.window.retracking.quiet.timeout.emit()
    assert "retrack" not in tracked.session.names()


def test_to_the_next_keyframe_and_back(tracked: Any) -> None:
    stroke(tracked)
    tracked.window.timeline.show_kinds(KINDS, {})
    tracked.trigger("track_to_keyframe")
    assert tracked.session.last("track") == ("track", 1, 30)
    tracked.trigger("track_back_to_keyframe")
    assert tracked.session.last("track") == ("track", -1, 15)
    tracked.window.tracking.go_to(40)
    tracked.session.calls.clear()
    tracked.trigger("track_to_keyframe")
    assert "track" not in tracked.session.names()
    assert any("no keyframe after" in item.notice.message for item in tracked.window.notices.items)


def test_the_marked_range_is_tracked_from_its_first_frame(tracked: Any) -> None:
    stroke(tracked)
    tracked.trigger("track_range")
    assert "track" not in tracked.session.names()
    for index, action in ((8, "mark_in"), (26, "mark_out")):
        tracked.window.tracking.go_to(index)
        tracked.pump()
        tracked.trigger(action)
    tracked.trigger("track_range")
    assert tracked.session.last("seek") == ("seek", 8)
    assert tracked.session.last("track") == ("track", 1, 26)


def test_live_sources_have_no_keyframes_to_go_between(shell: Any) -> None:
    shell.open("camera:0")
    for action_id in ("retrack", "track_to_keyframe", "track_back_to_keyframe", "track_range"):
        assert not shell.window.actions_table[action_id].isEnabled()
