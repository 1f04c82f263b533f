"""An opened project takes the place of what was there, once its source has shown that it works."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from engine.project.project_file import ProjectFile
from engine.project.source_place import check_fits
from engine.project.state import ProjectEngine, ProjectObject, ProjectState
from engine.runtime.commands import LoadBank
from engine.runtime.core import SessionCore
from engine.runtime.jobs import ShowJob
from engine.runtime.messages import Mode, ProjectOpened
from engine.video.masks import davis_palette
from engine.video.source import SourceInfo


class OpeningProject:
    """The `Newcomer` of a project: its methods run in the capture thread, with core's lock held."""

    def __init__(
        self,
        core: SessionCore,
        project: ProjectFile,
        state: ProjectState,
        *,
        same: bool,
        configure: Callable[[ProjectEngine], ProjectEngine],
        on_adopted: Callable[[OpeningProject], None],
        on_dropped: Callable[[ProjectFile], None],
    ) -> None:
        """
        Args:
            same: the source is known to have the content the project was made with.
            configure: makes the engine track as the project was tracked, as far as it can; returns how it will.
        """
        self._core = core
        self._same = same
        self._configure = configure
        self._on_adopted = on_adopted
        self._on_dropped = on_dropped
        ids = {i for k in state.contents.keyframes.values() for i in k.encoded.object_ids}
        ids |= {i for t in state.contents.tracked.values() for i in t.encoded.object_ids}
        self.project = project
        self.state = replace(state, objects=complete_objects(state.objects, ids))

    def check(self, info: SourceInfo) -> None:
        contents = self.state.contents
        last = max({*contents.keyframes, *contents.tracked}, default=None)
        check_fits(self.state.source, info, last, same=self._same)

    def adopted(self, info: SourceInfo) -> None:
        core, state = self._core, self.state
        fed = state.bank.fed.values() if state.bank is not None else ()
        change = core.store.restore(replace(state.contents, version=max(state.contents.version, *fed, 0)))
        engine = self._configure(state.engine)
        core.events.put(ProjectOpened(self.project.path, state.objects, engine, state.view))
        core.masks_changed(change)
        if state.bank is not None:
            core.post(LoadBank(state.bank, frozenset(item.id for item in state.objects)))
        position = self._position(info)
        core.show_again()
        core.begin(ShowJob(position), Mode.FROZEN)
        core.position = position
        self._on_adopted(self)

    def dropped(self) -> None:
        self._on_dropped(self.project)

    def _position(self, info: SourceInfo) -> int:
        """Where the user was. After an end in mid-tracking where the memory was, so that tracking goes on exactly."""
        view, bank = self.state.view, self.state.bank
        position = view.position
        if view.tracking and bank is not None and bank.last is not None:
            position = bank.last
        return position if info.frame_count is None else min(position, max(info.frame_count - 1, 0))


def complete_objects(objects: Collection[ProjectObject], ids: Collection[int]) -> tuple[ProjectObject, ...]:
    """The objects, and one with a name and colour of no particular choice for every other id that masks show."""
    palette = davis_palette()
    missing = sorted(set(ids) - {item.id for item in objects})
    added = [
        ProjectObject(i, f"Object {i}", (int(palette[i][0]), int(palette[i][1]), int(palette[i][2]))) for i in missing
    ]
    return (*objects, *added)
