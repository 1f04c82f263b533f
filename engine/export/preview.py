"""One frame as an export will make it: a picture, and for data files the very text."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.export.clock import SourceClock
from engine.export.formats import find_format, writer_of
from engine.export.looks import LOOKS, Picture
from engine.export.masks import ids_in
from engine.export.request import ExportRequest
from engine.export.writer import ExportContext, ExportItem
from engine.types import Frame, Mask
from engine.video.masks import davis_palette
from engine.video.source import SourceInfo

_MOST_TEXT = 2000
_TEXTS = (".csv", ".json", ".xml")


def chosen_objects(mask: Mask, object_ids: frozenset[int] | None) -> Mask:
    """The mask with only these objects."""
    if object_ids is None:
        return mask
    return np.where(np.isin(mask, sorted(object_ids)), mask, np.uint8(0)).astype(np.uint8)


def preview_picture(request: ExportRequest, frame: Frame, mask: Mask | None) -> Picture:
    """H x W x 3 RGB or H x W x 4 RGBA, from the function that the writer uses.

    Raises:
        OptionError: the request names an unknown format or option.
    """
    format_ = find_format(request.format)
    shown = np.zeros((frame.height, frame.width), np.uint8) if mask is None else mask
    palette = davis_palette() if request.palette is None else request.palette
    options = format_.complete(request.options)
    return LOOKS[format_.look](frame.rgb, chosen_objects(shown, request.object_ids), options, palette)


def preview_text(
    request: ExportRequest, info: SourceInfo, frame: Frame, mask: Mask | None, confidence: Mapping[int, float]
) -> str:
    """The beginning of the data file with this frame alone in it, "" for formats that are pictures."""
    format_ = find_format(request.format)
    is_folder = format_.key == "labelme"
    if format_.suffix not in _TEXTS and not is_folder:
        return ""
    shown = None if mask is None else chosen_objects(mask, request.object_ids)
    ids = () if shown is None else tuple(ids_in(shown))
    clock = SourceClock(unit=SourceClock.plain_unit(), step=1)
    with tempfile.TemporaryDirectory(prefix="livemask-preview-") as folder:
        options = {**format_.complete(request.options)}
        if is_folder:
            options["pictures"] = False
        context = ExportContext(request, format_, options, lambda: ids, Path(folder), info, clock)
        writer = writer_of(format_)(context)
        try:
            writer.begin_part(0)
            writer.write(ExportItem(frame.index, frame.time_s, 0, frame.rgb, shown, confidence))
            writer.end_part()
            context.part_ticks.append([0])
            writer.finish()
        finally:
            writer.close()
        path = next(context.out.glob("*.json")) if is_folder else context.out
        text = path.read_text("utf-8")
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "…"
