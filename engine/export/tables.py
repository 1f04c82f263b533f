"""Plain data: a CSV table and a NumPy archive."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.export.shapes import measure
from engine.export.writer import ExportItem, RecordWriter
from engine.project.mask_codec import EncodedMask, decode_mask, encode_mask

_COLUMNS = (
    "frame", "time_s", "object", "name", "x", "y", "width", "height", "centroid_x", "centroid_y", "area", "confidence",
)  # fmt: skip


class Csv(RecordWriter):
    """One line per frame and object that has pixels there. Empty confidence: unknown (painted, or from a folder)."""

    def record(self, item: ExportItem) -> Any:
        rows: list[Any] = []
        for shape in [] if item.mask is None else measure(item.mask):
            confidence = item.confidence.get(shape.id)
            rows.append(
                [
                    item.index,
                    f"{item.time_s:.6f}",
                    shape.id,
                    self.context.object_name(shape.id),
                    *shape.box,
                    f"{shape.centroid[0]:.3f}",
                    f"{shape.centroid[1]:.3f}",
                    shape.area,
                    "" if confidence is None else f"{confidence:.4f}",
                ]
            )
        return rows

    def finish(self) -> None:
        with self.context.out.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(_COLUMNS)
            for rows in self.records():
                table.writerows(rows)


class Npz(RecordWriter):
    """Arrays: masks N x H x W uint8 ids, frames N, times N seconds, objects K ids, names K, confidence N x K (NaN:
    unknown), has_mask N. Written frame by frame, so that a long video needs no memory; numpy.load reads it.
    """

    def record(self, item: ExportItem) -> Any:
        encoded = None if item.mask is None else encode_mask(item.mask)
        return {
            "frame": item.index,
            "time": item.time_s,
            "mask": None if encoded is None else encoded.data.hex(),
            "confidence": {str(key): value for key, value in item.confidence.items()},
        }

    def finish(self) -> None:
        source = self.context.source
        height, width = source.height, source.width
        count = sum(map(len, self.context.part_ticks))
        ids = self.context.object_ids
        frames, times = np.zeros(count, np.int64), np.zeros(count, np.float64)
        there, sure = np.zeros(count, np.bool_), np.full((count, len(ids)), np.nan, np.float32)
        with zipfile.ZipFile(self.context.out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            with archive.open("masks.npy", "w", force_zip64=True) as file:
                header = {"descr": npy.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False,
                          "shape": (count, height, width)}  # fmt: skip
                npy.write_array_header_2_0(file, header)
                for position, record in enumerate(self.records()):
                    frames[position], times[position] = record["frame"], record["time"]
                    there[position] = record["mask"] is not None
                    for column, object_id in enumerate(ids):
                        sure[position, column] = record["confidence"].get(str(object_id), np.nan)
                    if record["mask"] is None:
                        file.write(bytes(height * width))
                    else:
                        mask = decode_mask(EncodedMask(height, width, bytes.fromhex(record["mask"]), ()))
                        file.write(mask.tobytes())
            names = np.array([self.context.object_name(i) for i in ids] or [""], dtype=np.str_)[: len(ids)]
            for name, array in (
                ("frames", frames), ("times", times), ("has_mask", there), ("objects", np.array(ids, np.uint8)),
                ("names", names), ("confidence", sure),
            ):  # fmt: skip
                archive.writestr(f"{name}.npy", _npy_bytes(array))


def _npy_bytes(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    npy.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()
