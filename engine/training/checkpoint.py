"""Checkpoints: everything a run needs to go on as if it had never stopped, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from engine.errors import UserError
from engine.video.atomic import replacing

FORMAT = "1"


class CheckpointError(UserError):
    """A checkpoint is missing, unreadable, or of another run."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        step: optimiser steps done.
        best: the best validation J so far, None before the first.
        best_step: when.
        broken: samples that could not be used, name -> reason.
        config: the run's options, section -> option -> value.
        data: digest of the training data's names.
        start: what the run started from.
    """

    step: int
    config: Mapping[str, Any]
    data: str
    start: str
    best: float | None = None
    best_step: int = 0
    broken: Mapping[str, str] = field(default_factory=dict)


def save_checkpoint(
    path: Path,
    progress: Progress,
    network: Mapping[str, torch.Tensor],
    optimiser: torch.optim.Optimizer,
    average: Mapping[str, torch.Tensor] | None,
) -> None:
    """Write tensors and progress in one file, which appears under its name only when it is complete."""
    from safetensors.torch import save_file

    tensors = {f"network/{name}": tensor for name, tensor in network.items()}
    tensors |= {f"average/{name}": tensor for name, tensor in (average or {}).items()}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                tensors[f"optimiser/{index}/{name}"] = torch.as_tensor(value)
    metadata = {
        "format": FORMAT,
        "step": str(progress.step),
        "best": json.dumps(progress.best),
        "best_step": str(progress.best_step),
        "broken": json.dumps(dict(progress.broken)),
        "config": json.dumps(progress.config),
        "data": progress.data,
        "start": progress.start,
    }
    with replacing(path) as temporary:
        save_file({name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}, temporary, metadata)


def read_checkpoint(path: Path) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Progress and tensors of a checkpoint.

    Raises:
        CheckpointError: missing, damaged, or no checkpoint of a training run.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}.", "Start the run without --resume.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if metadata.get("format") != FORMAT:
            raise ValueError("unknown format")
        progress = Progress(
            step=int(metadata["step"]),
            config=json.loads(metadata["config"]),
            data=metadata["data"],
            start=metadata["start"],
            best=json.loads(metadata["best"]),
            best_step=int(metadata["best_step"]),
            broken=json.loads(metadata["broken"]),
        )
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} is no checkpoint of a training run, or is damaged.", "Start anew in another folder."
        ) from error
    return progress, tensors


def part(tensors: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """The tensors under "name/", without that."""
    return {key.partition("/")[2]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Fill the optimiser's state from tensors named "INDEX/NAME"."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def export_weights(path: Path, state: Mapping[str, torch.Tensor], dtype: torch.dtype, about: Mapping[str, str]) -> None:
    """Write weights as the registry loads them; atomically. `about` goes into the file's metadata."""
    from safetensors.torch import save_file

    tensors = {
        name: (tensor.to(dtype) if tensor.is_floating_point() and tensor.ndim else tensor).contiguous()
        for name, tensor in state.items()
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, dict(about))
