"""Two masks of one frame, tracked from both sides, become one. Pure numpy and OpenCV: no torch, no files.

Label maps cannot be averaged, but the distance to an outline can: each object's signed distance (positive inside) is
averaged with the weights of the two sides, and a pixel belongs to the object whose average is largest there, if that is
positive. So an outline moves smoothly from the one mask's to the other's on the way between their keyframes.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.types import Mask

REACH = 1 / 64  # of the smaller side of the frame: further away, all distances count as the same
# Measured on training sequences: with a longer reach a wrong patch on one side dents the right outline of the other.
FAINTEST = 0.02  # least confidence of a side: one that is lost still has a little say


def share_of_earlier(index: int, earlier: int, later: int, before: float = 1.0, after: float = 1.0) -> float:
    """Weight, 0 to 1, of the mask tracked from keyframe `earlier` at a frame between it and keyframe `later`.

    It falls with the square of the distance: errors gather on the way, so the nearer keyframe knows much better.

    Args:
        before, after: confidences 0 to 1 of the masks tracked from `earlier` and from `later`.

    Raises:
        ValueError: unless earlier < later and the frame lies between them or is one of them.
    """
    if not earlier <= index <= later or earlier == later:
        raise ValueError("the frame lies between two different keyframes")
    near = (later - index) ** 2 * max(before, FAINTEST)
    far = (index - earlier) ** 2 * max(after, FAINTEST)
    return near / (near + far)


def blend_masks(earlier: Mask, later: Mask, shares: Mapping[int, float]) -> Mask:
    """The mask between two masks.

    Args:
        earlier, later: H x W uint8 object ids.
        shares: object id -> weight of `earlier`, 0 to 1; an object that is not there has one half.

    Returns:
        H x W uint8. Where both masks agree it is as they are.

    Raises:
        ValueError: the masks differ in size.
    """
    if earlier.shape != later.shape:
        raise ValueError("masks of one frame have one size")
    differs = earlier != later
    if not differs.any():
        return earlier.copy()
    reach = max(REACH * min(earlier.shape), 2.0)
    blended = np.where(differs, 0, earlier).astype(np.uint8)
    best = np.zeros(earlier.shape, np.float32)
    for object_id in np.union1d(earlier[differs], later[differs]).tolist():
        if object_id == 0:
            continue
        share = shares.get(object_id, 0.5)
        depth = share * _depth(earlier == object_id, reach) + (1 - share) * _depth(later == object_id, reach)
        wins = differs & (depth > best)
        blended[wins] = object_id
        best[wins] = depth[wins]
    return blended


def _depth(inside: NDArray[np.bool_], reach: float) -> NDArray[np.float32]:
    """Signed distance to the outline in pixels, positive inside, no further from 0 than `reach`."""
    if not inside.any():
        return np.full(inside.shape, -reach, np.float32)
    plane = inside.astype(np.uint8)
    within = cv2.distanceTransform(plane, cv2.DIST_L2, 3)
    outside = cv2.distanceTransform(1 - plane, cv2.DIST_L2, 3)
    # Pixel centres lie half a pixel from an outline between them.
    signed = np.where(inside, within - 0.5, 0.5 - outside)
    return np.clip(signed, -reach, reach).astype(np.float32)
