"""Figures that others have published, to stand beside ours. Nothing here was measured by this program."""

from __future__ import annotations

from dataclasses import dataclass

CITATION = "Zhang, Wu, Peng, Lin: A Transductive Approach for Video Object Segmentation, CVPR 2020"

TRACKING = ("1 frame", "3 frames", "9 frames", "uniform", "sparse", "sparse + motion")
"""Columns of Table 2: how reference frames are chosen while tracking."""

TABLE_2: dict[str, tuple[float, ...]] = {
    "1 frame": (55.8, 60.4, 63.4, 63.8, 64.0, 64.3),
    "3 frames": (56.0, 61.4, 65.4, 65.5, 66.1, 66.7),
    "9 frames": (60.7, 63.4, 68.6, 68.6, 69.0, 69.9),
    "uniform": (55.8, 60.2, 64.4, 65.0, 65.1, 65.3),
    "sparse": (59.9, 62.9, 66.2, 67.2, 68.5, 68.6),
    "supervised (ImageNet)": (47.5, 52.2, 53.8, 54.0, 54.5, 54.8),
    "InstDisc": (42.4, 47.3, 51.3, 51.3, 52.1, 52.2),
    "MoCo": (43.5, 48.7, 53.0, 53.2, 53.8, 54.0),
}
"""Mean J in per cent on DAVIS-2017 val. Rows: how reference frames were chosen while training, or another embedding."""


@dataclass(frozen=True)
class PublishedPoint:
    """Quality and speed of a method as its authors give them.

    Attributes:
        mean: J&F, 0 to 1, on `dataset`.
        fps: frames per second, on `hardware`.
    """

    name: str
    dataset: str
    mean: float
    fps: float
    hardware: str


QUALITY_AND_SPEED = (
    PublishedPoint(
        "TVOS (as published)", "davis2017 val", 0.723, 37.0, "one Titan Xp; its timer does not wait for the card"
    ),
)
