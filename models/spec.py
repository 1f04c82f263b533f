"""What is known about a model before it is loaded. No torch here: menus and tables read these."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# torch.hub puts the first eight hex digits in the file name; fewer would not be a check.
_MIN_DIGEST = 8
_FULL_DIGEST = 64


@dataclass(frozen=True)
class WeightsFile:
    """A weights file and how to recognise it.

    Attributes:
        filename: name inside the cache (or `models/weights/` when bundled); never a path.
        sha256: hex digest, or its first digits (at least 8) where only those are published.
        size_bytes: exact size; downloads beyond it (plus a small margin) are cut off.
        urls: mirrors in the order to try, https only (http on the loopback is let through for tests); empty when the
            file cannot be downloaded.
    """

    filename: str
    sha256: str
    size_bytes: int
    urls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.filename or set(self.filename) & set("/\\:\0") or self.filename.startswith("."):
            raise ValueError(f"{self.filename!r} is not a plain file name")
        if not _MIN_DIGEST <= len(self.sha256) <= _FULL_DIGEST or set(self.sha256) - set(string.hexdigits.lower()):
            raise ValueError(f"{self.sha256!r} is not (the start of) a lower-case SHA-256")
        if self.size_bytes <= 0:
            raise ValueError("size_bytes must be positive")

    def matches(self, digest: str) -> bool:
        """True when the hex SHA-256 `digest` is this file's."""
        return digest.startswith(self.sha256)


@dataclass(frozen=True)
class ModelSpec:
    """One line of the registry.

    Attributes:
        name: what the user types and the menu shows.
        summary: one clause on what it is.
        source: where network and weights come from.
        licence: of the weights.
        channels: C of the embedding.
        input_note: what the network does to the 0..1 RGB it is given.
        quality: how well it tracks, with the data set and who measured it; never a guess.
        build: "module:function"; the function is called as
            ``build(name, device=..., dtype=..., weights=Path | None, **options)`` and returns an `Embedder`.
        default_recipe: name of the propagation recipe that suits it.
        weights: the file it loads; None when the user must bring one.
        bundled: the weights lie in `models/weights/`.
        supports_tracking: False for a network that is kept to be measured but must not be offered for tracking.
        options: further keyword arguments for `build`.
    """

    name: str
    summary: str
    source: str
    licence: str
    channels: int
    input_note: str
    quality: str
    build: str
    default_recipe: str
    weights: WeightsFile | None = None
    bundled: bool = False
    supports_tracking: bool = True
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bundled and self.weights is None:
            raise ValueError(f"{self.name} is bundled but names no file")
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    @property
    def sha256(self) -> str | None:
        return self.weights.sha256 if self.weights else None

    @property
    def size_bytes(self) -> int | None:
        return self.weights.size_bytes if self.weights else None

    @property
    def needs_user_weights(self) -> bool:
        """True when nothing is bundled and nothing can be downloaded: the user passes ``--weights FILE``."""
        return not self.bundled and (self.weights is None or not self.weights.urls)

    @property
    def availability(self) -> str:
        """Short text for a table: "bundled", "download, 98 MiB" or "your file (--weights)"."""
        if self.bundled:
            return "bundled"
        if self.needs_user_weights or self.weights is None:
            return "your file (--weights)"
        return f"download, {self.weights.size_bytes / 2**20:.0f} MiB"
