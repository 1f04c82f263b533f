"""Training clips, each a pure function of (seed, number), so that workers, processes and resumed runs agree."""

from __future__ import annotations

import signal
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from engine.propagation.sampling import Sampling, sample_reference_frames
from engine.training.augment import crop_window, cut_clip, flip, jitter_colours, number_objects
from engine.training.config import ClipConfig, StillsConfig
from engine.training.motion import Still, clip_of_composition, clip_of_whole
from engine.training.pictures import BrokenSampleError, Picture, read_pair, sample_name
from engine.training.sources import DataSource, VideoSequence

_STRATEGIES = {
    "consecutive": Sampling.CONSECUTIVE_9,
    "uniform": Sampling.UNIFORM,
    "sparse": Sampling.SPARSE,
}
_ATTEMPTS = 100  # broken samples in a row before giving up; more than max_broken stops the run long before


@dataclass(frozen=True, eq=False)
class ClipSample:
    """One clip.

    Attributes:
        frames: T x S x S x 3 uint8.
        masks: T x S x S uint8; 0 background, 1, 2, ... objects, 255 ignored.
        name: what it was made of.
        broken: samples that were drawn before it and could not be used, as (name, reason).
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    name: str
    broken: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """Several clips.

    Attributes:
        frames: B x T x S x S x 3 uint8, masks: B x T x S x S uint8.
        objects: the largest object id.
        names, broken: of all samples.
    """

    frames: torch.Tensor
    masks: torch.Tensor
    objects: int
    names: tuple[str, ...]
    broken: tuple[tuple[str, str], ...]

    def pin_memory(self) -> ClipBatch:
        return ClipBatch(self.frames.pin_memory(), self.masks.pin_memory(), self.objects, self.names, self.broken)


def collate(samples: Sequence[ClipSample]) -> ClipBatch:
    """Clips of one size -> a batch."""
    masks = np.stack([sample.masks for sample in samples])
    objects = int(np.where(masks == 255, 0, masks).max())
    frames = torch.from_numpy(np.stack([sample.frames for sample in samples]))
    names = tuple(sample.name for sample in samples)
    broken = tuple(pair for sample in samples for pair in sample.broken)
    return ClipBatch(frames, torch.from_numpy(masks), max(objects, 1), names, broken)


class Entries:
    """What a source offers: target frames of its videos that have enough frames before them, or its stills."""

    def __init__(self, source: DataSource, clip: ClipConfig) -> None:
        self.source = source
        self.sequences = [sequence for sequence in source.sequences if len(sequence) >= clip.frames]
        self.too_short = [sequence.name for sequence in source.sequences if len(sequence) < clip.frames]
        self._first = clip.frames - 1
        counts = [len(sequence) - self._first for sequence in self.sequences]
        self._ends: list[int] = np.cumsum(counts).tolist()
        self.count = (self._ends[-1] if self._ends else 0) + len(source.stills)

    def target(self, entry: int) -> tuple[VideoSequence, int]:
        """The sequence and the position in it of the last frame of the clip."""
        number = bisect_right(self._ends, entry)
        before = self._ends[number - 1] if number else 0
        return self.sequences[number], entry - before + self._first


class ClipDataset(Dataset[ClipSample]):
    """Clips by number; `dataset[k]` depends on nothing but the data, the options, the seed and k.

    With one source, every `len` clips in a row visit each entry once. With several, each clip's source is drawn by
    weight and the entries of a source come in the order of its own permutation.
    """

    def __init__(self, sources: Sequence[DataSource], clip: ClipConfig, stills: StillsConfig, seed: int) -> None:
        self.clip = clip
        self.stills = stills
        self.seed = seed
        entries = [Entries(source, clip) for source in sources]
        self.too_short = tuple(name for one in entries for name in one.too_short)
        self.entries = [one for one in entries if one.count]
        weights = np.array([one.source.weight for one in self.entries], dtype=np.float64)
        self._shares = weights / weights.sum() if len(weights) else weights

    def __len__(self) -> int:
        return sum(one.count for one in self.entries)

    def __getitem__(self, number: int) -> ClipSample:
        rng = np.random.default_rng((self.seed, number))
        broken: list[tuple[str, str]] = []
        for attempt in range(_ATTEMPTS):
            chosen = int(rng.choice(len(self.entries), p=self._shares)) if len(self.entries) > 1 else 0
            entries = self.entries[chosen]
            if attempt == 0:
                lap, place = divmod(number, entries.count)
                entry = int(_permutation(self.seed, chosen, lap, entries.count)[place])
            else:
                entry = int(rng.integers(entries.count))
            try:
                frames, ids, name = self._make(entries, entry, rng)
            except BrokenSampleError as error:
                broken.append((error.sample, error.reason))
                continue
            frames, ids = flip(frames, ids, rng, self.clip)
            return ClipSample(
                jitter_colours(frames, rng, self.clip), number_objects(ids), name, tuple(dict.fromkeys(broken))
            )
        raise RuntimeError(f"{_ATTEMPTS} samples in a row are broken, the last one: {': '.join(broken[-1])}")

    def _make(self, entries: Entries, entry: int, rng: np.random.Generator) -> tuple[Picture, Picture, str]:
        if entries.source.stills:
            return self._still_clip(entries.source.stills, entry, rng)
        sequence, last = entries.target(entry)
        return self._video_clip(sequence, last, rng)

    def _video_clip(self, sequence: VideoSequence, last: int, rng: np.random.Generator) -> tuple[Picture, Picture, str]:
        clip = self.clip
        step = int(rng.integers(1, clip.max_step + 1))
        gap = int(rng.integers(clip.key_gap[0], clip.key_gap[1] + 1))
        positions = clip_positions(last, step, clip)
        positions[0] = max(positions[0] - gap, 0)
        if rng.random() < clip.reverse:
            positions.reverse()
        coding = "binary" if sequence.binary else "ids"
        pairs = [read_pair(sequence.images[p], sequence.masks[p], coding=coding) for p in positions]
        frames, ids = [rgb for rgb, _ in pairs], [mask for _, mask in pairs]
        for position, mask in zip(positions, ids, strict=True):
            if mask.shape != ids[0].shape:
                raise BrokenSampleError(sample_name(sequence.images[position]), "another size than the frames before")
        window = crop_window(ids, clip.references, rng, clip)
        return *cut_clip(frames, ids, window, clip.crop), f"{sequence.name} {positions[-1]}"

    def _still_clip(
        self, stills: Sequence[tuple[str, str]], entry: int, rng: np.random.Generator
    ) -> tuple[Picture, Picture, str]:
        clip, config = self.clip, self.stills
        first = _read_still(stills[entry])
        name = sample_name(stills[entry][0])
        gap = int(rng.integers(config.key_gap[0], config.key_gap[1] + 1))
        times = [0.0, *(float(gap + number) for number in range(1, clip.frames))]
        if len(stills) == 1 or rng.random() < config.whole:
            frames, ids = clip_of_whole(first, times, clip.crop, rng, config)
            return frames, ids, name

        def another() -> Still:
            return _read_still(stills[int(rng.integers(len(stills)))])

        objects = [first] + [another() for _ in range(int(rng.integers(config.objects)))]
        background = another()
        occluder = another() if rng.random() < config.occluders else None
        frames, ids = clip_of_composition(objects, background, occluder, times, clip.crop, rng, config)
        return frames, ids, name


def clip_positions(last: int, step: int, clip: ClipConfig) -> list[int]:
    """Positions of a clip's frames in its video, ascending, the last at `last`; every `step`-th frame where it fits."""
    step = min(step, last // (clip.frames - 1))
    target = last // step - (clip.targets - 1)  # the first target, in steps
    references = sample_reference_frames(
        target, _STRATEGIES[clip.strategy], references=clip.references, reach=clip.reach
    )
    steps = [*references, *range(target, target + clip.targets)]
    return [last - (target + clip.targets - 1 - position) * step for position in steps]


def _read_still(paths: tuple[str, str]) -> Still:
    still = Still(*read_pair(*paths, coding="still"))
    if not still.objects():
        raise BrokenSampleError(sample_name(paths[1]), "the mask holds no object")
    return still


@lru_cache(maxsize=8)
def _permutation(seed: int, source: int, lap: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, source, lap, 1)).permutation(count)


class StepSampler(Sampler[list[int]]):
    """Numbers of the clips of every forward pass of one process, from `first_step` on.

    Step s takes the clips s * batch ... (s + 1) * batch - 1 whatever the number of processes; they are dealt out in
    blocks of `micro` clips, first over the processes, then over the accumulated passes.
    """

    def __init__(self, *, first_step: int, steps: int, batch: int, accumulate: int, rank: int, world: int) -> None:
        self.first_step, self.steps, self.batch = first_step, steps, batch
        self.accumulate, self.rank, self.world = accumulate, rank, world
        self.micro = batch // (accumulate * world)

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.steps):
            for part in range(self.accumulate):
                start = step * self.batch + (part * self.world + self.rank) * self.micro
                yield list(range(start, start + self.micro))

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.accumulate


def start_worker(_: int) -> None:
    """OpenCV's own threads would fight with the other workers; Ctrl+C is for the main process, which ends them."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
