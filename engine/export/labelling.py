"""Files that labelling programs import: labelme and CVAT."""

from __future__ import annotations

import base64
import json
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from engine.export.folders import png_bytes, write_jpeg
from engine.export.shapes import measure, polygons, row_runs
from engine.export.writer import ExportItem, FormatWriter, RecordWriter
from engine.types import Mask
from engine.video.atomic import replacing

_LABELME_VERSION = "5.5.0"  # the layout these files follow; it reads masks since 5.3


class LabelMe(FormatWriter):
    """00000.json beside 00000.jpg for every frame. `group_id` is the object id, so that parts stay together."""

    def begin_part(self, number: int) -> None:
        self.context.out.mkdir(exist_ok=True)

    def write(self, item: ExportItem) -> None:
        assert item.rgb is not None
        stem = f"{item.index:05d}"
        if self.context.options["pictures"]:
            write_jpeg(self.context.out / f"{stem}.jpg", item.rgb)
        content: dict[str, Any] = {
            "version": _LABELME_VERSION,
            "flags": {},
            "shapes": [] if item.mask is None else self._shapes(item.mask),
            "imagePath": f"{stem}.jpg",
            "imageData": None,
            "imageHeight": int(item.rgb.shape[0]),
            "imageWidth": int(item.rgb.shape[1]),
        }
        with replacing(self.context.out / f"{stem}.json") as temporary:
            temporary.write_text(json.dumps(content, indent=1), "utf-8")

    def _shapes(self, mask: Mask) -> list[dict[str, Any]]:
        found = []
        for shape in measure(mask):
            label = self.context.object_name(shape.id)
            common = {"label": label, "group_id": shape.id, "description": "", "flags": {}}
            if self.context.options["shapes"] == "mask":
                x, y, width, height = shape.box
                inside = np.asarray(mask[y : y + height, x : x + width] == shape.id, np.uint8) * 255
                corners = [[x, y], [x + width - 1, y + height - 1]]
                data = base64.b64encode(png_bytes(inside)).decode("ascii")
                found.append({**common, "points": corners, "shape_type": "mask", "mask": data})
            else:
                for points in polygons(mask == shape.id):
                    found.append({**common, "points": points, "shape_type": "polygon", "mask": None})
        return found


class Cvat(RecordWriter):
    """CVAT XML 1.1: masks as "CVAT for images" (CVAT knows no tracks of masks; `group_id` ties an object's masks),
    polygons as "CVAT for video" tracks, one for each separate part of an object.
    """

    def record(self, item: ExportItem) -> Any:
        shapes: list[Any] = []
        for shape in [] if item.mask is None else measure(item.mask):
            assert item.mask is not None
            if self.context.options["shapes"] == "mask":
                x, y, width, height = shape.box
                runs = row_runs(item.mask[y : y + height, x : x + width] == shape.id)
                shapes.append([shape.id, shape.box, runs])
            else:
                shapes.append([shape.id, polygons(item.mask == shape.id)])
        return {"frame": item.index, "shapes": shapes}

    def finish(self) -> None:
        as_masks = self.context.options["shapes"] == "mask"
        with self.context.out.open("w", encoding="utf-8") as file:
            file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
            file.write(self._meta("annotation" if as_masks else "interpolation"))
            for element in self._images() if as_masks else self._tracks():
                file.write(element)
            file.write("</annotations>\n")

    def _meta(self, mode: str) -> str:
        source = self.context.source
        labels = "".join(
            f"<label><name>{quoteattr(known.name)[1:-1]}</name><attributes></attributes></label>"
            for known in self.context.objects
        )
        count = sum(map(len, self.context.part_ticks))
        return (
            f"  <meta><task><name>{quoteattr(self.context.title)[1:-1]}</name><size>{count}</size><mode>{mode}</mode>"
            f"<labels>{labels}</labels><original_size><width>{source.width}</width><height>{source.height}</height>"
            "</original_size></task></meta>\n"
        )

    def _images(self) -> Any:
        source = self.context.source
        for record in self.records():
            frame = record["frame"]
            lines = [f'  <image id="{frame}" name="frame_{frame:06d}" width="{source.width}" height="{source.height}">']
            for object_id, (x, y, width, height), runs in record["shapes"]:
                label = quoteattr(self.context.object_name(object_id))
                lines.append(
                    f'    <mask label={label} source="file" occluded="0" rle="{", ".join(map(str, runs))}" left="{x}" '
                    f'top="{y}" width="{width}" height="{height}" z_order="0" group_id="{object_id}"></mask>'
                )
            yield "\n".join(lines) + "\n  </image>\n"

    def _tracks(self) -> Any:
        number = 0
        for known in self.context.objects:
            seen = [(record["frame"], dict(record["shapes"]).get(known.id, [])) for record in self.records()]
            for part in range(max((len(found) for _, found in seen), default=0)):
                label = quoteattr(known.name)
                lines = [f'  <track id="{number}" label={label} source="file" group_id="{known.id}">']
                lines += _track_lines([(frame, found[part] if part < len(found) else None) for frame, found in seen])
                number += 1
                yield "\n".join(lines) + "\n  </track>\n"


def _track_lines(frames: list[tuple[int, Any]]) -> list[str]:
    """A keyframe wherever the outline is; the first frame without it says that it is gone."""
    lines: list[str] = []
    last: str | None = None
    for frame, points in frames:
        if points is not None:
            last = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
            lines.append(_polygon(frame, last, outside=False))
        elif last is not None:
            lines.append(_polygon(frame, last, outside=True))
            last = None
    return lines


def _polygon(frame: int, points: str, outside: bool) -> str:
    return (
        f'    <polygon frame="{frame}" keyframe="1" outside="{int(outside)}" occluded="0" points="{points}" '
        'z_order="0"></polygon>'
    )
