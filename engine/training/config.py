"""Every number of a training run, in frozen values that are checked when they are made. The defaults are the paper's.

No torch here: the command line reads these to tell a wrong option before anything slow is loaded.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

NETWORKS = ("tvos-resnet50", "tvos-resnet18", "tvos-resnet101", "resnet50-half")
STRIDE = 8
IGNORE = 255
MAX_OBJECTS = 254


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _choice(value: str, choices: tuple[str, ...], name: str) -> None:
    _require(value in choices, f"{name} is {value!r}; it must be one of {', '.join(choices)}")


def _share(value: float, name: str) -> None:
    _require(0.0 <= value <= 1.0, f"{name} is {value}; it must lie between 0 and 1")


def _range(value: tuple[float, float], name: str) -> None:
    _require(len(value) == 2 and 0 < value[0] <= value[1], f"{name} must be two positive numbers, the smaller first")


def _gap(value: tuple[int, int], name: str) -> None:
    _require(len(value) == 2 and 0 <= value[0] <= value[1], f"{name} must be two numbers from 0, the smaller first")


@dataclass(frozen=True)
class NetworkConfig:
    """What is trained.

    Attributes:
        name: "tvos-resnet50" (-18, -101): the paper's network. "resnet50-half": the bundled trunk with a projection.
        frozen: parts that keep their weights, out of "stem", "layer1", "layer2", "layer3" (and "layer4").
            They run without a graph; their BatchNorm uses its running statistics.
        projection_channels: output channels of the projection of "resnet50-half".
        projection_clips: clips from which the projection is initialised (means and principal axes) when the start
            weights hold none.
        logit_scale: factor on the dot product before the softmax; of "resnet50-half" only (the paper's network has the
            factor in its weights).
        learn_logit_scale: train it (as its logarithm).
        upsampler: "resnet50-half" also learns how labels are enlarged to a quarter of the stride; needs loss "tracker".
    """

    name: str = "tvos-resnet50"
    frozen: tuple[str, ...] = ()
    projection_channels: int = 96
    projection_clips: int = 64
    logit_scale: float = 1.0
    learn_logit_scale: bool = False
    upsampler: bool = False

    def __post_init__(self) -> None:
        _choice(self.name, NETWORKS, "network.name")
        parts = ("stem", "layer1", "layer2", "layer3") + (() if self.name == "resnet50-half" else ("layer4",))
        for part in self.frozen:
            _choice(part, parts, "network.frozen")
        _require(
            set(self.frozen) == set(parts[: len(self.frozen)]),
            "network.frozen must be the first parts of the network, without a gap",
        )
        _require(1 <= self.projection_channels <= 768, "network.projection_channels must lie between 1 and 768")
        _require(self.projection_clips >= 1, "network.projection_clips must be at least 1")
        _require(self.logit_scale > 0, "network.logit_scale must be positive")
        _require(
            self.name == "resnet50-half" or (self.logit_scale == 1 and not self.learn_logit_scale),
            f"network.logit_scale of {self.name} must be 1 and not learned: its embedding has no fixed length",
        )
        _require(
            self.name == "resnet50-half" or not self.upsampler, "network.upsampler is a part of resnet50-half only"
        )


@dataclass(frozen=True)
class ClipConfig:
    """How clips are taken from videos and stills.

    Attributes:
        references: reference frames of a clip; the frames after them are targets.
        strategy: which earlier frames are the references (rows of Table 2): "consecutive" (with 1, 3 or 9
            references), "uniform" (spread over `reach` frames) or "sparse" (4 dense, the rest spread over `reach`).
        reach: frames back that "uniform" and "sparse" choose from.
        targets: how many frames at the end of a clip are predicted, each from all frames of the clip before it.
        key_gap: the first reference lies this many frames (drawn evenly) further back than its place in the clip: a
            keyframe painted long ago. Less where the video is too short.
        max_step: take every s-th frame of a video with s drawn from 1..max_step.
        reverse: share of clips that are played backwards.
        crop: side of the square crop in pixels, the same for the whole clip; a multiple of 8.
        scale: the frames are resized by a factor drawn from this range before the crop (and enlarged further where
            the crop would not fit).
        crop_tries: crops tried until a reference shows an object; 1 takes the first, whatever it shows.
        flip_horizontal, flip_vertical: share of clips that are flipped.
        colour_jitter: brightness, contrast and saturation change by factors in 1 +- this, the same for the whole clip.
        hue_jitter: hue turns by at most this share of the colour circle.
        frame_jitter: brightness and contrast of single frames change by factors in 1 +- this (flicker of the light).
        labels: "nearest" takes the label at the centre of each 8 x 8 cell, "area" the share of the cell (soft labels).
        max_broken: the run stops when more than this share of the samples cannot be read.
    """

    references: int = 9
    strategy: Literal["consecutive", "uniform", "sparse"] = "consecutive"
    reach: int = 40
    targets: int = 1
    key_gap: tuple[int, int] = (0, 0)
    max_step: int = 1
    reverse: float = 0.0
    crop: int = 256
    scale: tuple[float, float] = (1.0, 1.0)
    crop_tries: int = 1
    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    colour_jitter: float = 0.0
    hue_jitter: float = 0.0
    frame_jitter: float = 0.0
    labels: Literal["nearest", "area"] = "nearest"
    max_broken: float = 0.01

    def __post_init__(self) -> None:
        _require(self.references >= 1, "clip.references must be at least 1")
        _choice(self.strategy, ("consecutive", "uniform", "sparse"), "clip.strategy")
        _require(
            self.strategy != "sparse" or self.references >= 5, "clip.strategy sparse needs at least 5 clip.references"
        )
        _require(self.strategy != "uniform" or self.references >= 2, "clip.strategy uniform needs clip.references >= 2")
        _require(self.reach >= self.references, "clip.reach must not be smaller than clip.references")
        _require(1 <= self.targets <= 64, "clip.targets must lie between 1 and 64")
        _require(
            self.targets == 1 or self.strategy == "consecutive", "several clip.targets need clip.strategy consecutive"
        )
        _gap(self.key_gap, "clip.key_gap")
        _require(self.max_step >= 1, "clip.max_step must be at least 1")
        _require(self.crop >= 16 and self.crop % STRIDE == 0, "clip.crop must be a multiple of 8, at least 16")
        _range(self.scale, "clip.scale")
        _require(self.crop_tries >= 1, "clip.crop_tries must be at least 1")
        for name in ("reverse", "flip_horizontal", "flip_vertical", "max_broken"):
            _share(getattr(self, name), f"clip.{name}")
        for name in ("colour_jitter", "frame_jitter"):
            _require(0 <= getattr(self, name) < 1, f"clip.{name} must lie between 0 and 1 (1 excluded)")
        _require(0 <= self.hue_jitter <= 0.5, "clip.hue_jitter must lie between 0 and 0.5")
        _choice(self.labels, ("nearest", "area"), "clip.labels")

    @property
    def frames(self) -> int:
        """Frames of a clip."""
        return self.references + self.targets


@dataclass(frozen=True)
class StillsConfig:
    """How a still becomes a clip: objects move over a moving background, smoothly in time. Per-frame amounts.

    Attributes:
        objects: most objects composed into one clip, each from a still of its own.
        whole: share of clips in which the still moves as a whole (object and background warped apart slightly)
            instead of its object being pasted onto another still.
        shift: largest movement per frame, in crop sides.
        turn: largest rotation per frame, in degrees.
        zoom: largest change of size per frame, as a share.
        shear: largest shear per frame.
        bend: largest thin-plate displacement per frame, in object sizes.
        key_gap: frames between the first frame of a clip and the second, beyond one; drawn evenly. The amounts above
            add up over them.
        camera: the background moves by at most this share of the amounts above.
        blur: share of clips with motion blur.
        occluders: share of clips in which something without a label passes in front.
    """

    objects: int = 3
    whole: float = 0.3
    shift: float = 0.06
    turn: float = 8.0
    zoom: float = 0.06
    shear: float = 0.03
    bend: float = 0.03
    key_gap: tuple[int, int] = (0, 0)
    camera: float = 0.5
    blur: float = 0.2
    occluders: float = 0.3

    def __post_init__(self) -> None:
        _require(1 <= self.objects <= 16, "stills.objects must lie between 1 and 16")
        _gap(self.key_gap, "stills.key_gap")
        for name in ("whole", "camera", "blur", "occluders"):
            _share(getattr(self, name), f"stills.{name}")
        for name in ("shift", "zoom", "shear", "bend"):
            _require(0 <= getattr(self, name) < 1, f"stills.{name} must lie between 0 and 1 (1 excluded)")
        _require(0 <= self.turn <= 180, "stills.turn must lie between 0 and 180 degrees")


@dataclass(frozen=True)
class LossConfig:
    """The loss.

    Attributes:
        kind: "paper": cross-entropy of targets predicted from true labels, no spatial prior (`engine.training.loss`).
            "tracker": targets predicted one after the other as the tracker would, hardest cells and overlap
            (`engine.training.rollout`).
        hardest: of "tracker": share of the cells, the worst ones, whose cross-entropy counts.
        overlap: of "tracker": weight of 1 - soft IoU.
        log_floor: added to the prediction before the logarithm.
        flow_smoothness: weight of the flow-smoothness term; the paper found that it hurts (section 4.4), hence 0.
        flow_edge: how strongly an edge in the picture lets the flow jump there.
    """

    kind: Literal["paper", "tracker"] = "paper"
    hardest: float = 1.0
    overlap: float = 0.0
    log_floor: float = 1e-12
    flow_smoothness: float = 0.0
    flow_edge: float = 10.0

    def __post_init__(self) -> None:
        _choice(self.kind, ("paper", "tracker"), "loss.kind")
        _require(0 < self.hardest <= 1, "loss.hardest must lie above 0 and not above 1")
        _require(self.overlap >= 0, "loss.overlap must not be negative")
        plain = self.hardest == 1 and self.overlap == 0
        _require(self.kind == "tracker" or plain, "loss.hardest and loss.overlap need loss.kind tracker")
        _require(self.kind == "paper" or self.flow_smoothness == 0, "loss.flow_smoothness needs loss.kind paper")
        _require(0 < self.log_floor < 0.1, "loss.log_floor must lie between 0 and 0.1")
        _require(self.flow_smoothness >= 0 and self.flow_edge >= 0, "weights in [loss] must not be negative")


@dataclass(frozen=True)
class OptimiserConfig:
    """The optimiser and its schedule.

    Attributes:
        kind: "sgd" or "adamw".
        lr: peak learning rate.
        trunk_lr: learning rate of the pretrained part; None: as `lr`.
        momentum, nesterov: of SGD.
        betas: of AdamW.
        weight_decay: on all parameters, or with `decay_vectors` False not on biases, BatchNorm, means, the scale.
        schedule: "cosine", "poly" or "constant", from `lr` to `min_lr` over the whole run, per step.
        min_lr: learning rate at the end (of a group with another peak: the same share of its peak).
        power: exponent of "poly".
        warm_up: steps over which the learning rate rises from 0.
        clip_norm: gradients are scaled down to this norm; 0 leaves them.
        accumulate: forward passes that a step's batch is split into.
        ema: decay of the moving average of the weights that is validated and exported; 0 for none.
    """

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.02
    trunk_lr: float | None = None
    momentum: float = 0.9
    nesterov: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 3e-4
    decay_vectors: bool = True
    schedule: Literal["cosine", "poly", "constant"] = "cosine"
    min_lr: float = 4e-5
    power: float = 0.9
    warm_up: int = 0
    clip_norm: float = 0.0
    accumulate: int = 1
    ema: float = 0.0

    def __post_init__(self) -> None:
        _choice(self.kind, ("sgd", "adamw"), "optimiser.kind")
        _choice(self.schedule, ("cosine", "poly", "constant"), "optimiser.schedule")
        _require(self.lr > 0, "optimiser.lr must be positive")
        _require(self.trunk_lr is None or self.trunk_lr > 0, "optimiser.trunk_lr must be positive")
        _require(0 <= self.min_lr <= self.lr, "optimiser.min_lr must lie between 0 and optimiser.lr")
        _require(0 <= self.momentum < 1, "optimiser.momentum must lie between 0 and 1 (1 excluded)")
        _require(not self.nesterov or self.momentum > 0 or self.kind == "adamw", "nesterov needs optimiser.momentum")
        _require(len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas), "optimiser.betas: two numbers below 1")
        _require(self.weight_decay >= 0, "optimiser.weight_decay must not be negative")
        _require(self.power > 0, "optimiser.power must be positive")
        _require(self.warm_up >= 0, "optimiser.warm_up must not be negative")
        _require(self.clip_norm >= 0, "optimiser.clip_norm must not be negative")
        _require(self.accumulate >= 1, "optimiser.accumulate must be at least 1")
        _require(0 <= self.ema < 1, "optimiser.ema must lie between 0 and 1 (1 excluded)")


@dataclass(frozen=True)
class ValidationConfig:
    """Mean J on held-out sequences, measured with the tracker itself.

    Attributes:
        every: steps between measurements; 0 for none.
        sequences: names that are held out of training wherever they occur in the data.
        recipe: propagation recipe; None: "robust" for the half network, "paper" for the paper's.
        size: short side the tracker works at.
        frames: only the first so many frames of each sequence; 0 for all.
        patience: stop after so many measurements without a better one; 0 never stops early.
    """

    every: int = 0
    sequences: tuple[str, ...] = ()
    recipe: str | None = None
    size: int = 480
    frames: int = 0
    patience: int = 0

    def __post_init__(self) -> None:
        _require(min(self.every, self.frames, self.patience) >= 0, "numbers in [validation] must not be negative")
        _require(self.size >= 16, "validation.size must be at least 16")
        _require(self.frames != 1, "validation.frames must be 0 or at least 2")


@dataclass(frozen=True)
class RunConfig:
    """How long, how wide, where.

    Attributes:
        batch: clips of one optimiser step, over all processes and all accumulated passes.
        epochs: passes over the data (a pass visits every frame that can be a target once); used when `steps` is 0.
        steps: optimiser steps; 0: as many as `epochs` need.
        seed: everything random depends on this number and on the step alone.
        precision: "fp32", "bf16" (weights and activations; the optimiser keeps fp32), or "auto": bf16 where the
            processor multiplies in it.
        workers: processes that prepare clips; 0 prepares them in between.
        deterministic: ask PyTorch for deterministic algorithms (slower on CUDA).
        log_every: steps between lines in the log.
        save_every: steps between checkpoints.
        overlay_every: steps between sample pictures; 0 for none.
        export: "fp32" or "fp16", the numbers in the exported weights.
    """

    batch: int = 16
    epochs: int = 240
    steps: int = 0
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    workers: int = 2
    deterministic: bool = False
    log_every: int = 10
    save_every: int = 200
    overlay_every: int = 0
    export: Literal["fp32", "fp16"] = "fp32"

    def __post_init__(self) -> None:
        _require(self.batch >= 1, "run.batch must be at least 1")
        _require(self.epochs >= 1, "run.epochs must be at least 1")
        _require(min(self.steps, self.workers, self.overlay_every, self.seed) >= 0, "[run] takes no negative numbers")
        _require(self.log_every >= 1 and self.save_every >= 1, "run.log_every and run.save_every must be at least 1")
        _choice(self.precision, ("auto", "fp32", "bf16"), "run.precision")
        _choice(self.export, ("fp32", "fp16"), "run.export")


@dataclass(frozen=True)
class TrainingConfig:
    """All of it; one section of a configuration file per attribute."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    stills: StillsConfig = field(default_factory=StillsConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        _require(
            self.run.batch % self.optimiser.accumulate == 0, "run.batch must be a multiple of optimiser.accumulate"
        )
        _require(
            self.loss.kind == "paper" or self.network.name == "resnet50-half", "loss.kind tracker needs resnet50-half"
        )
        _require(self.loss.kind == "tracker" or not self.network.upsampler, "network.upsampler needs loss.kind tracker")
        _require(self.loss.kind == "paper" or self.clip.crop % 16 == 0, "loss.kind tracker needs clip.crop % 16 = 0")

    def as_dict(self) -> dict[str, dict[str, object]]:
        """Section -> option -> value, ready for JSON."""
        return asdict(self)


# Options that may change between a run and its continuation: they do not touch what is learned.
BENIGN = frozenset(
    {"run.workers", "run.log_every", "run.save_every", "run.overlay_every", "run.export"}
    | {f"validation.{name}" for name in ("every", "recipe", "size", "frames", "patience")}
)
