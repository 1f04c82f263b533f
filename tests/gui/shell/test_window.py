"""The window at work: opening, painting, tracking, going to frames, with real mouse and key events."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from app.state.objects import ObjectList
from engine.runtime.messages import (
    DisplayItem,
    EngineProgress,
    LiveQuality,
    MaskKind,
    Mode,
    Notice,
    Severity,
    StatsSnapshot,
)

Key = Qt.Key


def press(shell: Any, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(shell.window.canvas, key, modifiers)
    shell.pump()


def place(shell: Any, x: float, y: float) -> QPoint:
    return shell.window.canvas.from_frame(x, y).toPoint()  # type: ignore[no-any-return]


def stroke(shell: Any, start: tuple[float, float] = (30, 30), end: tuple[float, float] = (40, 34)) -> None:
    canvas = shell.window.canvas
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=place(shell, *start))
    QTest.mouseMove(canvas, place(shell, *end))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=place(shell, *end))
    shell.pump()


# -- opening ---------------------------------------------------------------------------------------------------
def test_an_empty_window_shows_the_welcome(shell: Any) -> None:
    window = shell.window
    assert window.stage.currentWidget() is window.welcome
    assert window.welcome.file_button.isVisible()
    assert not window.actions_table["export"].isEnabled()
    assert not window.transport.big.isEnabled()


def test_a_source_is_shown(shell: Any) -> None:
    shell.open("/videos/clip.mp4")
    window = shell.window
    assert window.stage.currentWidget() is window.canvas
    assert window.canvas.item.frame.index == 0
    assert window.windowTitle() == "clip.mp4[*] - LiveMask"
    assert window.transport.counter.text() == "Frame 0 / 49"
    assert window.settings.recent == ["/videos/clip.mp4"]
    assert window.canvas.hasFocus()


def test_a_failed_open_says_so_and_keeps_the_former_source(shell: Any) -> None:
    shell.open("/videos/clip.mp4")
    shell.session.fail_open = Notice(Severity.ERROR, "No such file.", "Check the name.")
    shell.open("/videos/missing.mp4")
    window = shell.window
    (item,) = window.notices.items
    assert item.text == "No such file. Check the name."
    assert item.isVisible()
    assert window.bridge.info.uri == "/videos/clip.mp4"
    assert window.stage.currentWidget() is window.canvas
    assert window.settings.recent == ["/videos/clip.mp4"]


def test_closing_the_source_brings_the_welcome_back(shell: Any) -> None:
    shell.open()
    shell.trigger("close_source")
    assert shell.window.stage.currentWidget() is shell.window.welcome
    assert shell.window.canvas.item is None
    assert shell.window.windowTitle() == "LiveMask"


def test_an_address_with_a_password_is_not_remembered(shell: Any) -> None:
    shell.open("rtsp://user:secret@host/stream")
    assert shell.window.settings.recent == []
    shell.open("rtsp://host/stream")
    assert shell.window.settings.recent == ["rtsp://host/stream"]


def test_objects_and_history_go_with_their_source(shell: Any) -> None:
    shell.open("/videos/a.mp4")
    stroke(shell)
    assert len(shell.window.objects) == 1
    shell.window.bridge._unsaved = False
    shell.open("/videos/b.mp4")
    assert len(shell.window.objects) == 0
    assert not shell.window.actions_table["undo"].isEnabled()


# -- painting --------------------------------------------------------------------------------------------------
def test_the_first_stroke_makes_object_one_and_reaches_the_session(shell: Any) -> None:
    shell.open()
    stroke(shell)
    assert shell.window.objects.ids == (1,)
    _, frame, mask, touched = shell.session.last("set_mask")
    assert frame is shell.window.canvas.item.frame
    assert touched == {1}
    assert set(np.unique(mask)) == {0, 1}
    assert mask[32, 35] == 1
    assert shell.window.bridge.painted_ids == {1}


def test_undo_and_redo_reach_the_session(shell: Any) -> None:
    shell.open()
    stroke(shell)
    press(shell, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not shell.session.last("set_mask")[2].any()
    assert "Redo paint" in shell.window.actions_table["redo"].text().replace("&", "")
    press(shell, Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert shell.session.last("set_mask")[2].any()


def test_undo_goes_to_the_frame_it_concerns(shell: Any) -> None:
    shell.open()
    stroke(shell)
    press(shell, Key.Key_End)
    assert shell.window.canvas.item.frame.index == 49
    press(shell, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert shell.session.last("seek") == ("seek", 0)
    assert shell.window.canvas.item.frame.index == 0
    assert not shell.session.last("set_mask")[2].any()


def test_a_stored_mask_shows_when_one_comes_back_to_its_frame(shell: Any) -> None:
    shell.open()
    stroke(shell)
    press(shell, Key.Key_Right)
    assert shell.window.canvas.displayed_mask is None or not shell.window.canvas.displayed_mask.any()
    press(shell, Key.Key_Left)
    assert shell.window.canvas.displayed_mask.any()
    assert "keyframe" in shell.window.transport.counter.text()


def test_a_stroke_on_the_live_preview_freezes_it(shell: Any) -> None:
    shell.open("camera:0")
    shell.session.live_frame(5)
    shell.pump()
    canvas = shell.window.canvas
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=place(shell, 30, 30))
    shell.session.live_frame(6)
    shell.pump()
    assert "freeze" in shell.session.names()
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=place(shell, 30, 30))
    shell.pump()
    assert shell.session.last("set_mask")[1].index == 5
    assert shell.window.bridge.mode is Mode.FROZEN


@pytest.mark.parametrize("uri", ["/videos/clip.mp4", "camera:0"])
def test_a_correction_while_tracking_belongs_to_the_frame_it_began_on(shell: Any, uri: str) -> None:
    shell.open(uri)
    stroke(shell)
    press(shell, Key.Key_Space)
    assert shell.window.bridge.mode is Mode.TRACKING
    step = (
        shell.session.advance if uri.startswith("/") else lambda: shell.session.live_frame(shell.session._position + 1)
    )
    step()
    shell.pump()
    canvas = shell.window.canvas
    held = canvas.item.frame
    before = len(shell.session.calls)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=place(shell, 60, 40))
    for _ in range(3):
        step()
        shell.pump()
    assert canvas.item.frame is held
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=place(shell, 60, 40))
    assert shell.session.last("set_mask")[1] is held
    assert shell.session.names()[before:] == ["set_mask"]  # neither paused nor frozen
    shell.pump()
    assert canvas.item.frame.index == held.index + 3


def test_painting_while_playing_pauses(shell: Any) -> None:
    shell.open()
    shell.trigger("play")
    assert shell.window.bridge.mode is Mode.PLAYING
    stroke(shell)
    assert shell.session.names().count("pause") == 1
    assert shell.session.last("set_mask")[1].index == 0


def test_clearing_a_frame_forgets_its_mask_and_can_be_undone(shell: Any) -> None:
    shell.open()
    stroke(shell)
    press(shell, Key.Key_Backspace)
    assert shell.session.mask_kinds() == {}
    press(shell, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert shell.session.mask_kinds() == {0: MaskKind.KEYFRAME}


def test_a_tracked_mask_can_be_kept_as_keyframe(shell: Any) -> None:
    shell.open()
    press(shell, Key.Key_K)
    assert shell.window.notices.items[0].notice.severity is Severity.INFO  # nothing to keep
    stroke(shell)
    press(shell, Key.Key_Period)
    assert shell.session.mask_kinds()[1] is MaskKind.TRACKED
    press(shell, Key.Key_K)
    assert shell.session.mask_kinds()[1] is MaskKind.KEYFRAME
    assert shell.session.last("set_mask")[3] == {1}


def test_a_locked_object_refuses_the_brush_with_a_reason(shell: Any) -> None:
    shell.open()
    stroke(shell)
    shell.window.objects.set_locked(1, True)
    before = shell.session.names().count("set_mask")
    stroke(shell, (60, 40), (66, 44))
    assert shell.session.names().count("set_mask") == before
    assert "locked" in shell.window.notices.items[0].text


# -- objects ---------------------------------------------------------------------------------------------------
def test_number_keys_select_objects(shell: Any) -> None:
    shell.open()
    for _ in range(10):
        press(shell, Key.Key_N)
    objects: ObjectList = shell.window.objects
    assert objects.ids == tuple(range(1, 11))
    for digit in range(1, 10):
        press(shell, Key(Key.Key_0 + digit))
        assert objects.selected_id == digit
    press(shell, Key.Key_0)
    assert objects.selected_id == 10


def test_the_number_of_an_object_that_is_not_there_says_how_to_add_one(shell: Any) -> None:
    shell.open()
    press(shell, Key.Key_7)
    assert shell.window.notices.items[0].text == "There is no object 7 yet. N adds one."


def test_deleting_an_object_reaches_the_session_and_can_be_undone(shell: Any) -> None:
    shell.open()
    stroke(shell)
    press(shell, Key.Key_Delete)
    assert shell.session.last("delete_object") == ("delete_object", 1)
    assert len(shell.window.objects) == 0
    press(shell, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert shell.window.objects.ids == (1,)
    assert shell.session.last("set_mask")[2].any()


def test_the_dock_edits_the_list(shell: Any) -> None:
    shell.open()
    dock, objects = shell.window.object_dock, shell.window.objects
    QTest.mouseClick(dock.add_button, Qt.MouseButton.LeftButton)
    QTest.mouseClick(dock.add_button, Qt.MouseButton.LeftButton)
    QTest.mouseClick(dock.row(1), Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    assert objects.selected_id == 1
    QTest.mouseClick(dock.row(2).eye, Qt.MouseButton.LeftButton)
    QTest.mouseClick(dock.row(2).lock, Qt.MouseButton.LeftButton)
    assert (objects.get(2).visible, objects.get(2).locked) == (False, True)
    QTest.mouseDClick(dock.row(1).name, Qt.MouseButton.LeftButton)
    assert dock.row(1).name.hasFocus()
    QTest.keyClicks(dock.row(1).name, "Dog 3")  # P, 3 and Space are letters here, not commands
    QTest.keyClick(dock.row(1).name, Key.Key_Return)
    assert objects.get(1).name == "Dog 3"
    assert objects.selected_id == 1
    assert "Dog 3" in shell.window.actions_table["object_1"].text()
    QTest.mouseClick(dock.row(2).delete, Qt.MouseButton.LeftButton)
    assert objects.ids == (1,)


# -- Space and transport -----------------------------------------------------------------------------------------
def test_space_on_a_file(shell: Any) -> None:
    shell.open()
    press(shell, Key.Key_Space)
    assert shell.session.calls[-1] == ("play",)
    press(shell, Key.Key_Space)
    assert shell.session.calls[-1] == ("pause",)
    stroke(shell)
    press(shell, Key.Key_Space)
    assert shell.session.calls[-1] == ("track", 1, None)
    press(shell, Key.Key_Space)
    assert shell.session.calls[-1] == ("pause",)


def test_space_on_a_live_source(shell: Any) -> None:
    shell.open("camera:0")
    press(shell, Key.Key_Space)
    assert shell.session.calls[-1] == ("freeze",)
    press(shell, Key.Key_Space)
    assert shell.session.calls[-1] == ("play",)
    assert shell.window.bridge.mode is Mode.PREVIEW
    stroke(shell)
    press(shell, Key.Key_Space)
    assert shell.session.calls[-1] == ("track", 1, None)
    press(shell, Key.Key_Space)
    assert shell.session.calls[-1] == ("pause",)


def test_space_works_wherever_the_keyboard_is(shell: Any) -> None:
    shell.open()
    shell.window.timeline.setFocus()
    QTest.keyClick(shell.window.timeline, Key.Key_Space)
    assert shell.session.calls[-1] == ("play",)


def test_space_presses_a_button_that_was_tabbed_to(shell: Any) -> None:
    shell.open()
    eye = next(
        b
        for b in shell.window.tool_options.findChildren(type(shell.window.transport.big))
        if b.accessibleName() == "Hide overlay"
    )
    eye.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(eye, Key.Key_Space)
    assert not shell.window.canvas.overlay_visible
    assert "play" not in shell.session.names()


def test_a_click_on_a_button_leaves_the_keyboard_with_the_canvas(shell: Any) -> None:
    shell.open()
    QTest.mouseClick(shell.window.transport.big, Qt.MouseButton.LeftButton)
    assert shell.session.calls[-1] == ("play",)
    assert shell.window.focusWidget() is shell.window.canvas


def test_space_after_the_end_plays_from_the_start(shell: Any) -> None:
    shell.open()
    stroke(shell)
    press(shell, Key.Key_Space)
    shell.session.finish()
    shell.pump()
    assert "plays from the start" in shell.window.transport.hint.text()
    press(shell, Key.Key_Space)
    assert shell.session.calls[-2:] == [("seek", 0), ("play",)]


def test_the_hint_follows_when_the_end_is_left_by_going_elsewhere(shell: Any) -> None:
    shell.open()
    stroke(shell)
    press(shell, Key.Key_Space)
    shell.session.finish()
    shell.pump()
    last = shell.window.timeline.current
    for index, hint in ((1, "tracks from here"), (last, "plays from the start")):
        shell.window.tracking.go_to(index)
        shell.pump()
        assert hint in shell.window.transport.hint.text()


def test_tracking_asked_for_while_the_engine_loads_is_announced(shell: Any) -> None:
    shell.open()
    shell.session.say(EngineProgress("Loading the model", ready=False))
    shell.pump()
    assert "Loading the model" in shell.window.status._progress.text()
    stroke(shell)
    shell.session.track = lambda direction, until: shell.session.calls.append(("track", direction, until))  # waits
    press(shell, Key.Key_Space)
    assert "when the engine is ready" in shell.window.transport.hint.text()
    shell.session.say(EngineProgress("Ready", ready=True, device="cpu", model="m"))
    shell.pump()
    assert "when the engine is ready" not in shell.window.transport.hint.text()


def test_keys_track_and_step_in_both_directions(shell: Any) -> None:
    shell.open()
    press(shell, Key.Key_End)
    stroke(shell)
    press(shell, Key.Key_B)
    assert shell.session.calls[-1] == ("track", -1, None)
    assert shell.window.transport.state.text() == "Tracking backward"
    shell.session.pause()
    press(shell, Key.Key_Comma)
    assert shell.session.calls[-1] == ("step", -1)
    press(shell, Key.Key_Period)
    assert shell.session.calls[-1] == ("step", 1)
    press(shell, Key.Key_F)
    assert shell.session.calls[-1] == ("track", 1, None)


def test_keys_go_to_frames(shell: Any) -> None:
    shell.open()
    shift = Qt.KeyboardModifier.ShiftModifier
    for key, modifiers, index in (
        (Key.Key_Right, Qt.KeyboardModifier.NoModifier, 1),
        (Key.Key_Right, shift, 11),
        (Key.Key_Left, Qt.KeyboardModifier.NoModifier, 10),
        (Key.Key_Left, shift, 0),
        (Key.Key_Left, Qt.KeyboardModifier.NoModifier, 0),
        (Key.Key_End, Qt.KeyboardModifier.NoModifier, 49),
        (Key.Key_Home, Qt.KeyboardModifier.NoModifier, 0),
    ):
        press(shell, key, modifiers)
        assert shell.window.canvas.item.frame.index == index


def test_keyframe_keys_jump_between_keyframes(shell: Any, qtbot: Any) -> None:
    shell.open()
    for index in (5, 20):
        shell.window.tracking.go_to(index)
        shell.pump()
        stroke(shell)
    qtbot.waitUntil(lambda: shell.window.timeline.model.keyframes == [5, 20])
    press(shell, Key.Key_PageUp)
    assert shell.window.canvas.item.frame.index == 5
    press(shell, Key.Key_PageDown)
    assert shell.window.canvas.item.frame.index == 20


def test_tracking_stops_at_the_marks(shell: Any) -> None:
    shell.open()
    for index, key in ((4, Key.Key_I), (30, Key.Key_O)):
        shell.window.tracking.go_to(index)
        press(shell, key)
    shell.window.tracking.go_to(10)
    stroke(shell)
    press(shell, Key.Key_Space)
    assert shell.session.calls[-1] == ("track", 1, 30)
    shell.session.pause()
    press(shell, Key.Key_B)
    assert shell.session.calls[-1] == ("track", -1, 4)
    shell.session.pause()
    press(shell, Key.Key_I, Qt.KeyboardModifier.ShiftModifier)
    press(shell, Key.Key_F)
    assert shell.session.calls[-1] == ("track", 1, None)


def test_live_shows_its_own_buttons(shell: Any) -> None:
    shell.open("camera:0")
    names = {b.accessibleName() for b in shell.window.transport._live_buttons if b.isVisible()}
    assert names == {"Instant replay", "Freeze live picture", "Record"}
    assert not any(b.isVisible() for b in shell.window.transport._file_buttons)
    shell.window.close_source = None
    shell.open("/videos/a.mp4")
    assert all(b.isVisible() for b in shell.window.transport._file_buttons)
    assert not any(b.isVisible() for b in shell.window.transport._live_buttons)


# -- the rest ----------------------------------------------------------------------------------------------------
def test_tools_follow_their_keys(shell: Any) -> None:
    shell.open()
    for key, tool in (
        (Key.Key_E, "erase"),
        (Key.Key_G, "polygon"),
        (Key.Key_R, "box"),
        (Key.Key_U, "fill"),
        (Key.Key_P, "paint"),
    ):
        press(shell, key)
        assert shell.window.canvas.tool == tool
        assert shell.window.actions_table[f"tool_{tool}"].isChecked()


def test_brush_and_opacity_keep_in_step_everywhere(shell: Any) -> None:
    shell.open()
    window = shell.window
    before = window.canvas.brush_radius
    press(shell, Key.Key_BracketRight)
    assert window.canvas.brush_radius > before
    assert window.tool_options.brush_value.text() == f"{2 * window.canvas.brush_radius} px"
    window.tool_options.brush.setValue(50)
    assert window.settings.brush_radius == window.canvas.brush_radius
    window.tool_options.opacity.setValue(80)
    assert window.canvas.overlay_opacity == pytest.approx(0.8)
    shell.trigger("opacity_25")
    assert window.tool_options.opacity.value() == 25
    press(shell, Key.Key_H)
    assert not window.canvas.overlay_visible


def test_the_fill_tool_has_its_tolerance_where_others_have_the_brush(shell: Any) -> None:
    shell.open()
    options, canvas = shell.window.tool_options, shell.window.canvas
    assert (options.brush.isVisible(), options.tolerance.isVisible()) == (True, False)
    press(shell, Key.Key_U)
    assert (options.brush.isVisible(), options.tolerance.isVisible()) == (False, True)
    before, radius = canvas.fill_tolerance, canvas.brush_radius
    press(shell, Key.Key_BracketRight)
    assert canvas.fill_tolerance == before + 2
    assert canvas.brush_radius == radius
    assert options.tolerance_value.text() == f"± {before + 2}"
    options.tolerance.setValue(40)
    assert canvas.fill_tolerance == shell.window.settings.fill_tolerance == 40
    press(shell, Key.Key_P)
    assert (options.brush.isVisible(), options.tolerance.isVisible()) == (True, False)
    assert options.tolerance.accessibleName() == "Fill tolerance"


def test_figures_are_shown(shell: Any) -> None:
    shell.open("camera:0")
    shell.session.stats_now = StatsSnapshot(
        source_fps=30.0, tracked_fps=12.5, age_p50_s=0.06, age_p95_s=0.09, dropped=7, bank_bytes=48_000_000,
        rss_bytes=1_200_000_000, device="cpu", model="resnet50-half", working_size=(640, 360),
    )  # fmt: skip
    shell.window.bridge._poll_stats()
    status = shell.window.status
    texts = [figure.text() for figure in (*status._left, *status._right)]
    assert texts == [
        "Source 30.0 fps", "Tracked 12.5 fps", "Mask age 60 / 90 ms", "Dropped 7", "resnet50-half", "cpu", "640 × 360",
        "Memory 48 MB / 1.2 GB",
    ]  # fmt: skip
    shell.window.resize(1400, 700)
    QApplication.processEvents()
    assert all(figure.isVisible() for figure in status._left)


@pytest.mark.parametrize(
    ("quality", "text", "tip"),
    [
        (LiveQuality(24.0, 320, None, full=False, holds=True), "568 × 320 · for 24 fps", "Live rate"),
        (LiveQuality(24.0, 320, None, full=True, holds=None), "568 × 320 · for 24 fps", "Live rate"),
        (LiveQuality(30.0, 192, 4, full=False, holds=False), "568 × 320 · below 30 fps", "Only 4 earlier frames"),
        (LiveQuality(30.0, 480, None, full=True, holds=True), "568 × 320 · full", "Nothing had to be left out"),
        (None, "568 × 320", "Working size"),
    ],
)
def test_the_quality_chosen_for_a_live_source_is_told(
    shell: Any, quality: LiveQuality | None, text: str, tip: str
) -> None:
    shell.open("camera:0")
    shell.session.stats_now = StatsSnapshot(working_size=(568, 320), live_quality=quality)
    shell.window.bridge._poll_stats()
    assert shell.window.status.working_size.text() == text
    assert tip in shell.window.status.working_size.toolTip()


def test_a_narrow_window_leaves_figures_out_instead_of_cutting_them(shell: Any) -> None:
    shell.open("camera:0")
    shell.session.stats_now = StatsSnapshot(
        source_fps=30.0, tracked_fps=12.5, age_p50_s=0.06, age_p95_s=0.09, dropped=7, bank_bytes=48_000_000,
        rss_bytes=1_200_000_000, device="cuda:0 NVIDIA GeForce RTX 4090 (fp16)", model="resnet50-half",
        working_size=(640, 360),
    )  # fmt: skip
    shell.window.resize(760, 480)
    shell.window.bridge._poll_stats()
    QApplication.processEvents()
    assert shell.window.width() == 760
    status = shell.window.status
    shown = [figure for figure in (*status._left, *status._right) if figure.isVisible()]
    assert status.tracked in shown
    assert 0 < len(shown) < 8
    assert all(figure.width() >= figure.minimumSizeHint().width() for figure in shown)
    edges = sorted((f.mapTo(status, f.rect().topLeft()).x(), f.width()) for f in shown)
    assert all(x + width <= following for (x, width), (following, _) in pairwise(edges))
    assert edges[-1][0] + edges[-1][1] <= status.width()


def test_a_mask_of_another_source_never_shows(shell: Any) -> None:
    shell.open("/videos/a.mp4")
    shell.open("/videos/b.mp4")
    mask = np.ones((64, 96), np.uint8)
    shell.session.put(DisplayItem(shell.window.canvas.item.frame, mask, MaskKind.TRACKED, generation=1))
    shell.pump()
    assert shell.window.canvas.displayed_mask is None


def test_the_demo_gets_its_mask_and_is_tracked(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[5:20, 5:20] = 1
    mask[30:40, 50:60] = 2
    monkeypatch.setattr("engine.video.masks.read_mask", lambda path, size, resize=False: mask)
    shell.trigger("open_demo")
    assert shell.window.objects.ids == (1, 2)
    assert shell.session.last("set_mask")[3] == {1, 2}
    assert shell.session.calls[-1] == ("track", 1, None)
    assert shell.window.settings.recent == []
