"""Clips made by ffmpeg, masks in memory, and ffprobe as the outside judge of what was exported."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.types import Mask
from engine.video.open import open_source
from tests.unit.video.media import ffmpeg

WIDTH, HEIGHT, COUNT = 96, 64, 14
_PICTURE = ("-f", "lavfi", "-i", f"testsrc2=s={WIDTH}x{HEIGHT}:r=25:d=0.56")
_LONGER = ("-f", "lavfi", "-i", f"testsrc2=s={WIDTH}x{HEIGHT}:r=25:d=1")
_SOUND = ("-f", "lavfi", "-i", "sine=r=44100:d=0.56")
_UNEVEN = "select='not(mod(n,3))+not(mod(n,7))'"
_H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "5", "-bf", "2")

# name -> ffmpeg's arguments; every clip has COUNT frames but those of uneven time
CLIPS: dict[str, tuple[str, ...]] = {
    "sound.mp4": (*_PICTURE, *_SOUND, *_H264, "-c:a", "aac"),
    "pcm.mov": (*_PICTURE, *_SOUND, *_H264, "-c:a", "pcm_s16le"),
    "uneven.mp4": (*_LONGER, "-vf", _UNEVEN, "-vsync", "vfr", *_H264),
    "uneven.mkv": (*_LONGER, "-vf", "select='not(mod(n,2))+not(mod(n,5))'", "-vsync", "vfr", *_H264),
    "odd.mkv": (*_PICTURE, "-vf", "scale=97:65", "-c:v", "ffv1", "-pix_fmt", "yuv444p"),
    "ntsc.mp4": ("-f", "lavfi", "-i", f"testsrc2=s={WIDTH}x{HEIGHT}:r=30000/1001:d=0.47", *_H264),
    "wide_pixels.mp4": (*_PICTURE, "-vf", "setsar=4/3", *_H264),
    "uneven_sound.mp4": (*_LONGER, "-f", "lavfi", "-i", "sine=r=44100:d=1", "-vf", _UNEVEN, "-vsync", "vfr", *_H264,
                         "-c:a", "aac"),
    "late.ts": (*_PICTURE, *_SOUND, *_H264, "-c:a", "aac"),
}  # fmt: skip


TURNED = {"turned.mp4": "sound.mp4", "phone.mp4": "uneven_sound.mp4"}  # by a quarter, as phones note it


def make_clip(path: Path) -> Path:
    if path.name in TURNED:
        upright = make_clip(path.with_name(TURNED[path.name]))
        ffmpeg("-i", upright, "-metadata:s:v", "rotate=90", "-c", "copy", path)
    elif not path.exists():
        ffmpeg(*CLIPS[path.name], path)
    return path


class Masks(Mapping[int, Mask]):
    """A `MaskSequence` in memory: a disc that moves (1) and a block that is not in every frame (2)."""

    def __init__(
        self, width: int, height: int, indices: Sequence[int], confidence: float | None = None, version: str = ""
    ) -> None:
        self._size, self._indices = (width, height), tuple(indices)
        self._confidence, self._version = confidence, version
        self.asked: list[int] = []

    @property
    def indices(self) -> Sequence[int]:
        return self._indices

    @property
    def object_ids(self) -> Sequence[int]:
        return (1, 2)

    def mask(self, index: int) -> Mask | None:
        if index not in self._indices:
            return None
        self.asked.append(index)
        width, height = self._size
        yy, xx = np.mgrid[0:height, 0:width]
        mask = np.zeros((height, width), np.uint8)
        mask[(yy - height * 0.55) ** 2 + (xx - width * 0.3 - index) ** 2 < (height * 0.22) ** 2] = 1
        if index % 4 != 3:
            mask[height // 8 : height // 3, 3 * width // 4 : width - 2] = 2
            mask[height // 6 : height // 4, 5 * width // 6 : width - 6] = 0  # a hole
        return mask

    def confidence(self, index: int) -> Mapping[int, float]:
        return {} if self._confidence is None else {1: self._confidence}

    def digest(self) -> str:
        return f"{self._size} {self._indices} {self._version}"

    def __getitem__(self, index: int) -> Mask:
        mask = self.mask(index)
        assert mask is not None
        return mask

    def __iter__(self) -> Any:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)


def masks_for(path: Path, **options: Any) -> Masks:
    """A mask for every frame of a clip."""
    source = open_source(path)
    try:
        indices = []
        while (frame := source.read()) is not None:
            indices.append(frame.index)
        return Masks(source.info.width, source.info.height, indices, **options)
    finally:
        source.close()


def probe(path: Path, what: str, stream: str = "v:0", *options: str) -> list[dict[str, Any]]:
    """What ffprobe says of frames, packets or streams."""
    kind = what.partition("=")[0]
    command = ["ffprobe", "-v", "error", *options, "-select_streams", stream, "-show_entries", what, "-of", "json"]
    text = subprocess.run([*command, str(path)], check=True, capture_output=True, text=True, timeout=60).stdout
    found: list[dict[str, Any]] = json.loads(text)[f"{kind}s"]
    return found


def frame_times(path: Path) -> list[float]:
    """Presentation times as they are, not from the first one."""
    return [float(frame["best_effort_timestamp_time"]) for frame in probe(path, "frame=best_effort_timestamp_time")]


def decode(path: Path, pixel_format: str, channels: int, *before: str) -> np.ndarray:
    """N x H x W x channels uint8 as the ffmpeg program decodes it, rotation applied."""
    (stream,) = probe(path, "stream=width,height")
    command = ["ffmpeg", "-v", "error", *before, "-i", str(path), "-vsync", "passthrough"]
    command += ["-pix_fmt", pixel_format, "-f", "rawvideo", "-"]
    raw = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, stream["height"], stream["width"], channels)
