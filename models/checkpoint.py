"""Read weights from files that may be damaged, of another network, or hostile."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from torch import nn

from models.errors import ModelError

MAX_BYTES = 4 * 2**30
_NAMED = 3  # how many offending tensors a message names
_COUNTER = "num_batches_tracked"
_SAFETENSORS_MAX_HEADER = 100_000_000


def read_state(path: Path, *, ignore: Collection[str] = ()) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, on the CPU, floating ones as fp32.

    Understands safetensors and PyTorch files (`.pth`, `.pth.tar`), bare state dicts or dicts with the state under
    "state_dict" (beside epoch, optimizer, scheduler), with or without DataParallel's "module." prefix. The format is
    told by content, not by the file's name. Code in pickles is never run.

    Args:
        ignore: names (without "module.") that are left out unread, such as a training queue's integer position.

    Raises:
        ModelError: missing, empty, damaged, too large, not a weights file, or holding anything but tensors.
    """
    _check_size(path)
    kind = _sniff(path)
    if kind == "safetensors":
        loaded = _read_safetensors(path)
    elif kind == "torch":
        loaded = _read_torch(path)
    else:
        raise ModelError(f"{path} is not a weights file.", "Name a .pth, .pth.tar or .safetensors file.")
    return _as_state(loaded, path, ignore)


def check_shapes(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]], model: str, path: Path
) -> dict[str, torch.Tensor]:
    """Hold `state` against the names and shapes `expected`; strict in both directions.

    BatchNorm's batch counters may be missing (files older than PyTorch 0.4.1 have none); they are filled in with 0.

    Raises:
        ModelError: one message that names the first few missing, unexpected and misshapen tensors.
    """
    complete = dict(state)
    for key in expected:
        if key.endswith(_COUNTER) and key not in complete:
            complete[key] = torch.zeros((), dtype=torch.long)
    missing = [key for key in expected if key not in complete]
    extra = [key for key in complete if key not in expected]
    wrong = [
        f"{key} is {_shape(complete[key].shape)}, not {_shape(shape)}"
        for key, shape in expected.items()
        if key in complete and tuple(complete[key].shape) != shape
    ]
    faults = [("missing", missing), ("unexpected", extra), ("wrong shape", wrong)]
    if missing or extra or wrong:
        told = "; ".join(f"{label}: {_first_few(names)}" for label, names in faults if names)
        raise ModelError(f"{path.name} does not fit the network {model} ({told}).", "Choose the model it was made for.")
    return complete


def load_strict(
    network: nn.Module, state: Mapping[str, torch.Tensor], model: str, path: Path
) -> dict[str, torch.Tensor]:
    """Assign `state` to `network` (which may lie on "meta") and return it completed; errors as `check_shapes`."""
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    complete = check_shapes(state, expected, model, path)
    network.load_state_dict(complete, strict=True, assign=True)
    return complete


def refuse_untrained(state: Mapping[str, torch.Tensor], prefixes: Iterable[str], model: str, path: Path) -> None:
    """Refuse a network parts of which never saw a training step.

    A BatchNorm whose running mean is all 0, running variance all 1 and batch counter 0 was never trained, so the
    convolution before it is random. Only layers under one of `prefixes` are looked at ("" means all).

    Raises:
        ModelError: at least one such layer is untouched; tracking with it would be noise.
    """
    wanted = tuple(prefixes)
    layers = [key.removesuffix("running_mean") for key in state if key.endswith("running_mean")]
    untouched = [layer for layer in layers if layer.startswith(wanted) and _is_untouched(state, layer)]
    if untouched:
        names = _first_few([layer.rstrip(".") for layer in untouched])
        raise ModelError(
            f"{path.name} holds untrained layers ({names}): their weights are random, so {model} could not track.",
            "Pass a checkpoint that was trained to the end.",
        )


def _is_untouched(state: Mapping[str, torch.Tensor], layer: str) -> bool:
    mean, variance = state[f"{layer}running_mean"], state[f"{layer}running_var"]
    counter = state.get(f"{layer}{_COUNTER}")
    counted = counter is not None and int(counter) > 0
    return not counted and not bool(mean.any()) and bool((variance == 1).all())


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
        is_file = path.is_file()
    except OSError as error:
        raise ModelError(f"The weights file {path} cannot be opened.", "Check the path.") from error
    if not is_file:
        raise ModelError(f"{path} is not a file.", "Name a .pth, .pth.tar or .safetensors file.")
    if size == 0:
        raise ModelError(f"The weights file {path} is empty.", "Download or copy it again.")
    if size > MAX_BYTES:
        raise ModelError(
            f"The weights file {path} is {size / 2**30:.1f} GiB; the limit is {MAX_BYTES / 2**30:.0f} GiB.",
            "Name the weights alone.",
        )


def _sniff(path: Path) -> str:
    """Tell the format by its first bytes. Safetensors first: its length field may begin with pickle's mark 0x80."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise ModelError(f"The weights file {path} cannot be read.", "Check its permissions.") from error
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _SAFETENSORS_MAX_HEADER:
        return "safetensors"
    return "torch" if head[:4] == b"PK\x03\x04" or head[:1] == b"\x80" else "unknown"


def _damaged(path: Path) -> ModelError:
    return ModelError(f"The weights file {path} is damaged or cut short.", "Download or copy it again.")


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path) from error


def _read_torch(path: Path) -> object:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > MAX_BYTES:  # PyTorch stores, never compresses: such a file is a trap
                raise ModelError(f"{path} would unpack to {unpacked / 2**30:.1f} GiB.", "Do not trust this file.")
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than weights, or is damaged: it was refused, because loading it could run code.",
            "Use a file with tensors only (safetensors, or a plain PyTorch state dict).",
        ) from error
    except ModelError:
        raise
    except Exception as error:
        # On arbitrary bytes PyTorch's restricted unpickler raises nearly anything: IndexError, AssertionError,
        # struct.error, KeyError and more were seen. All of them mean the same to the user.
        raise _damaged(path) from error


def _as_state(loaded: object, path: Path, ignore: Collection[str]) -> dict[str, torch.Tensor]:
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping) or not loaded:
        raise ModelError(f"{path} holds no weights.", "Name a file with a state dict.")
    strip = all(isinstance(key, str) and key.startswith("module.") for key in loaded)
    state: dict[str, torch.Tensor] = {}
    for key, tensor in loaded.items():
        if isinstance(key, str) and key.removeprefix("module.") in ignore:
            continue
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise ModelError(
                f"{path} holds something else than plain tensors ({key}).", "Name a file with a state dict."
            )
        tensor = tensor.detach()
        if tensor.is_floating_point():
            tensor = tensor.float()
            if not bool(torch.isfinite(tensor).all()):
                raise ModelError(f"{path} holds values that are not numbers ({key}).", "Use an earlier checkpoint.")
        elif not key.endswith(_COUNTER):
            raise ModelError(f"{path} holds {key} as {tensor.dtype}.", "Use weights in floating point.")
        state[key.removeprefix("module.") if strip else key] = tensor
    return state


def _shape(shape: Iterable[int]) -> str:
    return " x ".join(str(size) for size in shape) or "a single number"


def _first_few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
