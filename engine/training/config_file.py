"""Read a training configuration from TOML or JSON, and change single options from the command line."""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.training import config as schema
from engine.training.config import TrainingConfig

BUNDLED = Path(__file__).parent / "configs"
DEFAULT = "paper.toml"


class ConfigError(UserError):
    """A training configuration is unreadable or asks for something impossible."""


def read_config(name: str = DEFAULT, overrides: Sequence[str] = ()) -> TrainingConfig:
    """The configuration in a file, with single options changed.

    Args:
        name: a bundled file ("paper.toml", "half.toml") or a path to a .toml or .json file. A path wins.
        overrides: "section.option=value" each; the value as in TOML, quotes around words optional.

    Raises:
        ConfigError: no such file, not TOML or JSON, unknown or impossible options.
    """
    return build_config(_read(_find(name)), overrides)


def build_config(data: Mapping[str, object], overrides: Sequence[str] = ()) -> TrainingConfig:
    """Sections and options as read from a file -> checked configuration; errors as `read_config`."""
    sections: dict[str, dict[str, object]] = {}
    for section, options in data.items():
        _known(section, [f.name for f in dataclasses.fields(TrainingConfig)], "section")
        if not isinstance(options, Mapping):
            raise ConfigError(f"{section} must be a section of the configuration, not a value.", f"Write [{section}].")
        sections[section] = dict(options)
    for override in overrides:
        key, equals, text = override.partition("=")
        section, dot, option = key.strip().partition(".")
        if not (equals and dot):
            raise ConfigError(f"--set {override} cannot be read.", "Write --set section.option=value.")
        _known(section, [f.name for f in dataclasses.fields(TrainingConfig)], "section")
        sections.setdefault(section, {})[option] = _parse_value(text.strip())
    classes = typing.get_type_hints(TrainingConfig)
    try:
        parts = {name: _build(classes[name], name, options) for name, options in sections.items()}
        return TrainingConfig(**parts)
    except ValueError as error:
        raise ConfigError(f"The training configuration does not work: {error}.", "See docs/training.md.") from error


def _build(cls: Any, section: str, options: Mapping[str, object]) -> Any:
    hints = typing.get_type_hints(cls, vars(schema))
    values = {}
    for option, value in options.items():
        _known(option, list(hints), f"option of [{section}]")
        values[option] = _convert(value, hints[option], f"{section}.{option}")
    return cls(**values)


def _convert(value: object, hint: Any, name: str) -> object:
    """`value` as the type `hint`; ValueError where that loses something."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value not in arguments:
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(str, arguments))}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value in (None, "none"):
            return None
        return _convert(value, next(a for a in arguments if a is not type(None)), name)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            value = [value]
        items = [_convert(item, arguments[0], name) for item in value]
        if arguments[-1] is not Ellipsis and len(items) != len(arguments):
            raise ValueError(f"{name} must be {len(arguments)} values")
        return tuple(items)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
        raise ValueError(f"{name} is {value!r}; it must be {kinds[hint]}")
    return value


def _known(name: str, names: Sequence[str], what: str) -> None:
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(names)}."
        raise ConfigError(f"{name!r} is no {what} of the training configuration.", hint)


def _parse_value(text: str) -> object:
    if text in ("none", ""):
        return None if text else ""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if text.startswith("["):
            return [_parse_value(part.strip()) for part in text.strip("[]").split(",") if part.strip()]
        return text.strip("'\"")


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    bundled = BUNDLED / name
    if path.parent == Path() and bundled.is_file():
        return bundled
    raise ConfigError(
        f"There is no training configuration {name}.",
        f"Bundled: {', '.join(sorted(p.name for p in BUNDLED.glob('*.toml')))}; or name a .toml or .json file.",
    )


def _read(path: Path) -> Mapping[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The training configuration {path} cannot be read.", "It must be UTF-8 text.") from error
    try:
        data = json.loads(text) if path.suffix.lower() == ".json" else _toml().loads(text)
    except ValueError as error:  # JSONDecodeError and TOMLDecodeError both are
        raise ConfigError(f"{path.name} has a mistake: {error}.", "Mend the file.") from error
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path.name} holds no sections.", "See docs/training.md.")
    return data


def _toml() -> Any:
    import importlib

    for module in ("tomllib", "tomli"):  # tomllib came with Python 3.11
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError:
            continue
    raise ConfigError("This Python cannot read TOML.", "Install tomli, or give the configuration as JSON.")
