"""What Space means in every state."""

from __future__ import annotations

import pytest

from app.transport_logic import Command, hint_text, space_command, state_text
from engine.runtime.messages import Mode

FILE = [
    (Mode.EMPTY, False, False, Command.NONE),
    (Mode.OPENING, False, False, Command.NONE),
    (Mode.OPENING, True, False, Command.NONE),
    (Mode.FROZEN, False, False, Command.PLAY),
    (Mode.FROZEN, True, False, Command.TRACK),
    (Mode.FROZEN, True, True, Command.REPLAY),
    (Mode.FROZEN, False, True, Command.REPLAY),
    (Mode.PLAYING, False, False, Command.PAUSE),
    (Mode.PLAYING, True, False, Command.PAUSE),
    (Mode.TRACKING, True, False, Command.PAUSE),
    (Mode.TRACKING, True, True, Command.PAUSE),
]
LIVE = [
    (Mode.OPENING, False, Command.NONE),
    (Mode.PREVIEW, False, Command.FREEZE),
    (Mode.PREVIEW, True, Command.TRACK),
    (Mode.FROZEN, False, Command.PLAY),
    (Mode.FROZEN, True, Command.TRACK),
    (Mode.TRACKING, True, Command.PAUSE),
]


@pytest.mark.parametrize(("mode", "painted", "at_end", "command"), FILE)
def test_space_on_a_file(mode: Mode, painted: bool, at_end: bool, command: Command) -> None:
    assert space_command(mode, live=False, painted=painted, at_end=at_end) is command


@pytest.mark.parametrize(("mode", "painted", "command"), LIVE)
def test_space_on_a_live_source(mode: Mode, painted: bool, command: Command) -> None:
    assert space_command(mode, live=True, painted=painted) is command


POSSIBLE = [(mode, live) for mode in Mode for live in (False, True)]
POSSIBLE.remove((Mode.PREVIEW, False))
POSSIBLE.remove((Mode.PLAYING, True))


@pytest.mark.parametrize(("mode", "live"), POSSIBLE)
def test_every_state_has_a_name_and_a_hint_that_is_true(mode: Mode, live: bool) -> None:
    assert state_text(mode, live=live)
    for painted in (False, True):
        hint = hint_text(mode, live=live, painted=painted)
        command = space_command(mode, live=live, painted=painted)
        promised = {"Space tracks": Command.TRACK, "Space pauses": Command.PAUSE, "Space to freeze": Command.FREEZE}
        for words, meant in promised.items():
            if words in hint:
                assert command is meant, (mode, live, painted, hint)
