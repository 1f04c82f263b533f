"""What Space means, and what to tell the user to do next. Pure functions of the state."""

from __future__ import annotations

from enum import Enum

from PyQt6.QtCore import QCoreApplication

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


def tr(text: str) -> str:
    return QCoreApplication.translate("transport", text)


def state_text(mode: Mode, *, live: bool, direction: int = 1) -> str:
    """One word or two on what is going on."""
    if mode is Mode.TRACKING:
        return tr("Tracking") if live or direction > 0 else tr("Tracking backward")
    return {
        Mode.EMPTY: tr("Nothing open"),
        Mode.OPENING: tr("Opening…"),
        Mode.PREVIEW: tr("Live"),
        Mode.FROZEN: tr("Frozen") if live else tr("Paused"),
        Mode.PLAYING: tr("Playing"),
    }[mode]


def hint_text(mode: Mode, *, live: bool, painted: bool, at_end: bool = False) -> str:
    """What to do next, in one short line."""
    if mode is Mode.EMPTY:
        return tr("Open a video or a camera")
    if mode is Mode.OPENING:
        return ""
    if mode is Mode.TRACKING:
        return tr("Paint to correct, Space pauses")
    if mode is Mode.PLAYING:
        return tr("Space pauses")
    if mode is Mode.PREVIEW:
        return tr("Space tracks") if painted else tr("Paint, or Space to freeze")
    if at_end and not live:
        return tr("Space plays from the start")
    if painted:
        return tr("Space tracks from here")
    return tr("Paint the object, then Space")
