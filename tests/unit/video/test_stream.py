"""Network streams, against servers on the loopback interface that die and come back."""

from __future__ import annotations

import http.server
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import SourceError
from engine.types import Frame
from engine.video import source as limits
from engine.video import stream
from engine.video.source import SourceKind
from engine.video.stream import StreamSource, is_stream_url, without_password
from tests.support.servers import MjpegServer, RtspServer, free_port, grey
from tests.unit.video.media import ffmpeg

Clip = Callable[..., Path]
TIMEOUT_S = 20.0


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    started = MjpegServer()
    yield started
    started.die()


def take(source: StreamSource) -> Frame:
    frame = source.read()
    assert frame is not None
    return frame


def test_mjpeg_frames_arrive_in_order_with_exact_gaps(server: MjpegServer) -> None:
    with closing(StreamSource(server.url())) as source:
        info = source.info
        assert (info.kind, info.width, info.height, info.fps) == (SourceKind.STREAM, 64, 48, None)
        assert info.uri == server.url()
        frames = [take(source) for _ in range(15)]
        greys = [round(float(frame.rgb.mean())) for frame in frames]
        # The server's own numbering moves exactly as ours: nothing is lost or repeated in between.
        assert np.diff(greys).tolist() == np.diff([frame.index for frame in frames]).tolist()
        assert all(step >= 1 for step in np.diff([frame.index for frame in frames]))
        gaps = frames[-1].index - frames[0].index - (len(frames) - 1)
        assert source.dropped == gaps + frames[0].index


def test_a_slow_reader_gets_the_newest_frame(server: MjpegServer) -> None:
    with closing(StreamSource(server.url())) as source:
        first = take(source)
        while source.captured < first.index + 12:
            threading.Event().wait(0.02)
        newest = take(source)
        assert newest.index >= first.index + 11
        assert source.dropped == newest.index - 1
        assert time.monotonic() - newest.time_s < TIMEOUT_S


def test_a_stream_that_dies_and_returns_goes_on_by_itself(server: MjpegServer) -> None:
    with closing(StreamSource(server.url(), read_timeout_s=2)) as source:
        last = take(source)
        server.die()
        results: list[Frame] = []
        reader = threading.Thread(target=lambda: results.extend(take(source) for _ in range(40)))
        reader.start()
        deadline = time.monotonic() + TIMEOUT_S
        while not source.status and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert source.status == f"Reconnecting to {server.url()}"
        revived = MjpegServer(server.port)
        try:
            reader.join(TIMEOUT_S)
            assert len(results) == 40
            assert source.status == ""
        finally:
            revived.die()
        assert all(b.index > a.index for a, b in zip([last, *results], results, strict=False))


def test_a_stall_counts_as_lost(server: MjpegServer) -> None:
    with closing(StreamSource(server.url(), read_timeout_s=0.3, reconnect_s=0)) as source:
        take(source)
        server.stalled.set()

        with pytest.raises(SourceError, match="not sent anything"):
            read_on(source)


def test_a_stream_that_stays_away_is_an_error(server: MjpegServer) -> None:
    with closing(StreamSource(server.url(), reconnect_s=0.5)) as source:
        take(source)
        server.die()

        with pytest.raises(SourceError, match=r"was lost: Nothing listens"):
            read_on(source)


def test_close_wakes_a_read_that_waits_for_a_stalled_server(server: MjpegServer) -> None:
    source = StreamSource(server.url(), read_timeout_s=1.5)
    take(source)
    server.stalled.set()
    done = threading.Event()

    def read_until_closed() -> None:
        while source.read() is not None:
            pass
        done.set()

    reader = threading.Thread(target=read_until_closed)
    reader.start()
    closer = threading.Thread(target=source.close)
    closer.start()
    assert done.wait(1.0)  # long before the server would be given up
    reader.join()
    closer.join()


def test_login_is_used_and_never_shown(server: MjpegServer) -> None:
    url = server.url("/private?token=abc", login="me:s3cret@")
    with closing(StreamSource(url)) as source:
        assert take(source).width == 64
        assert source.info.uri == url
        assert source.info.name == server.url("/private")
    with pytest.raises(SourceError) as caught:
        StreamSource(server.url("/private", login="me:wr0ng@"))
    assert "wr0ng" not in str(caught.value)
    assert "asks for a login" in caught.value.message


def test_addresses_that_do_not_work(server: MjpegServer) -> None:
    with pytest.raises(SourceError, match="Nothing listens"):
        StreamSource(f"http://127.0.0.1:{free_port()}/stream")
    with pytest.raises(SourceError, match="Nothing listens"):
        StreamSource(f"rtsp://127.0.0.1:{free_port()}/stream")
    with pytest.raises(SourceError, match="does not exist on that server"):
        StreamSource(server.url("/missing"))
    with pytest.raises(SourceError, match=r"/page (sends no video|cannot be opened)"):
        StreamSource(server.url("/page"))
    with pytest.raises(SourceError, match="blank"):
        StreamSource("http://127.0.0.1/a b")


def test_a_server_that_accepts_but_never_answers() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(SourceError, match="does not answer"):
            StreamSource(f"http://127.0.0.1:{mute.getsockname()[1]}/", open_timeout_s=0.3, read_timeout_s=0.3)


def test_pictures_that_change_their_size_on_the_way_are_scaled() -> None:
    server = MjpegServer(picture=lambda n: grey(n) if n < 10 else np.repeat(np.repeat(grey(n), 2, axis=0), 3, axis=1))
    try:
        with closing(StreamSource(server.url())) as source:
            frames = [take(source)]
            while source.captured < 30:
                frames.append(take(source))
            assert {frame.rgb.shape for frame in frames} == {(48, 64, 3)}
            assert frames[-1].index > 15
            assert source.status == ""
    finally:
        server.die()


def larger(number: int) -> NDArray[np.uint8]:
    """Small pictures, and from the tenth on some of twice the width and height."""
    return grey(number) if number < 10 else grey(number).repeat(2, axis=0).repeat(2, axis=1)


def read_on(source: StreamSource) -> None:
    while True:
        take(source)


def test_pictures_beyond_the_limit_are_refused_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PIXELS", 64 * 48)
    for picture in (larger, lambda _: larger(10)):  # on the way, and from the beginning
        server = MjpegServer(picture=picture)
        try:
            with (
                pytest.raises(SourceError, match="is 128 x 96; the limit is"),
                closing(StreamSource(server.url(), reconnect_s=0)) as source,
            ):
                read_on(source)
        finally:
            server.die()


def test_the_decoder_takes_no_memory_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "DECODER_OPTIONS", {"max_pixels": str(64 * 48)})
    server = MjpegServer(picture=larger)
    try:
        with (
            pytest.raises(SourceError, match="cannot be decoded"),
            closing(StreamSource(server.url(), reconnect_s=0)) as source,
        ):
            read_on(source)
    finally:
        server.die()


def test_repeated_pictures_are_counted_like_any_other() -> None:
    """Ten of a kind: none is taken for the one before."""
    server = MjpegServer(picture=lambda n: grey(20 * (n // 10)))
    try:
        with closing(StreamSource(server.url())) as source:
            while (frame := take(source)).rgb.mean() < 50:
                assert frame.index < 40
            assert frame.index >= 20  # some go by before the first one is shown
    finally:
        server.die()


@pytest.fixture
def h264(clip: Clip, tmp_path: Path) -> Path:
    path = tmp_path / "small.h264"
    ffmpeg(
        "-i", clip("b_frames.mp4"), "-vf", "scale=64:48", "-c:v", "libx264", "-bf", "0", "-g", "5", "-slices", "1", path
    )
    return path


def test_an_rtsp_server_that_dies_and_returns(h264: Path) -> None:
    server = RtspServer(h264)
    try:
        with closing(StreamSource(server.url, read_timeout_s=2)) as source:
            take(source)
            server.die()
            deadline = time.monotonic() + TIMEOUT_S
            while not source.status.startswith("Reconnecting") and time.monotonic() < deadline:
                threading.Event().wait(0.01)
            assert source.status == f"Reconnecting to {server.url}"
            before = source.captured
            server = RtspServer(h264, server.port)
            while (frame := take(source)).index < before + 20:
                assert time.monotonic() < deadline
            assert frame.rgb.shape == (48, 64, 3)
            assert source.status == ""
    finally:
        server.die()


def test_time_stamps_that_stand_still_stop_nothing(h264: Path) -> None:
    server = RtspServer(h264, last_stamp=5)
    try:
        with closing(StreamSource(server.url, read_timeout_s=2)) as source:
            frames = [take(source)]
            while frames[-1].index < 40:
                frames.append(take(source))
            assert all(b.index > a.index and b.time_s > a.time_s for a, b in itertools.pairwise(frames))
            assert source.status == ""
    finally:
        server.die()


def test_rtsp(h264: Path) -> None:
    server = RtspServer(h264)
    try:
        with closing(StreamSource(server.url, read_timeout_s=2)) as source:
            assert (source.info.width, source.info.height) == (64, 48)
            frames = [take(source) for _ in range(10)]
            assert all(b.index > a.index for a, b in itertools.pairwise(frames))
            assert all(frame.rgb.std() > 20 for frame in frames)
    finally:
        server.die()


def test_a_file_behind_an_address_plays_in_real_time_and_ends(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    ffmpeg("-i", clip("faststart.mp4"), "-t", "0.8", "-movflags", "+faststart", path)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            start = time.monotonic()
            with closing(StreamSource(f"http://127.0.0.1:{web.server_address[1]}/film.mp4")) as source:
                while (frame := source.read()) is not None:
                    last = frame
                assert last.index == 19
                assert source.captured == 20
            assert time.monotonic() - start >= 19 / 25
        finally:
            web.shutdown()
            thread.join()


@pytest.mark.parametrize("way", ["redirect", "playlist"])
def test_an_address_does_not_lead_to_files_of_this_machine(clip: Clip, way: str) -> None:
    film = clip("b_frames.ts")

    class Guide(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if way == "redirect":
                self.send_response(302)
                self.send_header("Location", film.as_uri())
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.end_headers()
            lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXTINF:3,", film.as_uri(), "#EXTINF:3,", str(film)]
            self.wfile.write("\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode())

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guide) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            with pytest.raises(SourceError, match=r"cannot be opened|does not answer|no video"):
                StreamSource(f"http://127.0.0.1:{web.server_address[1]}/list.m3u8", open_timeout_s=0.5, reconnect_s=0)
        finally:
            web.shutdown()
            thread.join()


def test_what_is_an_address() -> None:
    for url in ("http://cam/mjpg", "HTTPS://cam", "rtsp://u:p@cam:554/x", "rtmp://a/b", "udp://@:1234", "srt://a:1"):
        assert is_stream_url(url)
    for other in ("C:/films/a.mp4", "file:///a.mp4", "camera:0", "http:", "a.mp4", "gopher://x", "concat://a"):
        assert not is_stream_url(other)
    assert without_password("rtsp://u:p@cam:554/x?key=1") == "rtsp://cam:554/x"
