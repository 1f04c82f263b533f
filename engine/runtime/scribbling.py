"""Answers to "what do these strokes stand for?", in the engine thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.runtime.commands import Scribble
from engine.runtime.core import SessionCore
from engine.runtime.messages import Scribbled, Severity

if TYPE_CHECKING:  # importing it imports torch, which only the engine thread does
    from engine.propagation.scribble import ScribbleReader
    from engine.tracker import Tracker


class ScribbleAnswers:
    """Keeps what the strokes of one frame have in common, so that every further stroke is answered quickly."""

    def __init__(self) -> None:
        self._reader: ScribbleReader | None = None

    def forget(self) -> None:
        """Another source or another network."""
        self._reader = None

    def answer(self, core: SessionCore, tracker: Tracker, question: Scribble) -> None:
        """Put a Scribbled event, and a Notice when it holds no answer."""
        from engine.propagation.scribble import ScribbleReader

        self._reader = self._reader or ScribbleReader(tracker)
        frame, pixels = question.frame, None
        try:
            pixels = self._reader.read(frame, question.marks)
            pixels.setflags(write=False)
        except UserError as error:
            core.say(Severity.INFO, error.message, error.way_out)
        core.events.put(Scribbled(frame.index, question.serial, pixels))
