"""An embedder with something done around its calls, whatever kind of embedder it is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.embedder import Embedder

Call = Callable[..., Any]

CALLS = ("embed", "embed_detailed")
"""What makes an embedding; an embedder has the first, and may have the second."""


def wrapped(embedder: Embedder, around: Callable[[Call], Call]) -> Embedder:
    """A copy of `embedder` (the weights are shared) with `around` applied to each of its `CALLS`."""
    clone = copy.copy(embedder)
    for name in CALLS:
        call = getattr(embedder, name, None)
        if call is not None:
            setattr(clone, name, around(call))
    return clone
