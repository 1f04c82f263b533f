"""Choosing a device and a dtype, with the hardware faked where this machine has none."""

from __future__ import annotations

import pytest
import torch

from models.device import best_dtype, cpu_has_bf16, describe_device, resolve_device
from models.errors import ModelError


@pytest.fixture
def fake_cuda(monkeypatch):
    """Pretends that there are two GPUs of the given compute capability."""

    def install(capability: tuple[int, int] = (9, 0), available: bool = True) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 if available else 0)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "NVIDIA H100")

    return install


@pytest.fixture
def fake_cpu(monkeypatch):
    """Pretends that the processor has, or lacks, the two bf16 extensions."""

    def install(amx: bool, avx: bool) -> None:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)

    return install


def test_auto_prefers_cuda_then_mps_then_cpu(fake_cuda, monkeypatch):
    fake_cuda()
    assert resolve_device("auto") == torch.device("cuda", 0)
    fake_cuda(available=False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "device"), [("cpu", "cpu"), (" CPU ", "cpu"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu:0", "cpu")]
)
def test_names_of_devices_that_are_there(fake_cuda, name, device):
    fake_cuda()
    assert resolve_device(name) == torch.device(device)
    assert resolve_device(torch.device(device)) == torch.device(device)


@pytest.mark.parametrize("name", ["", "gpu", "tpu", "cuda:x", "cuda:-1", "cuda:2", "cpu:1", "mps:1", "cuda:²", "cuda0"])
def test_names_of_devices_that_are_not(fake_cuda, name):
    fake_cuda()
    with pytest.raises(ModelError) as caught:
        resolve_device(name)
    assert caught.value.way_out


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_an_absent_accelerator_is_told(fake_cuda, monkeypatch, name):
    fake_cuda(available=False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ModelError, match="available to PyTorch") as caught:
        resolve_device(name)
    assert "--device cpu" in caught.value.way_out


@pytest.mark.parametrize(
    ("capability", "dtype"), [((6, 1), torch.float32), ((7, 0), torch.float16), ((9, 0), torch.float16)]
)
def test_cuda_uses_half_precision_from_volta_on(fake_cuda, capability, dtype):
    fake_cuda(capability)
    assert best_dtype(torch.device("cuda", 0)) == dtype


@pytest.mark.parametrize(("amx", "avx"), [(True, True), (True, False), (False, True), (False, False)])
def test_the_cpu_uses_bf16_only_in_hardware(fake_cpu, amx, avx):
    fake_cpu(amx, avx)
    assert best_dtype(torch.device("cpu")) == (torch.bfloat16 if amx or avx else torch.float32)


def test_a_pytorch_without_the_checks_means_fp32(monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not cpu_has_bf16()


def test_mps_stays_in_single_precision():
    assert best_dtype(torch.device("mps")) == torch.float32


def test_descriptions(fake_cuda):
    fake_cuda()
    assert describe_device(torch.device("cpu"), torch.bfloat16) == "cpu (bf16)"
    assert describe_device(torch.device("cuda", 0), torch.float16) == "cuda:0 NVIDIA H100 (fp16)"
    assert describe_device(torch.device("mps"), torch.float32) == "mps (fp32)"
