"""Network streams (MJPEG over HTTP, RTSP, RTMP, UDP) through PyAV, newest frame only, reconnecting by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import av
import av.error

from engine.errors import SourceError
from engine.video.decode import DECODER_OPTIONS, RgbConverter
from engine.video.live import EndOfStreamError, GrabError, LiveSource, Picture, RetryPolicy, Wait
from engine.video.source import SourceKind, check_size

SCHEMES = frozenset({"http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp"})

# Not "fflags nobuffer": it throws away the packets read while probing, and with them the first key frame. The newest
# frame wins anyway, so what was buffered at the start is caught up with at once.
_OPTIONS = {
    "flags": "low_delay",
    "rtsp_transport": "tcp",  # over UDP a lost packet smears the picture
    "analyzeduration": "1000000",  # microseconds
    "protocol_whitelist": "http,https,tcp,tls,rtsp,rtsps,rtp,srtp,rtmp,rtmps,udp,srt,crypto,data,httpproxy",
}
_MAX_BAD_PACKETS = 50


def is_stream_url(spec: str) -> bool:
    """Whether a text is the address of a network stream."""
    scheme, separator, rest = spec.partition("://")
    return bool(separator and rest) and scheme.lower() in SCHEMES


def without_password(url: str) -> str:
    """The address as it may be shown: user name, password and query (which may hold a token) left out."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


class _StreamGrabber:
    """Demuxes and decodes one address; see `engine.video.live.Grabber`."""

    def __init__(self, url: str, open_timeout_s: float, read_timeout_s: float) -> None:
        self.name = without_password(url)
        self.fps: float | None = None
        self._url = url
        self._timeout = (open_timeout_s, read_timeout_s)
        self._container: Any = None
        self._pictures: Iterator[Any] = iter(())
        self._convert: RgbConverter | None = None
        self._finite = False
        self._pace: _Pace | None = None

    def open(self) -> None:
        try:
            self._container = av.open(
                self._url, mode="r", options=_OPTIONS, metadata_errors="replace", timeout=self._timeout
            )
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise _cannot_open(self.name, error) from error
        streams = self._container.streams.video
        if not streams or streams[0].codec_context is None:
            raise SourceError(f"{self.name} carries no video that can be decoded.", "Check the address.")
        stream = streams[0]
        check_size(self.name, stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.options = DECODER_OPTIONS
        # Threads per slice, not per frame: those hold back one frame each.
        stream.codec_context.thread_type = "SLICE"
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        timeless = self._container.format.name in ("mpjpeg", "mjpeg")  # the rate is then the demuxer's invention
        self.fps = rate if 0 < rate <= 1000 and not timeless else None
        # A file behind an address, or segments (HLS), arrive faster than real time.
        self._finite = bool(self._container.duration and self._container.duration > 0)
        self._pace = _Pace() if self._finite or "hls" in self._container.format.name else None
        self._convert = None
        self._pictures = self._decode(stream)

    def _decode(self, stream: Any) -> Iterator[Any]:
        bad = 0
        for packet in self._container.demux(stream):
            try:
                yield from packet.decode()
                bad = 0
            except av.error.InvalidDataError:
                bad += 1  # joined in the middle of a group of pictures, or lost packets
                if bad >= _MAX_BAD_PACKETS:
                    raise

    def grab(self, wait: Wait) -> Picture:
        try:
            picture = next(self._pictures, None)
        except (av.error.InvalidDataError, av.error.ArgumentError) as error:  # the latter: beyond DECODER_OPTIONS
            raise GrabError("what it sends cannot be decoded") from error
        except (av.error.FFmpegError, OSError) as error:
            raise GrabError(_reason(error)) from error
        if picture is None:
            if self._finite:
                raise EndOfStreamError
            raise GrabError("the other side ended the stream")
        check_size(self.name, picture.width, picture.height)
        if self._pace is not None and picture.time is not None:
            self._pace.hold(picture.time, wait)
        if self._convert is None:
            self._convert = RgbConverter(picture)
        return partial(self._convert, picture)

    def close(self) -> None:
        self._pictures = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None


class _Pace:
    """Holds pictures back until they are due, for sources that deliver faster than real time."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def hold(self, time_s: float, wait: Wait) -> None:
        now = time.monotonic()
        if self._offset is None or abs(now - self._offset - time_s) > 3.0:  # first picture, jump, or far behind
            self._offset = now - time_s
        due = self._offset + time_s - now
        if due > 0:
            wait(due)


def _reason(error: Exception) -> str:
    if isinstance(error, (av.error.ExitError, av.error.TimeoutError, TimeoutError)):
        return "it has not sent anything for some seconds"
    return str(getattr(error, "strerror", None) or error).lower().rstrip(".")


def _cannot_open(name: str, error: Exception) -> SourceError:
    if isinstance(error, (av.error.ExitError, av.error.TimeoutError)):
        return SourceError(f"{name} does not answer.", "Check the address and the network.")
    if isinstance(error, (av.error.ConnectionRefusedError, ConnectionRefusedError)):
        return SourceError(f"Nothing listens at {name}.", "Check the port and that the camera is switched on.")
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        return SourceError(f"{name} asks for a login.", "Put it into the address: http://user:password@host/path.")
    if isinstance(error, av.error.HTTPNotFoundError):
        return SourceError(f"{name} does not exist on that server.", "Check the path of the address.")
    if isinstance(error, av.error.InvalidDataError):
        return SourceError(f"{name} sends no video.", "Open the address of the stream itself, not of a web page.")
    return SourceError(f"{name} cannot be opened: {_reason(error)}.", "Check the address and the network.")


class StreamSource(LiveSource):
    """A network stream; only the newest frame is delivered, older ones are dropped and counted.

    When the stream stalls or ends it is opened again, with growing pauses, for `reconnect_s`; `status` says so
    meanwhile. A finite file behind an address plays in real time and ends.

    Args:
        url: http(s), rtsp(s), rtmp(s), udp, rtp, srt or tcp address; user:password@ is honoured and never shown.
        open_timeout_s, read_timeout_s: silence after which connecting or reading counts as failed.

    Raises:
        SourceError: the address does not answer or carries no video.
    """

    def __init__(
        self, url: str, *, open_timeout_s: float = 8.0, read_timeout_s: float = 5.0, reconnect_s: float = 30.0
    ) -> None:
        if re.search(r"[\x00-\x20]", url):
            raise SourceError("The address contains a blank or a control character.", "Check the address.")
        super().__init__(
            _StreamGrabber(url, open_timeout_s, read_timeout_s),
            SourceKind.STREAM,
            url,
            policy=RetryPolicy(give_up_s=reconnect_s),
            open_timeout_s=open_timeout_s + read_timeout_s + 2.0,
        )
