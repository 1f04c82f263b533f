"""Worker processes: jobs come back, failures stay with their job, dead workers are replaced."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.runtime.config import EngineConfig
from engine.runtime.placement import places
from engine.runtime.pool import ATTEMPTS, WorkerError, run_jobs


def start(setup):
    """Works on ("what", folder) jobs."""
    if setup == "unfit":
        raise UserError("There is no such device.", "Use another.")
    if setup == "dead":
        os._exit(7)

    def work(job, progress):
        what, folder = job
        with open(Path(folder) / what, "a") as file:
            file.write(f"{setup}\n")
        progress(2)
        if what.startswith("bad"):
            raise UserError("The file is damaged.", "Replace it.")
        if what.startswith("bug"):
            raise ZeroDivisionError("by zero")
        tries = len((Path(folder) / what).read_text().splitlines())
        if what.startswith("deadly") or (what.startswith("killed") and tries == 1):
            os.kill(os.getpid(), signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        return what.upper()

    return work


def outcomes(tmp_path, names, setups=("a", "b"), **options):
    found = run_jobs([(name, str(tmp_path)) for name in names], setups, start, **options)
    return {outcome.job[0]: outcome for outcome in found}


def test_every_job_is_done_once_by_one_of_the_workers(tmp_path):
    steps = []
    names = [f"job{i}" for i in range(7)]
    found = outcomes(tmp_path, names, on_progress=steps.append)
    assert {name: outcome.value for name, outcome in found.items()} == {name: name.upper() for name in names}
    assert sum(steps) == 14
    done_by = [(tmp_path / name).read_text().split() for name in names]
    assert all(len(by) == 1 for by in done_by)
    assert {by[0] for by in done_by} <= {"a", "b"}


def test_failures_and_deaths_stay_with_their_jobs(tmp_path):
    found = outcomes(tmp_path, ["fine1", "bad", "bug", "killed", "deadly", "fine2"])
    assert found["bad"].error == "The file is damaged. Replace it."
    assert "ZeroDivisionError" in found["bug"].error
    assert found["killed"].value == "KILLED"  # tried again by a new worker
    assert found["deadly"].value is None
    assert "worker process" in found["deadly"].error
    assert len((tmp_path / "deadly").read_text().splitlines()) == ATTEMPTS
    assert {name: found[name].value for name in ("fine1", "fine2")} == {"fine1": "FINE1", "fine2": "FINE2"}


@pytest.mark.parametrize(
    ("setup", "error", "words"), [("unfit", UserError, "no such device"), ("dead", WorkerError, "7")]
)
def test_a_worker_that_cannot_start_ends_everything(tmp_path, setup, error, words):
    with pytest.raises(error, match=words):
        outcomes(tmp_path, ["one"], [setup])
    assert not (tmp_path / "one").exists()


def test_no_jobs_need_no_workers(tmp_path):
    assert outcomes(tmp_path, []) == {}


def test_one_place_per_card_else_one(monkeypatch):
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [place.config.device for place in places(EngineConfig())] == ["cuda:0", "cuda:1"]
    assert [place.config.device for place in places(EngineConfig(device="cuda"), 3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [place.config.device for place in places(EngineConfig(device="cpu"))] == ["cpu"]
    assert [place.threads for place in places(EngineConfig(device="cpu"), 2)] == [2, 2]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert [place.config.device for place in places(EngineConfig())] == ["auto"]
