"""The table of export formats: names, descriptions and options. Dialog, command line and documents are made from it.

Light on purpose (the command line's --help imports it): a format names its writer, `writer_of` imports it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.export.request import Value
from models.errors import UserError

if TYPE_CHECKING:
    from engine.export.writer import FormatWriter


class OptionError(UserError):
    """An option that the format does not have, or a value it cannot take."""


@dataclass(frozen=True)
class Option:
    """One choice the user has.

    Attributes:
        default: decides the kind, too: bool, int (from `low` to `high`), or str (one of `choices`; any text without).
        unit: written behind a number.
    """

    key: str
    label: str
    default: Value
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()  # (value, what the user reads)
    low: int = 0
    high: int = 100
    unit: str = ""

    def parse(self, text: str) -> Value:
        """The value that a word of the command line stands for; OptionError when it is none."""
        word = text.strip()
        if isinstance(self.default, bool):
            answers = {"yes": True, "on": True, "true": True, "1": True, "no": False, "off": False, "false": False}
            if word.lower() not in answers and word != "0":
                raise OptionError(f"{self.key} is yes or no, not {text!r}.")
            return answers.get(word.lower(), False)
        if isinstance(self.default, int):
            if not (word.isascii() and word.isdigit() and self.low <= int(word) <= self.high):
                raise OptionError(f"{self.key} is a number from {self.low} to {self.high}, not {text!r}.")
            return int(word)
        values = [value for value, _ in self.choices]
        if values and word not in values:
            raise OptionError(f"{self.key} is one of {', '.join(values)}, not {text!r}.")
        return word

    def accepts(self, value: Value) -> bool:
        if type(value) is not type(self.default):
            return False
        if isinstance(value, int) and not isinstance(value, bool):
            return self.low <= value <= self.high
        return not self.choices or value in [known for known, _ in self.choices]

    @property
    def values_text(self) -> str:
        """What it takes, for the help of the command line."""
        if isinstance(self.default, bool):
            return "yes or no"
        if isinstance(self.default, int):
            return f"{self.low} to {self.high}"
        return ", ".join(value for value, _ in self.choices) or "text"

    @property
    def default_text(self) -> str:
        if isinstance(self.default, bool):
            return "yes" if self.default else "no"
        return str(self.default)


@dataclass(frozen=True)
class ExportFormat:
    """One way to write masks.

    Attributes:
        key: on the command line and in settings.
        title, summary: what it is and what it is good for, one line each.
        family: heading it stands under.
        suffix: of the file, "" when the target is a folder.
        tail: what the suggested name has behind the name of the video.
        writer: module and class, as "module:Class".
        look: how a frame comes out, for the preview: a name in `engine.export.looks.LOOKS`.
        keeps_masks: True when the very masks can be read back from the result.
        needs_range: True when one does not want all of a long video.
    """

    key: str
    title: str
    summary: str
    family: str
    suffix: str
    tail: str
    writer: str
    look: str
    options: tuple[Option, ...] = ()
    keeps_masks: bool = False
    needs_range: bool = False

    @property
    def makes_folder(self) -> bool:
        return not self.suffix

    def option(self, key: str) -> Option:
        """OptionError when there is none of this name."""
        for option in self.options:
            if option.key == key:
                return option
        known = ", ".join(option.key for option in self.options)
        raise OptionError(f"{self.key} has no option {key!r}.", f"It has: {known}." if known else "It has none.")

    def complete(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """Every option with its value; OptionError for one that is unknown or out of bounds."""
        for key, value in given.items():
            if not self.option(key).accepts(value):
                raise OptionError(f"{key} cannot be {value!r}.", f"It takes: {self.option(key).values_text}.")
        return {option.key: given.get(option.key, option.default) for option in self.options}


MASKS, VIDEOS, CUTOUTS, DATA = "Masks", "Videos", "Cut-outs with transparency", "Data and labelling"

_FEATHER = Option("feather", "Soft edge", 0, "blurs the edge of the mask", low=0, high=50, unit="px")
_QUALITY = Option(
    "quality", "Quality", "high", "against the size of the file",
    (("high", "High"), ("medium", "Medium"), ("small", "Small file")),
)  # fmt: skip
_AUDIO = Option("audio", "Keep the sound", True, "copied, where the file can hold its kind")
_EVEN = Option(
    "even", "Pad odd sizes to even", False,
    "odd sizes are kept as 4:4:4, which some players refuse",
)  # fmt: skip
_OPACITY = Option("opacity", "Opacity", 50, "of the colour over the object", unit="%")
_OUTLINE = Option("outline", "Outline", True, "a rim in the full colour")
_NAME = Option("name", "Name in the data set", "", "folder name of this video; left empty: that of the file")
_PICTURES = Option(
    "pictures", "Frames as pictures, too", True, "the frames themselves, without which few tools open it"
)
_SPLIT = Option("split", "Part of the data set", "val", "the list that this video is entered in",
                (("train", "train"), ("val", "val"), ("test", "test")))  # fmt: skip
_MPEG4 = "engine.export.video"

_TABLE = (
    ExportFormat(
        "masks", "Palette PNGs", "One PNG per frame that has a mask, named 00000.png; pixel values are object ids.",
        MASKS, "", "_masks", "engine.export.folders:MaskFolder", "palette", (), keeps_masks=True,
    ),
    ExportFormat(
        "davis2017", "DAVIS 2017 folders", "JPEGImages, Annotations (palette PNGs, several objects) and ImageSets.",
        MASKS, "", "_davis2017", "engine.export.folders:Davis2017", "palette", (_NAME, _SPLIT, _PICTURES),
        keeps_masks=True,
    ),
    ExportFormat(
        "davis2016", "DAVIS 2016 folders", "As DAVIS 2017, but all objects are one: black and white masks.",
        MASKS, "", "_davis2016", "engine.export.folders:Davis2016", "matte", (_NAME, _SPLIT, _PICTURES),
    ),
    ExportFormat(
        "youtube-vos", "YouTube-VOS folders", "JPEGImages, Annotations (palette PNGs) and meta.json with the objects.",
        MASKS, "", "_youtubevos", "engine.export.folders:YouTubeVos", "palette",
        (_NAME, Option("split", "Part of the data set", "valid", "folder that this video goes into",
                       (("train", "train"), ("valid", "valid"), ("test", "test"))), _PICTURES),
        keeps_masks=True,
    ),
    ExportFormat(
        "overlay", "Overlay video (MP4)", "The video with the masks drawn over it, H.264, plays everywhere.",
        VIDEOS, ".mp4", "_overlay", f"{_MPEG4}:Mp4", "overlay", (_OPACITY, _OUTLINE, _QUALITY, _AUDIO, _EVEN),
    ),
    ExportFormat(
        "background", "New background (MP4)", "The objects before plain green, black or white, or the blurred scene.",
        VIDEOS, ".mp4", "_background", f"{_MPEG4}:Mp4", "background",
        (Option("background", "Background", "green", "what replaces everything but the objects",
                (("green", "Green screen"), ("black", "Black"), ("white", "White"), ("blur", "Blurred scene"))),
         _FEATHER, _QUALITY, _AUDIO, _EVEN),
    ),
    ExportFormat(
        "matte", "Matte video (MP4)", "White objects on black, to use as a track matte; H.264.",
        VIDEOS, ".mp4", "_matte", f"{_MPEG4}:Mp4", "matte", (_FEATHER, _QUALITY, _AUDIO, _EVEN),
    ),
    ExportFormat(
        "gif", "Animated GIF", "A short range for a page or a chat; 256 colours, no sound.",
        VIDEOS, ".gif", "", "engine.export.gif:Gif", "gif",
        (Option("content", "Shows", "overlay", "what is in the picture",
                (("overlay", "Overlay"), ("cutout", "Objects on transparency"), ("matte", "White on black"))),
         Option("width", "Width", "source", "of the picture; the height follows",
                (("source", "As the video"), ("640", "640 px"), ("480", "480 px"), ("320", "320 px"))),
         _OPACITY, Option("loop", "Repeat for ever", True)),
        needs_range=True,
    ),
    ExportFormat(
        "rgba-png", "PNG sequence (RGBA)", "One PNG per frame with the objects on transparency; lossless, large.",
        CUTOUTS, "", "_rgba", "engine.export.folders:RgbaFolder", "cutout", (_FEATHER,),
    ),
    ExportFormat(
        "prores4444", "ProRes 4444 (MOV)", "With alpha, for Resolve, Premiere, Final Cut and After Effects; large.",
        CUTOUTS, ".mov", "_prores4444", f"{_MPEG4}:ProRes", "cutout",
        (Option("alpha", "Alpha", "straight", "what the editing program expects",
                (("straight", "Straight"), ("premultiplied", "Premultiplied with black"))), _FEATHER, _AUDIO),
    ),
    ExportFormat(
        "webm", "WebM with alpha (VP9)", "Transparent video for web pages and OBS.",
        CUTOUTS, ".webm", "_alpha", f"{_MPEG4}:WebM", "cutout", (_FEATHER, _QUALITY, _AUDIO),
    ),
    ExportFormat(
        "coco", "COCO (JSON)", "Every frame an image with video id, every object a mask (RLE) with track id.",
        DATA, ".json", "_coco", "engine.export.coco:Coco", "boxes", (), keeps_masks=True,
    ),
    ExportFormat(
        "youtube-vis", "YouTube-VIS (JSON)", "One annotation per object with a mask (RLE) for every frame.",
        DATA, ".json", "_ytvis", "engine.export.coco:YouTubeVis", "boxes", (), keeps_masks=True,
    ),
    ExportFormat(
        "csv", "Table (CSV)", "One line per frame and object: time, box, centroid, area, confidence.",
        DATA, ".csv", "_objects", "engine.export.tables:Csv", "boxes",
    ),
    ExportFormat(
        "numpy", "NumPy (NPZ)", "All masks in one array, with frame numbers, times and confidences.",
        DATA, ".npz", "_masks", "engine.export.tables:Npz", "palette", (), keeps_masks=True,
    ),
    ExportFormat(
        "labelme", "labelme folder", "A picture and a JSON file per frame, to go on editing in labelme.",
        DATA, "", "_labelme", "engine.export.labelling:LabelMe", "contours",
        (Option("shapes", "Shapes", "polygon", "outlines can be edited, but fill holes; masks are exact (labelme 5.3)",
                (("polygon", "Polygons"), ("mask", "Masks"))), _PICTURES),
    ),
    ExportFormat(
        "cvat", "CVAT (XML)", "To import into a CVAT task of the same video (Upload annotations).",
        DATA, ".xml", "_cvat", "engine.export.labelling:Cvat", "contours",
        (Option("shapes", "Shapes", "mask", "masks are exact (import as CVAT for images 1.1); polygons become tracks "
                "(CVAT for video 1.1)", (("mask", "Masks"), ("polygon", "Polygon tracks"))),),
    ),
)  # fmt: skip

FORMATS: dict[str, ExportFormat] = {format_.key: format_ for format_ in _TABLE}
DEFAULT_FORMAT = "masks"


def find_format(key: str) -> ExportFormat:
    """OptionError when there is none of this name."""
    if key not in FORMATS:
        raise OptionError(f"There is no format {key!r}.", f"There are: {', '.join(FORMATS)}.")
    return FORMATS[key]


def writer_of(format_: ExportFormat) -> type[FormatWriter]:
    """Import what writes a format."""
    module, _, name = format_.writer.partition(":")
    writer: type[FormatWriter] = getattr(importlib.import_module(module), name)
    return writer
