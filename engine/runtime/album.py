"""The pictures of a live source's painted frames on their way into the project, which nobody could read again."""

from __future__ import annotations

from collections.abc import Mapping

from engine.project.mask_entries import StoreContents
from engine.project.pictures import encode_picture
from engine.types import Frame


class Album:
    """Numbers painted frames in the order in which they come; a number is never given anew. For the project thread.

    Attributes:
        waiting: number -> PNG of those that are not known to be in the file.
    """

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}  # frame of the live source -> number
        self.waiting: dict[int, bytes] = {}

    def add(self, painted: Mapping[int, Frame]) -> None:
        """Take in the pictures of painted frames, those it has already left out."""
        for index in sorted(painted.keys() - self._numbers.keys()):
            number = len(self._numbers)
            self.waiting[number] = encode_picture(painted[index].rgb)
            self._numbers[index] = number

    def written(self) -> None:
        """Those that waited are in the file."""
        self.waiting = {}

    def contents(self, contents: StoreContents) -> StoreContents:
        """The keyframes on the numbers of their pictures. What was tracked in between has none and is left out."""
        keyframes = {self._numbers[i]: k for i, k in contents.keyframes.items() if i in self._numbers}
        return StoreContents(keyframes, version=contents.version)
