"""Instant replay of a live source: a key enters it, arrows step, what is painted there is tracked into the present."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import QObject

from app.actions import Actions
from app.bridge import EngineBridge
from app.panels.timeline import Timeline
from engine.runtime.messages import MaskKind, Mode

_STEPS = {
    "frame_previous": -1,
    "frame_next": 1,
    "frame_back_10": -10,
    "frame_on_10": 10,
    "to_start": -(10**6),
    "to_end": 10**6,
}


class ReplayController(QObject):
    """Connects the replay with the keys for going from frame to frame, and with the time line."""

    def __init__(self, bridge: EngineBridge, actions: Actions, timeline: Timeline) -> None:
        super().__init__(timeline)
        self._bridge = bridge
        self._actions = actions
        self._timeline = timeline
        actions.on("replay", self.toggle)
        for action_id, steps in _STEPS.items():
            actions.on(action_id, partial(self.go_by, steps))
        bridge.replay_changed.connect(timeline.show_replay)
        bridge.replay_changed.connect(lambda _frames: self._refresh())
        bridge.masks_changed.connect(lambda _first, _last: self._show_keyframes())
        bridge.mode_changed.connect(lambda _mode: self._refresh())
        bridge.source_opened.connect(lambda _info: self._refresh())
        bridge.source_closed.connect(self._refresh)
        self._refresh()

    def toggle(self) -> None:
        """Into the replay, or out of it and on with what was going on."""
        if not self._bridge.replaying:
            self._bridge.replay()
        elif self._bridge.painted_ids:
            self._bridge.track()
        else:
            self._bridge.play()
        self._refresh()

    def go_by(self, steps: int) -> None:
        if not self._bridge.replaying:
            return  # files: the tracking controller goes
        index = self._timeline.replay.beside(self._timeline.current, steps)
        if index is not None:
            self._timeline.show_frame(index)  # the next key press counts from here, as with files
            self._bridge.seek(index)

    def _show_keyframes(self) -> None:
        if self._bridge.replaying:
            kinds = self._bridge.mask_kinds()  # a live source has no more than some hundred
            self._timeline.replay.keyframes = frozenset(i for i, kind in kinds.items() if kind is MaskKind.KEYFRAME)
            self._timeline.update()

    def _refresh(self) -> None:
        self._show_keyframes()
        action = self._actions["replay"]
        action.setEnabled(self._bridge.live and self._bridge.mode is not Mode.OPENING)
        action.setChecked(self._bridge.replaying)
