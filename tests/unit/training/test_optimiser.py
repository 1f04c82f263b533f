import pytest
import torch

from engine.training.config import NetworkConfig, OptimiserConfig
from engine.training.networks import build_network
from engine.training.optimiser import MovingAverage, build_optimiser, schedule_factor


def test_the_papers_schedule_is_pytorchs_cosine() -> None:
    config = OptimiserConfig()
    steps = 50
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, steps, config.min_lr)
    for step in range(steps):
        assert config.lr * schedule_factor(step, steps, config) == pytest.approx(scheduler.get_last_lr()[0])
        sgd.step()
        scheduler.step()


def test_warm_up_rises_to_the_peak_and_the_decay_falls_from_it() -> None:
    for schedule in ("cosine", "poly"):
        config = OptimiserConfig(warm_up=4, schedule=schedule, min_lr=0.0)  # type: ignore[arg-type]
        factors = [schedule_factor(step, 20, config) for step in range(21)]
        assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
        assert factors[4:] == sorted(factors[4:], reverse=True)
        assert factors[20] == pytest.approx(0)
    assert schedule_factor(19, 20, OptimiserConfig(schedule="constant")) == 1


def test_groups_have_their_learning_rates_and_decay() -> None:
    network = build_network(NetworkConfig(name="resnet50-half", frozen=("stem",), learn_logit_scale=True))
    config = OptimiserConfig(kind="adamw", lr=3e-4, trunk_lr=3e-5, decay_vectors=False, weight_decay=0.01, min_lr=0.0)
    optimiser = build_optimiser(network, config)
    group_of = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    names = dict(network.named_parameters())
    assert group_of[id(names["projection.weight"])]["peak"] == 3e-4
    assert group_of[id(names["projection.weight"])]["weight_decay"] == 0.01
    assert group_of[id(names["log_scale"])]["weight_decay"] == 0
    assert group_of[id(names["projection.mean2"])]["weight_decay"] == 0
    assert group_of[id(names["net.layer3.0.conv1.weight"])]["peak"] == 3e-5
    assert id(names["net.conv1.weight"]) not in group_of
    assert len(group_of) == sum(p.requires_grad for p in network.parameters())


def test_the_papers_optimiser_decays_everything_alike() -> None:
    network = build_network(NetworkConfig(name="tvos-resnet18"))
    optimiser = build_optimiser(network, OptimiserConfig())
    assert isinstance(optimiser, torch.optim.SGD)
    assert {group["weight_decay"] for group in optimiser.param_groups} == {3e-4}
    assert {group["peak"] for group in optimiser.param_groups} == {0.02}
    assert all(group["nesterov"] and group["momentum"] == 0.9 for group in optimiser.param_groups)


def test_the_moving_average_follows_the_weights() -> None:
    layer = torch.nn.BatchNorm2d(1)
    average = MovingAverage(layer, decay=0.5)
    values = [1.0, 3.0, -2.0]
    expected = 1.0
    for step, value in enumerate(values):
        layer.weight.data.fill_(value)
        layer(torch.rand(2, 1, 4, 4))
        average.update(layer, step)
        expected = 0.5 * expected + 0.5 * value
    assert float(average.state["weight"]) == pytest.approx(expected)
    assert int(average.state["num_batches_tracked"]) == 3
