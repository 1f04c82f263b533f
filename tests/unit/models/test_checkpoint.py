"""Reading checkpoints: what the reference writes is read, everything else is refused with one clear sentence."""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from models import checkpoint
from models.checkpoint import read_state
from models.errors import ModelError
from models.registry import load_embedder
from models.tvos import TvosNetwork


@pytest.fixture(scope="module")
def state(look_trained) -> dict[str, torch.Tensor]:
    return look_trained(TvosNetwork(18)).state_dict()


@pytest.fixture(scope="module")
def reference_checkpoint(state) -> dict[str, object]:
    """As a training run with DataParallel, SGD and cosine annealing leaves it."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([parameter], lr=0.02, momentum=0.9, nesterov=True, weight_decay=3e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 240, 4e-5)
    parameter.grad = torch.ones(3)
    optimizer.step()
    scheduler.step()
    return {
        "epoch": 240,
        "state_dict": {f"module.{key}": tensor for key, tensor in state.items()},
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
    }


def load(path: Path, name: str = "tvos-resnet18"):
    return load_embedder(name, dtype=torch.float32, weights=path)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key].float(), second[key].float()) for key in first)


def test_reads_a_reference_checkpoint(tmp_path, state, reference_checkpoint):
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(reference_checkpoint, path)
    assert same(read_state(path), state)
    assert load(path).channels == 256


def test_reads_every_layout(tmp_path, state, reference_checkpoint):
    torch.save(state, tmp_path / "bare.pth")
    torch.save(reference_checkpoint["state_dict"], tmp_path / "prefixed.pth")
    torch.save(reference_checkpoint, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "weights.safetensors")
    save_file(state, tmp_path / "misnamed.pth")
    for path in tmp_path.iterdir():
        assert same(read_state(path), state), path.name


def test_batch_counters_may_be_missing(tmp_path, state):
    path = tmp_path / "old.pth"
    torch.save({key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}, path)
    assert load(path).channels == 256


class Bomb:
    """Unpickled without restraint, this makes a folder."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("form", ["pickle", "old pickle", "zip", "legacy"])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, state, form):
    victim, path = tmp_path / "made-by-the-pickle", tmp_path / "evil.pth"
    evil = {"state_dict": dict(state), "extra": Bomb(victim)}
    if "pickle" in form:
        path.write_bytes(pickle.dumps(evil, protocol=2 if form == "pickle" else 0))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ModelError):
        load(path)
    assert not victim.exists()
    if form in ("zip", "legacy"):
        with pytest.raises(ModelError, match="could run code"):
            load(path)


def test_the_bomb_would_go_off_elsewhere(tmp_path):
    """Otherwise the test above proves nothing."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "made")))
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "is empty"), (b"not weights", "is not a weights file"), (b"<!DOCTYPE html><html>", "is not a weights file")],
)
def test_what_is_not_a_weights_file_is_told(tmp_path, content, told):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=told):
        read_state(path)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(ModelError, match="cannot be opened"):
        read_state(tmp_path / "none.pth")
    with pytest.raises(ModelError, match="is not a file"):
        read_state(tmp_path)


@pytest.fixture(scope="module")
def small_files() -> dict[str, bytes]:
    """The bytes of a small state dict in each format."""
    import tempfile

    state = {"a.weight": torch.rand(4, 3), "a.bias": torch.rand(4)}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder, "zip"))
        torch.save(state, Path(folder, "legacy"), _use_new_zipfile_serialization=False)
        save_file(state, Path(folder, "safetensors"))
        return {name: Path(folder, name).read_bytes() for name in ("zip", "legacy", "safetensors")}


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@given(share=st.floats(0.0, 1.0, exclude_max=True))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_short_anywhere_is_refused(tmp_path, small_files, form, share):
    content = small_files[form]
    path = tmp_path / "cut.pth"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError):
        read_state(path)


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_gives_weights_or_a_model_error_and_nothing_else(tmp_path, small_files, form, data):
    content = bytearray(small_files[form])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    try:
        result = read_state(path)
    except ModelError:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in result.values())


def test_sizes_are_limited(tmp_path, state, monkeypatch):
    path = tmp_path / "a.pth"
    torch.save(state, path)
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="the limit is"):
        read_state(path)


def test_a_zip_that_unpacks_to_more_than_the_limit_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "trap.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(5_000_000))
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 1_000_000)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ModelError, match="would unpack"):
        read_state(path)


def test_names_that_lead_out_of_an_archive_lead_nowhere(tmp_path, state):
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    path = folder / "slip.pth"
    torch.save(state, path)
    link = zipfile.ZipInfo("archive/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../slipped", b"evil")
        archive.writestr("archive/../../../slipped", b"evil")
        archive.writestr(str(tmp_path / "slipped"), b"evil")
        archive.writestr(link, str(tmp_path / "slipped"))
    with contextlib.suppress(ModelError):
        assert read_state(path).keys() == state.keys()
    assert [p.name for p in tmp_path.rglob("*")] == ["deep", "down", "slip.pth"]


def test_nothing_in_the_program_unpacks_archives_or_pickles(repo_root):
    """What is never unpacked cannot slip out of its folder."""
    for package in ("app", "engine", "models"):
        for file in (repo_root / package).rglob("*.py"):
            text = file.read_text("utf-8")
            for call in (".extract(", "extractall", "unpack_archive", "pickle.load", "Unpickler(", "allow_pickle=True"):
                assert call not in text, f"{file} has {call}"
            assert "torch.load" not in text or "weights_only=True" in text, file


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {},
        {"state_dict": {}},
        {"a": 1},
        {"a": torch.eye(2).to_sparse()},
        {"a": torch.ones(2, dtype=torch.int32)},
    ],
)
def test_only_named_tensors_are_weights(tmp_path, content):
    path = tmp_path / "a.pth"
    torch.save(content, path)
    with pytest.raises(ModelError):
        read_state(path)


def test_missing_extra_and_misshapen_tensors_are_named(tmp_path, state):
    changed = dict(state)
    del changed["backbone.4.0.conv1.weight"]
    changed["head.weight"] = torch.zeros(1)
    changed["backbone.1.weight"] = torch.zeros(7)
    torch.save(changed, tmp_path / "a.pth")
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "a.pth")
    for told in ("missing: backbone.4.0.conv1.weight", "unexpected: head.weight", "backbone.1.weight is 7, not 64"):
        assert told in caught.value.message


def test_a_long_list_of_faults_is_cut(tmp_path):
    torch.save({"something": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"and \d+ more") as caught:
        load(tmp_path / "a.pth")
    assert len(caught.value.message) < 400


def test_the_depth_must_fit(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="does not fit the network tvos-resnet50"):
        load(tmp_path / "a.pth", "tvos-resnet50")


def test_values_that_are_not_numbers_are_refused(tmp_path, state):
    broken = {**state, "backbone.0.weight": torch.full((64, 3, 7, 7), float("nan"))}
    torch.save(broken, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="not numbers"):
        load(tmp_path / "a.pth")


def test_imagenet_weights_alone_cannot_track(tmp_path):
    plain = {"conv1.weight": torch.zeros(64, 3, 7, 7), "layer4.0.conv1.weight": torch.zeros(512, 256, 3, 3)}
    torch.save(plain, tmp_path / "plain.pth")
    renamed = {"backbone.0.weight": torch.zeros(64, 3, 7, 7), "backbone.7.0.conv2.weight": torch.zeros(512, 512, 3, 3)}
    torch.save(renamed, tmp_path / "renamed.pth")
    for path in tmp_path.iterdir():
        with pytest.raises(ModelError, match=r"ImageNet classifier.*stay random") as caught:
            load(path)
        assert "resnet50" in caught.value.way_out


def test_a_network_that_was_never_trained_is_refused(tmp_path, state):
    torch.save(TvosNetwork(18).state_dict(), tmp_path / "fresh.pth")
    with pytest.raises(ModelError, match=r"untrained layers \(backbone.7.0.bn1, .*random"):
        load(tmp_path / "fresh.pth")


def test_a_network_with_imagenet_trunk_and_random_end_is_refused(tmp_path, state):
    """What a training script saves when it is stopped before the first step."""
    fresh = TvosNetwork(18).state_dict()
    start = {key: fresh[key] if key.startswith("backbone.7.") else value for key, value in state.items()}
    torch.save({"epoch": 0, "state_dict": start}, tmp_path / "start.pth")
    with pytest.raises(ModelError, match=r"untrained layers \(backbone.7"):
        load(tmp_path / "start.pth")
