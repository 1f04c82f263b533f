"""Asking a running session where a label comes from, with the real tracker."""

from __future__ import annotations

import numpy as np
import pytest

from engine.runtime.config import EngineConfig
from engine.runtime.explaining import PICTURE_WIDTH
from engine.runtime.messages import Explained, Mode, MotionRead, Scribbled
from engine.scribble_marks import INSIDE
from engine.types import Frame
from engine.video.open import open_source
from tests.unit.runtime.fakes import Driver


class RealDriver(Driver):
    """Real files and the real tracker."""

    def open_source(self, uri):
        return open_source(uri)

    def create_tracker(self, config, progress):
        from engine.runtime.factory import create_tracker

        return create_tracker(EngineConfig(device="cpu"), progress)


@pytest.fixture
def driver():
    driver = RealDriver({})
    yield driver
    driver.close()


def test_a_label_comes_from_the_objects_own_place_in_other_frames(driver, disc_clip):
    driver.wait_ready()
    driver.open(str(disc_clip.path))
    driver.wait_shown(0)
    y, x = np.argwhere(disc_clip.masks[9] == 1).mean(0).astype(int)
    driver.session.explain(driver.frame(), int(x), int(y))
    driver.wait(lambda: "Nothing is painted yet." in driver.notices)
    driver.paint(disc_clip.masks[0])
    driver.session.track(1, 9)
    driver.wait(lambda: driver.shown == 9 and driver.session.mode is Mode.FROZEN)
    driver.session.explain(driver.frame(), int(x), int(y))
    answer = driver.wait_event(Explained)
    assert (answer.frame_index, answer.x, answer.y, answer.object_id) == (9, x, y, 1)
    assert answer.label > 0.8
    assert 9 not in [voter.frame_index for voter in answer.voters]  # it is in memory, but no witness for itself
    assert {voter.frame_index for voter in answer.voters} <= set(range(9))
    assert answer.voters[0].share >= answer.voters[-1].share > 0
    picture = answer.voters[0].picture
    assert picture.shape == (disc_clip.height, disc_clip.width, 3)
    assert picture.shape[1] <= PICTURE_WIDTH
    assert not picture.flags.writeable
    lit = np.argwhere(picture.sum(2) > 300).mean(0)
    there = np.argwhere(disc_clip.masks[answer.voters[0].frame_index] == 1).mean(0)
    assert np.hypot(*(lit - there)) < 20


def test_motion_between_frames_is_read_without_disturbing_the_tracker(driver, disc_clip):
    frame = driver.frame
    driver.wait_ready()
    driver.open(str(disc_clip.path))
    driver.wait_shown(0)
    first = frame()
    driver.session.seek(1)
    driver.wait_shown(1)
    second = frame()
    assert driver.session.read_motion(first, second)
    motion = driver.wait_event(MotionRead)
    assert motion.frame_index == 1
    assert 0 < motion.pixels < 8
    assert 0 < motion.certainty <= 1
    assert motion.picture.shape == (disc_clip.height, disc_clip.width, 3)
    assert not motion.picture.flags.writeable
    other = Frame(2, 0.0, np.zeros((40, 40, 3), np.uint8))
    assert driver.session.read_motion(second, other)
    assert driver.wait_event(MotionRead, 2).picture is None
    assert any("different sizes" in notice for notice in driver.notices)
    assert driver.session.mask_kinds() == {}


def test_strokes_become_a_mask_without_disturbing_the_tracker(driver, disc_clip):
    marks = np.zeros((disc_clip.height, disc_clip.width), np.uint8)
    y, x = np.argwhere(disc_clip.masks[0] == 1).mean(0).astype(int)
    marks[y - 1 : y + 2, x - 3 : x + 4] = INSIDE
    driver.open(str(disc_clip.path))
    driver.wait_shown(0)
    driver.wait_ready()
    assert driver.session.scribble(driver.frame(), marks, 7)
    answer = driver.wait_event(Scribbled)
    assert (answer.frame_index, answer.serial) == (0, 7)
    truth = disc_clip.masks[0] == 1
    assert (answer.pixels & truth).sum() > 0.8 * (answer.pixels | truth).sum()
    assert not answer.pixels.flags.writeable
    assert driver.session.mask_kinds() == {}
