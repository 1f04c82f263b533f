"""The registry: what is listed can be loaded, what cannot be loaded says why, and listing costs nothing."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from dataclasses import replace
from types import MappingProxyType

import pytest
import torch

from engine.propagation.recipe import RECIPES
from models import registry
from models.device import best_dtype
from models.embedder import Embedder
from models.errors import ModelError
from models.registry import BUNDLED_DIR, DEFAULT_MODEL, REGISTRY, describe_table, get_spec, load_embedder, model_names
from models.tvos import TvosNetwork


def test_listing_models_does_not_import_torch(repo_root):
    code = "import sys, models.registry as r; r.describe_table(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repo_root, timeout=60, check=False).returncode == 0


def test_the_default_is_listed_first_and_bundled():
    assert model_names()[0] == DEFAULT_MODEL
    assert get_spec(DEFAULT_MODEL).bundled


@pytest.mark.parametrize("name", REGISTRY)
def test_every_entry_names_things_that_exist(name):
    spec = REGISTRY[name]
    module, _, function = spec.build.partition(":")
    assert spec.name == name
    assert callable(getattr(importlib.import_module(module), function))
    assert spec.default_recipe in RECIPES
    assert all((spec.summary, spec.source, spec.licence, spec.quality, spec.input_note))
    assert all(url.startswith("https://") for url in (spec.weights.urls if spec.weights else ()))


@pytest.mark.parametrize("name", [name for name, spec in REGISTRY.items() if spec.bundled])
def test_bundled_weights_are_the_listed_ones_and_load(name):
    spec = get_spec(name)
    content = (BUNDLED_DIR / spec.weights.filename).read_bytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (spec.sha256, spec.size_bytes)
    embedder = load_embedder(name)
    assert isinstance(embedder, Embedder)
    assert (embedder.name, embedder.channels, embedder.stride) == (name, spec.channels, 8)
    assert (embedder.device, embedder.dtype) == (torch.device("cpu"), best_dtype(torch.device("cpu")))


@pytest.mark.parametrize(
    ("name", "hint"), [("resnet-50", "resnet50"), ("TVOS-ResNet50", "tvos-resnet50"), ("zzz", "Known models: ")]
)
def test_an_unknown_name_gets_a_suggestion(name, hint):
    with pytest.raises(ModelError) as caught:
        load_embedder(name)
    assert repr(name) in caught.value.message
    assert hint in caught.value.way_out


@pytest.mark.parametrize("name", [name for name, spec in REGISTRY.items() if spec.needs_user_weights])
def test_a_model_without_weights_asks_for_a_file(name):
    with pytest.raises(ModelError) as caught:
        load_embedder(name)
    assert "--weights FILE" in caught.value.way_out


def test_an_absent_device_is_told_before_a_download():
    with pytest.raises(ModelError, match="no device called"):
        load_embedder("resnet50", device="gpu")


def test_a_wrong_file_for_a_downloadable_model_is_refused(tmp_path):
    (tmp_path / "mine.pth").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"mine\.pth is not resnet50-0676ba61\.pth.*expected 0676ba61"):
        load_embedder("resnet50", weights=tmp_path / "mine.pth")


def test_own_weights_may_stand_in_for_bundled_ones(tmp_path):
    spec = get_spec(DEFAULT_MODEL)
    copy = tmp_path / "tuned.safetensors"
    copy.write_bytes((BUNDLED_DIR / spec.weights.filename).read_bytes())
    assert load_embedder(DEFAULT_MODEL, weights=copy).channels == spec.channels
    with pytest.raises(ModelError, match="missing"):
        load_embedder(DEFAULT_MODEL, weights=tmp_path / "none.safetensors")


@pytest.fixture
def add_model(monkeypatch):
    """Puts one more model into the registry for the length of a test."""

    def add(spec):
        monkeypatch.setattr(registry, "REGISTRY", {**REGISTRY, spec.name: spec})
        return spec.name

    return add


def test_a_model_is_downloaded_verified_loaded_and_cached(tmp_path, serve, weights_file, look_trained, add_model):
    torch.save(look_trained(TvosNetwork(18)).state_dict(), tmp_path / "weights.pth")
    content = (tmp_path / "weights.pth").read_bytes()
    mirror = serve(content)
    name = add_model(replace(get_spec("tvos-resnet18"), name="online", weights=weights_file(content, mirror)))
    texts: list[str] = []
    for _ in range(2):
        embedder = load_embedder(name, dtype=torch.float32, progress=lambda text, share: texts.append(text))
        assert tuple(embedder.embed(torch.rand(1, 3, 17, 33)).shape) == (256, 3, 5)
    assert len(mirror.ranges) == 1
    assert any(text.startswith("Downloading") for text in texts)
    assert texts[-1] == "Loading online"


def test_a_model_unfit_for_tracking_is_neither_offered_nor_loaded(add_model):
    name = add_model(replace(get_spec(DEFAULT_MODEL), name="measured-only", supports_tracking=False))
    assert name not in model_names()
    with pytest.raises(ModelError, match="not fit for tracking"):
        load_embedder(name)


def test_a_spec_cannot_be_altered():
    spec = get_spec("resnet50")
    assert isinstance(spec.options, MappingProxyType)
    with pytest.raises(ValueError, match="names no file"):
        replace(spec, bundled=True, weights=None)


def test_the_tables_hold_every_model():
    plain, markdown = describe_table(), describe_table(markdown=True)
    for spec in REGISTRY.values():
        assert all(text in plain for text in (spec.name, spec.summary, spec.licence, spec.quality, spec.source))
        assert all(text in markdown for text in (f"`{spec.name}`", spec.summary, spec.availability))
    widths = {line.count("|") for line in markdown.splitlines()}
    assert widths == {7}
    assert f"{DEFAULT_MODEL} (default)" in plain


def test_the_readme_shows_the_registry(repo_root):
    begin, end = "<!-- models:begin -->", "<!-- models:end -->"
    readme = repo_root / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if begin not in text or end not in text:
        pytest.skip("README.md has no table of models")
    assert text.partition(begin)[2].partition(end)[0].strip() == registry.models_table_markdown()
