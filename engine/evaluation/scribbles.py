"""Simulated users of the smart scribble: strokes drawn by a fixed script from the ground truth's skeleton."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.evaluation.annotations import read_annotation
from engine.evaluation.datasets import VideoSequence
from engine.evaluation.metrics import region_similarity
from engine.insight.reading import read_frames
from engine.scribble_marks import INSIDE, OUTSIDE, PROBABLY_INSIDE, UNKNOWN, Marks

if TYPE_CHECKING:
    from engine.tracker import Tracker

Binary = NDArray[np.bool_]

MOST_INSIDE = 3
_GRID = 160  # longest side at which skeletons are found
_LEAST_SHARE = 0.03  # of the object; a smaller remainder gets no stroke of its own
_WIDTH = 3 / 480  # radius of the pen, of the short side


def skeleton(shape: Binary) -> Binary:
    """One pixel wide lines along the middle of a shape (Zhang and Suen's thinning)."""
    pixels = np.pad(shape, 1).astype(np.uint8)
    while True:
        changed = False
        for turn in (0, 1):
            n, e, s, w = pixels[:-2, 1:-1], pixels[1:-1, 2:], pixels[2:, 1:-1], pixels[1:-1, :-2]
            ring = (n, pixels[:-2, 2:], e, pixels[2:, 2:], s, pixels[2:, :-2], w, pixels[:-2, :-2])
            count = sum(p.astype(np.int8) for p in ring)
            rises = sum((ring[i] == 0) & (ring[(i + 1) % 8] == 1) for i in range(8))
            first, second = (n * e * s, e * s * w) if turn == 0 else (n * e * w, n * s * w)
            open_side = (first == 0) & (second == 0)
            remove = (pixels[1:-1, 1:-1] == 1) & (count >= 2) & (count <= 6) & (rises == 1) & open_side
            if remove.any():
                pixels[1:-1, 1:-1][remove] = 0
                changed = True
        if not changed:
            return np.asarray(pixels[1:-1, 1:-1] > 0, bool)


def longest_path(lines: Binary) -> list[tuple[int, int]]:
    """(row, column) along the longest of the shortest ways between two pixels of a skeleton's largest part."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(lines.astype(np.uint8), connectivity=8)
    if count < 2:
        return []
    part = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    free = {(int(y), int(x)) for y, x in np.argwhere(parts == part)}
    last, _ = _walk(min(free), free)
    end, before = _walk(last, free)
    path = [end]
    while path[-1] != last:
        path.append(before[path[-1]])
    return path


def _walk(
    start: tuple[int, int], free: set[tuple[int, int]]
) -> tuple[tuple[int, int], dict[tuple[int, int], tuple[int, int]]]:
    """Breadth first from `start`: the pixel reached last, and where each was reached from."""
    before = {start: start}
    queue = deque([start])
    here = start
    while queue:
        here = queue.popleft()
        y, x = here
        for step in ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
            if step in free and step not in before:
                before[step] = here
                queue.append(step)
    return here, before


def simulated_marks(truth: Binary, inside: int = MOST_INSIDE, outside: int = 1) -> Marks:
    """The strokes of a user who knows the object: along its middle, and once around part of it.

    The first stroke inside follows the longest way through the skeleton; each further one the longest way through what
    is left when the neighbourhood of the former ones is taken away. The stroke outside follows the longest way through
    the skeleton of a ring of background around the object; its gap is where the ring is cut.

    Args:
        truth: H x W.
        inside: strokes inside at most; `outside`: 0 or 1.

    Returns:
        H x W marks; all UNKNOWN when there is no object.
    """
    height, width = truth.shape
    marks = np.full(truth.shape, UNKNOWN, np.uint8)
    if not truth.any():
        return marks
    scale = _GRID / max(height, width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(truth.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    if not small.any():
        small = cv2.resize(truth.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    radius = max(1, round(_WIDTH * min(height, width)))
    depth = cv2.distanceTransform(np.pad(small, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    left = small.copy()
    for _ in range(inside):
        path = longest_path(skeleton(left))
        if not path:
            break
        _draw(marks, path, scale, INSIDE, radius)
        for y, x in path:
            cv2.circle(left.view(np.uint8), (x, y), int(2 * depth[y, x]) + 2, 0, -1)
        if left.sum() < _LEAST_SHARE * small.sum():
            break
    if outside:
        far = max(4.0, 0.35 * float(np.sqrt(small.sum())))
        away = cv2.distanceTransform((~small).astype(np.uint8), cv2.DIST_L2, 5)
        ring = (away > 0.3 * far) & (away < far)
        path = longest_path(skeleton(ring))
        if path:
            _draw(marks, path, scale, OUTSIDE, radius)
    marks[truth & (marks == OUTSIDE)] = UNKNOWN  # a hand that knows the object does not cross it
    marks[~truth & (marks == INSIDE)] = UNKNOWN
    return marks


def box_marks(truth: Binary) -> Marks:
    """A box around the object, as a hand draws it: wider than need be by a fiftieth of the frame on each side."""
    marks = np.full(truth.shape, OUTSIDE, np.uint8)
    x, y, width, height = cv2.boundingRect(truth.astype(np.uint8))
    room = round(0.02 * min(truth.shape))
    marks[max(0, y - room) : y + height + room, max(0, x - room) : x + width + room] = PROBABLY_INSIDE
    return marks


def _draw(marks: Marks, path: list[tuple[int, int]], scale: float, mark: int, radius: int) -> None:
    points = np.array([[(x + 0.5) / scale, (y + 0.5) / scale] for y, x in path]).round().astype(np.int32)
    if len(points) == 1:  # the skeleton of a ball: a dab, for which polylines draws nothing
        cv2.circle(marks, (int(points[0, 0]), int(points[0, 1])), radius, mark, -1)
    cv2.polylines(marks, [points[:, None]], False, mark, 2 * radius)


@dataclass(frozen=True)
class Score:
    """How well one frame was scribbled.

    Attributes:
        overlap: intersection over union with the truth; `seconds`: from the frame and the strokes to the mask.
    """

    sequence: str
    frame_index: int
    overlap: float
    seconds: float


def measure(
    tracker: Tracker, sequence: VideoSequence, indices: Sequence[int], inside: int, outside: int, box: bool = False
) -> list[Score]:
    """Scribble these frames of a sequence, as far as they have an object. All its objects count as one.

    Args:
        inside, outside: strokes at most; `box`: a box instead of them.
    """
    from engine.propagation.scribble import ScribbleReader

    reader, scores = ScribbleReader(tracker), []
    for index in indices:
        annotation = sequence.annotations[index] if index < len(sequence.frames) else None
        if annotation is None:
            continue
        truth = read_annotation(annotation, merge_objects=True).ids > 0
        if not truth.any():
            continue
        (frame,) = read_frames(str(sequence.frames[index]), 0, 1)
        marks = box_marks(truth) if box else simulated_marks(truth, inside, outside)
        started = time.perf_counter()
        found = reader.read(frame, marks)
        seconds = time.perf_counter() - started
        scores.append(Score(sequence.name, index, region_similarity(found, truth), seconds))
    return scores
