"""The votes behind one pixel as a picture: the target with the pixel marked, and its strongest references lit."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.evaluation.strips import side_by_side
from engine.propagation.trace import Trace
from engine.types import Frame, Rgb

MOST_REFERENCES = 5
_DIM = 0.3  # brightness of what did not vote
_LIGHT = np.array([255, 235, 60], np.float32)


def describe(trace: Trace) -> list[str]:
    """A line on the pixel and one per voter."""
    lines = [
        f"cell row {trace.row}, column {trace.column} of {trace.height} x {trace.width}: object {trace.object_id} with "
        f"label {trace.label:.2f}"
    ]
    for voter in trace.voters:
        kind = "keyframe" if voter.is_keyframe else "frame"
        row, column = divmod(int(voter.weights.argmax()), trace.width)
        says = voter.said / voter.share if voter.share else 0.0
        lines.append(
            f"{kind} {voter.frame_index}: {voter.share:.1%} of the vote, {says:.0%} of it for object "
            f"{trace.object_id}, most from row {row}, column {column}"
        )
    return lines


def light(rgb: Rgb, weights: NDArray[np.float32], strongest: float) -> Rgb:
    """The frame dimmed, and lit where its cells voted.

    Args:
        weights: h x w, cells of the whole frame.
        strongest: the weight that is fully lit.
    """
    height, width = rgb.shape[:2]
    # Square root: a cell with a hundredth of the strongest weight is still seen.
    glow = np.sqrt(np.clip(weights / max(strongest, 1e-30), 0, 1))
    lit = cv2.resize(glow, (width, height), interpolation=cv2.INTER_NEAREST)[..., None]
    picture = rgb * (_DIM + (1 - _DIM) * lit) * (1 - 0.5 * lit) + _LIGHT * (0.5 * lit)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def shrink(rgb: Rgb, width: int) -> Rgb:
    """At most `width` pixels wide, aspect kept."""
    if rgb.shape[1] <= width:
        return rgb
    height = max(1, round(rgb.shape[0] * width / rgb.shape[1]))
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def mark(rgb: Rgb, x: int, y: int) -> Rgb:
    """A cross at a pixel."""
    picture = rgb.copy()
    size = max(8, rgb.shape[0] // 24)
    for colour, thickness in (((0, 0, 0), 4), ((255, 235, 60), 2)):
        cv2.drawMarker(picture, (x, y), colour, cv2.MARKER_CROSS, size, thickness)
    return picture


def votes_picture(trace: Trace, target: Rgb, x: int, y: int, frame_at: Callable[[int], Frame]) -> Rgb:
    """The target and the strongest references from left to right, each with its frame number and share.

    Args:
        target: H x W x 3, such as the frame with its mask.
        frame_at: gives the frame of an index.
    """
    shown = trace.voters[:MOST_REFERENCES]
    strongest = max((float(voter.weights.max()) for voter in shown), default=0.0)
    pictures = [mark(target, x, y)]
    for voter in shown:
        rgb = frame_at(voter.frame_index).rgb
        picture = light(rgb, voter.weights.numpy(), strongest)
        kind = "keyframe" if voter.is_keyframe else "frame"
        pictures.append(_captioned(picture, f"{kind} {voter.frame_index}: {voter.share:.1%}"))
    return side_by_side(pictures, 360)


def _captioned(picture: Rgb, text: str) -> Rgb:
    scale = picture.shape[1] / 500
    place = (round(10 * scale), round(24 * scale))
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        width = max(1, round(thickness * scale))
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7 * scale, colour, width, cv2.LINE_AA)
    return picture
