"""The training loop: steps, log, validation, checkpoints, and going on where a run stopped."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from engine.errors import UserError
from engine.propagation.recipe import get_recipe
from engine.training.checkpoint import (
    CheckpointError,
    Progress,
    export_weights,
    part,
    read_checkpoint,
    restore_optimiser,
    save_checkpoint,
)
from engine.training.clips import ClipBatch, StepSampler, collate, start_worker
from engine.training.config import BENIGN, TrainingConfig
from engine.training.control import Clock, stop_requests
from engine.training.distributed import World, synchronise_batchnorm
from engine.training.loss import ClipBatchLoss
from engine.training.material import Material
from engine.training.model import ClipModel
from engine.training.networks import HalfNetwork, TrainableNetwork, build_network
from engine.training.optimiser import (
    MovingAverage,
    build_optimiser,
    clip_gradients,
    schedule_factor,
    set_learning_rate,
)
from engine.training.plan import Plan, make_plan
from engine.training.projection import fit_projection
from engine.training.records import Board, CsvLog, sample_picture, write_picture
from engine.training.start import load_start, needs_projection
from engine.training.validate import validate
from engine.video.atomic import replacing
from models.device import best_dtype

CHECKPOINT, MODEL, BEST = "checkpoint.safetensors", "model.safetensors", "best.safetensors"
_COLUMNS = ("loss", "correct", "lr", "grad_norm", "logit_scale", "step_s", "data_s")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        steps: optimiser steps done.
        loss: of the last step, averaged over its batch; NaN when no step was left to do.
        best: best validation J, None without validation.
        interrupted: the user stopped it; `--resume` goes on.
    """

    steps: int
    loss: float
    best: float | None
    interrupted: bool


class Trainer:
    """One run. Every process of a distributed run makes one, with the same arguments but for the world."""

    def __init__(
        self,
        config: TrainingConfig,
        material: Material,
        out: Path,
        *,
        start: str,
        world: World,
        resume: bool = False,
        tell: Tell = print,
    ) -> None:
        """Build network and optimiser, load what the run starts from or goes on from.

        Raises:
            CheckpointError: `resume` without a checkpoint, or one of another run; or `out` holds a run already.
            ModelError: the start weights do not fit.
            BrokenDataError: too much of the data lacks its masks.
        """
        self.config, self.material, self.out, self.world = config, material, out, world
        self.tell = tell if world.is_main else _silent
        self.plan: Plan = make_plan(config, len(material.clips), world)
        self.start = start
        self.step = 0
        self.best: float | None = None
        self.best_step = 0
        torch.manual_seed(config.run.seed)
        if config.run.deterministic:
            torch.use_deterministic_algorithms(True, warn_only=True)
        progress, tensors = self._former_run(resume)
        network = build_network(config.network)
        if progress is None:
            self.tell(load_start(network, start, self._download_progress))
            if needs_projection(network):
                assert isinstance(network, HalfNetwork)
                fit_projection(network, material.clips, torch.device("cpu"))
        else:
            network.load_state_dict(part(tensors, "network"))
        self.network: TrainableNetwork = network.to(world.device)
        synchronise_batchnorm(self.network, world)
        model = ClipModel(self.network, config, self.plan.dtype)
        self.model: torch.nn.Module = model
        if world.is_shared:
            ids = [world.device.index] if world.device.type == "cuda" else None
            self.model = DistributedDataParallel(model, device_ids=ids)
        self.optimiser = build_optimiser(self.network, config.optimiser)
        self.average = MovingAverage(self.network, config.optimiser.ema) if config.optimiser.ema else None
        self.broken = material.broken_samples(config.clip.max_broken, progress.broken if progress else None)
        for name, reason in self.broken.found.items():
            self.tell(f"Left out: {name} ({reason})")
        self.broken.check()
        if progress is not None:
            self._take_over(progress, tensors)

    # -- the loop --------------------------------------------------------------------------------------------------
    def run(self) -> Outcome:
        """Train to the end, or until the user interrupts (Ctrl+C, SIGTERM), or validation stops it early.

        Raises:
            BrokenDataError: too many samples are broken.
            UserError: the loss is no number any more.
        """
        if self.world.is_main:
            self.out.mkdir(parents=True, exist_ok=True)
            with replacing(self.out / "config.json") as temporary:
                temporary.write_text(json.dumps(self.config.as_dict(), indent=2), encoding="utf-8")
            self._log = CsvLog(self.out / "log.csv", _COLUMNS, self.step)
            names = tuple(sequence.name for sequence in self.material.held_out)
            self._scores = CsvLog(self.out / "validation.csv", ("mean", *names), self.step)
            self._board = Board(self.out / "tensorboard", self.step)
        loader = self._loader()
        batches = iter(loader)
        loss, interrupted = math.nan, False
        try:
            with stop_requests() as stop:
                self._clock = Clock(self.step, self.plan.steps)
                while self.step < self.plan.steps and not interrupted:
                    loss = self._one_step(batches)
                    interrupted = self.world.any(stop.is_set())
                    last = self.step == self.plan.steps or interrupted
                    stale = False
                    if self._due(self.config.validation.every) or (last and not interrupted and self._validates):
                        stale = self._validate()
                    if last or stale or self._due(self.config.run.save_every):
                        self._save()
                    if stale:
                        self.tell(f"No better J for {self.config.validation.patience} measurements: stopping early.")
                        break
        finally:
            del batches, loader  # ends the workers
            if self.world.is_main:
                self._board.close()
        counts: list[dict[str, str]] = self.world.gather(self.broken.found)
        for found in counts:
            self.broken.add(found.items())
        if self.broken.found:
            self.tell(self.broken.summary())
        return Outcome(self.step, loss, self.best, interrupted)

    def _one_step(self, batches: Iterator[ClipBatch]) -> float:
        """One optimiser step; returns its loss, the same in every process."""
        config, accumulate = self.config.optimiser, self.config.optimiser.accumulate
        factor = schedule_factor(self.step, self.plan.steps, config)
        set_learning_rate(self.optimiser, factor)
        started, waited = time.perf_counter(), 0.0
        losses, corrects = 0.0, 0.0
        for pass_number in range(accumulate):
            waiting = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - waiting
            self._note_broken(batch)
            frames = batch.frames.to(self.world.device, non_blocking=True)
            masks = batch.masks.to(self.world.device, non_blocking=True)
            with self._synchronised(pass_number == accumulate - 1):
                result: ClipBatchLoss = self.model(frames, masks, batch.objects)
                torch.autograd.backward(result.loss / accumulate)
            losses += float(result.loss.detach()) / accumulate
            corrects += float(result.correct) / accumulate
        values = self.world.mean({"loss": losses, "correct": corrects})
        if not math.isfinite(values["loss"]):
            raise UserError(
                f"The loss is {values['loss']} at step {self.step + 1}.",
                "Go on from the last checkpoint with a smaller learning rate, or train in fp32.",
            )
        norm = clip_gradients(self.network.parameters(), config.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.network, self.step)
        self.step += 1
        values |= {
            "lr": config.lr * factor,
            "grad_norm": norm,
            "logit_scale": float(self.network.logit_scale.detach()),
            "step_s": time.perf_counter() - started,
            "data_s": waited,
        }
        if self.world.is_main:
            self._report(values, batch, result)
        return values["loss"]

    def _synchronised(self, last_pass: bool) -> contextlib.AbstractContextManager[Any]:
        """Gradients travel between processes once per step, with the last accumulated pass."""
        if isinstance(self.model, DistributedDataParallel) and not last_pass:
            return self.model.no_sync()
        return contextlib.nullcontext()

    def _loader(self) -> DataLoader[Any]:
        run = self.config.run
        sampler = StepSampler(
            first_step=self.step,
            steps=self.plan.steps,
            batch=run.batch,
            accumulate=self.config.optimiser.accumulate,
            rank=self.world.rank,
            world=self.world.size,
        )
        return DataLoader(
            self.material.clips,
            batch_sampler=sampler,
            collate_fn=collate,
            num_workers=run.workers,
            # A forked child inherits locks of OpenMP and OpenCV that nobody will ever release.
            multiprocessing_context="spawn" if run.workers else None,
            worker_init_fn=start_worker if run.workers else None,
            pin_memory=self.world.device.type == "cuda",
        )

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    # -- what is told and written ------------------------------------------------------------------------------------
    def _report(self, values: dict[str, float], batch: ClipBatch, result: ClipBatchLoss) -> None:
        config = self.config.run
        if self.step == 1 or self._due(config.log_every) or self.step == self.plan.steps:
            self._log.add(self.step, values)
            self._board.add(self.step, values)
            self.tell(
                f"step {self.step}/{self.plan.steps}  loss {values['loss']:.4f}  correct {values['correct']:.3f}  "
                f"lr {values['lr']:.2e}  {self._clock.text(self.step)}"
            )
        if self._due(config.overlay_every):
            picture = sample_picture(batch.frames[0].numpy(), batch.masks[0, -1].numpy(), result.prediction[0])
            write_picture(self.out / "samples" / f"{self.step:07}.jpg", picture)
            self._board.picture(self.step, picture)

    def _note_broken(self, batch: ClipBatch) -> None:
        for name, reason in self.broken.add(batch.broken):
            self.tell(f"Left out: {name} ({reason})")
        self.broken.check()

    @property
    def _validates(self) -> bool:
        return self.config.validation.every > 0

    def _validate(self) -> bool:
        """Measure J, keep the best weights; True when it is time to stop early."""
        options, held_out = self.config.validation, self.material.held_out
        if not held_out or (self.best is not None and self.best_step == self.step):
            return False
        network = self.shown_network()
        embedder = network.embedder(self.world.device, best_dtype(self.world.device))
        recipe = options.recipe or ("robust" if isinstance(network, HalfNetwork) else "paper")
        scores = validate(
            embedder,
            get_recipe(recipe),
            held_out[self.world.rank :: self.world.size],
            size=options.size,
            frames=options.frames,
            on_broken=lambda name, reason: self.tell(f"Left out of validation: {name} ({reason})"),
        )
        together: dict[str, float] = {}
        for share in self.world.gather(scores):
            together |= share
        self._clock.pause(self.step)
        if not together:
            raise UserError("No held-out sequence can be tracked.", "Look at the data, or --set validation.every=0.")
        mean = sum(together.values()) / len(together)
        if self.world.is_main:
            self._scores.add(self.step, {"mean": mean, **together})
            self._board.add(self.step, {"validation/mean_j": mean})
        if self.best is None or mean > self.best:
            self.best, self.best_step = mean, self.step
            self._export(BEST, network)
            self.tell(f"step {self.step}  validation J {mean:.4f}, the best so far")
        else:
            self.tell(f"step {self.step}  validation J {mean:.4f} (best {self.best:.4f} at step {self.best_step})")
        waited = (self.step - self.best_step) // options.every
        return bool(options.patience) and waited >= options.patience

    def shown_network(self) -> TrainableNetwork:
        """The weights that are validated and exported: the moving average where there is one."""
        if self.average is None:
            return self.network
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.average.state)
        return network

    def _save(self) -> None:
        for found in self.world.gather(self.broken.found):
            self.broken.add(found.items())
        if self.world.is_main:
            progress = Progress(
                step=self.step,
                config=self.config.as_dict(),
                data=self.material.digest,
                start=self.start,
                best=self.best,
                best_step=self.best_step,
                broken=self.broken.found,
            )
            average = self.average.state if self.average is not None else None
            save_checkpoint(self.out / CHECKPOINT, progress, self.network.state_dict(), self.optimiser, average)
            self._export(MODEL, self.shown_network())
        self.world.barrier()

    def _export(self, name: str, network: TrainableNetwork) -> None:
        if self.world.is_main:
            dtype = torch.float16 if self.config.run.export == "fp16" else torch.float32
            about = {
                "model": self.config.network.name,
                "step": str(self.step),
                "start": Path(self.start).name,
                "data": ", ".join(f"{s.kind} {Path(s.folder).name}" for s in self.material.sources),
            }
            export_weights(self.out / name, network.export_state(), dtype, about)

    # -- going on ------------------------------------------------------------------------------------------------------
    def _former_run(self, resume: bool) -> tuple[Progress | None, dict[str, torch.Tensor]]:
        path = self.out / CHECKPOINT
        if not resume:
            if path.exists():
                raise CheckpointError(f"{self.out} holds a run already.", "Add --resume, or choose another folder.")
            return None, {}
        progress, tensors = read_checkpoint(path)
        changed = _changes(progress.config, json.loads(json.dumps(self.config.as_dict())))
        if changed:
            raise CheckpointError(
                f"The run in {self.out} had other options: {', '.join(changed)}.", "Resume with the options it had."
            )
        if progress.data != self.material.digest:
            raise CheckpointError(f"The run in {self.out} was on other data.", "Name the data it had, unchanged.")
        return progress, tensors

    def _take_over(self, progress: Progress, tensors: dict[str, torch.Tensor]) -> None:
        restore_optimiser(self.optimiser, part(tensors, "optimiser"))
        if self.average is not None:
            average = part(tensors, "average")
            self.average.state = {name: average[name].to(tensor.device) for name, tensor in self.average.state.items()}
        self.step, self.best, self.best_step = progress.step, progress.best, progress.best_step
        self.start = progress.start
        self.tell(f"Going on after step {self.step}.")

    def _download_progress(self, text: str, fraction: float | None) -> None:
        if fraction is None:
            self.tell(text)


def _changes(former: dict[str, Any] | Any, present: dict[str, Any]) -> list[str]:
    """Options that differ and matter, as "section.option was X, is Y"."""
    return [
        f"{section}.{option} was {former.get(section, {}).get(option)}, is {value}"
        for section, options in present.items()
        for option, value in options.items()
        if f"{section}.{option}" not in BENIGN and former.get(section, {}).get(option) != value
    ]


def _silent(_: str) -> None:
    """Only the main process talks."""
