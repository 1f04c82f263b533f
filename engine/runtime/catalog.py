"""What the user may choose from before anything slow is imported: models, recipes, devices, working sizes. No torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from engine.commands.arguments import WORKING_SIZES
from engine.propagation.recipe import RECIPES
from models.backends import BACKENDS
from models.registry import DEFAULT_MODEL, get_spec, model_names

LIVE_RATES = (15.0, 24.0, 30.0)


@dataclass(frozen=True)
class CatalogModel:
    """A model as a menu shows it.

    Attributes:
        name: what `EngineConfig.model` takes.
        summary, licence, quality: one line each.
        availability: "bundled", "download, 98 MiB" or "your file (--weights)".
        needs_weights: it runs only with a weights file of the user's own (`EngineConfig.weights`).
        default: it is used when none is chosen.
    """

    name: str
    summary: str
    licence: str
    quality: str
    availability: str
    needs_weights: bool
    default: bool


def list_models() -> tuple[CatalogModel, ...]:
    """Every model that can track, the default first."""
    specs = [get_spec(name) for name in model_names()]
    return tuple(
        CatalogModel(
            name=spec.name,
            summary=spec.summary,
            licence=spec.licence,
            quality=spec.quality,
            availability=spec.availability,
            needs_weights=spec.needs_user_weights,
            default=spec.name == DEFAULT_MODEL,
        )
        for spec in specs
    )


def list_recipes() -> tuple[str, ...]:
    """Names of the recipes `EngineConfig.recipe` takes."""
    return tuple(RECIPES)


def list_devices(system: str = sys.platform) -> tuple[str, ...]:
    """Kinds of device this system can have; which of them is there is known once torch is loaded."""
    return ("auto", "cpu", "mps") if system == "darwin" else ("auto", "cpu", "cuda")


def list_backends() -> tuple[str, ...]:
    """What `EngineConfig.backend` takes."""
    return BACKENDS


def list_live_rates() -> tuple[float, ...]:
    """Frames per second that `EngineConfig.live_rate` offers, apart from None."""
    return LIVE_RATES


def list_working_sizes() -> tuple[int, ...]:
    """Short sides in pixels that `EngineConfig.working_size` offers."""
    return WORKING_SIZES
