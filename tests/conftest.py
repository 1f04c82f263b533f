"""What every test shares: a screenless Qt, a private home for settings and caches, tiny clips, leak checks."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# Before anything imports Qt, OpenCV or PyTorch. An explicit QT_QPA_PLATFORM (to watch the windows) is respected.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program sets it; spinning threads make tests crawl

import cv2
import pytest

from tests.support.clips import Clip, make_clip

# opencv-python points these at its own Qt 5 plug-ins, which Qt 6 cannot load.
for _name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
    os.environ.pop(_name, None)
cv2.setNumThreads(2)

REPO_ROOT = Path(__file__).resolve().parent.parent
_THREAD_END_TIMEOUT_S = 5.0


@pytest.fixture(scope="session", autouse=True)
def private_home() -> Iterator[Path]:
    """Settings, caches and data go to a throw-away folder, in this process and in every process a test starts."""
    with tempfile.TemporaryDirectory(prefix="livemask-tests-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        patch = pytest.MonkeyPatch()
        for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LIVEMASK_CACHE"):
            target = home / variable.lower()
            target.mkdir()
            patch.setenv(variable, str(target))
        yield home
        patch.undo()


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail a test that leaves a thread of its own behind: a leaked worker holds a camera or a file open."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _THREAD_END_TIMEOUT_S
    for thread in set(threading.enumerate()) - before:
        thread.join(max(0.0, deadline - time.monotonic()))
    leaked = [thread.name for thread in set(threading.enumerate()) - before if thread.is_alive()]
    if leaked:
        pytest.fail(f"threads outlived the test: {', '.join(sorted(leaked))}")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return REPO_ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with the golden values and public sequences, which are not part of the repository."""
    folder = Path(os.environ.get("LIVEMASK_SHARED") or REPO_ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no reference data: {folder} is missing (set LIVEMASK_SHARED)")
    return folder


@pytest.fixture(scope="session")
def disc_clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """One textured disc, 24 frames of 160 x 120 at 24 fps: small, for tests of everything but quality."""
    return make_clip(tmp_path_factory.mktemp("disc"), count=24, width=160, height=120)


@pytest.fixture(scope="session")
def two_disc_clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Two textured discs, 12 frames of 320 x 240 at 24 fps."""
    return make_clip(tmp_path_factory.mktemp("two_discs"), count=12, width=320, height=240, objects=2)


@pytest.fixture
def torch_threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads PyTorch computes with in this thread; as it was afterwards."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
