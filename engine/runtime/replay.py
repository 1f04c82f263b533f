"""Instant replay of a live source: look at the last seconds again, correct a frame, track on from there.

The source runs on meanwhile. The corrected frame becomes a keyframe; the engine tracks the kept pictures after it anew,
so that what it remembers fits the correction, and goes on with the newest live frame.
"""

from __future__ import annotations

import threading

from engine.runtime.core import SessionCore
from engine.runtime.jobs import FramePacket
from engine.runtime.messages import Mode, ReplayChanged, Severity
from engine.types import Frame


class Replay:
    """The session's replay methods; documented at `engine.runtime.session.Session`."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._wanted: int | None = None
        self._shower: threading.Thread | None = None

    def begin(self) -> None:
        core = self._core
        with core.lock:
            times = core.ring.times
            if not core.live or not times:
                core.say(
                    Severity.INFO, "There is nothing to replay yet.", "Replay shows the last seconds of live tracking."
                )
                return
            if core.mode in (Mode.TRACKING, Mode.PREVIEW):
                core.rest()
            core.set_mode(Mode.FROZEN)
            core.replaying = True
            core.events.put(ReplayChanged(tuple(times.items())))
            last = list(times)[-1]
        self.show(last)

    @property
    def active(self) -> bool:
        with self._core.lock:
            return self._core.replaying

    def show(self, index: int) -> None:
        """Show the kept frame nearest to `index`. A thread decodes it; the newest request wins."""
        with self._core.lock:
            self._wanted = index
            if self._shower is None:
                self._shower = threading.Thread(target=self._show_wanted, name="livemask-replay-show", daemon=True)
                self._shower.start()

    def _show_wanted(self) -> None:
        core = self._core
        while True:
            with core.lock:
                index, self._wanted = self._wanted, None
                if index is None or not core.replaying:
                    self._shower = None
                    return
                generation = core.generation
            kept = list(core.ring.times)
            frame = core.ring.get(min(kept, key=lambda k: abs(k - index))) if kept else None
            if frame is not None:
                self._publish(frame, generation)

    def _publish(self, frame: Frame, generation: int) -> None:
        core = self._core
        mask, kind = core.store.get(frame.index)
        with core.lock:
            if core.replaying and core.generation == generation and core.mode is Mode.FROZEN:
                core.publish(FramePacket(frame, core.clock()), mask, kind)
