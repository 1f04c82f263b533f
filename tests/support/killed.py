"""A process that lets sessions work on projects and kills them at random moments, then looks at what they left.

One interpreter forks them all, because starting one takes longer than a life among them. Run by
`tests/e2e/test_kill.py`:

    python -m tests.support.killed FOLDER COUNT SEED

prints one line of JSON per life.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from engine.export.request import ExportRequest
from engine.project.pictures import ProjectPictures
from engine.project.project_file import open_project
from engine.project.recovery import find_leftovers
from engine.runtime.messages import ExportProgress, Mode
from engine.runtime.session import Session
from engine.types import Mask
from tests.unit.runtime.fakes import HEIGHT, WIDTH, FakeLive, FakeTracker, index_of, picture, square

FRAMES = 30
PATIENCE_S = 30.0  # a busy disk may take its time to sync
LONGEST_MS = 12.0


def make_frames(folder: Path) -> Path:
    """Tiny lossless pictures that say which frame they are."""
    folder.mkdir(parents=True)
    for index in range(FRAMES):
        assert cv2.imwrite(str(folder / f"{index:03}.png"), picture(index)[..., ::-1])
    return folder


def numbered(stroke: int) -> Mask:
    """A mask that says which stroke it is, in the bits of its first row."""
    mask = square()
    mask[0, :16] = [stroke >> bit & 1 for bit in range(16)]
    return mask


def number_of(mask: Mask) -> int:
    return sum(int(mask[0, bit]) << bit for bit in range(16))


# -- a life ----------------------------------------------------------------------------------------------------------
class Life:
    """Works until it is killed, and says what it is about to do and what it was told is done."""

    def __init__(self, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.say = say
        self.session = Session(create_tracker=lambda _config, _progress: FakeTracker(), autosave_dir=folder / "auto")  # type: ignore[arg-type, return-value]

    def wait(self, state: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not state():
            if time.monotonic() > deadline:
                self.say(f"stuck, {self.session.events()}")
                os._exit(3)
            time.sleep(0.001)

    def live(self) -> None:
        core = self.session._core
        self.session.start()
        self.session.open(self.folder.parent / "frames")
        self.wait(lambda: core.shown is not None)
        self.stroke(1, 0)
        for number in range(2, 60):
            self.random.choice((self.paint, self.paint, self.track, self.save, self.export))(number)

    def stroke(self, number: int, frame: int) -> None:
        self.say(f"begin {number} {frame}")
        shown = self.session._core.shown
        assert shown is not None
        self.session.set_mask(shown.frame, numbered(number), [1])
        self.wait(lambda: self.session.project_up_to_date)
        self.say(f"done {number} {frame}")

    def paint(self, number: int) -> None:
        frame = self.random.randrange(FRAMES)
        self.session.seek(frame)
        self.wait(lambda: self.session._core.shown.frame.index == frame)  # type: ignore[union-attr]
        self.stroke(number, frame)

    def track(self, number: int) -> None:
        self.say("track")
        self.session.track(self.random.choice((1, -1)))
        time.sleep(self.random.random() * 0.01)
        self.session.pause()
        self.wait(lambda: self.session.mode is Mode.FROZEN)

    def save(self, number: int) -> None:
        self.say("save")
        path = self.folder / f"named{self.random.randrange(2)}.livemask"
        self.session.save_project(path, overwrite=True)
        self.session.save_project()
        self.wait(path.exists)

    def export(self, number: int) -> None:
        self.say("export")
        self.session.events()
        self.session.export(ExportRequest("masks", self.folder / "out", overwrite=True))
        self.wait(lambda: any(isinstance(e, ExportProgress) and e.finished and e.ok for e in self.session.events()))


class OnAir(Life):
    """The same with a camera, whose frames cannot be seen again."""

    def __init__(self, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        super().__init__(folder, seed, say)
        self.camera = FakeLive()
        self.session._sources._opener = lambda _uri: self.camera  # type: ignore[assignment, return-value]

    def live(self) -> None:
        self.session.start()
        self.session.open("camera:0")
        self.wait(lambda: self.session.mode is Mode.PREVIEW)
        for number in range(1, 60):
            self.frame()
            self.session.freeze()
            shown = self.session._core.shown
            assert shown is not None
            self.stroke(number, shown.frame.index)
            self.random.choice((self.track, self.save, self.go_on))(number)
            self.session.play()

    def frame(self) -> None:
        """Let some frames pass; the last one is on display."""
        index = self.camera.push(self.random.randrange(1, 5))
        self.wait(lambda: self.session._core.shown is not None and self.session._core.shown.frame.index == index)

    def go_on(self, number: int) -> None: ...

    def track(self, number: int) -> None:
        self.say("track")
        self.session.track()
        self.frame()
        self.session.pause()


# -- its end ---------------------------------------------------------------------------------------------------------
def let_live_and_kill(folder: Path, seed: int) -> list[str]:
    """Fork a life, kill it at a random moment; returns what it said."""
    chance = random.Random(-seed)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        try:
            life = OnAir if on_air(seed) else Life
            life(folder, seed, lambda text: void(os.write(write_end, f"{text}\n".encode()))).live()
        finally:
            os._exit(1)
    os.close(write_end)
    said, wanted = b"", chance.randrange(1, 16)
    try:
        while said.count(b"\n") < wanted and select.select([read_end], [], [], PATIENCE_S)[0]:
            part = os.read(read_end, 4096)
            if not part:
                break
            said += part
        time.sleep(chance.random() * LONGEST_MS / 1000)
    finally:
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    while part := os.read(read_end, 4096):
        said += part
    os.close(read_end)
    assert os.WIFSIGNALED(status), f"the life ended by itself: {os.waitstatus_to_exitcode(status)}"
    return said.decode().splitlines()


def void(_value: object) -> None: ...


def on_air(seed: int) -> bool:
    return seed % 5 == 4


def look_at(folder: Path, said: list[str]) -> dict[str, object]:
    """What is left: projects that open, the strokes in the best of them, and pictures that are not whole."""
    done = {int(line.split()[2]): int(line.split()[1]) for line in said if line.startswith("done")}
    begun = [int(line.split()[1]) for line in said if line.startswith("begin")]
    missing: list[list[int]] = []
    leftovers = len(find_leftovers(folder / "auto"))
    for path in [*folder.glob("*.livemask"), *(folder / "auto").glob("*.livemask")]:
        if path.name.startswith("."):
            continue
        project = open_project(path)
        assert not project.read_only
        state = project.read()
        keyframes = state.contents.keyframes
        project.close()
        found = {frame: number_of(_mask(keyframe)) for frame, keyframe in keyframes.items()}
        if state.source.own:  # its pictures say which frame of the camera each one is
            shown = _frames_of(path)
            found = {shown[frame]: number for frame, number in found.items()}
        assert set(found.values()) <= set(begun), (found, begun)
        missing.append([number for frame, number in done.items() if found.get(frame, -1) < number])
    broken = [path.name for path in (folder / "out").glob("[0-9]*.png") if not _whole(path)]
    return {
        "said": said[-3:],
        "done": len(done),
        "projects": len(missing),
        "missing": min(missing, key=len) if missing else sorted(done.values()),
        "broken": broken,
        "leftovers": leftovers,
    }


def _frames_of(path: Path) -> list[int]:
    with closing(ProjectPictures(path)) as source:
        return [index_of(frame.rgb) for frame in iter(source.read, None)]


def _mask(keyframe: object) -> Mask:
    from engine.project.mask_codec import decode_mask

    return decode_mask(keyframe.encoded)  # type: ignore[attr-defined]


def _whole(path: Path) -> bool:
    with Image.open(path) as image:
        return np.asarray(image).shape == (HEIGHT, WIDTH)


def main() -> None:
    root, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    make_frames(root / "frames")
    for number in range(count):
        folder = root / f"life{number}"
        folder.mkdir()
        said = let_live_and_kill(folder, seed + number)
        print(json.dumps(look_at(folder, said)), flush=True)


if __name__ == "__main__":
    main()
