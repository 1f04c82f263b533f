"""How much do two keyframes gain over one? Measures the frames between them on sequences with truth.

    python -m engine.evaluation.blending DAVIS_2016 [--only SEQ,SEQ] [--first 0] [--last 30]

Frames `first` and `last` are keyframes from the truth; J is the mean over the frames between them, tracked forward from
the first alone, forward with both remembered, and blended with a run backward from the last, as re-tracking does it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.blending import blend_masks, share_of_earlier
from engine.evaluation.confidence import clips
from engine.evaluation.metrics import region_similarity
from engine.evaluation.occlusion import Clip
from engine.types import Frame, SegmentationResult

if TYPE_CHECKING:
    from engine.tracker import Tracker

WAYS = ("forward", "forward, both known", "blended")


def between(tracker: Tracker, clip: Clip, first: int, last: int) -> dict[str, float]:
    """Way -> mean J of object 1 in the frames between two keyframes; the tracker forgets what it knew.

    Raises ValueError when there is no frame between them.
    """
    inner = range(first + 1, min(last, len(clip.frames) - 1))
    if not inner or last >= len(clip.frames):
        raise ValueError(f"{clip.name} has no frames between {first} and {last}")

    def frame(index: int) -> Frame:
        return Frame(index, index / 25, clip.frames[index])

    def run(start: int, order: Sequence[int]) -> dict[int, SegmentationResult]:
        tracker.rewind(start, 1 if start == first else -1)
        tracker.step(frame(start), clip.truths[start])
        return {index: tracker.step(frame(index)) for index in order}

    def mean(results: Mapping[int, SegmentationResult]) -> float:
        truths = (region_similarity(r.mask > 0, np.asarray(clip.truths[i] > 0)) for i, r in results.items())
        return float(np.mean(list(truths)))

    tracker.reset()
    alone = run(first, inner)
    backward = run(last, inner[::-1])
    forward = run(first, inner)
    blended = []
    for index in inner:
        one, other = forward[index], backward[index]
        share = share_of_earlier(index, first, last, one.confidence[1], other.confidence[1])
        mask = blend_masks(one.mask, other.mask, {1: share})
        blended.append(region_similarity(mask > 0, np.asarray(clip.truths[index] > 0)))
    return dict(zip(WAYS, (mean(alone), mean(forward), float(np.mean(blended))), strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="engine.evaluation.blending", description=__doc__.split("\n")[0])
    parser.add_argument("root", type=Path, help="DAVIS-2016 tree")
    parser.add_argument("--only", default="", help="names of sequences, with commas")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=30)
    parser.add_argument("--working-size", type=int)
    options = parser.parse_args(arguments)
    from engine.runtime.config import EngineConfig
    from engine.runtime.factory import create_tracker

    tracker = create_tracker(EngineConfig(working_size=options.working_size))
    rows = []
    for clip in clips(options.root, tuple(filter(None, options.only.split(","))), options.last + 1):
        if "~" not in clip.name:
            rows.append(between(tracker, clip, options.first, options.last))
            print(f"{clip.name:20} " + ", ".join(f"{way} {j:.3f}" for way, j in rows[-1].items()), flush=True)
    print(f"{'mean':20} " + ", ".join(f"{way} {np.mean([row[way] for row in rows]):.3f}" for way in WAYS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
