"""The exported models give what PyTorch gives, at sizes they were not exported with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.embedder import Embedder
from models.errors import ModelError
from models.onnx_backend import OnnxEmbedder, export_onnx
from models.registry import load_embedder
from models.tvos import TvosNetwork

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture(scope="module", params=["resnet50-half", "tvos-resnet18"])
def pair(request, tmp_path_factory, look_trained) -> tuple[Embedder, Path]:
    """A model in PyTorch and the file it was exported to."""
    folder = tmp_path_factory.mktemp("onnx")
    weights = None
    if request.param.startswith("tvos"):
        weights = folder / "weights.pth"
        torch.save(look_trained(TvosNetwork(18)).state_dict(), weights)
    embedder = load_embedder(request.param, dtype=torch.float32, weights=weights)
    return embedder, export_onnx(embedder, folder / "model.onnx")


def test_equals_pytorch_on_odd_sizes(pair):
    embedder, path = pair
    exported = OnnxEmbedder(path, threads=1)
    assert isinstance(exported, Embedder)
    for attribute in ("name", "channels", "stride", "cosine", "logit_scale", "device", "dtype"):
        assert getattr(exported, attribute) == getattr(embedder, attribute)
    for height, width in ((16, 16), (17, 31), (64, 64), (75, 102), (121, 66)):
        rgb = torch.rand(1, 3, height, width)
        torch.testing.assert_close(exported.embed(rgb), embedder.embed(rgb), rtol=1e-3, atol=1e-3)


def test_is_loaded_like_any_weights(pair):
    embedder, path = pair
    loaded = load_embedder(embedder.name, weights=path)
    assert isinstance(loaded, OnnxEmbedder)
    with pytest.raises(ModelError, match=f"is an export of {embedder.name}, not of resnet50") as caught:
        load_embedder("resnet50", weights=path)
    assert embedder.name in caught.value.way_out


def test_leaves_no_partial_file_behind(pair):
    assert not list(pair[1].parent.glob("*.part"))


def test_falls_back_to_the_cpu_and_says_so(pair):
    if {"CUDAExecutionProvider", "TensorrtExecutionProvider"} & set(onnxruntime.get_available_providers()):
        pytest.skip("onnxruntime has a CUDA provider here")
    exported = OnnxEmbedder(pair[1], device="cuda")
    assert exported.provider == "CPUExecutionProvider"
    assert "cannot use cuda" in exported.fallback_message
    assert OnnxEmbedder(pair[1]).fallback_message == ""


def test_only_fp32_is_exported(tmp_path):
    with pytest.raises(ModelError, match="fp32"):
        export_onnx(load_embedder("resnet50-half", dtype=torch.bfloat16), tmp_path / "a.onnx")


def test_an_unwritable_place_is_told(pair, tmp_path):
    with pytest.raises(ModelError, match="cannot be written"):
        export_onnx(pair[0], tmp_path / "none" / "a.onnx")


def test_other_files_are_refused(pair, tmp_path):
    import onnx

    with pytest.raises(ModelError, match="does not exist"):
        OnnxEmbedder(tmp_path / "none.onnx")
    (tmp_path / "garbage.onnx").write_bytes(b"garbage" * 100)
    with pytest.raises(ModelError, match="not a model"):
        OnnxEmbedder(tmp_path / "garbage.onnx")
    model = onnx.load(str(pair[1]))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "foreign.onnx"))
    with pytest.raises(ModelError, match="not exported by LiveMask"):
        OnnxEmbedder(tmp_path / "foreign.onnx")
