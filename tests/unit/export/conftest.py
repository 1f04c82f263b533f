"""Shared by the tests of engine/export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.export.material import make_clip


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """media(name): a clip of `material.CLIPS`, made once."""
    folder = tmp_path_factory.mktemp("export_clips")
    return lambda name: make_clip(folder / name)
