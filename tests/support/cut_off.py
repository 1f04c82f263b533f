"""Tracks a stream whose network stalls for real, in a network of its own. For `unshare --net` (Linux):

    unshare --map-root-user --net python -m tests.support.cut_off SECONDS

prints one line of JSON: seconds until the user was told, seconds from the return of the network until tracking went on,
and the object ids then.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from engine.runtime.messages import Mode
from engine.video.stream import StreamSource
from tests.support.servers import MjpegServer
from tests.unit.runtime.test_session_reconnect import HEIGHT, WIDTH, Watcher, two_objects

EVERYTHING_IS_LOST = ["tc", "qdisc", "add", "dev", "lo", "root", "bfifo", "limit", "1"]  # no packet fits the queue
AS_BEFORE = ["tc", "qdisc", "del", "dev", "lo", "root"]


def main(seconds: float) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = MjpegServer()
    watcher = Watcher(StreamSource)
    session = watcher.session
    watcher.track_two_objects(server.url(), two_objects(WIDTH, HEIGHT))
    subprocess.run(EVERYTHING_IS_LOST, check=True)
    cut = time.monotonic()
    watcher.until(lambda: any(text.startswith("No picture from") for text in watcher.notices))
    told = time.monotonic() - cut
    time.sleep(max(0.0, cut + seconds - time.monotonic()))
    session.events()
    before = session.stats().processed
    subprocess.run(AS_BEFORE, check=True)
    back = time.monotonic()
    watcher.until(lambda: session.stats().processed > before)
    resumed = time.monotonic() - back
    watcher.go_on()
    assert session.mode is Mode.TRACKING
    assert session.stats().source_status == ""
    print(json.dumps({"told": told, "resumed": resumed, "ids": sorted(watcher.ids)}))
    assert session.shutdown(20)
    server.die()


if __name__ == "__main__":
    main(float(sys.argv[1]))
