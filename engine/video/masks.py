"""Reading and writing mask files."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from engine.errors import MaskError, SizeMismatchError
from engine.types import MAX_OBJECT_ID, Mask
from engine.video.atomic import replacing

Palette = NDArray[np.uint8]  # 256 x 3 RGB, row = object id

_SOFT_FROM, _SOFT_TO = 64, 254  # grey values that, beside pure white, mean a soft edge and not an object id
_MOST_GREY_IDS = 100  # more different greys than this are a soft-edged mask or a photograph


def davis_palette() -> Palette:
    """256 x 3 uint8: the palette of PASCAL VOC and DAVIS.

    Rule: the bits of the id, three at a time from the lowest, become the bits of red, green and blue from the highest.
    Id 0 is black, 1 is (128, 0, 0), 2 is (0, 128, 0), 3 is (128, 128, 0).
    """
    palette = np.zeros((256, 3), np.uint8)
    ids = np.arange(256)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((ids >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


def read_mask(
    path: Path | bytes, frame_size: tuple[int, int] | None = None, resize: bool = False, *, may_be_empty: bool = False
) -> Mask:
    """H x W uint8 object ids of a mask image.

    What the pixels mean:
      - palette images: the indices are the ids (a palette of greys counts as a grey image);
      - black and white: white is object 1;
      - grey: 255 as the only value but 0 is object 1; 255 beside values of 64..254, or more than 100 values, is a
        soft-edged mask (above 127 is object 1); otherwise the values are the ids;
      - RGB: DAVIS palette colours are their ids; other colours get ids 1, 2, ... in order of first appearance (row by
        row), black is background; equal channels count as grey unless they are palette colours;
      - with an alpha channel (or a transparent colour) that is not opaque everywhere: what is opaque by more than half
        is object 1, or, where all of it has colours of the DAVIS palette, the objects of those colours.

    Args:
        path: a file, or the bytes of one (from the clipboard).
        frame_size: (width, height) the mask must have, None accepts any.
        resize: scale a mask of another size (nearest neighbour) instead of refusing it.
        may_be_empty: accept a mask without objects, as every data set has them.

    Raises:
        MaskError: missing, unreadable or empty file, more than 255 colours, or no object in it.
        SizeMismatchError: another size than `frame_size` and `resize` is False.
    """
    name = "from the clipboard" if isinstance(path, bytes) else path.name
    mask = _ids(_load(path, name), name)
    if not may_be_empty and not mask.any():
        raise MaskError(f"There is no object in the mask {name}: it is all background.", "Choose another mask.")
    size = (int(mask.shape[1]), int(mask.shape[0]))
    if frame_size is not None and size != frame_size:
        if not resize:
            raise SizeMismatchError(size, frame_size, "Let it be resized, or choose a mask of the frame's size.")
        mask = cv2.resize(mask, frame_size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)
        if not may_be_empty and not mask.any():
            raise MaskError(f"The objects of the mask {name} vanish when it is resized.", "Choose a larger mask.")
    return mask


def write_mask(path: Path, mask: Mask) -> None:
    """Write an 8-bit palette PNG whose indices are the object ids, with the DAVIS palette.

    The file appears under its name only when it is complete. Errors of the file system (OSError) pass through.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise ValueError(f"a mask is H x W uint8, got {mask.shape} {mask.dtype}")
    image = Image.fromarray(np.ascontiguousarray(mask))
    image.putpalette(_PALETTE_BYTES)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG", compress_level=6)


_PALETTE_BYTES = davis_palette().tobytes()


def _load(path: Path | bytes, name: str) -> Image.Image:
    try:
        if (len(path) if isinstance(path, bytes) else path.stat().st_size) == 0:
            raise MaskError(f"The mask {name} is empty (0 bytes).", "Choose another file.")
        with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path) as image:
            image.load()
            return ImageOps.exif_transpose(image) if image.format == "JPEG" else image.copy()
    except FileNotFoundError:
        raise MaskError(f"There is no file {path!s}.", "Check the name and the folder.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MaskError(f"The mask {name} cannot be read as an image.", "Save it as PNG.") from error


def _ids(image: Image.Image, name: str) -> Mask:
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode == "P" and not _has_grey_palette(image):
        return np.array(image, dtype=np.uint8)
    if image.mode == "1":
        return np.array(image, dtype=np.uint8)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        alpha = np.array(image.getchannel("A") if "A" in image.getbands() else image.getchannel("a"), dtype=np.uint8)
        if (alpha < 255).any():
            return _ids_of_opaque(np.array(image.convert("RGBA"), dtype=np.uint8)[..., :3], alpha > 127)
        image = image.convert("L" if image.mode in ("LA", "La") else "RGB")
    if image.mode == "P" or image.mode == "L":
        return _ids_of_greys(np.array(image.convert("L")), name)
    if image.mode.startswith("I") or image.mode == "F":
        return _ids_of_greys(np.array(image), name)
    return _ids_of_colours(np.array(image.convert("RGB"), dtype=np.uint8), name)


def _has_grey_palette(image: Image.Image) -> bool:
    """A full ramp of greys, as programs write that store grey images with a palette; a short palette is one of ids."""
    palette = np.array(image.getpalette("RGB") or (), dtype=np.uint8).reshape(-1, 3)
    return bool(len(palette) == 256 and (palette == np.arange(256, dtype=np.uint8)[:, None]).all())


def _ids_of_greys(grey: NDArray[np.generic], name: str) -> Mask:
    values = np.unique(grey)
    shown = values[values != 0]
    if len(shown) == 0:
        return np.zeros(grey.shape, np.uint8)
    if len(shown) == 1 and shown[0] >= MAX_OBJECT_ID:  # white: 255, or 65535 in 16-bit files
        return np.asarray(grey != 0, dtype=np.uint8)
    if grey.dtype != np.uint8:
        if shown[0] < 0 or shown[-1] > MAX_OBJECT_ID or (shown % 1 != 0).any():
            raise MaskError(f"The mask {name} holds values beyond 0 to {MAX_OBJECT_ID}.", "Save it as an 8-bit PNG.")
        grey = grey.astype(np.uint8)
    edge = (shown >= _SOFT_FROM) & (shown <= _SOFT_TO)
    if (shown[-1] == MAX_OBJECT_ID and edge.any()) or len(shown) > _MOST_GREY_IDS:
        return (np.asarray(grey) > 127).astype(np.uint8)
    return np.asarray(grey, dtype=np.uint8)


def _ids_of_opaque(rgb: NDArray[np.uint8], opaque: NDArray[np.bool_]) -> Mask:
    colours, inverse = np.unique(rgb[opaque], axis=0, return_inverse=True)
    known = {tuple(colour): i for i, colour in enumerate(davis_palette().tolist()) if i}
    found = [known.get(tuple(colour), 0) for colour in colours.tolist()]
    ids = opaque.astype(np.uint8)
    if found and all(found):  # a picture of masks; a cut-out of the object itself has colours of its own
        ids[opaque] = np.array(found, dtype=np.uint8)[inverse.reshape(-1)]
    return ids


def _ids_of_colours(rgb: NDArray[np.uint8], name: str) -> Mask:
    packed = (rgb[..., 0].astype(np.uint32) << 16) | (rgb[..., 1].astype(np.uint32) << 8) | rgb[..., 2]
    colours, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    palette = davis_palette().astype(np.uint32)
    known = {int(code): i for i, code in enumerate((palette[:, 0] << 16) | (palette[:, 1] << 8) | palette[:, 2])}
    if all(int(colour) in known for colour in colours):
        ids = np.array([known[int(colour)] for colour in colours], dtype=np.uint8)
    elif (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all():
        return _ids_of_greys(rgb[..., 0], name)
    elif len(colours) - int(colours[0] == 0) > MAX_OBJECT_ID:
        raise MaskError(
            f"The mask {name} has more than {MAX_OBJECT_ID} colours: it looks like a photograph, not a mask.",
            "Choose a PNG mask with one plain colour per object.",
        )
    else:
        ids = np.zeros(len(colours), np.uint8)
        in_order = [i for i in np.argsort(first) if colours[i] != 0]
        ids[in_order] = np.arange(1, len(in_order) + 1, dtype=np.uint8)
    return np.asarray(ids[inverse.reshape(packed.shape)], dtype=np.uint8)
