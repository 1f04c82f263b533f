"""What a user marks for the smart scribble, and the sharpening of a rough answer to the pixels. No torch here."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.types import Rgb

Marks = NDArray[np.uint8]  # H x W of the values below
Pixels = NDArray[np.bool_]

UNKNOWN, INSIDE, OUTSIDE, PROBABLY_INSIDE = 0, 1, 2, 3

BAND = 8  # pixels at a short side of 480 around a rough outline within which the true one is looked for
_ROUNDS = 2
_MARGIN = 3  # bands of background around the object that its colours are compared with
_SHORT_SIDE = 480  # GrabCut works at this size at most; its time grows with the pixels
_FALLBACK_SHORT_SIDE = 200
_LEAST = 8  # pixels of either side below which there are no colours to learn


def has_object(marks: Marks) -> bool:
    """Whether anything says where the object is."""
    return bool(((marks == INSIDE) | (marks == PROBABLY_INSIDE)).any())


def sharpen(rgb: Rgb, certainty: NDArray[np.float32], marks: Marks) -> Pixels:
    """The object to the pixel: GrabCut in a band around the outline of a rough answer.

    Args:
        rgb: H x W x 3 uint8.
        certainty: H x W in 0..1, above 0.5 where the object is likely.
        marks: H x W; INSIDE and OUTSIDE are kept to, whatever the colours say.

    Returns:
        H x W bool.
    """
    height, width = marks.shape
    rough = _touched(certainty > 0.5, marks)
    scale = min(1.0, _SHORT_SIDE / min(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small_rgb, small_marks = _shrink(rgb, marks, size)
    small = _resized(rough.astype(np.float32), size) > 0.5
    band = max(2, round(BAND * min(size) / _SHORT_SIDE))
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    core = cv2.erode(small.astype(np.uint8), element)
    reach = cv2.dilate(small.astype(np.uint8), element)
    trimap = np.where(small, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[core > 0] = cv2.GC_FGD
    trimap[reach == 0] = cv2.GC_BGD
    cut = _grab_cut(small_rgb, trimap, small_marks, _MARGIN * band)
    found = rough if cut is None else _enlarge(cut, (width, height))
    return _touched(_keep_to(found, marks), marks)


def by_colour(rgb: Rgb, marks: Marks) -> Pixels:
    """The object by the colours under the marks alone, while no network can be asked. Quick rather than good.

    Args: as `sharpen`. Returns: H x W bool, all False when nothing is marked inside.
    """
    height, width = marks.shape
    if not has_object(marks):
        return np.zeros(marks.shape, dtype=bool)
    scale = min(1.0, _FALLBACK_SHORT_SIDE / min(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small_rgb, small_marks = _shrink(rgb, marks, size)
    inside = small_marks == INSIDE
    trimap = np.full(inside.shape, cv2.GC_PR_BGD, np.uint8)
    trimap[small_marks == PROBABLY_INSIDE] = cv2.GC_PR_FGD
    if inside.any():  # near a stroke the object is likelier than far from it
        distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
        trimap[(distance < min(size) / 12) & (trimap == cv2.GC_PR_BGD)] = cv2.GC_PR_FGD
    cut = _grab_cut(small_rgb, trimap, small_marks, max(size))
    found = small_marks == PROBABLY_INSIDE if cut is None else cut
    return _touched(_keep_to(_enlarge(found, (width, height)), marks), marks)


def _shrink(rgb: Rgb, marks: Marks, size: tuple[int, int]) -> tuple[Rgb, Marks]:
    """Both at `size`; a thin stroke must not fall between the pixels that remain."""
    if size == (marks.shape[1], marks.shape[0]):
        return rgb, marks
    small = np.asarray(cv2.resize(marks, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8).copy()
    for mark in (INSIDE, OUTSIDE):
        share = cv2.resize((marks == mark).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        small[(share > 0.25) if mark == OUTSIDE else (share > 0)] = mark
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8), small


def _resized(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    if size == (plane.shape[1], plane.shape[0]):
        return plane
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _enlarge(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    return np.asarray(cv2.resize(pixels.astype(np.float32), size, interpolation=cv2.INTER_CUBIC) > 0.5, bool)


def _grab_cut(rgb: Rgb, trimap: NDArray[np.uint8], marks: Marks, margin: int) -> Pixels | None:
    """Runs around the object only; None when one side has too few pixels to learn its colours from."""
    trimap[marks == INSIDE] = cv2.GC_FGD
    trimap[marks == OUTSIDE] = cv2.GC_BGD
    rows, columns = np.nonzero(trimap != cv2.GC_BGD)
    if len(rows) == 0:
        return None
    block = (
        slice(max(0, int(rows.min()) - margin), int(rows.max()) + margin + 1),
        slice(max(0, int(columns.min()) - margin), int(columns.max()) + margin + 1),
    )
    inner = np.ascontiguousarray(trimap[block])
    front = (inner & 1) > 0  # GC_FGD is 1, GC_PR_FGD 3
    if min(int(front.sum()), int((~front).sum())) < _LEAST:
        return None
    models = np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)  # the same strokes, the same mask
    picture = np.ascontiguousarray(rgb[block][..., ::-1])
    cv2.grabCut(picture, inner, (0, 0, 1, 1), models[0], models[1], _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = np.zeros(trimap.shape, dtype=bool)
    found[block] = (inner & 1) > 0
    return found


def _touched(found: Pixels, marks: Marks) -> Pixels:
    """The connected pieces that a mark says are meant; the others only look like the object."""
    meant = (marks == INSIDE) | (marks == PROBABLY_INSIDE)
    count, pieces = cv2.connectedComponents(found.astype(np.uint8), connectivity=8)
    wanted = np.zeros(count, dtype=bool)
    wanted[pieces[meant]] = True
    wanted[0] = False
    return np.asarray(wanted[pieces], bool)


def _keep_to(found: Pixels, marks: Marks) -> Pixels:
    return np.asarray((found | (marks == INSIDE)) & (marks != OUTSIDE), bool)
