"""Shared by the tests of engine/video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.video.media import RECIPES, make_clip

Clip = Callable[..., Path]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """clip(name, *arguments): a small video, made once per session; without arguments by the recipe of that name."""
    folder = tmp_path_factory.mktemp("clips")

    def make(name: str, *arguments: str, source: str = "testsrc2=s=128x96:r=25:d=3") -> Path:
        path = folder / name
        if not path.exists():
            make_clip(path, list(arguments) or RECIPES[name].split(), source)
        return path

    return make
