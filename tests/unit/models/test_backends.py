"""Networks in ONNX Runtime: exported to the cache once, int8 only where it agrees with the network."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models import backends
from models.backends import (
    ONNX,
    ONNX_INT8,
    DisagreementError,
    check_backend,
    export_path,
    int8_in_hardware,
    load_exported,
    weights_key,
)
from models.embedder import DetailedEmbedder
from models.errors import ModelError
from models.onnx_backend import OnnxEmbedder
from models.registry import DEFAULT_MODEL, load_embedder
from models.resnet_half import STAGE_CHANNELS, STEM_CHANNELS, WEIGHTS_FILE
from models.upsampler import Upsampler

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

CPU = torch.device("cpu")
needs_int8 = pytest.mark.skipif(not int8_in_hardware(), reason="this processor has no int8 products")


def frames() -> list[np.ndarray]:
    """Smooth coloured blobs, which look more like pictures than noise does."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (8, 6, 9, 3), np.uint8)
    large = torch.from_numpy(coarse).permute(0, 3, 1, 2).float()
    smooth = torch.nn.functional.interpolate(large, size=(96, 144), mode="bicubic").clamp(0, 255)
    return [frame.permute(1, 2, 0).to(torch.uint8).contiguous().numpy() for frame in smooth]


def load(backend: str, weights: Path | None = None, **options: object) -> OnnxEmbedder:
    said: list[str] = []
    embedder = load_exported(
        backend, DEFAULT_MODEL, CPU, torch.float32, weights, frames, lambda text, _: said.append(text), threads=1,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip
    embedder.said = said  # type: ignore[attr-defined]
    return embedder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled network with an upsampler that does something."""
    upsampler = Upsampler(STEM_CHANNELS, *STAGE_CHANNELS)
    generator = torch.Generator().manual_seed(0)
    for weight in upsampler.parameters():
        torch.nn.init.normal_(weight, std=0.05, generator=generator)
    state = {key: value for key, value in load_file(WEIGHTS_FILE).items() if not key.startswith("upsampler.")}
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(state | {f"upsampler.{key}": value for key, value in upsampler.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEMASK_CACHE", str(cache))


def detailed(embedder: DetailedEmbedder, rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    embedding, upsampling = embedder.embed_detailed(rgb)
    assert upsampling is not None
    return embedding, upsampling.all()


def as_input(height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)


def test_fp32_gives_what_pytorch_gives(weights: Path) -> None:
    """The embedding and how labels are enlarged, at sizes it was not exported with."""
    network = load_embedder(DEFAULT_MODEL, CPU, torch.float32, weights)
    exported = load(ONNX, weights)
    assert isinstance(exported, DetailedEmbedder)
    assert isinstance(network, DetailedEmbedder)
    for height, width in ((16, 16), (17, 31), (64, 96), (75, 102)):
        rgb = as_input(height, width)
        for found, wanted in zip(detailed(exported, rgb), detailed(network, rgb), strict=True):
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-3)
        torch.testing.assert_close(exported.embed(rgb / 255), network.embed(rgb / 255), rtol=0, atol=1e-3)


def test_the_embedding_comes_in_the_dtype_of_the_tracker(weights: Path) -> None:
    embedder = load_exported(ONNX, DEFAULT_MODEL, CPU, torch.bfloat16, weights, frames, lambda *_: None)
    embedding, upsampling = embedder.embed_detailed(as_input(32, 48))
    assert embedder.dtype == embedding.dtype == torch.bfloat16
    assert upsampling is not None
    assert embedder.backend_text == "fp32, ONNX Runtime"


@needs_int8
def test_int8_agrees_with_the_network(weights: Path) -> None:
    network = load_embedder(DEFAULT_MODEL, CPU, torch.float32, weights)
    handlers = list(logging.getLogger().handlers)
    quantised = load(ONNX_INT8, weights)
    assert logging.getLogger().handlers == handlers
    assert quantised.backend_text == "int8, ONNX Runtime"
    assert 0.98 < quantised.agreement < 0.9999
    rgb = torch.from_numpy(frames()[3]).permute(2, 0, 1)[None]
    (found, found_detail), (wanted, detail) = detailed(quantised, rgb), detailed(network, rgb)
    assert torch.nn.functional.cosine_similarity(found, wanted, dim=0).mean() > 0.98
    assert torch.nn.functional.cosine_similarity(found_detail, detail, dim=-1).mean() > 0.98
    assert export_path(ONNX_INT8, DEFAULT_MODEL, weights).stat().st_size < 0.5 * (
        export_path(ONNX, DEFAULT_MODEL, weights).stat().st_size
    )


@needs_int8
def test_int8_that_disagrees_is_refused(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(ONNX_INT8, weights)
    monkeypatch.setattr(backends, "LEAST_AGREEMENT", 0.99999)
    for prepare in (True, False):
        with pytest.raises(DisagreementError, match="differs too much") as caught:
            load(ONNX_INT8, weights, prepare=prepare)
        assert "torch" in caught.value.way_out


def test_an_export_is_made_once(weights: Path) -> None:
    load(ONNX, weights)
    path = export_path(ONNX, DEFAULT_MODEL, weights)
    before = path.stat().st_mtime_ns
    assert load(ONNX, weights).said == []  # type: ignore[attr-defined]
    assert load(ONNX, weights, prepare=False).provider == "CPUExecutionProvider"
    assert path.stat().st_mtime_ns == before
    assert not [file for file in path.parent.iterdir() if file.suffix not in (".onnx", ".lock")]


def test_other_weights_have_another_export(weights: Path) -> None:
    assert export_path(ONNX, DEFAULT_MODEL, weights) != export_path(ONNX, DEFAULT_MODEL, None)
    assert weights_key(DEFAULT_MODEL, WEIGHTS_FILE) == weights_key(DEFAULT_MODEL, None)
    with pytest.raises(ModelError, match="cannot be read"):
        weights_key(DEFAULT_MODEL, weights.with_name("none"))
    with pytest.raises(ModelError, match="has no weights"):
        weights_key("tvos-resnet50", None)


@pytest.mark.parametrize("damage", [b"", b"nonsense" * 1000])
def test_a_damaged_export_is_made_anew(weights: Path, damage: bytes) -> None:
    load(ONNX, weights)
    path = export_path(ONNX, DEFAULT_MODEL, weights)
    path.write_bytes(damage)
    with pytest.raises(ModelError):
        load(ONNX, weights, prepare=False)
    assert load(ONNX, weights).name == DEFAULT_MODEL
    assert path.stat().st_size > 1_000_000


def test_nothing_is_exported_when_only_the_cache_may_be_used(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEMASK_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="does not exist"):
        load(ONNX, weights, prepare=False)
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(("missing", "word"), [("onnx", "onnx package"), ("onnxruntime", "needs onnxruntime")])
def test_a_missing_package_is_one_clear_sentence(
    missing: str, word: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "onnx":
        monkeypatch.setenv("LIVEMASK_CACHE", str(tmp_path))
    else:
        load(ONNX, weights)
    before = list(export_path(ONNX, DEFAULT_MODEL, weights).parent.glob("*.onnx"))
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModelError, match=word) as caught:
        load(ONNX, weights)
    assert list(export_path(ONNX, DEFAULT_MODEL, weights).parent.glob("*.onnx")) == before
    assert caught.value.message.endswith(".")
    assert "pip install" in caught.value.way_out


def test_int8_needs_the_processor_and_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "int8_in_hardware", lambda: False)
    with pytest.raises(ModelError, match="VNNI"):
        load(ONNX_INT8)
    with pytest.raises(ModelError, match="for the CPU"):
        load_exported(ONNX_INT8, DEFAULT_MODEL, torch.device("cuda"), torch.float16, None, frames, lambda *_: None)


def test_an_unwritable_cache_is_told(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIVEMASK_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="cannot be written") as caught:
        load(ONNX, weights)
    assert "LIVEMASK_CACHE" in caught.value.way_out


def test_an_unknown_backend_is_told() -> None:
    names: Sequence[str] = backends.BACKENDS
    assert [check_backend(name) for name in names] == list(names)
    with pytest.raises(ModelError, match="no backend called 'tensorflow'"):
        check_backend("tensorflow")


@pytest.mark.parametrize(
    ("working", "provider", "message"),
    [
        (["TensorrtExecutionProvider", "CUDAExecutionProvider"], "TensorrtExecutionProvider", ""),
        (["CUDAExecutionProvider"], "CUDAExecutionProvider", "cannot use TensorRT here; CUDA is used."),
        ([], "CPUExecutionProvider", "cannot use cuda here; the model runs on the CPU."),
    ],
)
def test_providers_are_tried_in_order_and_the_fallback_is_told(
    working: list[str], provider: str, message: str, weights: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    load(ONNX, weights)
    asked = []
    real = onnxruntime.InferenceSession

    def session(path: str, options: object, providers: list[object]) -> object:
        """Falls back as the real one does, on a machine that has none of the hardware."""
        asked.extend(providers)
        made = real(path, options, providers=["CPUExecutionProvider"])
        monkeypatch.setattr(made, "get_providers", lambda: [*working, "CPUExecutionProvider"])
        return made

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    embedder = OnnxEmbedder(export_path(ONNX, DEFAULT_MODEL, weights), device="cuda:1")
    assert embedder.provider == provider
    assert embedder.fallback_message.endswith(message)
    assert bool(embedder.fallback_message) == bool(message)
    (tensorrt, its_options), (cuda, cuda_options), last = asked  # type: ignore[misc]
    assert (tensorrt, cuda, last) == (
        "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider",
    )  # fmt: skip
    assert its_options["device_id"] == cuda_options["device_id"] == "1"
    assert Path(its_options["trt_engine_cache_path"]).is_relative_to(
        cache
    )  # an engine is code: never the model's folder


@pytest.mark.cuda
def test_a_card_gives_what_the_processor_gives(weights: Path) -> None:
    device = torch.device("cuda", 0)
    embedder = load_exported(ONNX, DEFAULT_MODEL, device, torch.float32, weights, frames, lambda *_: None)
    assert embedder.provider != "CPUExecutionProvider"
    rgb = as_input(75, 102)
    for found, wanted in zip(
        embedder.embed_detailed(rgb.to(device)), load(ONNX, weights).embed_detailed(rgb), strict=True
    ):
        assert found is not None
        assert found.device == device
        torch.testing.assert_close(found.cpu(), wanted, rtol=0, atol=2e-2)
