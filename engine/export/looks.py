"""How a frame comes out: the pictures that the writers encode and that the preview shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.export.request import Value
from engine.export.shapes import measure, polygons
from engine.types import Mask, Rgb
from engine.video.masks import davis_palette
from engine.video.overlay import compose_overlay

Picture = NDArray[np.uint8]  # H x W x 3 RGB, or H x W x 4 RGBA
Options = Mapping[str, Value]
Palette = NDArray[np.uint8]
Look = Callable[[Rgb, Mask, Options, Palette], Picture]

PLAIN = {"green": (0, 177, 64), "black": (0, 0, 0), "white": (255, 255, 255)}  # the green of chroma key cloth
_BLUR = 1 / 40  # sigma of the blurred scene, of the height
_SPILL = 8  # pixels of the frame kept around a cut-out: the encoder blends colours of neighbouring pixels


def alpha_of(mask: Mask, feather: int) -> NDArray[np.uint8]:
    """H x W, 255 where any object is; with `feather` pixels the edge falls off softly, half of it on either side."""
    alpha = np.where(mask > 0, np.uint8(255), np.uint8(0))
    if feather <= 0:
        return alpha
    size = 2 * feather + 1  # two boxes in a row make a smooth ramp
    soft = cv2.blur(cv2.blur(alpha, (size, size), borderType=cv2.BORDER_REPLICATE), (size, size),
                    borderType=cv2.BORDER_REPLICATE)  # fmt: skip
    return np.asarray(soft, np.uint8)


def overlay(rgb: Rgb, mask: Mask, options: Options, palette: Palette) -> Picture:
    opacity = int(options.get("opacity", 50)) / 100
    return compose_overlay(rgb, mask, palette, opacity, outline=bool(options.get("outline", True)))


def background(rgb: Rgb, mask: Mask, options: Options, palette: Palette) -> Picture:
    name = str(options["background"])
    behind = blurred(rgb) if name == "blur" else np.broadcast_to(np.array(PLAIN[name], np.uint8), rgb.shape)
    alpha = alpha_of(mask, int(options.get("feather", 0)))[..., None].astype(np.uint16)
    return ((rgb * alpha + behind * (255 - alpha) + 127) // 255).astype(np.uint8)


def blurred(rgb: Rgb) -> Rgb:
    """A wide blur, computed small: it looks the same and takes a fraction of the time."""
    height, width = rgb.shape[:2]
    factor = max(1, round(height * _BLUR / 4))
    small = cv2.resize(rgb, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(0.8, height * _BLUR / factor))
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def cutout(rgb: Rgb, mask: Mask, options: Options, palette: Palette) -> Picture:
    """RGBA. Straight alpha keeps the colours of the frame a little beyond the edge, so that no dark rim shows."""
    alpha = alpha_of(mask, int(options.get("feather", 0)))
    if options.get("alpha") == "premultiplied":
        wide = alpha[..., None].astype(np.uint16)
        colours = ((rgb * wide + 127) // 255).astype(np.uint8)
    else:
        kernel = np.ones((2 * _SPILL + 1, 2 * _SPILL + 1), np.uint8)
        near = cv2.dilate(alpha, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        colours = np.where(np.asarray(near)[..., None] > 0, rgb, np.uint8(0))
    return np.dstack([colours, alpha])


def matte(rgb: Rgb, mask: Mask, options: Options, palette: Palette) -> Picture:
    return np.repeat(alpha_of(mask, int(options.get("feather", 0)))[..., None], 3, axis=2)


def palette_colours(rgb: Rgb, mask: Mask, options: Options, palette: Palette) -> Picture:
    return davis_palette()[mask]


def gif(rgb: Rgb, mask: Mask, options: Options, palette: Palette) -> Picture:
    picture = {"overlay": overlay, "cutout": cutout, "matte": matte}[str(options["content"])](
        rgb, mask, options, palette
    )
    if options["width"] == "source":
        return picture
    width = min(int(options["width"]), picture.shape[1])
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    if (width, height) == (picture.shape[1], picture.shape[0]):
        return picture
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def boxes(rgb: Rgb, mask: Mask, options: Options, palette: Palette) -> Picture:
    """What a data file says of a frame, drawn: masks and boxes."""
    picture = compose_overlay(rgb, mask, palette, 0.35)
    line = max(1, round(rgb.shape[0] / 270))
    for shape in measure(mask):
        x, y, width, height = shape.box
        colour = tuple(int(c) for c in palette[shape.id])
        cv2.rectangle(picture, (x, y), (x + width - 1, y + height - 1), colour, line)
    return picture


def contours(rgb: Rgb, mask: Mask, options: Options, palette: Palette) -> Picture:
    """The outlines that a labelling program will show."""
    picture = compose_overlay(rgb, mask, palette, 0.25, outline=False)
    line = max(1, round(rgb.shape[0] / 360))
    for shape in measure(mask):
        colour = tuple(int(c) for c in palette[shape.id])
        for points in polygons(mask == shape.id):
            corners: Any = np.round(np.asarray(points)).astype(np.int32)
            cv2.polylines(picture, [corners.reshape(-1, 1, 2)], True, colour, line, cv2.LINE_AA)
    return picture


LOOKS: dict[str, Look] = {
    "overlay": overlay,
    "background": background,
    "cutout": cutout,
    "matte": matte,
    "palette": palette_colours,
    "gif": gif,
    "boxes": boxes,
    "contours": contours,
}
