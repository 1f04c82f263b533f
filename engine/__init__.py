"""The tracking engine: propagation, video, runtime, projects, evaluation, training. Importable without PyQt6.

The names of the Python API are found here, too (`from engine import Tracker`); each is loaded when it is first asked
for, so that `import engine` stays quick and loads no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.errors import UserError
    from engine.runtime.config import EngineConfig
    from engine.tracker import Tracker
    from engine.types import Frame, SegmentationResult
    from engine.video.masks import read_mask, write_mask
    from engine.video.open import open_source

__all__ = [
    "EngineConfig",
    "Frame",
    "SegmentationResult",
    "Tracker",
    "UserError",
    "open_source",
    "read_mask",
    "write_mask",
]

_HOMES = {
    "EngineConfig": "engine.runtime.config",
    "Frame": "engine.types",
    "SegmentationResult": "engine.types",
    "Tracker": "engine.tracker",
    "UserError": "engine.errors",
    "open_source": "engine.video.open",
    "read_mask": "engine.video.masks",
    "write_mask": "engine.video.masks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "Tracker":
        from engine.runtime.threads import prepare_computing

        prepare_computing()  # works only before torch is loaded
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
