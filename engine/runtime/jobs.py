"""What the capture and engine threads are asked to do, and what travels between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.runtime.mailbox import Mailbox, Policy
from engine.types import Frame

if TYPE_CHECKING:
    from engine.embedding import Embedded  # importing it imports torch
    from engine.runtime.retrack import Stretch

FILE_CAPACITY = 3  # frames decoded ahead of the engine
LIVE_CAPACITY = 1  # the newest frame only


@dataclass(frozen=True, eq=False)
class FramePacket:
    """A frame on its way to the engine.

    Attributes:
        read_at: `time.monotonic()` at capture (live) or read (file).
        embedded: its embedding, where it was made ahead (`engine.runtime.embed_ahead`).
        beside: it was made while the engine worked on the frame before.
    """

    frame: Frame
    read_at: float
    embedded: Embedded | None = None
    beside: bool = False


@dataclass(eq=False)
class ShowJob:
    """Files: show frame `index` with its stored mask."""

    index: int


@dataclass(eq=False)
class PlayJob:
    """Files: show the frames after `start` at their own pace."""

    start: int


@dataclass(eq=False)
class TrackJob:
    """Capture reads frames into `mailbox`, the engine tracks them. Cancelling closes and empties the mailbox.

    Attributes:
        generation: of the source, see `DisplayItem`.
        live: the newest frames of a live source, instead of every frame of a file from `start` on.
        start: the frame to begin with (files).
        direction: +1 or -1.
        until: last frame to track, None for the end.
        single: one frame beyond `start` was asked for; reaching it is no news.
        stretch: the frames between keyframes that are tracked anew; its keyframes are learnt before the run begins.
        blends: the run's results are blended with the stored masks, which a run from the other side left.
        replay_from: live: track the pictures kept since this corrected frame anew before the newest frames.
        then: the job to follow when this one has come to its end.
        error: why the source broke, set by capture before it closes the mailbox.
    """

    generation: int
    live: bool = False
    start: int = 0
    direction: int = 1
    until: int | None = None
    single: bool = False
    stretch: Stretch | None = None
    blends: bool = False
    replay_from: int | None = None
    then: Job | None = None
    error: UserError | None = None
    mailbox: Mailbox[FramePacket] = field(init=False)

    def __post_init__(self) -> None:
        if self.live:
            self.mailbox = Mailbox(LIVE_CAPACITY, Policy.NEWEST)
        else:
            self.mailbox = Mailbox(FILE_CAPACITY, Policy.BLOCK)

    def beyond(self, index: int) -> bool:
        """Whether `index` lies past the asked range."""
        return self.until is not None and (index - self.until) * self.direction > 0

    def behind(self, index: int, current: int) -> bool:
        """Whether the way of this job leads over `index` before `current`."""
        return (index - current) * self.direction < 0


Job = ShowJob | PlayJob | TrackJob


@dataclass(frozen=True)
class TrackRequest:
    """A wish to track that waits for the engine to become ready."""

    direction: int
    until: int | None
    single: bool
