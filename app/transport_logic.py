"""What Space means, and what to tell the user to do next. Pure functions of the state."""

from __future__ import annotations

from enum import Enum

from app.i18n import translate
from engine.runtime.messages import Mode


class Command(Enum):
    """What a tap on Space asks of the session."""

    NONE = "none"
    PLAY = "play"
    TRACK = "track"
    PAUSE = "pause"
    FREEZE = "freeze"
    REPLAY = "replay"  # from the start: tracking has reached the end, so the result is what the user wants to see


def space_command(mode: Mode, *, live: bool, painted: bool, at_end: bool = False) -> Command:
    """The meaning of Space.

    Args:
        painted: some object has pixels in a keyframe.
        at_end: a file stands on its last frame.
    """
    if mode in (Mode.EMPTY, Mode.OPENING):
        return Command.NONE
    if mode is Mode.TRACKING:
        return Command.PAUSE
    if live:
        if painted:
            return Command.TRACK
        return Command.PLAY if mode is Mode.FROZEN else Command.FREEZE
    if mode is Mode.PLAYING:
        return Command.PAUSE
    if at_end:
        return Command.REPLAY
    return Command.TRACK if painted else Command.PLAY


def state_text(mode: Mode, *, live: bool, direction: int = 1) -> str:
    """One word or two on what is going on."""
    if mode is Mode.TRACKING:
        return (
            translate("transport", "Tracking") if live or direction > 0 else translate("transport", "Tracking backward")
        )
    return {
        Mode.EMPTY: translate("transport", "Nothing open"),
        Mode.OPENING: translate("transport", "Opening…"),
        Mode.PREVIEW: translate("transport", "Live"),
        Mode.FROZEN: translate("transport", "Frozen") if live else translate("transport", "Paused"),
        Mode.PLAYING: translate("transport", "Playing"),
    }[mode]


def hint_text(mode: Mode, *, live: bool, painted: bool, at_end: bool = False) -> str:
    """What to do next, in one short line."""
    if mode is Mode.EMPTY:
        return translate("transport", "Open a video or a camera")
    if mode is Mode.OPENING:
        return ""
    if mode is Mode.TRACKING:
        return translate("transport", "Paint to correct, Space pauses")
    if mode is Mode.PLAYING:
        return translate("transport", "Space pauses")
    if mode is Mode.PREVIEW:
        return (
            translate("transport", "Space tracks") if painted else translate("transport", "Paint, or Space to freeze")
        )
    if at_end and not live:
        return translate("transport", "Space plays from the start")
    if painted:
        return translate("transport", "Space tracks from here")
    return translate("transport", "Paint the object, then Space")
