"""What of this machine is in order, what is not, and the exact command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.doctor import backends, compute, host, media, packages, screen, storage
from engine.doctor.check import Check, Status

Probe = Callable[[], Sequence[Check]]

# In reading order. One line here adds a check.
PROBES: tuple[Probe, ...] = (
    host.python_version,
    host.operating_system,
    host.memory,
    packages.versions,
    packages.opencv_flavours,
    compute.devices,
    compute.graphics_driver,
    compute.processor,
    compute.memory_bank,
    backends.measured_backends,
    storage.bundled_weights,
    storage.cache_folder,
    storage.disk_space,
    media.codecs,
    media.cameras,
    screen.system_libraries,
    screen.display,
    screen.window,
)


def diagnose(probes: Sequence[Probe] = PROBES) -> list[Check]:
    """Run every probe; one that breaks becomes a failed check, so the others are still reported."""
    checks: list[Check] = []
    for probe in probes:
        try:
            checks.extend(probe())
        except Exception as error:
            name = probe.__name__.replace("_", " ")
            detail = f"the check itself broke: {type(error).__name__}: {error}"
            checks.append(
                Check(name, Status.FAIL, detail, "Report this with the output of: python main.py doctor --json")
            )
    return checks


__all__ = ["PROBES", "Check", "Probe", "Status", "diagnose"]
