"""The Engine menu: model, working size, live rate, device, backend, recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QObject
from PyQt6.QtGui import QActionGroup
from PyQt6.QtWidgets import QFileDialog, QMenu, QWidget

from app.bridge import EngineBridge
from app.i18n import told
from app.settings import Settings
from engine.project.state import ProjectEngine
from engine.runtime.catalog import (
    CatalogModel,
    list_backends,
    list_devices,
    list_live_rates,
    list_models,
    list_recipes,
    list_working_sizes,
)
from engine.runtime.config import EngineConfig

_DEVICE_NAMES = {"auto": "&Auto", "cpu": "&CPU", "cuda": "&NVIDIA GPU (CUDA)", "mps": "Apple &GPU (MPS)"}
_BACKEND_NAMES = {
    "auto": "&Auto (the fastest here)",
    "torch": "&PyTorch",
    "onnx": "&ONNX Runtime",
    "onnx-int8": "ONNX Runtime, &int8",
}


def merged_config(options: EngineConfig, settings: Settings) -> EngineConfig:
    """What to start with: what the command line says, else what was chosen last."""
    known = {model.name for model in list_models()}
    model = settings.model if settings.model in known else None
    weights = settings.weights if model is not None else None
    recipe = settings.recipe if settings.recipe in list_recipes() else None
    size = settings.working_size if settings.working_size in list_working_sizes() else None
    rate = settings.live_rate if settings.live_rate in (None, *list_live_rates()) else options.live_rate
    if options.model is not None:
        model, weights = options.model, options.weights
    return EngineConfig(
        model=model,
        recipe=options.recipe or recipe,
        device=settings.device if options.device == "auto" else options.device,
        working_size=options.working_size or size,
        weights=options.weights or weights,
        live_rate=rate,
        backend=(settings.backend if settings.backend in list_backends() else "auto")
        if options.backend == "auto"
        else options.backend,
    )


class EngineMenu(QObject):
    """Fills the sub-menus, applies and remembers what is chosen."""

    def __init__(
        self, menus: dict[str, QMenu], bridge: EngineBridge, settings: Settings, config: EngineConfig, window: QWidget
    ) -> None:
        super().__init__(window)
        self._bridge = bridge
        self._settings = settings
        self._config = config
        self._window = window
        self._groups: list[QActionGroup] = []
        self._fill_models(menus["model"])
        sizes: list[tuple[str, int | None]] = [(self.tr("&Auto"), None)]
        sizes += [(f"{size} px", size) for size in list_working_sizes()]
        self._fill(menus["working_size"], sizes, config.working_size, self.choose_working_size)
        rates: list[tuple[str, float | None]] = [(f"{rate:.0f} fps", rate) for rate in list_live_rates()]
        rates.append((self.tr("As &fast as it can"), None))
        self._fill(menus["live_rate"], rates, config.live_rate, self.choose_live_rate)
        live_rate = menus["live_rate"].menuAction()
        assert live_rate is not None  # a menu has an action
        self._live_rate = live_rate
        tip = self.tr("Live tracking chooses the largest working size that holds this rate, while that is automatic")
        for action in menus["live_rate"].actions():
            action.setToolTip(tip)
        self._enable_live_rate()
        devices = [(told(_DEVICE_NAMES[name]), name) for name in list_devices()]
        self._fill(menus["device"], devices, config.device, self.choose_device)
        backends = [(told(_BACKEND_NAMES[name]), name) for name in list_backends()]
        self._fill(menus["backend"], backends, config.backend, self.choose_backend)
        recipes: list[tuple[str, str | None]] = [(self.tr("As the &model suggests"), None)]
        recipes += [(name, name) for name in list_recipes()]
        self._fill(menus["recipe"], recipes, config.recipe, self.choose_recipe)

    @property
    def config(self) -> EngineConfig:
        return self._config

    def _fill(self, menu: QMenu, entries: list, chosen: object, choose: Callable) -> None:  # type: ignore[type-arg]
        group = QActionGroup(self)
        self._groups.append(group)
        for text, value in entries:
            action = menu.addAction(text)
            assert action is not None
            action.setCheckable(True)
            action.setChecked(value == chosen)
            action.setData(value)
            group.addAction(action)
            action.triggered.connect(lambda _checked=False, value=value: choose(value))

    def _fill_models(self, menu: QMenu) -> None:
        models = list_models()
        default = next(model.name for model in models if model.default)
        self._models = {model.name: model for model in models}
        entries = [(self._model_text(model), model.name) for model in models]
        self._fill(menu, entries, self._config.model or default, self.choose_model)
        self._model_group = self._groups[-1]
        for action in self._model_group.actions():
            model = self._models[action.data()]
            quality = f"{self.tr('Quality')}: {told(model.quality)}"
            action.setToolTip(f"{told(model.summary)}\n{quality}\n{self.tr('Licence')}: {model.licence}")

    def _model_text(self, model: CatalogModel) -> str:
        note = self.tr("your checkpoint…") if model.needs_weights else told(model.availability)
        return f"{model.name}  ({note})"

    # -- choices -----------------------------------------------------------------------------------------------
    def choose_model(self, name: str) -> None:
        model = self._models[name]
        weights: Path | None = None
        if model.needs_weights:
            path, _ = QFileDialog.getOpenFileName(
                self._window,
                self.tr("Weights for %1").replace("%1", name),
                self._settings.last_folder("weights"),
                self.tr("Weights (*.pth *.pt *.tar *.safetensors *.onnx);;All files (*)"),
            )
            if not path:
                self._check_model()
                return
            weights = Path(path)
            self._settings.set_last_folder("weights", weights.parent)
        self._settings.model = None if model.default else name
        self._settings.weights = weights
        self._apply(replace(self._config, model=None if model.default else name, weights=weights))

    def _check_model(self) -> None:
        """Tick the model in use again."""
        default = next(model.name for model in self._models.values() if model.default)
        for action in self._model_group.actions():
            action.setChecked(action.data() == (self._config.model or default))

    def choose_working_size(self, size: int | None) -> None:
        self._settings.working_size = size
        self._apply(replace(self._config, working_size=size))

    def choose_live_rate(self, rate: float | None) -> None:
        self._settings.live_rate = rate
        self._apply(replace(self._config, live_rate=rate))

    def _enable_live_rate(self) -> None:
        """A size that is fixed leaves nothing to choose."""
        self._live_rate.setEnabled(self._config.working_size is None)

    def choose_device(self, device: str) -> None:
        self._settings.device = device
        self._apply(replace(self._config, device=device))

    def choose_backend(self, backend: str) -> None:
        self._settings.backend = backend
        self._apply(replace(self._config, backend=backend))

    def choose_recipe(self, recipe: str | None) -> None:
        self._settings.recipe = recipe
        self._apply(replace(self._config, recipe=recipe))

    def adopt(self, engine: ProjectEngine) -> None:
        """A project brought its own choices, which the engine follows already: tick them."""
        chosen = (engine.model, engine.recipe, engine.working_size)
        if chosen == (self._config.model, self._config.recipe, self._config.working_size):
            return
        self._config = replace(
            self._config, model=engine.model, recipe=engine.recipe, working_size=engine.working_size, weights=None
        )
        _models, sizes, _devices, recipes = self._groups
        self._check_model()
        for group, value in ((sizes, engine.working_size), (recipes, engine.recipe)):
            for action in group.actions():
                action.setChecked(action.data() == value)

    def _apply(self, config: EngineConfig) -> None:
        if config != self._config:
            self._config = config
            self._bridge.configure(config)
            self._enable_live_rate()
