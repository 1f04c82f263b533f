"""Small pictures of the frames below the time line. A thread of their own reads them, only what is on show, once.

The reader has its own source, so that it never disturbs the session's. It takes the newest wish and drops the former,
rests while the engine tracks, and keeps a fixed number of pictures.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QRectF, pyqtSignal
from PyQt6.QtGui import QImage, QPainter

from app.panels.timeline_view import TimelineView
from engine.errors import UserError
from engine.types import Frame
from engine.video.source import FrameSource, SourceInfo

_LOG = logging.getLogger(__name__)

HEIGHT = 34  # pixels of a thumbnail
MOST = 400  # pictures kept: some 8 MB
_GAP = 2


def _open(uri: str) -> FrameSource:
    from engine.video.open import open_source

    return open_source(uri)


def stride_for(span: float, room: float, cell: float) -> int:
    """Frames between two thumbnails: 1, 2, 3, 4, 6, 8, 12 ..., so that zooming meets the same frames again.

    Args:
        span: frames on show; `room`: pixels for them; `cell`: pixels of one thumbnail.
    """
    wanted = span * cell / max(room, 1.0)
    power = 1
    while 2 * power < wanted:
        power *= 2
    return next(stride for stride in (power, power * 3 // 2, 2 * power) if stride >= wanted)


class ThumbnailReader:
    """Reads small pictures in a thread of its own. `ready` is called there: (uri, frame index, H x W x 3 uint8)."""

    def __init__(
        self, ready: Callable[[str, int, NDArray[np.uint8]], None], opener: Callable[[str], FrameSource] = _open
    ):
        self._ready = ready
        self._opener = opener
        self._changed = threading.Condition()
        self._uri: str | None = None
        self._wanted: list[int] = []
        self._stride = 1
        self._paused = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self.read_count = 0

    def open(self, uri: str | None) -> None:
        """Read from another source from now on, None: from none."""
        with self._changed:
            self._uri, self._wanted = uri, []
            self._changed.notify()

    def want(self, indices: Sequence[int], stride: int) -> None:
        """The frames to read next, in this order, instead of all that were wanted before.

        Args:
            stride: frames between two of them; a frame less than that further ahead, but quickly had, will do.
        """
        with self._changed:
            self._wanted, self._stride = list(indices), stride
            if self._wanted and self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="livemask-thumbnails", daemon=True)
                self._thread.start()
            self._changed.notify()

    def pause(self, paused: bool) -> None:
        """Leave the processor to others for a while."""
        with self._changed:
            self._paused = paused
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        source: FrameSource | None = None
        opened: str | None = None
        while True:
            with self._changed:
                # Without a wish the source stays open; a source that is gone from the window is let go of.
                while not self._closed and self._uri == opened and (self._paused or not self._wanted):
                    self._changed.wait()
                uri, closed = self._uri, self._closed
                index = self._wanted.pop(0) if self._wanted and not self._paused else None
                stride = self._stride
            if source is not None and (closed or uri != opened):
                source.close()
                source = None
            if closed:
                return
            if uri is not None and uri != opened:
                source = self._open_quietly(uri)
            opened = uri
            if source is not None and uri is not None and index is not None:
                self._read(source, uri, index, stride)

    def _open_quietly(self, uri: str) -> FrameSource | None:
        try:
            return self._opener(uri)
        except UserError as error:
            _LOG.info("no thumbnails of %s: %s", uri, error.message)
        except Exception:
            _LOG.exception("no thumbnails of %s", uri)
        return None

    def _read(self, source: FrameSource, uri: str, index: int, stride: int) -> None:
        try:
            seek_point: Callable[[int], int] | None = getattr(source, "seek_point", None)  # files have it
            near = index if seek_point is None else seek_point(index)
            source.seek(near if index - near < stride else index)
            frame = source.read()
        except UserError:
            return
        except Exception:
            _LOG.exception("no thumbnail of frame %s", index)
            return
        self.read_count += 1
        if frame is not None:
            self._ready(uri, index, _small(frame))


def _small(frame: Frame) -> NDArray[np.uint8]:
    """H x W x 3 uint8, twice HEIGHT high for screens of high density."""
    height = min(2 * HEIGHT, frame.height)
    width = max(round(frame.width * height / frame.height), 1)
    return np.ascontiguousarray(cv2.resize(frame.rgb, (width, height), interpolation=cv2.INTER_AREA))


class ThumbnailRow(QObject):
    """What the time line shows below itself. Signals: changed, when there is a new picture to paint."""

    changed = pyqtSignal()
    _arrived = pyqtSignal(str, int, QImage)

    def __init__(self, opener: Callable[[str], FrameSource] = _open, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.shown = True
        self.height = HEIGHT + 4
        self.reader = ThumbnailReader(self._deliver, opener)
        self._info: SourceInfo | None = None
        self._pictures: OrderedDict[int, QImage] = OrderedDict()
        self._asked: tuple[int, ...] = ()
        self._arrived.connect(self._keep)  # queued: the reader has a thread of its own

    @property
    def pictures(self) -> dict[int, QImage]:
        """Frame index -> picture, of those kept."""
        return dict(self._pictures)

    def open(self, info: SourceInfo | None) -> None:
        """Show another source, None: none."""
        self._info = info
        self._pictures.clear()
        self._asked = ()
        self.reader.open(info.uri if info is not None else None)

    def paint(self, painter: QPainter, place: QRectF, view: TimelineView, current: int) -> None:
        """Paint what there is between the ends of `place`, below its top, and ask for what is missing."""
        if self._info is None or self._info.height < 1:
            return
        cell = HEIGHT * min(max(self._info.width / self._info.height, 0.4), 3.0)
        stride = stride_for(view.span, place.width(), cell + _GAP)
        first, last = view.window
        missing = []
        painter.save()
        painter.setClipRect(QRectF(place.left(), place.top(), place.width(), HEIGHT))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for index in range(first // stride * stride, last + 1, stride):
            picture = self._pictures.get(index)
            if picture is None:
                missing.append(index)
                continue
            self._pictures.move_to_end(index)
            left = place.left() + place.width() * view.share_of(index)
            painter.drawImage(QRectF(left, place.top(), cell, HEIGHT), picture)
        painter.restore()
        self._ask(missing, stride, current)

    def _ask(self, missing: list[int], stride: int, current: int) -> None:
        wanted = tuple(missing)
        if wanted == self._asked:
            return
        known = set(self._asked)
        self._asked = wanted
        if not set(wanted) <= known:  # else they are on their way
            self.reader.want(sorted(wanted, key=lambda index: abs(index - current) // (8 * stride)), stride)

    def _deliver(self, uri: str, index: int, rgb: NDArray[np.uint8]) -> None:
        height, width = rgb.shape[:2]
        picture = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        self._arrived.emit(uri, index, picture.copy())  # a picture that owns its pixels

    def _keep(self, uri: str, index: int, picture: QImage) -> None:
        if self._info is None or uri != self._info.uri:
            return
        self._pictures[index] = picture
        while len(self._pictures) > MOST:
            self._pictures.popitem(last=False)
        self.changed.emit()
