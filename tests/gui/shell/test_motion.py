"""The live view of motion: one question at a time, for the newest pair of frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.runtime.messages import MotionRead


def asked(shell: Any) -> list[tuple[int, int]]:
    return [call[1:] for call in shell.session.calls if call[0] == "read_motion"]


def answer(shell: Any, index: int, colour: int = 90) -> None:
    shell.session.say(MotionRead(index, np.full((20, 30, 3), colour, np.uint8), 2.5, 0.75))
    shell.pump()


def show(shell: Any, index: int) -> None:
    shell.window.tracking.go_to(index)
    shell.pump()


def test_motion_is_read_only_while_it_is_shown(shell: Any) -> None:
    shell.open()
    show(shell, 1)
    assert asked(shell) == []
    shell.trigger("show_motion")
    view = shell.window.motion.view
    assert view.isVisible()
    show(shell, 2)
    assert asked(shell) == [(1, 2)]
    show(shell, 3)
    assert asked(shell) == [(1, 2)]  # the engine is still at the first
    answer(shell, 2)
    assert "Frame 2: moves by 2.5 pixels on average, certainty 75 %" in view.caption.text()
    colour = view.picture.grab().toImage().pixelColor(view.picture.width() // 2, view.picture.height() // 2)
    assert (colour.red(), colour.green(), colour.blue()) == (90, 90, 90)
    show(shell, 4)
    assert asked(shell) == [(1, 2), (3, 4)]

    view.close()
    shell.pump()
    assert not shell.window.actions_table["show_motion"].isChecked()
    answer(shell, 4)
    show(shell, 5)
    assert len(asked(shell)) == 2


def test_another_source_or_an_engine_that_is_not_ready_do_not_block_it(shell: Any) -> None:
    shell.open()
    shell.trigger("show_motion")
    shell.session.engine_ready = False
    show(shell, 1)
    shell.session.engine_ready = True
    show(shell, 2)
    assert asked(shell) == [(0, 1), (1, 2)]
    shell.open("/videos/other.mp4")  # the answer never comes
    assert len(asked(shell)) == 2  # and the first frame has none before it
    show(shell, 1)
    assert asked(shell)[2:] == [(0, 1)]
    shell.session.say(MotionRead(1, None))
    shell.pump()
    show(shell, 2)
    assert asked(shell)[3:] == [(1, 2)]
