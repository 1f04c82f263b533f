"""Fit the projection of `resnet50-half-imagenet` to images: means of the stages, principal axes of their unit vectors.

    python -m models.conversion.fit_projection IMAGES_FOLDER [IMAGES_FOLDER ...] [--images 250] [--channels 128]

Needs no labels. The axes are not scaled (no whitening): the cosine after the projection is the cosine before it, less
what the dropped axes carried. Adds `projection.*` and `logit_scale` to the weights file.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torchvision.io import ImageReadMode, decode_image

from models.resnet_half import IMAGENET_FILE, HalfResNetTrunk, Stages

CELLS_PER_IMAGE = 200
LOGIT_SCALE = 30.0  # chosen on DAVIS-2016 training sequences


def sample_stages(trunk: HalfResNetTrunk, paths: list[Path], generator: torch.Generator) -> list[torch.Tensor]:
    """Stage outputs at random cells of the images: [N x 256, N x 512]."""
    stages: list[list[torch.Tensor]] = [[], []]
    for path in paths:
        rgb = decode_image(str(path), mode=ImageReadMode.RGB)[None].float() / 255
        outputs = paired_cells(trunk(rgb))
        chosen = torch.randperm(len(outputs[0]), generator=generator)[:CELLS_PER_IMAGE]
        for kept, output in zip(stages, outputs, strict=True):
            kept.append(output[chosen])
    return [torch.cat(kept) for kept in stages]


def paired_cells(stages: Stages) -> tuple[torch.Tensor, torch.Tensor]:
    """Stages of one picture -> N x 256, N x 512: every cell of stage 3 with the cell of stage 2 it lies on."""
    return stages.stage2[0, :, ::2, ::2].flatten(1).T, stages.stage3[0].flatten(1).T


def fit(stage2: torch.Tensor, stage3: torch.Tensor, channels: int) -> dict[str, torch.Tensor]:
    """N x 256, N x 512 -> the state of `models.resnet_half.Projection`."""
    mean2, mean3 = stage2.mean(0), stage3.mean(0)
    both = torch.cat([F.normalize(stage2 - mean2, dim=1), F.normalize(stage3 - mean3, dim=1)], 1).double()
    mean = both.mean(0)
    covariance = (both - mean).T @ (both - mean) / len(both)
    axes = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :channels].T
    # The sign of an eigenvector is arbitrary; fixing it makes the file reproducible across linear algebra libraries.
    axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    return {"mean2": mean2, "mean3": mean3, "weight": axes.float(), "bias": -(axes @ mean).float()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=250, help="images taken from each folder")
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--weights", type=Path, default=IMAGENET_FILE)
    arguments = parser.parse_args()
    chooser = random.Random(0)
    paths: list[Path] = []
    for folder in arguments.folders:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        paths += chooser.sample(found, min(arguments.images, len(found)))
    state = {
        k: v for k, v in load_file(arguments.weights).items() if k.split(".")[0] not in ("projection", "logit_scale")
    }
    trunk = HalfResNetTrunk().eval()
    trunk.load_state_dict({key: value.float() for key, value in state.items()})
    with torch.inference_mode():
        stages = sample_stages(trunk, paths, torch.Generator().manual_seed(0))
        projection = fit(stages[0], stages[1], arguments.channels)
    state |= {f"projection.{key}": value.half().contiguous() for key, value in projection.items()}
    state["logit_scale"] = torch.tensor(LOGIT_SCALE)
    save_file(state, arguments.weights)
    digest = hashlib.sha256(arguments.weights.read_bytes()).hexdigest()
    print(f"{len(paths)} images; {arguments.weights}: {arguments.weights.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
