"""Masks in about a kilobyte: runs of equal object ids in reading order, then zlib.

Measured on 68 masks of DAVIS-2016 at 854 x 480 (mean bytes, median encoding time on one core): this 1069 bytes, 0.16 ms
(0.07 ms to decode); zlib level 1 alone 5045 bytes, 0.55 ms; PNG 3427 bytes, 0.71 ms.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from engine.types import Mask

_LEVEL = 1  # higher levels save under 10 % of a kilobyte


@dataclass(frozen=True)
class EncodedMask:
    """A compressed mask; immutable, so that threads may share it.

    Attributes:
        height, width: pixels.
        data: zlib of the run lengths (uint32, byte planes apart) followed by the run values (uint8).
        object_ids: ids with at least one pixel, ascending, without the background.
    """

    height: int
    width: int
    data: bytes
    object_ids: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return len(self.data)


def encode_mask(mask: Mask) -> EncodedMask:
    """Compress an H x W uint8 mask without loss."""
    if mask.ndim != 2 or mask.dtype != np.uint8 or mask.size == 0:
        raise ValueError(f"a mask is H x W uint8, got {mask.shape} {mask.dtype}")
    flat = np.ascontiguousarray(mask).reshape(-1)
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(starts, append=flat.size).astype("<u4")
    return _pack(mask.shape[0], mask.shape[1], lengths, flat[starts])


def decode_mask(encoded: EncodedMask) -> Mask:
    """The exact mask that went in; H x W uint8, read-only."""
    lengths, values = _unpack(encoded)
    mask = np.repeat(values, lengths).reshape(encoded.height, encoded.width)
    mask.setflags(write=False)
    return mask


def checked_mask(height: int, width: int, data: bytes) -> EncodedMask:
    """The mask that `data` of unknown origin holds, unpacked once within bounds to see that it is one.

    Raises:
        ValueError: it is no mask of this size. The caller has limited the size itself.
    """
    if height < 1 or width < 1:
        raise ValueError(f"a mask of {width} x {height} pixels")
    limit = 5 * height * width
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(data, limit)  # no more than this, whatever the data would swell to
    except zlib.error as error:
        raise ValueError(f"damaged data ({error})") from error
    if not unpacker.eof or unpacker.unused_data or not raw or len(raw) % 5:
        raise ValueError("the data does not end where a mask of this size does")
    lengths, values = _runs(raw)
    if int(lengths.astype(np.uint64).sum()) != height * width or not lengths.all():
        raise ValueError("the runs do not fill the mask")
    return EncodedMask(height, width, data, tuple(int(i) for i in np.unique(values) if i))


def without_objects(encoded: EncodedMask, object_ids: frozenset[int]) -> EncodedMask:
    """The same mask with the pixels of these objects turned to background (the very same value if there are none)."""
    return turned_into(encoded, object_ids, 0)


def turned_into(encoded: EncodedMask, object_ids: frozenset[int], into: int) -> EncodedMask:
    """The same mask with the pixels of these objects turned to id `into` (the very same value if there are none)."""
    if not object_ids.intersection(encoded.object_ids):
        return encoded
    lengths, values = _unpack(encoded)
    values = np.where(np.isin(values, list(object_ids)), np.uint8(into), values)
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))  # equal neighbours become one run
    lengths, values = np.add.reduceat(lengths, starts).astype("<u4"), values[starts]
    return _pack(encoded.height, encoded.width, lengths, values)


def _pack(height: int, width: int, lengths: np.ndarray[tuple[int], np.dtype[np.uint32]], values: Mask) -> EncodedMask:
    planes = np.ascontiguousarray(lengths.view(np.uint8).reshape(-1, 4).T)  # high bytes are almost all 0: they vanish
    present = np.unique(values)
    return EncodedMask(
        height=height,
        width=width,
        data=zlib.compress(planes.tobytes() + values.tobytes(), _LEVEL),
        object_ids=tuple(int(i) for i in present if i),
    )


def _unpack(encoded: EncodedMask) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint32]], Mask]:
    return _runs(zlib.decompress(encoded.data))


def _runs(data: bytes) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint32]], Mask]:
    raw = np.frombuffer(data, np.uint8)
    runs = raw.size // 5
    lengths = np.ascontiguousarray(raw[: 4 * runs].reshape(4, runs).T).view("<u4").reshape(-1)
    return lengths, raw[4 * runs :]
