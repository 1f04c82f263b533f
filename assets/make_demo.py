"""Renders the bundled sample clip: two hot-air balloons drifting over a morning valley (numpy and OpenCV only).

Everything in the picture is computed here, so the clip is free of anybody's rights (CC0, see NOTICE) and its masks
are exact. ``python assets/make_demo.py`` writes ``demo.mp4`` and ``demo_mask.png`` again; tests use `ground_truth`.

Object 1 is the red balloon, object 2 the blue one, which passes partly behind it; a birch passes in front of both.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from demo_scenery import (
    FPS,
    FRAME_COUNT,
    HEIGHT,
    SUPERSAMPLE,
    WIDTH,
    Floats,
    background,
    camera_pan,
    colour,
    foreground,
    mix,
    smoothstep,
)
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


# -- the balloons --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Pose:
    """Where a balloon is: centre of the envelope, radius (output pixels), roll and spin about its axis (radians)."""

    x: float
    y: float
    radius: float
    roll: float
    spin: float


@dataclass(frozen=True)
class Balloon:
    object_id: int
    gores: int
    cloth: tuple[str, str]
    band: str
    haze: float  # 0..1, how much the air lightens it

    def pose(self, index: int) -> Pose:
        t = index / FPS  # seconds
        if self.object_id == 1:  # drifts left to right and comes nearer
            return Pose(
                x=218 + 17 * t + 6 * math.sin(0.9 * t),
                y=176 - 4 * t + 7 * math.sin(1.15 * t),
                radius=76 + 1.6 * t,
                roll=math.radians(5 * math.sin(1.3 * t)),
                spin=0.10 * t,
            )
        return Pose(
            x=500 - 30 * t + 4 * math.sin(0.8 * t + 1),
            y=100 - 7 * t + 4 * math.sin(1.4 * t),
            radius=47 + 0.5 * t,
            roll=math.radians(4 * math.sin(1.0 * t + 2)),
            spin=-0.12 * t,
        )


BALLOONS = (
    Balloon(2, 16, ("#2d5fa8", "#f2efe6"), "#e4a52c", 0.18),
    Balloon(1, 18, ("#c23227", "#f1b53a"), "#5b1f3c", 0.03),
)  # far to near


def _profile(v: Floats) -> Floats:
    """Half-width of the envelope at height v (both in radii; v = -1 crown, 0 equator, 1.42 mouth)."""
    top = np.sqrt(np.clip(1 - v**2, 0, 1))
    taper = np.cos(np.clip(v, 0, 1.42) * (math.pi / 2) / 1.62)
    return np.where(v < 0, top, np.where(v <= 1.42, taper, 0)).astype(np.float32)


def _paint_balloon(balloon: Balloon, pose: Pose) -> Floats:
    """Supersampled H x W x 4 picture of one balloon, straight alpha."""
    rows, columns = HEIGHT * SUPERSAMPLE, WIDTH * SUPERSAMPLE
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    scale = pose.radius * SUPERSAMPLE
    dx = (x + 0.5 - pose.x * SUPERSAMPLE) / scale
    dy = (y + 0.5 - pose.y * SUPERSAMPLE) / scale
    u = math.cos(pose.roll) * dx + math.sin(pose.roll) * dy
    v = -math.sin(pose.roll) * dx + math.cos(pose.roll) * dy
    half = _profile(v)
    edge = np.clip((half - np.abs(u)) * scale + 0.5, 0, 1) * (half > 0)
    across = np.clip(u / np.maximum(half, 1e-3), -1, 1)
    longitude = np.arcsin(across)
    gore = (longitude + pose.spin) * balloon.gores / (2 * math.pi)
    stripe = np.floor(gore).astype(np.int32) % 2
    a, b, band = colour(balloon.cloth[0]), colour(balloon.cloth[1]), colour(balloon.band)
    rgb = np.where(stripe[..., None] == 0, a, b)
    zigzag = 0.12 * np.abs((gore % 1) * 2 - 1)
    ring = (v > 0.30 + zigzag) & (v < 0.62 + zigzag)
    rgb = np.where((ring & (stripe == 0))[..., None], b, rgb)
    rgb = np.where((ring & (stripe == 1))[..., None], a, rgb)
    crown = v < -0.80 + 0.04 * np.cos(2 * math.pi * gore)
    rgb = np.where((crown | (v > 1.10))[..., None], band, rgb)
    # Light from the upper left; every gore bulges a little, seams are dark, the cloth shines towards the sun.
    bulge = 0.34 * np.sin(2 * math.pi * ((gore % 1) - 0.5))
    normal_x = np.sin(longitude + bulge * 0.5)
    normal_y = np.clip(v * 0.80, -1, 1)
    normal_z = np.sqrt(np.clip(1 - across**2, 0, 1)) * np.sqrt(np.clip(1 - normal_y**2, 0, 1))
    lambert = np.clip(-0.58 * normal_x - 0.50 * normal_y + 0.64 * normal_z, 0, 1)
    seam = np.exp(-((np.minimum(gore % 1, 1 - gore % 1) / 0.05) ** 2)) * smoothstep(0.99, 0.7, np.abs(across))
    light = (0.40 + 0.78 * lambert) * (1 - 0.28 * seam)
    shine = 0.30 * np.clip(lambert - 0.80, 0, 1) / 0.20
    rgb = rgb * light[..., None] * np.array([1.05, 1.0, 0.94], np.float32) + shine[..., None]
    rgba = np.dstack([rgb, edge]).astype(np.float32)

    # Ropes and basket, drawn in the balloon's own axes.
    def point(pu: float, pv: float) -> tuple[int, int]:
        px = pose.x * SUPERSAMPLE + scale * (math.cos(pose.roll) * pu - math.sin(pose.roll) * pv)
        py = pose.y * SUPERSAMPLE + scale * (math.sin(pose.roll) * pu + math.cos(pose.roll) * pv)
        return round(px * 16), round(py * 16)

    under = np.zeros_like(rgba)
    thickness = max(2, round(scale / 34))
    for pu in (-0.17, -0.06, 0.06, 0.17):
        cv2.line(under, point(pu * 1.15, 1.38), point(pu, 1.66), [0.24, 0.18, 0.13, 1.0], thickness, cv2.LINE_AA, 4)
    basket = np.array([point(-0.20, 1.62), point(0.20, 1.62), point(0.17, 1.90), point(-0.17, 1.90)], np.int32)
    cv2.fillConvexPoly(under, basket, [0.47, 0.30, 0.16, 1.0], cv2.LINE_AA, 4)
    weave = 0.82 + 0.30 * ((np.floor(u * 26) + np.floor(v * 26)) % 2) - 0.6 * np.clip(u + 0.05, 0, 0.4)
    rim = [point(-0.21, 1.64), point(0.21, 1.64)]
    under[..., :3] *= weave[..., None]
    cv2.line(under, rim[0], rim[1], [0.33, 0.19, 0.10, 1.0], thickness + 1, cv2.LINE_AA, 4)
    under[..., :3] /= np.maximum(under[..., 3:], 1e-3)
    cover = rgba[..., 3:]
    out = under[..., 3:] * (1 - cover)
    alpha = cover + out
    picture = (rgba[..., :3] * cover + under[..., :3] * out) / np.maximum(alpha, 1e-4)
    picture = mix(picture, colour("#d9dfe2"), balloon.haze)
    return np.dstack([np.clip(picture, 0, 1), alpha]).astype(np.float32)


def _over(below: Floats, layer: Floats) -> Floats:
    return below + (layer[..., :3] - below) * layer[..., 3:]


def _shadow(index: int) -> Floats:
    """Supersampled H x W darkness of the balloons' shadows on the meadow."""
    y, x = np.mgrid[0 : HEIGHT * SUPERSAMPLE, 0 : WIDTH * SUPERSAMPLE].astype(np.float32) / SUPERSAMPLE
    dark = np.zeros_like(x)
    for balloon in BALLOONS:
        pose = balloon.pose(index)
        cx, cy = pose.x + 62, 322 + 0.10 * (pose.radius - 58)
        reach = ((x - cx) / (pose.radius * 0.95)) ** 2 + ((y - cy) / (pose.radius * 0.20)) ** 2
        dark = np.maximum(dark, 0.48 * smoothstep(1.35, 0.45, reach))
    return dark


# -- frames and masks ----------------------------------------------------------------------------------------
def _shrink(picture: Floats) -> Floats:
    return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def _compose(index: int, wanted: str) -> Floats | Bytes:
    pan = camera_pan(index)
    trunk = foreground().view(pan)
    balloons = [(balloon.object_id, _paint_balloon(balloon, balloon.pose(index))) for balloon in BALLOONS]
    if wanted == "mask":
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for object_id, picture in balloons:
            mask[_shrink(picture[..., 3]) > 0.5] = object_id
        mask[_shrink(trunk[..., 3]) > 0.5] = 0
        return mask
    layers = [layer.view(pan) for layer in background()]
    rgb = layers[0][..., :3]
    for layer in layers[1:]:
        rgb = _over(rgb, layer)
    rgb = rgb * (1 - _shadow(index) * layers[-1][..., 3])[..., None]
    for _, picture in balloons:
        rgb = _over(rgb, picture)
    return _over(rgb, trunk)


def render(index: int) -> Bytes:
    """Frame `index` of the clip, H x W x 3 RGB: scene, gentle lens blur, vignette, sensor noise."""
    rgb = _shrink(_compose(index, "rgb"))
    rgb = cv2.GaussianBlur(rgb, (0, 0), 0.45)
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    rgb = rgb * (1 - 0.16 * smoothstep(0.6, 1.9, (x * x + y * y).astype(np.float32)))[..., None]
    noise = np.random.default_rng(1000 + index).normal(0, 1.3 / 255, rgb.shape)
    return (np.clip(rgb + noise, 0, 1) * 255 + 0.5).astype(np.uint8)


def ground_truth(index: int) -> Bytes:
    """Exact mask of frame `index`, H x W object ids: what is visible of each balloon (basket and ropes included)."""
    mask = _compose(index, "mask")
    return np.asarray(mask, np.uint8)


def encode(frames: Iterable[Bytes], path: Path, crf: int = 17) -> None:
    """Write frames as H.264 in MP4 (one thread, so that the file comes out the same each time)."""
    import av

    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        options = {"crf": str(crf), "preset": "veryslow", "threads": "1"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write into")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from engine.video.masks import write_mask

    write_mask(out / "demo_mask.png", ground_truth(0))
    encode((render(index) for index in range(FRAME_COUNT)), out / "demo.mp4")
    print(f"wrote {out / 'demo.mp4'} ({(out / 'demo.mp4').stat().st_size / 1e6:.2f} MB) and {out / 'demo_mask.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
