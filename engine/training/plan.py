"""How long a run is, in which precision, and the text of a dry run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from engine.errors import UserError
from engine.training.config import TrainingConfig
from engine.training.cost import step_cost
from engine.training.distributed import World
from engine.training.material import Material
from engine.training.optimiser import schedule_factor
from models.device import cpu_has_bf16

_SHOWN = 6  # learning rates in the schedule's line


@dataclass(frozen=True)
class Plan:
    """What follows from options, data and processes.

    Attributes:
        steps: optimiser steps of the run.
        micro: clips of one forward pass of one process.
        dtype: of the forward pass.
    """

    steps: int
    micro: int
    dtype: torch.dtype


def make_plan(config: TrainingConfig, clips: int, world: World) -> Plan:
    """`clips`: different clips in a pass over the data.

    Raises:
        UserError: the batch cannot be dealt out evenly.
    """
    shares = world.size * config.optimiser.accumulate
    if config.run.batch % shares:
        raise UserError(
            f"A batch of {config.run.batch} clips cannot be dealt out to {world.size} processes"
            f" in {config.optimiser.accumulate} passes.",
            f"Use a batch that is a multiple of {shares} (--set run.batch=N).",
        )
    steps = config.run.steps or math.ceil(config.run.epochs * clips / config.run.batch)
    return Plan(steps, config.run.batch // shares, choose_dtype(config.run.precision, world.device))


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """bf16 where it was asked for, or by "auto" where the processor multiplies in it; fp32 otherwise."""
    if precision == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
        return torch.bfloat16 if device.type == "cpu" and cpu_has_bf16() else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


def describe(config: TrainingConfig, plan: Plan, material: Material, world: World) -> str:
    """Schedule, cost and data counts, for --dry-run."""
    run, optimiser, clip = config.run, config.optimiser, config.clip
    cost = step_cost(config, plan.dtype, plan.micro)
    passes = plan.steps * run.batch / len(material.clips)
    precision = str(plan.dtype).removeprefix("torch.")
    lines = ["Data", *(f"  {line}" for line in material.describe()), "Schedule"]
    lines.append(f"  {plan.steps} steps of {run.batch} clips, {passes:.4g} passes over the data")
    if world.is_shared or optimiser.accumulate > 1:
        lines.append(f"  {world.size} processes x {optimiser.accumulate} passes x {plan.micro} clips")
    lines.append(
        f"  a clip: {clip.references} references ({clip.strategy}) and {clip.targets} target"
        f"{'s' if clip.targets > 1 else ''}, {clip.crop} x {clip.crop}"
    )
    lines.append(f"  {optimiser.kind}, {optimiser.schedule}{_warm_up(config)}; learning rate {_rates(config, plan)}")
    if config.validation.every and material.held_out:
        lines.append(f"  validation every {config.validation.every} steps")
    lines.append("Cost")
    lines.append(f"  {config.network.name}: {cost.parameters:,} parameters, {cost.trainable:,} of them trained")
    lines.append(f"  {cost.gmac:,.1f} GMAC a step, {cost.gmac * plan.steps / 1e6:,.2f} PMAC in all ({precision})")
    lines.append(
        f"  memory of a process: {cost.state_bytes / 2**20:,.0f} MiB of weights and optimiser,"
        f" about {cost.activation_bytes / 2**20:,.0f} MiB of activations"
    )
    return "\n".join(lines)


def _warm_up(config: TrainingConfig) -> str:
    return f" after {config.optimiser.warm_up} steps of warm-up" if config.optimiser.warm_up else ""


def _rates(config: TrainingConfig, plan: Plan) -> str:
    marks = sorted({round(i * (plan.steps - 1) / (_SHOWN - 1)) for i in range(_SHOWN)})
    return ", ".join(
        f"{config.optimiser.lr * schedule_factor(step, plan.steps, config.optimiser):.2g} at {step}" for step in marks
    )
