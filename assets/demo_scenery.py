"""The scenery of the sample clip: sky, hills, meadow and a birch as wide layers that slide past the camera.

Units: output pixels unless "supersampled" is said; the renderer works at `SUPERSAMPLE` times the output size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS, FRAME_COUNT = 640, 360, 24, 144
SUPERSAMPLE = 2

Floats = NDArray[np.float32]


# -- noise and small helpers ---------------------------------------------------------------------------------
def fractal_noise(height: int, width: int, cell: tuple[float, float], octaves: int, seed: int) -> Floats:
    """Value noise summed over octaves, about 0..1, H x W; `cell` is the coarsest grid cell (rows, columns)."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    weight, norm = 1.0, 0.0
    for octave in range(octaves):
        rows = max(2, math.ceil(height * 2**octave / cell[0]) + 1)
        columns = max(2, math.ceil(width * 2**octave / cell[1]) + 1)
        grid = rng.random((rows, columns), dtype=np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        norm += weight
        weight *= 0.5
    return np.clip(total / norm, 0.0, 1.0)


def colour(hexadecimal: str) -> Floats:
    """ "#rrggbb" as RGB floats in 0..1."""
    return np.array([int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)


def mix(a: Floats, b: Floats, t: Floats | float) -> Floats:
    """Linear blend of colours; `t` broadcasts over a trailing colour axis."""
    amount = np.asarray(t, np.float32)
    if amount.ndim:
        amount = amount[..., None]
    return (a + (b - a) * amount).astype(np.float32)


def smoothstep(low: float, high: float, value: Floats) -> Floats:
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return (t * t * (3 - 2 * t)).astype(np.float32)


# -- the scenery: wide layers that slide at their own pace ---------------------------------------------------
@dataclass(frozen=True)
class Layer:
    """A wide RGBA strip. `pace` is how many output pixels it moves per pixel the camera pans (1 = mid distance)."""

    rgba: Floats  # rows x columns x 4, alpha last, straight (not premultiplied)
    pace: float

    def view(self, pan: float) -> Floats:
        """The part the camera sees, supersampled H x W x 4, at sub-pixel position."""
        shift = np.float32([[1, 0, -pan * self.pace * SUPERSAMPLE], [0, 1, 0]])
        size = (WIDTH * SUPERSAMPLE, HEIGHT * SUPERSAMPLE)
        return cv2.warpAffine(self.rgba, shift, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


PAN_RANGE = 190.0  # output pixels the camera pans over the clip, at pace 1


def camera_pan(index: int) -> float:
    """Pan in output pixels at pace 1: an eased sweep with a little hand shake."""
    t = index / (FRAME_COUNT - 1)
    eased = t + 0.10 * math.sin(2 * math.pi * t) / (2 * math.pi)
    return PAN_RANGE * eased + 0.8 * math.sin(0.61 * index) + 0.5 * math.sin(1.7 * index + 1)


def _strip(pace: float) -> tuple[int, int]:
    return HEIGHT * SUPERSAMPLE, math.ceil((WIDTH + (PAN_RANGE + 4) * pace) * SUPERSAMPLE)


def _sky(pace: float) -> Layer:
    rows, columns = _strip(pace)
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None].repeat(columns, 1)
    x = np.linspace(0, 1, columns, dtype=np.float32)[None].repeat(rows, 0)
    rgb = mix(colour("#4f86c0"), colour("#a9cbe4"), smoothstep(0.0, 0.40, y))
    rgb = mix(rgb, colour("#f6dcb4"), smoothstep(0.22, 0.62, y))
    glow = np.exp(-(((x - 0.2) / 0.35) ** 2) - ((y - 0.52) / 0.22) ** 2).astype(np.float32)
    rgb = mix(rgb, colour("#fff0c9"), 0.75 * glow)
    clouds = fractal_noise(rows, columns, (150, 420), 7, seed=3)
    density = smoothstep(0.50, 0.72, clouds) * smoothstep(0.62, 0.25, y)
    lit = mix(colour("#cfd6e2"), colour("#fffaf0"), smoothstep(0.45, 0.75, np.roll(clouds, -14, axis=0)))
    rgb = rgb + (lit - rgb) * (0.85 * density)[..., None]
    return Layer(np.dstack([rgb, np.ones_like(y)]).astype(np.float32), pace)


def _ridge(rows: int, columns: int, base: float, height: float, cell: float, seed: int, sharp: float) -> Floats:
    """Height of a skyline per column, in supersampled rows from the top."""
    line = fractal_noise(4, columns, (8, cell), 6, seed)[1]
    return (rows * (base - height * (line**sharp))).astype(np.float32)


def _mountains(pace: float, base: float, height: float, cell: float, seed: int) -> Layer:
    """A rocky range: relief lit from the low sun on the left, snow on high ledges, haze towards the foot."""
    rows, columns = _strip(pace)
    line = _ridge(rows, columns, base, height, cell, seed, 1.4)
    depth = np.arange(rows, dtype=np.float32)[:, None] - line[None]
    relief = fractal_noise(rows, columns, (110, 130), 7, seed + 3)
    slope = cv2.Scharr(relief, cv2.CV_32F, 1, 0) + 0.6 * cv2.Scharr(relief, cv2.CV_32F, 0, 1)
    light = 1 + 0.30 * np.tanh(2.6 * slope) + 0.22 * (fractal_noise(rows, columns, (18, 26), 4, seed + 1) - 0.5)
    rgb = mix(colour("#7389a4"), colour("#a3b4c6"), smoothstep(0, rows * 0.30, depth))
    snow = smoothstep(0.52, 0.60, relief + 0.10 * np.tanh(slope)) * smoothstep(rows * 0.13, rows * 0.02, depth)
    rgb = mix(rgb, colour("#eef1f4"), 0.85 * snow) * light[..., None]
    return Layer(np.dstack([np.clip(rgb, 0, 1), np.clip(depth + 0.5, 0, 1)]).astype(np.float32), pace)


def _forest(
    pace: float, base: float, height: float, cell: float, seed: int, size: float, leaf: str, haze: str
) -> Layer:
    """A hill covered with conifers, drawn one by one from the skyline down; `size` is their height at the front."""
    rows, columns = _strip(pace)
    line = _ridge(rows, columns, base, height, cell, seed, 1.4)
    canvas = np.zeros((rows, columns, 4), np.float32)
    depth = np.arange(rows, dtype=np.float32)[:, None] - line[None]
    canvas[..., :3] = colour(leaf) * 0.55
    canvas[..., 3] = np.clip(depth + 0.5, 0, 1)
    rng = np.random.default_rng(seed + 50)
    count = int(columns * rows * 2.2 / size**2)
    places = sorted((float(rng.random()) ** 1.3, int(rng.integers(0, columns))) for _ in range(count))
    for down, x in places:  # far ones first
        foot = line[x] + down * rows * 0.26 + 0.30 * size
        tall = size * (0.55 + 0.55 * down) * rng.uniform(0.7, 1.25)
        half = tall * rng.uniform(0.20, 0.30)
        tint = mix(colour(leaf), colour("#b98a3c"), 0.55 if rng.random() < 0.10 else 0.12 * rng.random())
        tint = mix(tint * rng.uniform(0.75, 1.2), colour(haze), 0.42 * (1 - down))
        for tier in range(4):  # four skirts, each with a sunny left and a shady right half
            top, low = foot - tall * (1 - 0.22 * tier), foot - tall * (0.62 - 0.22 * tier)
            wide = half * (0.40 + 0.22 * tier)
            for side, light in ((-1, 1.18), (1, 0.62)):
                shape = np.array([[x, top], [x + side * wide, low], [x, low - 0.10 * tall]])
                colour_now = [*np.clip(tint * light, 0, 1).tolist(), 1.0]
                cv2.fillPoly(canvas, [np.round(shape * 16).astype(np.int32)], colour_now, cv2.LINE_AA, 4)
    return Layer(np.clip(canvas, 0, 1), pace)


def _meadow(pace: float) -> Layer:
    rows, columns = _strip(pace)
    line = _ridge(rows, columns, 0.80, 0.05, 700, 71, 1.0)
    y = np.arange(rows, dtype=np.float32)[:, None]
    depth = y - line[None]
    # Grass: noise stretched upright and coarser towards the camera, with mown stripes and a scatter of flowers.
    fine = fractal_noise(rows, columns, (22, 9), 4, 72)
    coarse = fractal_noise(rows, columns, (60, 160), 5, 73)
    near = smoothstep(0, rows * 0.22, depth)
    rgb = mix(colour("#9fae5b"), colour("#55782f"), near)
    rgb = mix(rgb, colour("#c8b765"), 0.55 * smoothstep(0.52, 0.72, coarse))
    rgb = rgb * (0.72 + 0.62 * fine * (0.5 + 0.5 * near) + 0.25 * (coarse - 0.5))[..., None]
    rng = np.random.default_rng(74)
    petals = [colour(name) for name in ("#f4e9e0", "#e8c53c", "#d9573f", "#a77ac0")]
    canvas = np.ascontiguousarray(rgb, np.float32)
    for _ in range(900):
        x = int(rng.integers(0, columns))
        row = int(line[x] + 6 + (rows - line[x]) * rng.random() ** 0.8)
        if row < rows:
            size = 1 + round(2.2 * (row - line[x]) / (rows - line[x]))
            cv2.circle(canvas, (x, row), size, petals[int(rng.integers(0, 4))].tolist(), -1, cv2.LINE_AA)
    return Layer(np.dstack([np.clip(canvas, 0, 1), np.clip(depth + 0.5, 0, 1)]).astype(np.float32), pace)


def _birch(pace: float, at: float) -> Layer:
    """The foreground: one birch, a little out of focus. `at` is its place in output pixels on the strip."""
    rows, columns = _strip(pace)
    y = np.arange(rows, dtype=np.float32)[:, None]
    x = np.arange(columns, dtype=np.float32)[None]
    centre = at * SUPERSAMPLE + 9 * np.sin(y / 210) + 0.03 * y
    half = (9 + 5 * y / rows) * SUPERSAMPLE
    across = (x - centre) / half
    alpha = np.clip((1 - np.abs(across)) * half + 0.5, 0, 1)
    bark = fractal_noise(rows, columns, (10, 46), 4, 91)
    scars = smoothstep(0.60, 0.68, fractal_noise(rows, columns, (16, 110), 3, 92))
    round_shade = np.sqrt(np.clip(1 - across**2, 0, 1)) * (0.82 - 0.30 * across)
    rgb = mix(colour("#efe6d6"), colour("#b7aa97"), smoothstep(0.35, 0.75, bark))
    rgb = mix(rgb, colour("#2e2925"), 0.9 * scars) * np.clip(0.35 + 0.75 * round_shade, 0, 1.1)[..., None]
    rgba = np.dstack([np.clip(rgb, 0, 1), alpha]).astype(np.float32)
    # Two boughs with leaves hang into the picture at the top.
    rng = np.random.default_rng(93)
    leaves = [colour(name) for name in ("#5d7a2b", "#7f9a3a", "#a8b24a", "#3f5a22")]
    for _ in range(520):
        angle, reach = rng.uniform(-0.2, math.pi + 0.2), min(rng.gamma(2.2, 20.0), 92.0) * SUPERSAMPLE
        px = int(at * SUPERSAMPLE + 1.3 * reach * math.cos(angle))
        py = int(0.36 * reach * math.sin(angle) - 6)
        if 0 <= px < columns and py >= 0:
            shade = leaves[int(rng.integers(0, 4))] * rng.uniform(0.75, 1.1)
            axes = (int(rng.integers(5, 11)), int(rng.integers(3, 6)))
            cv2.ellipse(
                rgba, (px, py), axes, float(rng.uniform(0, 180)), 0, 360, [*shade.tolist(), 1.0], -1, cv2.LINE_AA
            )
    # A trunk close to the lens is soft: blur colour and coverage together (premultiplied, or the edge would darken).
    premultiplied = rgba.copy()
    premultiplied[..., :3] *= rgba[..., 3:]
    premultiplied = cv2.GaussianBlur(premultiplied, (0, 0), 1.8)
    premultiplied[..., :3] /= np.maximum(premultiplied[..., 3:], 1e-4)
    return Layer(np.clip(premultiplied, 0, 1), pace)


@lru_cache(maxsize=1)
def background() -> tuple[Layer, ...]:
    return (
        _sky(0.15),
        _mountains(0.35, 0.66, 0.34, 620, 21),
        _forest(0.55, 0.70, 0.19, 430, 31, 40, "#5b7d6c", "#93aaa6"),
        _forest(0.80, 0.78, 0.15, 380, 41, 62, "#4b7038", "#7f9a66"),
        _meadow(1.0),
    )


@lru_cache(maxsize=1)
def foreground() -> Layer:
    return _birch(2.6, at=640.0)
