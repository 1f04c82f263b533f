"""State and next step on the left, the transport buttons in the middle, where we are on the right."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app.actions import Actions
from app.i18n import translate
from app.icons import make_icon
from app.panels.controls import Button, action_button
from app.panels.elided_label import ElidedLabel
from app.theme import Theme
from app.transport_logic import hint_text, state_text
from engine.runtime.messages import MaskKind, Mode
from engine.video.source import SourceInfo

_FILE_LEFT = ("to_start", "track_backward", "step_backward")
_FILE_RIGHT = ("step_forward", "track_forward", "to_end")
_LIVE = ("replay", "freeze", "record")


def timecode(seconds: float, fps: float | None) -> str:
    """SMPTE style "HH:MM:SS:FF" (frames of the second) where the rate is known, else "HH:MM:SS.hh"."""
    whole = int(seconds)
    if fps:
        # Rounding keeps 0.9999 of a second from showing as the frame before.
        return f"{clock(whole, hours=True)}:{min(int((seconds - whole) * fps + 0.001), int(fps)):02}"
    return f"{clock(whole, hours=True)}.{int((seconds - whole) * 100):02}"


def clock(seconds: float, hours: bool = False) -> str:
    """ "MM:SS", or "HH:MM:SS" when that long or asked for."""
    whole = int(seconds)
    text = f"{whole % 3600 // 60:02}:{whole % 60:02}"
    return f"{whole // 3600:02}:{text}" if hours or whole >= 3600 else text


class TransportBar(QFrame):
    """Buttons are the actions; the labels show what `show_state` and `show_frame` are told."""

    def __init__(self, actions: Actions, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("transport")
        self._actions = actions
        self._theme = theme
        self._running = False
        self.state = ElidedLabel()
        self.state.setObjectName("state")
        self.state.setAccessibleName(self.tr("State"))
        self.hint = ElidedLabel()
        self.hint.setProperty("role", "muted")
        self.hint.setAccessibleName(self.tr("Next step"))
        self.counter = ElidedLabel()
        self.counter.setObjectName("state")
        self.counter.setAccessibleName(self.tr("Frame"))
        self.time = ElidedLabel()
        self.time.setProperty("role", "muted")
        self.time.setAccessibleName(self.tr("Time"))
        for label in (self.counter, self.time):
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._file_buttons = [self._button(name) for name in (*_FILE_LEFT, *_FILE_RIGHT)]
        self._live_buttons = [self._button(name) for name in _LIVE]
        self._live_buttons[-1].setObjectName("recordButton")
        self.big = Button(self.tr("Track or pause"))
        self.big.setObjectName("bigPlay")
        self.big.setIconSize(QSize(22, 22))
        self.big.setFixedSize(42, 42)
        self.big.clicked.connect(actions["toggle_track"].trigger)
        actions["toggle_track"].changed.connect(self._follow_toggle)
        self._lay_out()
        self.show_source(None)
        self.show_state(Mode.EMPTY, live=False, painted=False)
        self.apply_theme(theme)

    def _button(self, action_id: str) -> Button:
        button = action_button(self._actions[action_id])
        button.setIconSize(QSize(20, 20))
        return button

    def _lay_out(self) -> None:
        left, right, middle = QVBoxLayout(), QVBoxLayout(), QHBoxLayout()
        for column, labels in ((left, (self.state, self.hint)), (right, (self.counter, self.time))):
            column.setSpacing(0)
            for label in labels:
                column.addWidget(label)
        middle.setSpacing(4)
        half = len(_FILE_LEFT)
        for button in (*self._file_buttons[:half], *self._live_buttons[:-1]):
            middle.addWidget(button)
        middle.addWidget(self.big)
        for button in (self._live_buttons[-1], *self._file_buttons[half:]):
            middle.addWidget(button)
        grid = QGridLayout(self)
        grid.setContentsMargins(12, 5, 12, 3)
        grid.addLayout(left, 0, 0)
        grid.addLayout(middle, 0, 1)
        grid.addLayout(right, 0, 2)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(2, 1)

    # -- what is shown -----------------------------------------------------------------------------------------
    def show_source(self, info: SourceInfo | None) -> None:
        live = info is not None and info.live
        for button in self._file_buttons:
            button.setVisible(not live)
        for button in self._live_buttons:
            button.setVisible(live)
        if info is None:
            self.counter.setText("")
            self.time.setText("")

    def show_state(
        self,
        mode: Mode,
        *,
        live: bool,
        painted: bool,
        direction: int = 1,
        at_end: bool = False,
        recording: bool = False,
        waiting: bool = False,
        replaying: bool = False,
    ) -> None:
        """`waiting`: tracking was asked for and begins once the engine has loaded. The rest as in transport_logic."""
        text = state_text(mode, live=live, direction=direction)
        self.state.setText(text + (self.tr(", recording") if recording else ""))
        if replaying and mode is Mode.FROZEN:
            self.state.setText(translate("TransportBar", "Instant replay"))
            self.hint.setText(translate("TransportBar", "Step to where it went wrong, paint, then Space"))
        elif waiting:
            self.hint.setText(self.tr("Tracking starts when the engine is ready"))
        else:
            self.hint.setText(hint_text(mode, live=live, painted=painted, at_end=at_end))
        running = mode in (Mode.PLAYING, Mode.TRACKING)
        if running != self._running:
            self._running = running
            self._draw_big()

    def show_frame(self, index: int, time_s: float, info: SourceInfo, kind: MaskKind) -> None:
        """Where we are; frame numbers count from 0, as file names and exports do."""
        if info.live:
            self.counter.setText(self.tr("Frame %1").replace("%1", f"{index:,}"))
            self.time.setText(f"{info.width} × {info.height}")
            return
        last = f" / {info.frame_count - 1:,}" if info.frame_count else ""
        marks = {
            MaskKind.KEYFRAME: self.tr("keyframe"),
            MaskKind.TRACKED: self.tr("tracked"),
            MaskKind.STALE: self.tr("out of date"),
            MaskKind.NONE: "",
        }
        mark = f"  ·  {marks[kind]}" if marks[kind] else ""
        self.counter.setText(self.tr("Frame %1").replace("%1", f"{index:,}{last}") + mark)
        length = f" / {timecode(info.duration_s, info.fps)}" if info.duration_s else ""
        self.time.setText(timecode(time_s, info.fps) + length)

    def apply_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._draw_big()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        super().resizeEvent(event)
        for button in (*self._file_buttons, *self._live_buttons):
            button.setIconSize(QSize(20, 20) if self.width() > 700 else QSize(16, 16))

    def _draw_big(self) -> None:
        name = "pause" if self._running else "play"
        self.big.setIcon(make_icon(name, self._theme.on_accent, self._theme.disabled))

    def _follow_toggle(self) -> None:
        action = self._actions["toggle_track"]
        self.big.setEnabled(action.isEnabled())
        self.big.setToolTip(action.toolTip())
