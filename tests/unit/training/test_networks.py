from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18, resnet50

from engine.errors import ModelError
from engine.training.config import NetworkConfig, TrainingConfig
from engine.training.model import ClipModel
from engine.training.networks import HalfNetwork, PaperNetwork, TrainableNetwork, build_network
from engine.training.start import load_start, needs_projection
from models.registry import load_embedder
from models.resnet_half import WEIGHTS_FILE

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def imagenet18() -> State:
    torch.manual_seed(0)
    return resnet18(weights=None).state_dict()


def _half(**options: object) -> TrainableNetwork:
    torch.manual_seed(1)
    return build_network(NetworkConfig(name="resnet50-half", **options))  # type: ignore[arg-type]


def _paper18(**options: object) -> PaperNetwork:
    torch.manual_seed(1)
    network = build_network(NetworkConfig(name="tvos-resnet18", **options))  # type: ignore[arg-type]
    assert isinstance(network, PaperNetwork)
    return network


def _save(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def _prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


# -- what is exported is what the tracker loads ----------------------------------------------------------------------
def test_the_half_network_embeds_as_the_exported_embedder(tmp_path: Path) -> None:
    network = _half(logit_scale=25.0)
    load_start(network, "resnet50-half")
    save_file(network.export_state(), tmp_path / "model.safetensors")
    embedder = load_embedder("resnet50-half", "cpu", torch.float32, tmp_path / "model.safetensors")
    rgb = torch.rand(1, 3, 40, 56)
    with torch.no_grad():
        assert torch.allclose(network(rgb)[0][0], embedder.embed(rgb), atol=1e-5)
    assert embedder.logit_scale == pytest.approx(25)


def test_starting_from_the_bundled_weights_changes_nothing() -> None:
    network = _half()
    assert "projection" in load_start(network, "resnet50-half")
    assert not needs_projection(network)
    bundled = load_embedder("resnet50-half", "cpu", torch.float32)
    rgb = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(network(rgb)[0][0], bundled.embed(rgb), atol=1e-5)


def test_the_papers_network_embeds_as_the_exported_embedder(tmp_path: Path) -> None:
    network = _paper18()
    for _ in range(2):
        network(torch.rand(2, 3, 32, 32))  # running statistics: an untrained network is refused
    network.eval()
    save_file(network.export_state(), tmp_path / "model.safetensors")
    embedder = load_embedder("tvos-resnet18", "cpu", torch.float32, tmp_path / "model.safetensors")
    rgb = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        expected = network(rgb)[0][0]
        assert torch.allclose(expected, embedder.embed(rgb), atol=1e-4)
        own = network.embedder(torch.device("cpu"), torch.float32)
        assert torch.allclose(expected, own.embed(rgb), atol=1e-4)
    network.train()
    network(rgb)  # the embedder was made of copies: training goes on


# -- frozen parts, precision -----------------------------------------------------------------------------------------
def test_frozen_parts_get_no_gradient_and_keep_their_batchnorm() -> None:
    network = _paper18(frozen=("stem", "layer1"))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(torch.rand(2, 3, 32, 32))[0].square().mean().backward()
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any(name.startswith("net.backbone.5.") for name in moved)
    assert not any(name.startswith(("net.backbone.0.", "net.backbone.1.", "net.backbone.4.")) for name in moved)
    with_gradient = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert {name.split(".")[2] for name in with_gradient} == {"5", "6", "7"}


@pytest.mark.parametrize("name", ["resnet50-half", "tvos-resnet18"])
def test_reduced_precision_keeps_fp32_parameters_and_nearly_the_same_gradients(name: str) -> None:
    config = TrainingConfig(network=NetworkConfig(name=name))
    torch.manual_seed(0)
    network = build_network(config.network)
    if isinstance(network, HalfNetwork):
        load_start(network, "resnet50-half")
    rgb = torch.rand(2, 3, 32, 32)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        model = ClipModel(network, config, dtype)
        network.zero_grad()
        embedding, _ = model.embed(rgb)
        assert embedding.dtype == dtype or dtype == torch.bfloat16
        (embedding.float() * torch.linspace(-1, 1, embedding.numel()).reshape(embedding.shape)).sum().backward()
        stage = dict(network.named_parameters())[
            "net.layer3.0.conv1.weight" if "half" in name else "net.backbone.7.1.conv2.weight"
        ]
        assert stage.dtype == torch.float32
        assert stage.grad is not None
        assert stage.grad.dtype == torch.float32
        gradients.append(stage.grad.flatten().clone())
    assert float(torch.nn.functional.cosine_similarity(gradients[0], gradients[1], dim=0)) > 0.98


# -- where training starts -------------------------------------------------------------------------------------------
def _torchvision(state: State) -> object:
    return state


def _moco_v1(state: State) -> object:
    head = {"fc.weight": torch.zeros(128, 512), "fc.bias": torch.zeros(128)}
    trunk = {key: tensor for key, tensor in state.items() if not key.startswith("fc.")}
    wrong = {key: tensor + 1 if tensor.is_floating_point() else tensor for key, tensor in trunk.items()}
    content = _prefixed(trunk | head, "module.encoder_q.") | _prefixed(wrong | head, "module.encoder_k.")
    content |= {"module.queue": torch.zeros(128, 65), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    return {"epoch": 200, "arch": "resnet18", "state_dict": content, "optimizer": {"state": {}, "param_groups": []}}


def _moco_v2(state: State) -> object:
    content = _moco_v1(state)
    assert isinstance(content, dict)
    inner = {key: tensor for key, tensor in content["state_dict"].items() if ".fc." not in key}
    for encoder in ("q", "k"):
        for layer, shape in (("0", (512, 512)), ("2", (128, 512))):
            inner[f"module.encoder_{encoder}.fc.{layer}.weight"] = torch.zeros(shape)
            inner[f"module.encoder_{encoder}.fc.{layer}.bias"] = torch.zeros(shape[0])
    return content | {"state_dict": inner}


def _instdisc(state: State) -> object:
    trunk = {key: tensor for key, tensor in state.items() if not key.startswith("fc.")}
    trunk |= {"fc.weight": torch.zeros(128, 512), "fc.bias": torch.zeros(128)}
    return {"epoch": 200, "arch": "resnet18", "state_dict": _prefixed(trunk, "module."), "best_prec1": 46.5}


@pytest.mark.parametrize("form", [_torchvision, _moco_v1, _moco_v2, _instdisc])
def test_pretrained_trunks_are_found_under_their_names(
    form: Callable[[State], object], imagenet18: State, tmp_path: Path
) -> None:
    network = _paper18()
    layer4 = network.net.backbone[7].state_dict()["0.conv1.weight"].clone()
    told = load_start(network, _save(tmp_path / "start.pth.tar", form(imagenet18)))
    assert "layer4 start at random" in told
    state = network.export_state()
    for index, name in ((0, "conv1"), (1, "bn1"), (4, "layer1"), (5, "layer2"), (6, "layer3")):
        for key, tensor in imagenet18.items():
            if key.startswith(f"{name}."):
                assert torch.equal(state[f"backbone.{index}.{key.partition('.')[2]}"], tensor), key
    assert torch.equal(state["backbone.7.0.conv1.weight"], layer4)


def test_the_full_resnet_50_of_moco_fits_the_papers_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = {key: tensor for key, tensor in resnet50(weights=None).state_dict().items() if not key.startswith("fc.")}
    network = build_network(NetworkConfig())
    load_start(network, _save(tmp_path / "moco.pth.tar", {"state_dict": _prefixed(state, "module.encoder_q.")}))
    found = network.export_state()
    assert torch.equal(found["backbone.6.5.conv3.weight"], state["layer3.5.conv3.weight"])
    assert torch.equal(found["backbone.4.0.downsample.1.running_var"], state["layer1.0.downsample.1.running_var"])


def test_a_checkpoint_of_the_reference_fits_whole(tmp_path: Path) -> None:
    former = _paper18()
    content = {"epoch": 3, "state_dict": _prefixed(former.export_state(), "module."), "optimizer": {}, "scheduler": {}}
    torch.manual_seed(9)
    network = build_network(NetworkConfig(name="tvos-resnet18"))
    assert load_start(network, _save(tmp_path / "checkpoint.pth.tar", content)).startswith("All weights")
    assert all(torch.equal(tensor, former.export_state()[key]) for key, tensor in network.export_state().items())


def test_a_bare_trunk_asks_for_a_projection(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    trunk = {
        key: value for key, value in load_file(WEIGHTS_FILE).items() if not key.startswith(("projection", "logit"))
    }
    save_file(trunk, tmp_path / "trunk.safetensors")
    network = _half()
    load_start(network, str(tmp_path / "trunk.safetensors"))
    assert needs_projection(network)
    narrow = _half(projection_channels=32)
    load_start(narrow, "resnet50-half")
    assert needs_projection(narrow)
    assert not needs_projection(_half())  # scratch: random, and to be trained as it is


@pytest.mark.parametrize(
    ("name", "start", "told"),
    [
        ("tvos-resnet50", "resnet50-half", "different networks"),
        ("resnet50-half", "imagenet", "different networks"),
        ("tvos-resnet18", "imagenet", "not in the registry"),
        ("tvos-resnet50", "tvos-resnet50", "no weights of its own"),
        ("tvos-resnet50", "imagnet", "Use scratch, imagenet"),
        ("tvos-resnet50", "gone.pth", "no weights file"),
    ],
)
def test_impossible_starts_are_told(name: str, start: str, told: str) -> None:
    with torch.device("meta"):
        network = (
            PaperNetwork(NetworkConfig(name=name)) if name.startswith("tvos") else HalfNetwork(NetworkConfig(name=name))
        )
    with pytest.raises(ModelError, match=told):
        load_start(network, start)


def test_weights_of_another_depth_are_refused(imagenet18: State, tmp_path: Path) -> None:
    with torch.device("meta"):
        network = PaperNetwork(NetworkConfig())
    with pytest.raises(ModelError, match="does not fit"):
        load_start(network, _save(tmp_path / "r18.pth", imagenet18))
