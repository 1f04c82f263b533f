"""Video servers on the loopback interface that can die and come back: MJPEG over HTTP, and H.264 over RTSP."""

from __future__ import annotations

import base64
import http.server
import re
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

FRAME_S = 1 / 50


class _Mjpeg(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, MjpegServer)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        login = base64.b64encode(b"me:s3cret").decode()
        if self.path.startswith("/private") and self.headers.get("Authorization") != f"Basic {login}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        if self.path.startswith("/page"):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html><body>Welcome to your camera</body></html>" * 50)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        self.connection.settimeout(5)
        number = 0
        try:
            while not server.dead.is_set():
                if not server.stalled.is_set():
                    jpeg = cv2.imencode(".jpg", server.picture(number)[:, :, ::-1])[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    number += 1
                server.dead.wait(FRAME_S)
        except OSError:
            pass  # the reader went away


def grey(number: int) -> NDArray[np.uint8]:
    """Each picture is one step brighter than the one before."""
    return np.full((48, 64, 3), number % 250, np.uint8)


class MjpegServer(http.server.ThreadingHTTPServer):
    """Sends `picture(0)`, `picture(1)`, ... (H x W x 3 RGB), 50 per second."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, port: int = 0, picture: Callable[[int], NDArray[np.uint8]] = grey) -> None:
        self.dead = threading.Event()
        self.stalled = threading.Event()
        self.picture = picture
        super().__init__(("127.0.0.1", port), _Mjpeg)
        self.port = int(self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def url(self, path: str = "/stream", login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.port}{path}"

    def die(self) -> None:
        """Cut every connection and free the port."""
        if not self.dead.is_set():
            self.dead.set()
            self.shutdown()
            self.server_close()
            self._thread.join()


class _Rtsp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, RtspServer)
        while request := self._request():
            method, url, sequence = request
            extra, body = "", ""
            if method == "OPTIONS":
                extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                body = server.description
                extra = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif method == "SETUP":
                extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            elif method == "PLAY":
                extra = "Session: 1\r\n"
            self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{extra}\r\n{body}".encode())
            if method == "PLAY":
                self._play(server)
                return

    def _request(self) -> tuple[str, str, str] | None:
        lines = []
        while line := self.rfile.readline().decode().strip():
            lines.append(line)
        if not lines:
            return None
        method, url, _ = lines[0].split()
        return method, url, next(line.split(":")[1].strip() for line in lines if line.lower().startswith("cseq"))

    def _play(self, server: RtspServer) -> None:
        count = 0
        try:
            while not server.dead.is_set():
                picture = server.pictures[count % len(server.pictures)]
                for at, unit in enumerate(picture):
                    last = at == len(picture) - 1
                    server.sent += 1
                    stamp = int(min(count, server.last_stamp) * FRAME_S * 90_000)
                    rtp = struct.pack("!BBHII", 0x80, 96 | (last << 7), server.sent % 65536, stamp, 1) + unit
                    self.wfile.write(struct.pack("!cBH", b"$", 0, len(rtp)) + rtp)
                count += 1
                server.dead.wait(FRAME_S)
        except OSError:
            pass  # the reader went away


class RtspServer(socketserver.ThreadingTCPServer):
    """Plays an Annex B H.264 file for ever, interleaved with RTSP on one TCP connection. Small pictures only."""

    daemon_threads = False
    allow_reuse_address = True

    def __init__(self, h264: Path, port: int = 0, last_stamp: int = 2**31) -> None:
        """`last_stamp`: the clock of the pictures stands still from this one on."""
        self.dead = threading.Event()
        self.last_stamp = last_stamp
        self.sent = 0
        units = [u for u in re.split(b"\x00\x00\x00?\x01", h264.read_bytes()) if u]
        parameters = [u for u in units if u[0] & 31 in (7, 8)][:2]
        self.pictures = [[u] for u in units if u[0] & 31 in (1, 5)]
        sets = ",".join(base64.b64encode(u).decode() for u in parameters)
        self.description = (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
            f"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"
            "a=control:track0\r\n"
        )
        super().__init__(("127.0.0.1", port), _Rtsp)
        self.port = int(self.server_address[1])
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def die(self) -> None:
        if not self.dead.is_set():
            self.dead.set()
            self.shutdown()
            self.server_close()
            self._thread.join()


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
