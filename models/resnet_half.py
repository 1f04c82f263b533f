"""`resnet50-half`: a half-width ResNet-50 trunk, the embedder that ships with the project.

Architecture (Yahoo open_nsfw "ResNet-50 1by2", Caffe style): 7x7 stem of 64, planes 32/64/128, stride on the first 1x1
of a stage, BatchNorm folded into the convolutions. Stage 4 is left out. Stages 2 and 3 keep the strides they were
pretrained at, 8 and 16; the embedding has the paper's stride 8 (ALGORITHM: section 4): stage 3 is projected at stride
16 and interpolated. Stage 3 at stride 1 costs four times as much and tracks no better (docs/decisions).

The embedding: the outputs of stages 2 and 3 (256 and 512 channels), each minus its mean and L2-normalised per cell, are
projected, added up and L2-normalised again. After a ReLU every feature points the same way; without the means, cosines
of unlike cells are close to one. The projection is fitted (`models.conversion.fit_projection`) or learned (training).

Beside the embedding, a trained network says how labels are enlarged (`models.upsampler`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from models.errors import ModelError
from models.fused import Conv, conv_add_relu, conv_relu, fuse
from models.graphed import Graphed, Tensors
from models.logits import DenseLogits, StageLogits, Upsampling
from models.upsampler import Upsampler

STEM_CHANNELS = 64
PLANES = (32, 64, 128)
BLOCKS = (3, 4, 6)
EXPANSION = 4
STAGE_CHANNELS = tuple(planes * EXPANSION for planes in PLANES)
BGR_MEAN = (104.0, 117.0, 123.0)

BUNDLED = Path(__file__).parent / "weights"
WEIGHTS_FILE = BUNDLED / "resnet50_half.safetensors"  # trained for tracking
IMAGENET_FILE = BUNDLED / "resnet50_half_imagenet.safetensors"  # what that training starts from


class Bottleneck(nn.Module):
    """1x1 (strided) -> 3x3 -> 1x1 with a shortcut; biases hold the folded BatchNorm."""

    def __init__(self, in_channels: int, planes: int, stride: int, project: bool) -> None:
        super().__init__()
        out_channels = planes * EXPANSION
        self.conv1 = Conv(in_channels, planes, 1, stride=stride)
        self.conv2 = Conv(planes, planes, 3, padding=1)
        self.conv3 = Conv(planes, out_channels, 1)
        self.shortcut = Conv(in_channels, out_channels, 1, stride=stride) if project else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x if self.shortcut is None else self.shortcut(x)
        return conv_add_relu(conv_relu(conv_relu(x, self.conv1), self.conv2), self.conv3, identity)


class Stages(NamedTuple):
    """What the trunk makes of N x 3 x H x W, h = ceil(H / 8), w = ceil(W / 8).

    Attributes:
        stem: N x 64 x ceil(H/2) x ceil(W/2), before pooling.
        stage1: N x 128 x ceil(H/4) x ceil(W/4).
        stage2: N x 256 x h x w.
        stage3: N x 512 x ceil(h/2) x ceil(w/2); its cell (i, j) lies on cell (2i, 2j) of stage 2.
    """

    stem: torch.Tensor
    stage1: torch.Tensor
    stage2: torch.Tensor
    stage3: torch.Tensor


class HalfResNetTrunk(nn.Module):
    """Stem and stages 1-3. `forward` takes N x 3 x H x W RGB, float in 0..1 or uint8."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv(3, STEM_CHANNELS, 7, stride=2, padding=3)
        in_channels = STEM_CHANNELS
        stages = []
        for planes, blocks, stride in zip(PLANES, BLOCKS, (1, 2, 2), strict=True):
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(in_channels, planes, stride if block == 0 else 1, project=block == 0))
                in_channels = planes * EXPANSION
            stages.append(nn.Sequential(*layers))
        self.layer1, self.layer2, self.layer3 = stages
        # A constant of the published network, not a weight; the order is RGB because the stem's input order was
        # swapped when the weights were converted, and so is the mean.
        self.register_buffer("mean", torch.tensor(BGR_MEAN[::-1]).view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: torch.Tensor) -> Stages:
        dtype = self.conv1.weight.dtype
        x = self._centred_bytes(rgb, dtype) if rgb.dtype == torch.uint8 else (rgb * 255.0 - self.mean).to(dtype)
        stem = conv_relu(x, self.conv1)
        stage1 = self.layer1(pool_stem(stem))
        stage2 = self.layer2(stage1)
        return Stages(stem, stage1, stage2, self.layer3(stage2))

    def _centred_bytes(self, rgb: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Bytes minus their mean: small integers, exact even in bf16 and fp16. N x 3 x H x W, channels last.

        Row by row, because an operation on three channels at a time is no vector operation.
        """
        rows = rgb.permute(0, 2, 3, 1).flatten(2).to(dtype)  # N x H x 3W
        mean = self.mean.flatten().to(dtype).repeat(rgb.shape[-1])
        return rows.sub_(mean).reshape(*rows.shape[:2], -1, 3).permute(0, 3, 1, 2)


def pool_stem(stem: torch.Tensor) -> torch.Tensor:
    """Maximum of 3 x 3 at stride 2, N x C x ceil(H/2) x ceil(W/2).

    Caffe pools without padding on the left: the window starts at every second pixel and is cut off at the right and at
    the bottom. Rows first, then columns: on a CPU a fourth of the time of `max_pool2d` in bf16.
    """
    if stem.requires_grad or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        height, width = stem.shape[-2:]  # values are >= 0 after the ReLU, so that padded zeros never win
        return F.max_pool2d(F.pad(stem, (0, 1 + width % 2, 0, 1 + height % 2)), 3, stride=2)
    cells = stem.permute(0, 2, 3, 1)  # of a channels_last tensor: contiguous
    for axis in (1, 2):
        first, second, third = (cells[(slice(None),) * axis + (slice(start, None, 2),)] for start in range(3))
        if first.shape[axis] == second.shape[axis]:
            cells = torch.maximum(first, second)
        else:  # an odd size: the last window holds one pixel
            cells = torch.cat(
                [torch.maximum(first.narrow(axis, 0, second.shape[axis]), second), first[_last(axis)]], axis
            )
        inner = cells.narrow(axis, 0, third.shape[axis])
        torch.maximum(inner, third, out=inner)
    return cells.permute(0, 3, 1, 2)


def _last(axis: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(-1, None),)


def enlarge_aligned(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """N x C x ceil(h/2) x ceil(w/2) -> N x C x h x w, bilinear, with cell (i, j) on cell (2i, 2j).

    A convolution of stride 2 without padding on the left samples the even cells, so half-pixel centres would be off by
    half a cell.
    """
    x = torch.cat([x, x[..., -1:]], -1)
    doubled = F.interpolate(torch.cat([x, x[..., -1:, :]], -2), scale_factor=2.0, mode="nearest")
    # Row 2i is the mean of x[i] and x[i], row 2i + 1 that of x[i] and x[i + 1].
    return F.avg_pool2d(doubled, 2, stride=1)[..., :height, :width]


class Projection(nn.Module):
    """Stage outputs -> unit-length embedding.

    Attributes:
        mean2, mean3: means subtracted from the stage outputs (256, 512).
        weight: channels x 768, bias: channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        _, stage2, stage3 = STAGE_CHANNELS
        self.mean2 = nn.Parameter(torch.zeros(stage2))
        self.mean3 = nn.Parameter(torch.zeros(stage3))
        self.weight = nn.Parameter(torch.zeros(channels, stage2 + stage3))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, stage2: torch.Tensor, stage3: torch.Tensor) -> torch.Tensor:
        """N x 256 x h x w and N x 512 x ceil(h/2) x ceil(w/2) -> N x channels x h x w, unit length, in their dtype."""
        split = self.mean2.shape[0]
        fine = _project(stage2, self.mean2, self.weight[:, :split], self.bias)
        coarse = _project(stage3, self.mean3, self.weight[:, split:], None)
        both = fine + enlarge_aligned(coarse, *stage2.shape[-2:])
        return F.normalize(both.float(), dim=1).to(stage2.dtype)


def _project(stage: torch.Tensor, mean: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """weight (stage - mean) / |stage - mean| + bias per cell; differences and norms in fp32, the product in the stage's
    dtype."""
    centred = stage.permute(0, 2, 3, 1).float() - mean.float()  # of a channels_last tensor: a view
    norm = torch.linalg.vector_norm(centred, dim=-1, keepdim=True).clamp_min(1e-12)
    projected: torch.Tensor = F.linear(centred.to(stage.dtype), weight.to(stage.dtype)) / norm.to(stage.dtype)
    if bias is not None:
        projected = projected + bias.to(stage.dtype)
    return projected.permute(0, 3, 1, 2)


class HalfResNetEmbedder:
    """Embedder over `HalfResNetTrunk`, `Projection` and, where the weights have one, `Upsampler`.

    See `models.embedder` for the protocol.
    """

    stride = 8
    cosine = True

    def __init__(
        self,
        name: str,
        state: Mapping[str, torch.Tensor],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """`state` holds the trunk, `projection.*`, `logit_scale` and perhaps `upsampler.*`; ModelError otherwise."""
        self.name = name
        tensors = {key: value.float() for key, value in state.items()}
        trunk = HalfResNetTrunk()
        upsampler: Upsampler | None = None
        try:
            self.logit_scale = float(tensors.pop("logit_scale"))
            projection = Projection(len(tensors["projection.bias"]))
            projection.load_state_dict(_taken(tensors, "projection."))
            if any(key.startswith("upsampler.") for key in tensors):
                upsampler = Upsampler(STEM_CHANNELS, *STAGE_CHANNELS)
                upsampler.load_state_dict(_taken(tensors, "upsampler."))
            trunk.load_state_dict(tensors, strict=True)
        except (KeyError, RuntimeError) as error:
            raise ModelError(
                f"The weights do not fit the network {name}.", "Use the file that ships with it."
            ) from error
        self.channels = len(projection.bias)
        mean = trunk.mean
        trunk = trunk.to(device=device, dtype=dtype).to(memory_format=torch.channels_last).eval()
        # bf16 would round the mean itself; the subtraction happens in fp32 before the cast.
        trunk.mean = mean.to(device)
        self._trunk: HalfResNetTrunk = trunk.requires_grad_(False)
        fuse(self._trunk)
        self._projection = projection.to(device).eval().requires_grad_(False)
        self._upsampler: Upsampler | None = None
        if upsampler is not None:
            reduced = upsampler.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)
            self._upsampler = reduced.eval().requires_grad_(False)
            fuse(self._upsampler)
        self._graphed = Graphed(self._forward) if self.device.type == "cuda" else None

    @property
    def device(self) -> torch.device:
        return self._trunk.conv1.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self._trunk.conv1.weight.dtype

    @torch.inference_mode()
    def embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """1 x 3 x H x W float RGB in 0..1 -> channels x ceil(H/8) x ceil(W/8), unit length per cell."""
        return self._embedded(rgb.contiguous(memory_format=torch.channels_last))[1]

    @torch.inference_mode()
    def embed_detailed(self, rgb: torch.Tensor) -> tuple[torch.Tensor, Upsampling | None]:
        """As `embed`, and how labels are enlarged (None where the network has no `Upsampler`). Takes uint8 as well."""
        rgb = rgb.contiguous(memory_format=torch.channels_last)
        if self._graphed is not None:
            embedding, logits = self._graphed(rgb)
            assert embedding is not None
            return embedding, None if logits is None else DenseLogits(logits)
        stages, embedding = self._embedded(rgb)
        return embedding, None if self._upsampler is None else StageLogits(self._upsampler, stages)

    def _embedded(self, rgb: torch.Tensor) -> tuple[Stages, torch.Tensor]:
        stages = self._trunk(rgb)
        return stages, self._projection(stages.stage2, stages.stage3)[0]

    def _forward(self, rgb: torch.Tensor) -> Tensors:
        """All that a graph of the network computes."""
        stages, embedding = self._embedded(rgb)
        return embedding, None if self._upsampler is None else self._upsampler(stages)[0]


def _taken(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Take the tensors under `prefix` out of `tensors`, without the prefix."""
    return {key.removeprefix(prefix): tensors.pop(key) for key in list(tensors) if key.startswith(prefix)}


def load(
    name: str,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    weights: Path | None = None,
) -> HalfResNetEmbedder:
    """The bundled embedder of this name, or the same network with other weights in the same layout.

    Raises:
        ModelError: the file is missing, unreadable, or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = weights or (IMAGENET_FILE if name.endswith("-imagenet") else WEIGHTS_FILE)
    try:
        state = load_file(path)
    except FileNotFoundError as error:
        raise ModelError(f"The weights {path} are missing.", "Clone the project again or name a file.") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(f"The weights {path} cannot be read.", "Clone the project again or name a file.") from error
    return HalfResNetEmbedder(name, state, device=device, dtype=dtype)
