"""Building the real tracker, and what the user reads when that fails."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch

from engine.errors import DeviceError, ModelError, UserError
from engine.runtime import factory, threads
from engine.runtime.config import EngineConfig
from engine.runtime.factory import create_tracker


def test_the_default_is_the_bundled_model_with_its_own_recipe():
    said = []
    tracker = create_tracker(EngineConfig(device="cpu", working_size=240), lambda *p: said.append(p))
    assert tracker.embedder.name == "resnet50-half"
    assert tracker.recipe.name == "robust"
    assert tracker.embedder.device == torch.device("cpu")
    assert any("resnet50-half" in text for text, _ in said)
    assert create_tracker(EngineConfig(recipe="paper", device="cpu")).recipe.name == "paper"


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (EngineConfig(model="resnet50-hlaf"), ModelError),
        (EngineConfig(recipe="robsut", device="cpu"), UserError),
        (EngineConfig(device="cuda:99"), ModelError),
        (EngineConfig(device="toaster"), ModelError),
        (EngineConfig(model="tvos-resnet50", device="cpu"), ModelError),
    ],
)
def test_a_wrong_choice_is_told_with_a_way_out(config, error):
    with pytest.raises(error) as caught:
        create_tracker(config)
    assert caught.value.message.endswith(".")
    assert caught.value.way_out


def test_a_model_too_large_for_the_device_is_a_device_error(monkeypatch):
    def too_large(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")

    monkeypatch.setattr(factory, "load_embedder", too_large)
    with pytest.raises(DeviceError, match="does not fit"):
        create_tracker(EngineConfig(device="cpu"))


def test_tensors_leave_a_core_to_the_window(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    for cores, expected in ((1, 1), (2, 2), (4, 3), (16, 15)):
        monkeypatch.setattr(threads.psutil, "cpu_count", lambda logical, cores=cores: cores)
        assert threads.thread_count() == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert threads.thread_count() == 5


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux only")
def test_helpers_give_way_and_nobody_else_does():
    end, started = threading.Event(), []

    def helper():
        started.append(threading.get_native_id())
        end.wait(10)

    def start():
        thread = threading.Thread(target=helper)
        thread.start()
        return thread

    before = os.getpriority(os.PRIO_PROCESS, 0)
    others = [start()]
    with threads.helpers_give_way():
        others.append(start())
    try:
        own = threading.get_native_id()
        found = [os.getpriority(os.PRIO_PROCESS, thread) for thread in (own, *started)]
        assert found == [before, before, min(19, before + threads.NICER)]
    finally:
        end.set()
        for thread in others:
            thread.join()


def test_a_session_can_be_made_without_importing_torch(repo_root):
    code = (
        "import sys, engine.runtime.session, engine.runtime.offline as o; s = engine.runtime.session.Session();"
        "sys.exit('torch' in sys.modules or 'PyQt6' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False, cwd=repo_root).returncode == 0


def test_openmp_is_told_before_torch_comes(repo_root):
    code = (
        "import os, sys; from engine.runtime.session import _create_tracker; from engine.runtime.config import *;"
        "seen = []; sys.meta_path.insert(0, type('F', (), {'find_spec': staticmethod(lambda name, *a:"
        " seen.append('GOMP_SPINCOUNT' in os.environ or os.environ.get('OMP_WAIT_POLICY') == 'PASSIVE')"
        " if name == 'torch' else None)}));"
        "_create_tracker(EngineConfig(device='cpu'), lambda *a: None); sys.exit(not seen[0])"
    )
    told = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # conftest tells
    env = {name: value for name, value in os.environ.items() if name not in told}
    answer = subprocess.run([sys.executable, "-c", code], timeout=100, check=False, cwd=repo_root, env=env)
    assert answer.returncode == 0
