"""One door to every frame source: files, folders, cameras and streams."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from engine.errors import SourceError
from engine.video.camera import CameraSource, find_camera, list_cameras
from engine.video.file import VideoFileSource
from engine.video.folder import IMAGE_SUFFIXES, ImageFolderSource
from engine.video.paced import PREFIX as LIVE_PREFIX
from engine.video.paced import PacedFileSource
from engine.video.screen import PREFIX as SCREEN_PREFIX
from engine.video.screen import ScreenSource, ScreenSpec
from engine.video.source import FrameSource
from engine.video.stream import StreamSource, is_stream_url

CAMERA_PREFIX = "camera:"

# fmt: off
_VIDEO_SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".dv", ".flv", ".gif", ".h264", ".264", ".hevc", ".h265", ".265", ".ivf", ".m2ts", ".m4v",
    ".mkv", ".mjpeg", ".mjpg", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogg", ".ogv", ".ts", ".vob",
    ".webm", ".wmv", ".y4m",
})
# fmt: on


def open_source(spec: str | Path | int) -> FrameSource:
    """Open whatever `spec` names.

    Args:
        spec: a camera (0, "0", "camera:0", "camera:NAME" or its plain name), the address of a stream (http, https,
            rtsp, rtmp, udp ...), a screen ("screen:0") or a part of it ("screen:0:LEFT,TOP,WIDTH,HEIGHT"), "live:PATH"
            (a video file played like a camera), a video file, an image file, a folder of images, a project with
            pictures of its own, or a file:// address of one of these.

    Raises:
        SourceError: with one clear sentence and the way out.
    """
    if isinstance(spec, int):
        return CameraSource(spec)
    if isinstance(spec, Path):
        return _open_path(spec)
    text = spec.strip()
    if text.startswith(CAMERA_PREFIX):
        return _open_camera(text.removeprefix(CAMERA_PREFIX))
    if text.startswith(SCREEN_PREFIX):
        return ScreenSource(ScreenSpec.parse(text))
    if text.startswith(LIVE_PREFIX):
        return PacedFileSource(Path(text.removeprefix(LIVE_PREFIX)).expanduser())
    if text.startswith("file://"):
        return _open_path(Path(url2pathname(urlsplit(text).path)))
    if is_stream_url(text):
        return StreamSource(text)
    path = Path(text).expanduser()
    if text and not _exists(path):
        if text.isdecimal():
            return CameraSource(int(text))
        # Only a bare word can be a camera's name; asking for the list may open cameras, so not for every typing error.
        if path.name == text and not path.suffix and (camera := find_camera(text, list_cameras())) is not None:
            return CameraSource(camera.index, name=camera.name)
    if not text:
        raise SourceError("No source was given.", "Name a video file, a folder of images, a camera or an address.")
    return _open_path(path)


def classify(path: Path) -> Literal["video", "image", "folder", "other"]:
    """What a dropped file or folder is, by its kind and the end of its name, without opening it as a video."""
    if _is_folder(path):
        return "folder"
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in _VIDEO_SUFFIXES:
        return "video"
    return _by_content(path)


def _by_content(path: Path) -> Literal["video", "image", "other"]:
    """For files without a telling name: the marks of the common containers and image formats."""
    try:
        if not path.is_file():
            return "other"  # a pipe would keep us waiting for ever
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return "other"
    if head[4:8] == b"ftyp" or head[:4] == b"\x1aE\xdf\xa3" or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return "video"
    if head[:8] == b"\x89PNG\r\n\x1a\n" or head[:3] == b"\xff\xd8\xff" or head[:4] in (b"II*\x00", b"MM\x00*"):
        return "image"
    return "other"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long or with a NUL
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _open_path(path: Path) -> FrameSource:
    path = path.expanduser()
    if "\x00" in str(path):
        raise SourceError("The name of the file contains a NUL character.", "Check the name.")
    from engine.project.state import is_project  # projects know sources, too

    if is_project(path) and path.is_file():
        from engine.project.pictures import ProjectPictures

        return ProjectPictures(path)
    if classify(path) in ("folder", "image"):
        return ImageFolderSource(path)
    return VideoFileSource(path)


def _open_camera(which: str) -> FrameSource:
    if which.isdecimal():
        return CameraSource(int(which))
    cameras = list_cameras()
    camera = find_camera(which, cameras)
    if camera is None:
        there = ", ".join(c.name for c in cameras)
        way_out = f"Cameras that are there: {there}." if there else "Plug one in; no camera was found."
        raise SourceError(f"There is no camera named {which!r}.", way_out)
    return CameraSource(camera.index, name=camera.name)
