"""Formats that are folders of pictures: palette PNGs, DAVIS, YouTube-VOS, RGBA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from engine.export.masks import ids_in
from engine.export.writer import ExportContext, ExportItem, FormatWriter, RecordWriter
from engine.types import Mask, Rgb
from engine.video.atomic import replacing
from engine.video.masks import write_mask

_JPEG_QUALITY = 95
_DAVIS_SIDE = 480  # the short side the benchmark is defined on


def write_jpeg(path: Path, rgb: Rgb) -> None:
    """4:4:4 at quality 95; appears under its name only when it is complete. OSError passes through."""
    with replacing(path) as temporary:
        Image.fromarray(rgb).save(temporary, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)


class MaskFolder(FormatWriter):
    """Palette PNGs, as `main.py track --out` writes them. One per mask; frames without one have no file."""

    needs_frames = False

    def begin_part(self, number: int) -> None:
        self.context.out.mkdir(exist_ok=True)

    def write(self, item: ExportItem) -> None:
        if item.mask is not None:
            write_mask(self.context.out / f"{item.index:05d}.png", item.mask)


class RgbaFolder(FormatWriter):
    """RGBA PNGs with straight alpha, one per frame."""

    def begin_part(self, number: int) -> None:
        self.context.out.mkdir(exist_ok=True)

    def write(self, item: ExportItem) -> None:
        with replacing(self.context.out / f"{item.index:05d}.png") as temporary:
            Image.fromarray(self.context.picture(item)).save(temporary, format="PNG", compress_level=4)


class _Dataset(RecordWriter):
    """Pictures and masks of every frame in the folders of a data set; lists are merged with those that are there."""

    def __init__(self, context: ExportContext) -> None:
        super().__init__(context)
        self.name = context.video_name
        self._empty = 0

    @property
    def pictures(self) -> str:
        """Folder of the JPEGs, below the target."""
        raise NotImplementedError

    @property
    def annotations(self) -> str:
        raise NotImplementedError

    def begin_part(self, number: int) -> None:
        super().begin_part(number)
        (self.context.out / self.annotations).mkdir(parents=True, exist_ok=True)
        if self.context.options["pictures"]:
            (self.context.out / self.pictures).mkdir(parents=True, exist_ok=True)

    def write(self, item: ExportItem) -> None:
        assert item.rgb is not None
        if self.context.options["pictures"]:
            write_jpeg(self.context.out / self.pictures / f"{item.index:05d}.jpg", item.rgb)
        mask = np.zeros(item.rgb.shape[:2], np.uint8) if item.mask is None else item.mask
        self.write_mask(self.context.out / self.annotations / f"{item.index:05d}.png", mask)
        super().write(item)

    def write_mask(self, path: Path, mask: Mask) -> None:
        write_mask(path, mask)

    def record(self, item: ExportItem) -> Any:
        present = [] if item.mask is None else ids_in(item.mask)
        return {"frame": item.index, "objects": present, "masked": item.mask is not None}

    def merged_list(self, path: str, lines: list[str]) -> None:
        """Write a list of names, together with what the same list of an older export holds."""
        there = self.context.request.target / path
        known = there.read_text("utf-8").splitlines() if there.is_file() else []
        (self.context.out / path).parent.mkdir(parents=True, exist_ok=True)
        wanted = [line for line in known if line.strip() and line not in lines] + lines
        (self.context.out / path).write_text("\n".join(wanted) + "\n", "utf-8")

    def finish(self) -> None:
        records = list(self.records())
        self.write_lists(records)
        missing = sum(not record["masked"] for record in records)
        if missing:
            self.context.notes.append(f"{missing} frames have no mask and were written as background.")

    def write_lists(self, records: list[Any]) -> None:
        raise NotImplementedError


class Davis2017(_Dataset):
    @property
    def resolution(self) -> str:
        source = self.context.source
        return "480p" if min(source.width, source.height) == _DAVIS_SIDE else "Full-Resolution"

    @property
    def pictures(self) -> str:
        return f"JPEGImages/{self.resolution}/{self.name}"

    @property
    def annotations(self) -> str:
        return f"Annotations/{self.resolution}/{self.name}"

    def write_lists(self, records: list[Any]) -> None:
        self.merged_list(f"ImageSets/2017/{self.context.options['split']}.txt", [self.name])


class Davis2016(Davis2017):
    """Masks are 0 and 255. Lists as both tool kits read them: names per year, and pairs of files per resolution."""

    @property
    def resolution(self) -> str:
        return "480p" if super().resolution == "480p" else "1080p"

    def write_mask(self, path: Path, mask: Mask) -> None:
        with replacing(path) as temporary:
            Image.fromarray(np.where(mask > 0, np.uint8(255), np.uint8(0))).save(temporary, format="PNG")

    def write_lists(self, records: list[Any]) -> None:
        split = self.context.options["split"]
        self.merged_list(f"ImageSets/2016/{split}.txt", [self.name])
        stems = [f"{record['frame']:05d}" for record in records]
        pairs = [f"/{self.pictures}/{stem}.jpg /{self.annotations}/{stem}.png" for stem in stems]
        self.merged_list(f"ImageSets/{self.resolution}/{split}.txt", pairs)


class YouTubeVos(_Dataset):
    @property
    def split(self) -> str:
        return str(self.context.options["split"])

    @property
    def pictures(self) -> str:
        return f"{self.split}/JPEGImages/{self.name}"

    @property
    def annotations(self) -> str:
        return f"{self.split}/Annotations/{self.name}"

    def write_lists(self, records: list[Any]) -> None:
        objects: dict[str, Any] = {}
        for known in self.context.objects:
            frames = [f"{record['frame']:05d}" for record in records if known.id in record["objects"]]
            if frames:
                objects[str(known.id)] = {"category": known.name, "frames": frames}
        there = self.context.request.target / self.split / "meta.json"
        meta: dict[str, Any] = {"videos": {}}
        if there.is_file():
            try:
                meta = json.loads(there.read_text("utf-8"))
                meta["videos"] = dict(meta["videos"])
            except (ValueError, KeyError, TypeError):
                meta = {"videos": {}}
                self.context.notes.append("The meta.json that was there could not be read and was replaced.")
        meta["videos"][self.name] = {"objects": objects}
        (self.context.out / self.split / "meta.json").write_text(json.dumps(meta, indent=1), "utf-8")


def png_bytes(mask: Any) -> bytes:
    """A small PNG of an array, in memory."""
    done, data = cv2.imencode(".png", mask)
    if not done:
        raise ValueError("the picture cannot be encoded")
    return bytes(data)
