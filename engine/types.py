"""Immutable values that cross thread borders. No torch here: the app imports this module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from engine.object_state import ObjectState

Rgb = NDArray[np.uint8]  # H x W x 3
Mask = NDArray[np.uint8]  # H x W object ids, 0 = background

MAX_OBJECT_ID = 255


def _freeze(array: NDArray[np.uint8]) -> None:
    array.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        index: number in the source, from 0, in presentation order (live sources count captured frames, drops included).
        time_s: presentation time in seconds from the start of the source (live: `time.monotonic()` at capture).
        rgb: H x W x 3 uint8, C-contiguous; made read-only here, so nobody can alter a frame another thread holds.
        small: the same picture at the size a tracker works at, made ahead (`engine.preparing`); None: not yet made.
    """

    index: int
    time_s: float
    rgb: Rgb
    small: Rgb | None = None

    def __post_init__(self) -> None:
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8:
            raise ValueError(f"a frame is H x W x 3 uint8, got {self.rgb.shape} {self.rgb.dtype}")
        if not self.rgb.flags.c_contiguous:
            object.__setattr__(self, "rgb", np.ascontiguousarray(self.rgb))
        _freeze(self.rgb)
        if self.small is not None:
            _freeze(self.small)

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return self.rgb.nbytes + (0 if self.small is None else self.small.nbytes)


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """A frame and its mask, which never part.

    Attributes:
        frame: the very frame the mask was made for.
        mask: H x W uint8 object ids at the frame's own size; read-only.
        confidence: object id -> 0..1, how likely this object's mask is right (IoU of at least one half).
        states: object id -> what that means to the user; of a lost object the mask shows nothing.
        timings: stage name -> seconds (preprocess, embed, propagate, upsample).
        is_keyframe: True when the user gave (part of) this mask.
    """

    frame: Frame
    mask: Mask
    confidence: Mapping[int, float] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    is_keyframe: bool = False
    states: Mapping[int, ObjectState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mask.shape != self.frame.rgb.shape[:2] or self.mask.dtype != np.uint8:
            raise ValueError(f"mask {self.mask.shape} {self.mask.dtype} does not fit frame {self.frame.rgb.shape}")
        _freeze(self.mask)
        object.__setattr__(self, "confidence", MappingProxyType(dict(self.confidence)))
        object.__setattr__(self, "timings", MappingProxyType(dict(self.timings)))
        object.__setattr__(self, "states", MappingProxyType(dict(self.states)))
