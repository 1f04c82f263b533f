"""Which backend runs the network: what is asked for, what was measured, and what happens when neither works."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.doctor.backends import measured_backends
from engine.errors import ModelError
from engine.runtime import backend_tune, backends
from engine.runtime.backend_table import Measured, Row, choose, describe, machine_key, recall, remember, table_path
from engine.runtime.backend_tune import measure, time_in_turn
from engine.runtime.backends import key_of, load_backend, remembered
from engine.runtime.config import EngineConfig
from engine.runtime.core import SessionCore
from engine.runtime.factory import create_tracker
from engine.runtime.idle_tune import IDLE_S, IdleTune, tune_command
from engine.runtime.jobs import TrackJob
from engine.runtime.messages import Notice
from models.backends import DisagreementError

CPU = torch.device("cpu")
CONFIG = EngineConfig(device="cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIVEMASK_CACHE", str(tmp_path))
    return tmp_path


def rows(**seconds: float | None) -> list[Row]:
    return [Row(name.replace("_", "-"), took, "text") for name, took in seconds.items()]


def measured(chosen: str) -> Measured:
    return Measured(chosen, (856, 480), tuple(rows(torch=0.03, onnx=0.09, onnx_int8=0.02)))


# -- choosing ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (rows(torch=0.030, onnx=0.090, onnx_int8=0.020), "onnx-int8"),
        (rows(torch=0.030, onnx=0.090, onnx_int8=0.028), "torch"),  # within what a busy machine makes up
        (rows(torch=0.030, onnx=0.020, onnx_int8=0.025), "onnx"),
        (rows(torch=0.030, onnx=None, onnx_int8=None), "torch"),
        (rows(torch=0.030, onnx_int8=None), "torch"),
        ([], "torch"),
    ],
)
def test_the_fastest_is_chosen_when_it_clearly_is(found: list[Row], chosen: str) -> None:
    assert choose(found) == chosen


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: Callable[[], float]) -> Callable[[], None]:
        def run() -> None:
            self.now += seconds()

        return run


def test_backends_take_turns_until_the_time_is_up() -> None:
    clock = Clock()
    order: list[str] = []

    def run(name: str, seconds: float) -> Callable[[], None]:
        def work() -> None:
            order.append(name)
            clock.now += seconds * (10 if len(order) <= 2 else 1)  # the first call of each is slow

        return work

    times = time_in_turn({"a": run("a", 0.1), "b": run("b", 0.2)}, clock, budget_s=5.0)
    assert times == {"a": pytest.approx(0.1), "b": pytest.approx(0.2)}
    assert order == ["a", "b"] * (len(order) // 2)
    assert 5.0 <= clock.now < 5.3


def test_a_slow_machine_is_measured_a_few_times_and_a_fast_one_not_for_ever() -> None:
    clock = Clock()
    calls = []
    time_in_turn({"a": clock.spend(lambda: calls.append(1) or 60.0)}, clock)  # type: ignore[func-returns-value]
    assert len(calls) == 5
    calls.clear()
    time_in_turn({"a": clock.spend(lambda: calls.append(1) or 0.0)}, clock)  # type: ignore[func-returns-value]
    assert len(calls) < 100


def test_one_disturbed_frame_does_not_decide() -> None:
    clock = Clock()
    takes = iter([0.1] * 4 + [9.0] + [0.1] * 1000)
    assert time_in_turn({"a": clock.spend(lambda: next(takes))}, clock)["a"] == pytest.approx(0.1)


# -- remembering ---------------------------------------------------------------------------------------------------
def test_what_was_measured_is_remembered_for_this_machine_only() -> None:
    key = machine_key("m", "0" * 64, "cpu", "Processor", 2)
    assert recall(key) is None
    assert remember(key, measured("onnx-int8"))
    assert recall(key) == measured("onnx-int8")
    others = [
        machine_key("m", "0" * 64, "cpu", "Processor", 3), machine_key("m", "1" * 64, "cpu", "Processor", 2),
        machine_key("m", "0" * 64, "cuda:0 Card", "Processor", 2), machine_key("m", "0" * 64, "cpu", "Other", 2),
    ]  # fmt: skip
    assert [recall(other) for other in others] == [None] * 4
    assert remember(others[0], measured("torch"))
    assert remember(key, None)
    assert recall(key) is None
    assert recall(others[0]) == measured("torch")
    assert [path.name for path in table_path().parent.iterdir()] == [table_path().name]  # no half-written file


def test_versions_are_part_of_what_a_measurement_holds_for() -> None:
    from importlib.metadata import version

    assert json.loads(machine_key("m", "0", "cpu", "P", 1))["torch"] == version("torch")
    assert any(name.startswith("onnxruntime") for name in json.loads(machine_key("m", "0", "cpu", "P", 1)))


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"format": 99, "entries": {}}', '{"format": 1, "entries": 5}', '{"format": 1}', "[" * 100_000,
        '{"format": 1, "entries": {"KEY": {"chosen": "torch"}}}',
        '{"format": 1, "entries": {"KEY": {"chosen": "rm -rf", "size": [1, 2], "rows": []}}}',
        '{"format": 1, "entries": {"KEY": {"chosen": "torch", "size": "ab", "rows": [{}]}}}',
    ],
)  # fmt: skip
def test_a_damaged_table_is_as_good_as_none(text: str) -> None:
    table_path().parent.mkdir(parents=True)
    table_path().write_text(text)
    assert recall("KEY") is None
    assert remember("KEY", measured("onnx"))
    assert recall("KEY") == measured("onnx")


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIVEMASK_CACHE", str(tmp_path / "file"))
    assert not remember("KEY", measured("onnx"))
    assert recall("KEY") is None


# -- loading -------------------------------------------------------------------------------------------------------
class Loading:
    """Stands in for the loaders: what is loaded says its name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: ModelError | None = None) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.error = error
        monkeypatch.setattr(backends, "load_onnx", self.onnx)

    def onnx(self, backend: str, config: Any, device: Any, tell: Any, *, prepare: bool = True) -> Any:
        self.calls.append((backend, prepare))
        if self.error is not None:
            raise self.error
        return SimpleNamespace(name=backend, fallback_message="")

    def load(self, **changes: Any) -> tuple[str, str]:
        loaded = load_backend(replace(CONFIG, **changes), CPU, lambda: SimpleNamespace(name="torch"), None)  # type: ignore[arg-type, return-value]
        return loaded.embedder.name, loaded.notice


def test_pytorch_runs_the_network_until_something_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    loading = Loading(monkeypatch)
    assert loading.load() == ("torch", "")
    remember(key_of(CONFIG, CPU), measured("torch"))
    assert loading.load() == ("torch", "")
    assert loading.calls == []


def test_the_measured_backend_runs_it_and_nothing_is_exported_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    loading = Loading(monkeypatch)
    remember(key_of(CONFIG, CPU), measured("onnx-int8"))
    assert loading.load() == ("onnx-int8", "")
    assert loading.calls == [("onnx-int8", False)]
    assert loading.load(backend="torch") == ("torch", "")


def test_a_measured_backend_that_is_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    loading = Loading(monkeypatch, ModelError("Gone."))
    remember(key_of(CONFIG, CPU), measured("onnx"))
    assert loading.load() == ("torch", "")
    assert remembered(CONFIG) is None


def test_a_backend_that_is_asked_for_is_prepared_or_its_failure_told(monkeypatch: pytest.MonkeyPatch) -> None:
    loading = Loading(monkeypatch)
    assert loading.load(backend="onnx") == ("onnx", "")
    assert loading.calls == [("onnx", True)]
    loading.error = ModelError("Running an ONNX model needs onnxruntime.", "Run: pip install onnxruntime")
    with pytest.raises(ModelError, match="needs onnxruntime"):
        loading.load(backend="onnx")
    with pytest.raises(ModelError, match="no backend called"):
        loading.load(backend="tensorflow")


def test_int8_that_disagrees_gives_way_to_pytorch_with_a_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Loading(monkeypatch, DisagreementError("The int8 form differs too much.", "Use another."))
    tracker = create_tracker(replace(CONFIG, backend="onnx-int8"))
    assert "PyTorch" in tracker.device_text
    assert tracker.notice == "The int8 form differs too much. PyTorch runs it instead."
    assert tracker.notice in caplog.text


def test_an_exported_file_is_no_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loading = Loading(monkeypatch)
    weights = tmp_path / "model.onnx"
    assert loading.load(weights=weights) == loading.load(weights=weights, backend="onnx") == ("torch", "")
    for backend in ("torch", "onnx-int8"):
        with pytest.raises(ModelError, match="is an exported model"):
            loading.load(weights=weights, backend=backend)
    with pytest.raises(ModelError, match="is an exported model"):
        measure(replace(CONFIG, weights=weights), lambda *_: None)


# -- measuring, for real -------------------------------------------------------------------------------------------
def test_measuring_chooses_what_the_next_tracker_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real networks, small pictures, and a clock in whose time ONNX Runtime is the fastest."""
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(4)]
    monkeypatch.setattr(backend_tune, "calibration_frames", lambda: pictures)
    monkeypatch.setattr(backends, "calibration_frames", lambda: pictures)
    monkeypatch.setattr("models.backends.int8_in_hardware", lambda: False)
    clock = Clock()
    real = backend_tune._runner

    def runner(embedder: Any, rgb: torch.Tensor) -> Callable[[], None]:
        work = real(embedder, rgb)
        took = 0.1 if hasattr(embedder, "provider") else 0.3
        return clock.spend(lambda: work() or took)  # type: ignore[func-returns-value]

    monkeypatch.setattr(backend_tune, "_runner", runner)
    config = replace(CONFIG, working_size=240)
    found, kept = measure(config, lambda *_: None, clock)
    assert kept
    assert found.chosen == "onnx"
    assert found.size == (424, 240)
    assert {row.backend: row.seconds for row in found.rows} == {
        "torch": pytest.approx(0.3), "onnx": pytest.approx(0.1), "onnx-int8": None,
    }  # fmt: skip
    assert any("VNNI" in line for line in describe(found))
    tracker = create_tracker(config)
    assert "ONNX Runtime" in tracker.device_text
    assert tracker.embedder.dtype == create_tracker(replace(config, backend="torch")).embedder.dtype
    (check,) = measured_backends()
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return  # the doctor looks at the device that "auto" stands for
    assert "onnx is used" in check.detail
    assert "100.0 ms" in check.detail


def test_the_doctor_says_when_nothing_was_measured() -> None:
    (check,) = measured_backends()
    assert "main.py tune" in check.detail


# -- while the window is idle --------------------------------------------------------------------------------------
class FakeProcess:
    def __init__(self) -> None:
        self.code: int | None = None
        self.ended = False

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.ended, self.code = True, -15

    kill = terminate

    def wait(self, timeout: float | None = None) -> int:
        assert self.code is not None
        return self.code


class Idle:
    def __init__(self) -> None:
        self.clock = Clock()
        self.core = SessionCore(self.clock)
        self.core.engine_ready = True
        self.config = CONFIG
        self.chosen: str | None = None
        self.started: list[FakeProcess] = []
        self.tune = IdleTune(
            self.core, lambda: self.config, start=self.start, chosen=lambda config: self.chosen, clock=self.clock
        )

    def start(self, config: EngineConfig) -> FakeProcess:
        self.started.append(FakeProcess())
        return self.started[-1]

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.tune.look()

    def notices(self) -> list[str]:
        return [event.message for event in self.core.events.drain() if isinstance(event, Notice)]


def test_an_idle_window_measures_once_and_tells() -> None:
    idle = Idle()
    idle.pass_time(IDLE_S / 2)
    assert not idle.started
    idle.pass_time(IDLE_S)
    (process,) = idle.started
    idle.pass_time(5)
    process.code, idle.chosen = 0, "onnx-int8"
    idle.pass_time(1)
    (notice,) = idle.notices()
    assert "onnx-int8" in notice
    assert "next start" in notice
    idle.pass_time(10 * IDLE_S)
    assert len(idle.started) == 1


def test_tracking_ends_the_measuring_at_once_and_it_is_not_tried_for_ever() -> None:
    idle = Idle()
    for count in (1, 2, 3):
        idle.core.job = None
        idle.pass_time(IDLE_S)
        assert len(idle.started) == count
        idle.core.job = TrackJob(1)
        idle.pass_time(1)
        assert idle.started[-1].ended
    idle.core.job = None
    idle.pass_time(IDLE_S)
    idle.pass_time(IDLE_S)
    assert len(idle.started) == 3
    assert idle.notices() == []


@pytest.mark.parametrize(
    "config", [replace(CONFIG, backend="torch"), replace(CONFIG, weights=Path("model.onnx"))], ids=["named", "exported"]
)
def test_nothing_is_measured_when_there_is_no_choice(config: EngineConfig) -> None:
    idle = Idle()
    idle.config = config
    idle.pass_time(2 * IDLE_S)
    assert not idle.started


def test_what_is_known_or_not_ready_is_not_measured() -> None:
    idle = Idle()
    idle.core.engine_ready = False
    idle.pass_time(2 * IDLE_S)
    idle.core.engine_ready, idle.chosen = True, "torch"
    idle.pass_time(2 * IDLE_S)
    assert not idle.started


def test_closing_the_window_ends_the_measuring() -> None:
    idle = Idle()
    idle.pass_time(IDLE_S)
    idle.tune.start()
    idle.tune.stop()
    assert idle.tune.join(5)
    assert idle.started[0].ended


def test_the_command_that_is_started_is_one_of_the_program(tmp_path: Path) -> None:
    import main

    config = EngineConfig("resnet50", device="cpu", working_size=240, weights=tmp_path / "w.pth")
    _, program, name, *arguments = tune_command(config)
    assert Path(program).samefile(main.__file__)
    options = main.build_command_parser(name).parse_args(arguments)
    assert (options.model, options.device, options.size, options.weights, options.backend) == (
        "resnet50", "cpu", 240, tmp_path / "w.pth", "auto",
    )  # fmt: skip
