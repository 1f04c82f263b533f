"""Small videos with known masks, made with numpy, OpenCV and PyAV, so tests need neither a data set nor ffmpeg."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """A video on disk and what is in it.

    Attributes:
        path: the video file (H.264 in MP4).
        mask_path: palette PNG of frame 0.
        masks: exact object ids of every frame, each H x W uint8.
    """

    path: Path
    mask_path: Path
    masks: tuple[Bytes, ...]
    fps: int
    width: int
    height: int


def _texture(height: int, width: int, seed: int, low: tuple[int, int, int], high: tuple[int, int, int]) -> Bytes:
    """Blotchy two-colour noise, H x W x 3."""
    rng = np.random.default_rng(seed)
    grain = sum(
        cv2.resize(
            rng.random((math.ceil(height / cell) + 1, math.ceil(width / cell) + 1)).astype(np.float32), (width, height)
        )
        for cell in (24, 12, 6)
    )
    amount = cv2.normalize(np.asarray(grain, np.float32), None, 0.0, 1.0, cv2.NORM_MINMAX)[..., None]
    return (np.float32(low) + (np.float32(high) - np.float32(low)) * amount).astype(np.uint8)


def disc_frames(count: int, width: int, height: int, objects: int = 1) -> tuple[list[Bytes], list[Bytes]]:
    """Frames (RGB) and exact masks of textured discs that drift over a textured, slowly panning ground.

    Object k circles its own centre; discs never touch, so every id is visible in every frame.
    """
    ground = _texture(height, width + count, 1, (40, 70, 40), (130, 160, 120))
    colours = (((150, 40, 30), (250, 170, 80)), ((30, 40, 150), (120, 200, 250)), ((120, 20, 120), (240, 140, 240)))
    cloths = [_texture(2 * height, 2 * width, 10 + k, *colours[k % len(colours)]) for k in range(objects)]
    frames, masks = [], []
    radius = min(width / (objects * 2 + 2), height / 4)
    yy, xx = np.mgrid[0:height, 0:width]
    for index in range(count):
        rgb = ground[:, index : index + width].copy()
        mask = np.zeros((height, width), np.uint8)
        for k in range(objects):
            angle = 0.12 * index + 2 * k
            x = width * (k + 1) / (objects + 1) + radius * 0.35 * math.cos(angle)
            y = height / 2 + radius * 0.6 * math.sin(angle)
            inside = (xx - x) ** 2 + (yy - y) ** 2 <= radius**2
            shift = np.float32([[1, 0, x - width], [0, 1, y - height]])
            rgb[inside] = cv2.warpAffine(cloths[k], shift, (width, height))[inside]
            mask[inside] = k + 1
        frames.append(rgb)
        masks.append(mask)
    return frames, masks


def encode(frames: list[Bytes], path: Path, fps: int = 24, codec: str = "libx264", **options: str) -> Path:
    """Write RGB frames as a video; ``options`` go to the encoder."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {"crf": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return path


def davis_palette() -> list[int]:
    """256 x RGB of the PASCAL VOC / DAVIS annotation palette, flat."""
    palette = np.zeros((256, 3), np.uint8)
    values = np.arange(256)
    for bit in range(3):
        for channel in range(3):
            palette[:, channel] |= (((values >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return [int(value) for value in palette.ravel()]


def write_palette_png(mask: Bytes, path: Path) -> Path:
    """An indexed PNG whose pixel values are the object ids, written by Pillow as an outside judge."""
    from PIL import Image

    image = Image.frombytes("P", (mask.shape[1], mask.shape[0]), np.ascontiguousarray(mask).tobytes())
    image.putpalette(davis_palette())
    image.save(path)
    return path


def read_indexed_png(path: Path) -> Bytes:
    """Object ids of a palette PNG, read by Pillow; fails when the file is not an indexed one."""
    from PIL import Image

    with Image.open(path) as image:
        assert image.mode == "P", f"{path.name} has mode {image.mode}, not an indexed palette"
        return np.asarray(image, np.uint8)


def make_clip(folder: Path, *, count: int, width: int, height: int, objects: int = 1, fps: int = 24) -> Clip:
    """Render, encode and write the first mask into `folder`."""
    frames, masks = disc_frames(count, width, height, objects)
    path = encode(frames, folder / "clip.mp4", fps)
    mask_path = write_palette_png(masks[0], folder / "first.png")
    return Clip(path, mask_path, tuple(masks), fps, width, height)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Region similarity J of two binary masks; 1 when both are empty."""
    union = np.logical_or(a, b).sum()
    return float(np.logical_and(a, b).sum() / union) if union else 1.0


def png_claiming(side: int) -> bytes:
    """A PNG of some bytes whose header claims side x side pixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data
