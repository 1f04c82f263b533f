"""The same jobs on a Ray cluster. Ray is an extra (requirements-extras.txt) and imported when it is asked for.

Every machine of the cluster needs this program and the clips under the same paths (a shared folder).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.runtime.pool import ATTEMPTS, Job, Outcome, Result, Setup, Work, describe_failure

LOCAL = "local"
_KNOCK_S = 10
_ROOT = Path(__file__).resolve().parents[2]
_started: dict[bytes, Any] = {}  # in a worker of Ray: pickled setup -> its work, which holds the loaded model


class RayError(UserError):
    """Ray is not there, or the cluster cannot be reached."""


def run_jobs_on_ray(
    jobs: Sequence[Job],
    setup: Setup,
    start: Callable[[Setup], Work[Job, Result]],
    address: str,
    *,
    gpus: bool | None = None,
) -> Iterator[Outcome[Job, Result]]:
    """Do every job somewhere on the cluster; yields outcomes as they come. See `engine.runtime.pool.run_jobs`.

    A job whose worker or machine dies is tried again elsewhere, `ATTEMPTS` times in all.

    Args:
        address: "auto" for the cluster this machine belongs to, HOST:PORT, ray://HOST:PORT, or LOCAL for a cluster of
            this machine alone that ends with the jobs.
        gpus: a job takes a whole graphics card; None: when the cluster has any.

    Raises:
        RayError: Ray is not installed, or the cluster cannot be reached.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise RayError("Ray is not installed.", "Install it: pip install ray.") from error
    mine = not ray.is_initialized()
    if mine:
        _connect(ray, address)
    try:
        with_gpu = ray.cluster_resources().get("GPU", 0) > 0 if gpus is None else gpus
        remote = ray.remote(_work_once).options(
            num_cpus=1, num_gpus=1 if with_gpu else 0, max_retries=ATTEMPTS - 1, retry_exceptions=False
        )
        waiting = {remote.remote(start, setup, job): job for job in jobs}
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1)
            for reference in ready:
                job = waiting.pop(reference)
                try:
                    value, error_text = ray.get(reference)
                except ray.exceptions.RayError as error:
                    reason = str(error).strip().splitlines()[0]
                    yield Outcome(job, error=f"Its Ray worker failed, {ATTEMPTS} times: {reason}")
                else:
                    yield Outcome(job, value=value, error=error_text)
    finally:
        if mine:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing goes out that nobody asked for
    _knock(address)
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    options: dict[str, Any] = {
        "runtime_env": {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}},
        "log_to_driver": False,
        "logging_level": "ERROR",
    }
    if address == LOCAL:
        # The cluster listens on this machine alone.
        options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as error:
        raise _unreachable(address) from error


def _unreachable(address: str) -> RayError:
    return RayError(f"The Ray cluster {address} cannot be reached.", "Start it: ray start --head.")


def _knock(address: str) -> None:
    """Refuse an address where nobody listens at once; Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_S).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address) from error


def _work_once(start: Callable[[Any], Work[Any, Any]], setup: Any, job: Any) -> tuple[Any, str | None]:
    """In a worker of Ray: one job. Failures come back as text, so that exceptions mean a dead worker."""
    import pickle

    key = pickle.dumps((start, setup))
    try:
        if key not in _started:
            _started[key] = start(setup)
        return _started[key](job, lambda steps: None), None
    except Exception as error:
        return None, describe_failure(error)
