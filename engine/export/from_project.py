"""What an export takes from a project file: where the video is, the masks, and how the user named and coloured them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.export.masks import StoredMasks
from engine.export.request import ExportObject
from engine.project.mask_store import MaskStore
from engine.project.project_file import open_project
from engine.project.source_place import find_source
from engine.project.state import ProjectError
from engine.video.masks import davis_palette


@dataclass(frozen=True, eq=False)
class ProjectExport:
    """Everything but the format.

    Attributes:
        source: the video file or folder of frames.
        palette: 256 x 3 uint8 RGB, the project's colours.
    """

    source: str
    masks: StoredMasks
    objects: tuple[ExportObject, ...]
    palette: NDArray[np.uint8]


def read_project(path: Path, source: str | None = None) -> ProjectExport:
    """Read a project, which stays as it is and may be open in a window: what is saved by now is taken.

    Args:
        source: its video or folder; None: where the project says.

    Raises:
        ProjectError: it cannot be read, or its video is missing or has changed.
    """
    project = open_project(path, read_only=True)
    try:
        state = project.read()
    finally:
        project.close()
    if source is None:
        found = find_source(state.source, project.path)
        if found is None or not found.same:
            name, what = state.source.name, "is not where it was" if found is None else "has changed since"
            raise ProjectError(
                f"{name}, the video of {path.name}, {what}.",
                f"Name the video too: main.py export VIDEO {path.name} ...",
            )
        source = str(found.path)
    store = MaskStore()
    store.restore(state.contents)
    palette = davis_palette()
    for item in state.objects:
        palette[item.id] = item.color
    objects = tuple(ExportObject(item.id, item.name) for item in state.objects)
    return ProjectExport(source, StoredMasks(store.snapshot()), objects, palette)
