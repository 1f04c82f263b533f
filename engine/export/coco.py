"""COCO and YouTube-VIS annotations; the run lengths are pycocotools' own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from pycocotools import mask as coco_mask

from engine.export.masks import ids_in
from engine.export.writer import ExportItem, RecordWriter
from engine.version import VERSION

_VIDEO_ID = 1


class _CocoWriter(RecordWriter):
    def record(self, item: ExportItem) -> Any:
        objects = []
        for object_id in [] if item.mask is None else ids_in(item.mask):
            run = coco_mask.encode(np.asfortranarray(item.mask == object_id, dtype=np.uint8))
            entry = {
                "id": object_id,
                "rle": {"size": [int(v) for v in run["size"]], "counts": run["counts"].decode("ascii")},
                "bbox": [float(v) for v in coco_mask.toBbox(run)],
                "area": int(coco_mask.area(run)),
            }
            if object_id in item.confidence:
                entry["score"] = round(float(item.confidence[object_id]), 4)
            objects.append(entry)
        return {"frame": item.index, "time": round(item.time_s, 6), "objects": objects}

    def finish(self) -> None:
        with self.context.out.open("w", encoding="utf-8") as file:
            file.write('{"info":')
            json.dump(self._info(), file)
            for name, entries in self.sections():
                file.write(f',\n"{name}":[')
                _write_entries(file, entries)
                file.write("]")
            file.write("}\n")

    def _info(self) -> dict[str, Any]:
        return {"description": self.context.title, "version": "1.0", "contributor": f"LiveMask {VERSION}"}

    def sections(self) -> Iterator[tuple[str, Iterator[Any]]]:
        raise NotImplementedError

    def categories(self) -> Iterator[Any]:
        """One for every object: what kind of thing it is, only the user knows."""
        return iter({"id": o.id, "name": o.name, "supercategory": "object"} for o in self.context.objects)

    def file_name(self, index: int) -> str:
        return f"{self.context.video_name}/{index:05d}.jpg"

    def video(self, length: int) -> dict[str, Any]:
        source = self.context.source
        video: dict[str, Any] = {"id": _VIDEO_ID, "name": self.context.video_name, "width": source.width,
                                 "height": source.height, "length": length}  # fmt: skip
        if source.fps:
            video["fps"] = round(source.fps, 6)
        return video


class Coco(_CocoWriter):
    """Loads with pycocotools.coco.COCO. Frames are images; `video_id`, `frame_id` and `track_id` tie them together."""

    def sections(self) -> Iterator[tuple[str, Iterator[Any]]]:
        count = sum(map(len, self.context.part_ticks))
        yield "videos", iter([self.video(count)])
        yield "categories", self.categories()
        yield "images", self._images()
        yield "annotations", self._annotations()

    def _images(self) -> Iterator[Any]:
        source = self.context.source
        for record in self.records():
            yield {
                "id": record["frame"] + 1,
                "file_name": self.file_name(record["frame"]),
                "width": source.width,
                "height": source.height,
                "video_id": _VIDEO_ID,
                "frame_id": record["frame"],
                "time_s": record["time"],
            }

    def _annotations(self) -> Iterator[Any]:
        number = 0
        for record in self.records():
            for entry in record["objects"]:
                number += 1
                annotation = {
                    "id": number,
                    "image_id": record["frame"] + 1,
                    "video_id": _VIDEO_ID,
                    "track_id": entry["id"],
                    "category_id": entry["id"],
                    "segmentation": entry["rle"],
                    "bbox": entry["bbox"],
                    "area": entry["area"],
                    "iscrowd": 0,
                }
                if "score" in entry:
                    annotation["score"] = entry["score"]
                yield annotation


class YouTubeVis(_CocoWriter):
    """`segmentations`, `bboxes` and `areas` hold one entry per frame of `file_names`, null where the object is not."""

    def sections(self) -> Iterator[tuple[str, Iterator[Any]]]:
        frames = [record["frame"] for record in self.records()]
        names = [self.file_name(index) for index in frames]
        yield "videos", iter([{**self.video(len(frames)), "file_names": names}])
        yield "categories", self.categories()
        yield "annotations", self._annotations(len(frames))

    def _annotations(self, count: int) -> Iterator[Any]:
        source = self.context.source
        number = 0
        for object_id in self.context.object_ids:
            segmentations: list[Any] = [None] * count
            bboxes: list[Any] = [None] * count
            areas: list[Any] = [None] * count
            for position, record in enumerate(self.records()):
                for entry in record["objects"]:
                    if entry["id"] == object_id:
                        segmentations[position] = entry["rle"]
                        bboxes[position], areas[position] = entry["bbox"], entry["area"]
            if not any(areas):
                continue
            number += 1
            yield {
                "id": number,
                "video_id": _VIDEO_ID,
                "category_id": object_id,
                "iscrowd": 0,
                "width": source.width,
                "height": source.height,
                "segmentations": segmentations,
                "bboxes": bboxes,
                "areas": areas,
            }


def _write_entries(file: IO[str], entries: Iterator[Any]) -> None:
    for position, entry in enumerate(entries):
        file.write(",\n" if position else "\n")
        json.dump(entry, file, separators=(",", ":"))
