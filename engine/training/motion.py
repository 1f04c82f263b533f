"""Clips from stills: objects cut out of stills move, turn, grow and bend over a moving background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.config import IGNORE, StillsConfig
from engine.training.pictures import Picture
from engine.training.thin_plate import ThinPlate

Map = NDArray[np.float32]

_NODE = 8  # maps are computed at every so many pixels and interpolated in between
_CONTROLS = np.array([(x, y) for y in (-1.0, 0.0, 1.0) for x in (-1.0, 0.0, 1.0)])
_PLATE = ThinPlate(_CONTROLS)
_SIZES = (0.25, 0.75)  # longest side of an object, in clip sides
_APART = 0.3  # an object's own movement where the still moves as a whole, as a share of the full amounts


@dataclass(frozen=True)
class Still:
    """A picture with ids (0 background, 255 ignored)."""

    rgb: Picture
    ids: Picture

    def objects(self) -> list[int]:
        return [int(value) for value in np.unique(self.ids) if value not in (0, IGNORE)]


@dataclass(frozen=True)
class Movement:
    """Smooth movement: a pose at frame 0 and constant speeds. Lengths in pixels of the clip, angles in radians.

    Attributes:
        centre: (x, y) in the clip at frame 0.
        speed: (x, y) per frame.
        scale: clip pixels per still pixel at frame 0.
        zoom: factor per frame.
        angle, turn: at frame 0, per frame.
        shear: per frame.
        bend: 9 x 2 displacements of the thin plate's controls per frame, in half extents.
    """

    centre: tuple[float, float]
    speed: tuple[float, float]
    scale: float
    zoom: float
    angle: float
    turn: float
    shear: float
    bend: NDArray[np.float64]

    def matrix(self, time: float) -> NDArray[np.float64]:
        """2 x 2 from still (about its pivot) to clip."""
        angle = self.angle + self.turn * time
        size = self.scale * self.zoom**time
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.asarray(size * turn @ np.array([[1.0, self.shear * time], [0.0, 1.0]]))

    def position(self, time: float) -> NDArray[np.float64]:
        return np.array(self.centre) + np.array(self.speed) * time


def random_movement(
    rng: np.random.Generator, centre: tuple[float, float], scale: float, size: int, config: StillsConfig, amount: float
) -> Movement:
    """Speeds drawn evenly from the ranges of `config`, times `amount`."""

    def draw(limit: float) -> float:
        return float(rng.uniform(-limit, limit)) * amount

    return Movement(
        centre=centre,
        speed=(draw(config.shift) * size, draw(config.shift) * size),
        scale=scale,
        zoom=float(np.exp(draw(np.log1p(config.zoom)))),
        angle=0.0,
        turn=np.deg2rad(draw(config.turn)),
        shear=draw(config.shear),
        bend=rng.uniform(-1, 1, (9, 2)) * config.bend * amount * 2,
    )


@dataclass(frozen=True)
class Layer:
    """Something that moves: pixels, how much of each is there, and its labels.

    Attributes:
        alpha: H x W float32, None for a background that is everywhere (mirrored beyond its borders).
        ids: H x W uint8 labels.
        pivot: (x, y) of the still that `movement` moves about.
        extent: half the layer's size in still pixels; the unit of bending.
    """

    rgb: Picture
    alpha: Map | None
    ids: Picture
    pivot: tuple[float, float]
    extent: float
    movement: Movement
    blurred: bool = False

    def draw(self, canvas: Picture, labels: Picture, time: float) -> None:
        """Paint the layer at `time` (in frames) onto `canvas` (S x S x 3) and `labels` (S x S)."""
        map_x, map_y = self._source_map(len(canvas), time)
        if self.alpha is None:
            canvas[:] = cv2.remap(self.rgb, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            labels[:] = cv2.remap(self.ids, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
            return
        rgb = cv2.remap(self.rgb, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.remap(self.alpha, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        ids = cv2.remap(self.ids, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        if self.blurred:
            kernel = line_kernel(self.movement.speed)
            rgb, alpha = cv2.filter2D(rgb, -1, kernel), cv2.filter2D(alpha, -1, kernel)
        x, y, width, height = cv2.boundingRect((alpha > 0).view(np.uint8))
        box = np.s_[y : y + height, x : x + width]
        share = alpha[box][..., None]
        canvas[box] = (canvas[box] * (1 - share) + rgb[box] * share + 0.5).astype(np.uint8)
        np.copyto(labels[box], ids[box], where=alpha[box] >= 0.5)

    def _source_map(self, size: int, time: float) -> tuple[Map, Map]:
        """Where in the still each clip pixel comes from: the affine movement undone, then the bending."""
        nodes = _nodes(size)
        inverse = np.linalg.inv(self.movement.matrix(time))
        local = (nodes - self.movement.position(time)) @ inverse.T / self.extent  # in half extents about the pivot
        # Beyond the controls a thin plate runs away; there the bending of the nearest inner point is taken.
        bent = local + _PLATE.displacement(np.clip(local, -1.5, 1.5), self.movement.bend * time)
        source = bent * self.extent + np.array(self.pivot)
        count = int(len(nodes) ** 0.5)
        coarse = source.reshape(count, count, 2).astype(np.float32)
        fine: Map = np.asarray(cv2.remap(coarse, *_pixel_nodes(size), cv2.INTER_LINEAR), np.float32)
        return fine[..., 0], fine[..., 1]


@lru_cache(maxsize=4)
def _nodes(size: int) -> NDArray[np.float64]:
    line = np.arange(-(-size // _NODE) + 1) * float(_NODE)
    x, y = np.meshgrid(line, line)
    return np.stack([x.ravel(), y.ravel()], 1)


@lru_cache(maxsize=4)
def _pixel_nodes(size: int) -> tuple[Map, Map]:
    line = np.arange(size, dtype=np.float32) / _NODE
    x, y = np.meshgrid(line, line)
    return x.astype(np.float32), y.astype(np.float32)


def line_kernel(speed: tuple[float, float]) -> Map:
    """A kernel that smears along the movement over half a frame's way (a shutter open half the time)."""
    length = float(np.hypot(*speed)) / 2
    half = min(max(round(length / 2), 1), 12)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    direction = np.array(speed) / max(float(np.hypot(*speed)), 1e-6) * half
    middle = np.array([half, half])
    start, end = np.rint(middle - direction).astype(int), np.rint(middle + direction).astype(int)
    cv2.line(kernel, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])), 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def background_layer(still: Still, size: int, rng: np.random.Generator, config: StillsConfig) -> Layer:
    """The whole still, its objects filled in from their surroundings, as a moving background without labels."""
    height, width = still.ids.shape
    scale = size / min(height, width) * rng.uniform(1.0, 1.4)
    room_x, room_y = width * scale - size, height * scale - size
    centre = (size / 2 + rng.uniform(-0.5, 0.5) * room_x, size / 2 + rng.uniform(-0.5, 0.5) * room_y)
    movement = random_movement(rng, (float(centre[0]), float(centre[1])), scale, size, config, config.camera)
    pivot = ((width - 1) / 2, (height - 1) / 2)
    return Layer(still.rgb, None, np.zeros_like(still.ids), pivot, max(height, width) / 2, movement)


def filled(still: Still) -> Still:
    """The still without its objects: their pixels are guessed from around them, at a quarter of the size."""
    hole = cv2.dilate((still.ids != 0).astype(np.uint8), np.ones((5, 5), np.uint8))
    height, width = hole.shape
    small_size = (max(width // 4, 1), max(height // 4, 1))
    small = cv2.resize(still.rgb, small_size, interpolation=cv2.INTER_AREA)
    small_hole = (cv2.resize(hole.astype(np.float32), small_size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    guess = cv2.resize(cv2.inpaint(small, small_hole, 3, cv2.INPAINT_TELEA), (width, height))
    return Still(np.where(hole[..., None] > 0, guess, still.rgb), still.ids)


def object_layer(
    still: Still, chosen: list[int], label: int | None, size: int, rng: np.random.Generator, config: StillsConfig
) -> Layer:
    """Objects of a still as one moving layer of random size and place.

    Args:
        label: what the objects are called in the clip; None keeps their ids; 0 makes an occluder.
    """
    wanted = np.isin(still.ids, chosen)
    x, y, width, height = cv2.boundingRect(wanted.astype(np.uint8))
    scale = size * rng.uniform(*_SIZES) / max(width, height)
    centre = (float(rng.uniform(0.15, 0.85)) * size, float(rng.uniform(0.15, 0.85)) * size)
    movement = random_movement(rng, centre, scale, size, config, 1.0)
    pivot = (x + (width - 1) / 2, y + (height - 1) / 2)
    return _cut_out(still, wanted, label, pivot, max(width, height) / 2, movement, bool(rng.random() < config.blur))


def attached_layer(still: Still, background: Layer, size: int, rng: np.random.Generator, config: StillsConfig) -> Layer:
    """All objects of a still at their place on its own background, moving a little differently from it."""
    wanted = np.isin(still.ids, still.objects())
    x, y, width, height = cv2.boundingRect(wanted.astype(np.uint8))
    pivot = (x + (width - 1) / 2, y + (height - 1) / 2)
    camera = background.movement
    offset = camera.matrix(0) @ (np.array(pivot) - np.array(background.pivot)) + camera.position(0)
    own = random_movement(rng, (0.0, 0.0), camera.scale, size, config, _APART)
    movement = Movement(
        centre=(float(offset[0]), float(offset[1])),
        speed=(camera.speed[0] + own.speed[0], camera.speed[1] + own.speed[1]),
        scale=camera.scale,
        zoom=camera.zoom * own.zoom,
        angle=camera.angle,
        turn=camera.turn + own.turn,
        shear=camera.shear + own.shear,
        bend=own.bend,
    )
    return _cut_out(still, wanted, None, pivot, max(width, height) / 2, movement, bool(rng.random() < config.blur))


def _cut_out(
    still: Still,
    wanted: NDArray[np.bool_],
    label: int | None,
    pivot: tuple[float, float],
    extent: float,
    movement: Movement,
    blurred: bool,
) -> Layer:
    near = cv2.dilate(wanted.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    border = (still.ids == IGNORE) & near  # the uncertain rim of these objects, half there
    alpha = wanted.astype(np.float32) + 0.5 * border
    alpha = cv2.GaussianBlur(alpha, (3, 3), 0)
    ids = np.where(wanted, still.ids if label is None else np.uint8(label), np.uint8(0))
    # Just outside the outline blending reaches half strength where rounding decides: the nearest label must be there.
    ids = cv2.dilate(ids.astype(np.uint8), np.ones((3, 3), np.uint8)) if label != 0 else ids
    ids = np.where(border, np.uint8(IGNORE if label != 0 else 0), ids).astype(np.uint8)
    return Layer(still.rgb, alpha, ids, pivot, max(extent, 1.0), movement, blurred)


def render(layers: list[Layer], times: Sequence[float], size: int) -> tuple[Picture, Picture]:
    """Paint the layers in order, at each of T times (in frames): (T x S x S x 3, T x S x S)."""
    canvas = np.zeros((len(times), size, size, 3), np.uint8)
    labels = np.zeros((len(times), size, size), np.uint8)
    for rgb, ids, time in zip(canvas, labels, times, strict=True):
        for layer in layers:
            layer.draw(rgb, ids, time)
    return canvas, labels


def clip_of_whole(
    still: Still, times: Sequence[float], size: int, rng: np.random.Generator, config: StillsConfig
) -> tuple[Picture, Picture]:
    """A clip in which the still moves as a whole and its objects a little on top of that."""
    background = background_layer(filled(still), size, rng, config)
    return render([background, attached_layer(still, background, size, rng, config)], times, size)


def clip_of_composition(
    stills: list[Still],
    background: Still,
    occluder: Still | None,
    times: Sequence[float],
    size: int,
    rng: np.random.Generator,
    config: StillsConfig,
) -> tuple[Picture, Picture]:
    """A clip with one object of every still over another still, and perhaps something without a label in front."""
    layers = [background_layer(background, size, rng, config)]
    for number, still in enumerate(stills, 1):
        layers.append(object_layer(still, [int(rng.choice(still.objects()))], number, size, rng, config))
    if occluder is not None:
        layers.append(object_layer(occluder, occluder.objects(), 0, size, rng, config))
    return render(layers, times, size)
