"""`resnet50-half`: a half-width ResNet-50 trunk at stride 8, the embedder that ships with the project.

Architecture (Yahoo open_nsfw "ResNet-50 1by2", Caffe style): 7x7 stem of 64, planes 32/64/128, stride on the first 1x1
of a stage, BatchNorm folded into the convolutions. Stage 3 runs at stride 1, so the total stride is 8 as in the paper
(ALGORITHM: section 4); stage 4 is left out.

The embedding: the outputs of stages 2 and 3 (256 and 512 channels), each minus its mean and L2-normalised per cell, are
concatenated, projected to 128 channels and L2-normalised again. After a ReLU every feature points the same way; without
the means, cosines of unlike cells are close to one. The projection is fitted (`models.conversion.fit_projection`) or
learned (training).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from models.errors import ModelError

STEM_CHANNELS = 64
PLANES = (32, 64, 128)
BLOCKS = (3, 4, 6)
EXPANSION = 4
BGR_MEAN = (104.0, 117.0, 123.0)

WEIGHTS_FILE = Path(__file__).parent / "weights" / "resnet50_half.safetensors"


class Bottleneck(nn.Module):
    """1x1 (strided) -> 3x3 -> 1x1 with a shortcut; biases hold the folded BatchNorm."""

    def __init__(self, in_channels: int, planes: int, stride: int, project: bool) -> None:
        super().__init__()
        out_channels = planes * EXPANSION
        self.conv1 = nn.Conv2d(in_channels, planes, 1, stride=stride)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1)
        self.conv3 = nn.Conv2d(planes, out_channels, 1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride) if project else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x if self.shortcut is None else self.shortcut(x)
        y = F.relu(self.conv1(x), inplace=True)
        y = F.relu(self.conv2(y), inplace=True)
        return F.relu(self.conv3(y) + identity, inplace=True)


class HalfResNetTrunk(nn.Module):
    """Stem and stages 1-3 at total stride 8.

    `forward` takes N x 3 x H x W RGB in 0..1 and returns (stage 2: N x 256 x h x w, stage 3: N x 512 x h x w) with
    h = ceil(H/8), w = ceil(W/8).
    """

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 7, stride=2, padding=3)
        in_channels = STEM_CHANNELS
        stages = []
        for planes, blocks, stride in zip(PLANES, BLOCKS, (1, 2, 1), strict=True):
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(in_channels, planes, stride if block == 0 else 1, project=block == 0))
                in_channels = planes * EXPANSION
            stages.append(nn.Sequential(*layers))
        self.layer1, self.layer2, self.layer3 = stages
        # A constant of the published network, not a weight; the order is RGB because the stem's input order was
        # swapped when the weights were converted, and so is the mean.
        self.register_buffer("mean", torch.tensor(BGR_MEAN[::-1]).view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = (rgb * 255.0 - self.mean).to(self.conv1.weight.dtype)
        x = F.relu(self.conv1(x), inplace=True)
        # Caffe pools 3x3/2 without left padding: pad right and bottom (by one more where the size is odd, so that the
        # grid is ceil(H/8)). Values are >= 0 after the ReLU, so padded zeros never win a maximum that matters.
        height, width = x.shape[-2:]
        x = F.max_pool2d(F.pad(x, (0, 1 + width % 2, 0, 1 + height % 2)), 3, stride=2)
        x = self.layer1(x)
        stage2 = self.layer2(x)
        return stage2, self.layer3(stage2)


class Projection(nn.Module):
    """Stage outputs -> unit-length embedding.

    Attributes:
        mean2, mean3: means subtracted from the stage outputs (256, 512).
        weight: channels x 768, bias: channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        stage2, stage3 = (planes * EXPANSION for planes in PLANES[1:])
        self.mean2 = nn.Parameter(torch.zeros(stage2))
        self.mean3 = nn.Parameter(torch.zeros(stage3))
        self.weight = nn.Parameter(torch.zeros(channels, stage2 + stage3))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, stage2: torch.Tensor, stage3: torch.Tensor) -> torch.Tensor:
        """... x 256 and ... x 512 (channels last) -> ... x channels, unit length, in the inputs' dtype."""
        # Differences and norms in fp32, products in the dtype of the stages.
        unit2 = F.normalize(stage2.float() - self.mean2.float(), dim=-1)
        unit3 = F.normalize(stage3.float() - self.mean3.float(), dim=-1)
        both = torch.cat([unit2, unit3], -1).to(stage2.dtype)
        projected = F.linear(both, self.weight.to(both.dtype), self.bias.to(both.dtype))
        return F.normalize(projected.float(), dim=-1).to(stage2.dtype)


class HalfResNetEmbedder:
    """Embedder over `HalfResNetTrunk` and `Projection` (see `models.embedder.Embedder` for the protocol)."""

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
        """`state` holds the trunk, `projection.*` and the scalar `logit_scale`; ModelError when anything else."""
        self.name = name
        tensors = {key: value.float() for key, value in state.items()}
        trunk = HalfResNetTrunk()
        try:
            self.logit_scale = float(tensors.pop("logit_scale"))
            projection = Projection(len(tensors["projection.bias"]))
            parts = nn.ModuleDict({"projection": projection})
            parts.load_state_dict({k: tensors.pop(k) for k in list(tensors) if k.startswith("projection.")})
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
        self._projection = projection.to(device).eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return self._trunk.conv1.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self._trunk.conv1.weight.dtype

    @torch.inference_mode()
    def embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """1 x 3 x H x W float RGB in 0..1 -> channels x ceil(H/8) x ceil(W/8), unit length per cell."""
        stage2, stage3 = self._trunk(rgb.contiguous(memory_format=torch.channels_last))
        # Both are channels_last already, so the permuted views are contiguous and nothing is copied.
        cells: torch.Tensor = self._projection(stage2[0].permute(1, 2, 0), stage3[0].permute(1, 2, 0))
        return cells.permute(2, 0, 1)


def load(
    name: str,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    weights: Path | None = None,
) -> HalfResNetEmbedder:
    """The bundled embedder, or the same network with other weights in the same layout.

    Raises:
        ModelError: the file is missing, unreadable, or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = weights or WEIGHTS_FILE
    try:
        state = load_file(path)
    except FileNotFoundError as error:
        raise ModelError(f"The weights {path} are missing.", "Clone the project again or name a file.") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(f"The weights {path} cannot be read.", "Clone the project again or name a file.") from error
    return HalfResNetEmbedder(name, state, device=device, dtype=dtype)
