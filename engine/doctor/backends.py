"""What runs the network on this machine, as it was measured."""

from __future__ import annotations

from engine.doctor.check import Check, Status

_NOT_YET = "not measured yet, PyTorch runs the network; the window measures when idle, main.py tune at once"


def measured_backends() -> list[Check]:
    """The remembered table of the default model on the device that "auto" stands for."""
    from engine.runtime.backend_table import describe
    from engine.runtime.backends import remembered
    from engine.runtime.config import EngineConfig

    measured = remembered(EngineConfig())
    if measured is None:
        return [Check("backend", Status.OK, _NOT_YET)]
    heading, *rows = describe(measured)
    return [Check("backend", Status.OK, f"{heading}: {'; '.join(rows)}")]
