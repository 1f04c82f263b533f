"""Where tensors are computed: devices, drivers, processor features, the memory bank."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess

from engine.doctor.check import Check, Status, mebibytes, pip_install

_DRIVER_TIMEOUT_S = 15
_WIDESCREEN = 16 / 9


def devices() -> list[Check]:
    import torch

    from models.device import best_dtype, describe_device, resolve_device

    chosen = resolve_device("auto")
    found = [torch.device("cpu")]
    found += [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(torch.device("mps"))
    others = [describe_device(device, best_dtype(device)) for device in found if device != chosen]
    detail = f"{describe_device(chosen, best_dtype(chosen))} is used"
    if others:
        detail += f"; also there: {', '.join(others)}"
    return [Check("device", Status.OK, detail)]


def nvidia_driver() -> tuple[str, str] | None:
    """(name of the first card, driver version) as nvidia-smi tells, None without card or driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=_DRIVER_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    name, _, version = answer.stdout.partition("\n")[0].partition(",")
    return (name.strip(), version.strip()) if answer.returncode == 0 and version else None


def graphics_driver() -> list[Check]:
    """An NVIDIA card that PyTorch cannot use is the commonest reason for slow tracking."""
    import torch

    card = nvidia_driver()
    if card is None:
        return []
    name, driver = card
    if torch.cuda.is_available():
        return [Check("graphics driver", Status.OK, f"{name}, driver {driver}, CUDA {torch.version.cuda}")]
    if torch.version.cuda is None:
        detail = f"{name} is there, but this PyTorch ({torch.__version__}) is built without CUDA"
        choose = "for the line that suits your system see https://pytorch.org/get-started/locally"
        return [
            Check(
                "graphics driver",
                Status.WARN,
                detail,
                f"{pip_install('--force-reinstall', 'torch', 'torchvision')} ({choose})",
            )
        ]
    detail = f"{name} with driver {driver} cannot run CUDA {torch.version.cuda}, which this PyTorch needs"
    remedy = "Update the NVIDIA driver and restart (Ubuntu: sudo ubuntu-drivers install)."
    return [Check("graphics driver", Status.WARN, detail, remedy)]


def processor_name() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def processor() -> list[Check]:
    import torch

    from models.device import cpu_has_bf16

    capability = torch.backends.cpu.get_cpu_capability()
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    features = [capability, *(["AMX"] if amx is not None and amx() else []), *(["bf16"] if cpu_has_bf16() else [])]
    detail = f"{processor_name()}: {', '.join(features)}; {torch.get_num_threads()} threads"
    detail += f" of {os.cpu_count()} processors"
    slow = capability == "DEFAULT" and platform.machine().lower() in ("x86_64", "amd64")
    if slow and not torch.cuda.is_available():
        return [Check("processor", Status.WARN, f"{detail} (no AVX2)", "Track at a small working size: --size 240")]
    return [Check("processor", Status.OK, detail)]


def memory_bank() -> list[Check]:
    """Bytes the default model's memory takes on a 16:9 video at each working size; fixed, however long the video."""
    import torch

    from engine.commands.arguments import WORKING_SIZES
    from engine.propagation.propagator import Propagator
    from engine.propagation.recipe import get_recipe
    from models.device import best_dtype, resolve_device
    from models.registry import DEFAULT_MODEL, get_spec

    spec = get_spec(DEFAULT_MODEL)
    recipe = get_recipe(spec.default_recipe)
    parts = []
    for size in WORKING_SIZES:
        propagator = Propagator(
            recipe,
            height=-(-size // 8),
            width=-(-round(size * _WIDESCREEN) // 8),
            channels=spec.channels,
            logit_scale=1.0,
            dtype=best_dtype(resolve_device("auto")),
            device=torch.device("meta"),  # shapes only, nothing is allocated
        )
        parts.append(f"{mebibytes(propagator.nbytes)} at {size}")
    return [Check("memory bank", Status.OK, f"{DEFAULT_MODEL} with {recipe.name}: {', '.join(parts)}")]
