"""A recording never writes over an earlier one."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import ExportError
from engine.project.recorder import Recorder
from engine.types import Frame
from engine.video.source import SourceInfo, SourceKind


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_recording_never_writes_over_an_earlier_one(tmp_path):
    info = SourceInfo(SourceKind.CAMERA, "camera:0", "Camera", 32, 24, 30.0)
    frame, mask = Frame(4, 1.0, np.zeros((24, 32, 3), np.uint8)), np.ones((24, 32), np.uint8)
    with Recorder(tmp_path, info) as recorder:
        recorder.write(frame, mask)
    assert names(tmp_path) == ["masks", "overlay.mp4"]
    assert names(tmp_path / "masks") == ["00004.png"]
    with pytest.raises(ExportError, match="already holds a recording"):
        Recorder(tmp_path, info)
