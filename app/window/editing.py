"""Painting and objects: what the user edits goes to the session, what the session asks for is shown."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from app.actions import Actions
from app.bridge import EngineBridge
from app.canvas.canvas import Canvas
from app.i18n import told, translate
from app.state.objects import ObjectList
from app.window import clipboard
from app.window.asking import ask
from engine.errors import SizeMismatchError, UserError
from engine.runtime.messages import MaskKind, Mode, Notice, Severity
from engine.types import Frame, Mask
from engine.video.source import SourceInfo

_PICTURE_ACTIONS = ("import_mask", "paste_mask", "copy_previous", "clear_mask", "pin")


class EditingController(QObject):
    """Signals: notice(Notice)."""

    notice = pyqtSignal(object)

    def __init__(self, bridge: EngineBridge, actions: Actions, canvas: Canvas, objects: ObjectList) -> None:
        super().__init__(canvas)
        self._bridge = bridge
        self._actions = actions
        self._canvas = canvas
        self._objects = objects
        edit = canvas.edit
        edit.stroke_committed.connect(self._on_committed)
        edit.navigate_requested.connect(bridge.seek)
        edit.history_changed.connect(self._show_history)
        canvas.stroke_started.connect(self._on_stroke_started)
        canvas.stroke_refused.connect(lambda text: self.notice.emit(Notice(Severity.INFO, text)))
        objects.removed.connect(bridge.delete_object)
        objects.returned.connect(bridge.restore_object)
        objects.united.connect(bridge.merge_objects)
        objects.parted.connect(lambda object_id, _into: bridge.part_objects(object_id))
        objects.changed.connect(self._show_object_actions)
        objects.selection_changed.connect(self._show_object_actions)
        bridge.source_opened.connect(self._on_source_opened)
        bridge.source_closed.connect(self._on_source_closed)
        bridge.item_ready.connect(canvas.set_item)
        self._connect_actions()
        self._show_history()
        self._show_object_actions()
        self._enable(False)

    def _connect_actions(self) -> None:
        on = self._actions.on
        on("undo", self.undo)
        on("redo", self._canvas.edit.redo)
        on("clear_mask", self.clear_mask)
        on("pin", self.pin)
        on("paste_mask", lambda: self.paste_mask(self._canvas))
        on("copy_previous", self.copy_previous)
        on("new_object", self.new_object)
        on("delete_object", self.delete_object)
        on("brush_smaller", self._canvas.brush_smaller)
        on("brush_larger", self._canvas.brush_larger)
        for name in self._canvas.tool_names:
            on(f"tool_{name}", partial(self._canvas.set_tool, name))
        self._actions[f"tool_{self._canvas.tool}"].setChecked(True)
        for slot in range(1, 11):
            on(f"object_{slot}", partial(self.select_slot, slot))

    # -- source ------------------------------------------------------------------------------------------------
    def _on_source_opened(self, info: SourceInfo) -> None:
        self._canvas.clear()
        self._objects.reset()
        self._canvas.edit.reset()
        self._canvas.edit.set_seekable(not info.live)
        self._enable(True)

    def _on_source_closed(self) -> None:
        self._canvas.clear()
        self._objects.reset()
        self._canvas.edit.reset()
        self._enable(False)

    def _enable(self, is_open: bool) -> None:
        self._canvas.set_editable(is_open)
        for action_id in _PICTURE_ACTIONS:
            self._actions[action_id].setEnabled(is_open)

    # -- strokes -----------------------------------------------------------------------------------------------
    def _on_stroke_started(self) -> None:
        """The picture must stand still under the brush; while tracking it runs on, and the canvas holds its frame."""
        if self._bridge.mode is Mode.PREVIEW:
            self._bridge.freeze()
        elif self._bridge.mode is Mode.PLAYING:
            self._bridge.pause()

    def _on_committed(self, frame: Frame, mask: Mask, touched: Collection[int]) -> None:
        self._bridge.set_mask(frame, mask, touched)

    def undo(self) -> None:
        """Take back the last stroke or corner of a mask that is not finished, else the last edit."""
        if not self._canvas.step_back():
            self._canvas.edit.undo()

    def clear_mask(self) -> None:
        """Empty the mask of this frame; painted masks come back with undo."""
        item = self._canvas.item
        if item is None or not self._canvas.begin_edit():
            return
        self._canvas.edit.clear()
        if not self._canvas.edit.mask.any():
            self._bridge.clear_mask(item.frame)

    def pin(self) -> None:
        """Make the mask shown a keyframe, as if it had been painted."""
        item, mask = self._canvas.item, self._canvas.displayed_mask
        ids = [] if mask is None else [int(i) for i in np.unique(mask) if i]
        if item is None or mask is None or not ids:
            self.notice.emit(Notice(Severity.INFO, self.tr("This frame has no mask to keep.")))
        elif self._bridge.mask_at(item.frame.index)[1] is not MaskKind.KEYFRAME and self._canvas.begin_edit():
            frame, kept = item.frame, mask.copy()
            self._bridge.set_mask(frame, kept, ids)
            self._canvas.edit.record(
                translate("EditingController", "Keep as keyframe"),
                lambda: self._bridge.unpin(frame.index),
                lambda: self._bridge.set_mask(frame, kept, ids),
            )

    def _show_history(self) -> None:
        edit = self._canvas.edit
        for action_id, can, text, word in (
            ("undo", edit.can_undo, edit.undo_text, self.tr("&Undo")),
            ("redo", edit.can_redo, edit.redo_text, self.tr("&Redo")),
        ):
            self._actions[action_id].setEnabled(can)
            step = translate("EditingController", "{undo_or_redo} {step}")
            small = f"{text[:1].lower()}{text[1:]}" if step.startswith("{undo_or_redo} ") else text
            self._actions[action_id].setText(step.format(undo_or_redo=word, step=small) if can and text else word)

    # -- objects -----------------------------------------------------------------------------------------------
    def new_object(self) -> None:
        if self._objects.full:
            self.notice.emit(
                Notice(
                    Severity.WARNING,
                    self.tr("There are 255 objects, the most a mask can hold."),
                    self.tr("Delete one."),
                )
            )
        else:
            self._objects.add()

    def delete_object(self) -> None:
        if self._objects.selected_id:
            self._objects.remove(self._objects.selected_id)

    def select_slot(self, slot: int) -> None:
        """`slot` 1..10; the tenth has the key 0."""
        if self._bridge.info is not None and not self._objects.select_by_slot(slot % 10):
            text = self.tr("There is no object %1 yet.").replace("%1", str(slot))
            self.notice.emit(Notice(Severity.INFO, text, self.tr("N adds one.")))

    def _show_object_actions(self) -> None:
        self._actions["delete_object"].setEnabled(self._objects.selected_id != 0)
        for slot in range(1, 11):
            action = self._actions[f"object_{slot}"]
            items = self._objects.items
            action.setText(
                items[slot - 1].name if slot <= len(items) else self.tr("Object %1").replace("%1", str(slot))
            )

    # -- masks from files --------------------------------------------------------------------------------------
    def import_mask(self, path: Path, parent: QWidget) -> bool:
        """Use a PNG as the mask of the frame shown; offers to resize one of another size. True when it was used."""
        return self._use_file(path, path.name, translate("EditingController", "Import mask"), parent)

    def paste_mask(self, parent: QWidget) -> bool:
        """Use the picture on the clipboard, or the file copied there, like an imported one. True when it was used."""
        found = clipboard.picture()
        if found is None:
            self.notice.emit(
                Notice(
                    Severity.INFO,
                    translate("EditingController", "There is no picture on the clipboard."),
                    translate("EditingController", "Copy a mask there first."),
                )
            )
            return False
        name = found.name if isinstance(found, Path) else translate("EditingController", "The picture on the clipboard")
        return self._use_file(found, name, translate("EditingController", "Paste mask"), parent)

    def _use_file(self, path: Path | bytes, name: str, text: str, parent: QWidget) -> bool:
        from engine.video.masks import read_mask

        item = self._canvas.item
        if item is None:
            self.notice.emit(
                Notice(
                    Severity.WARNING, self.tr("There is no frame for this mask yet."), self.tr("Open its video first.")
                )
            )
            return False
        size = (item.frame.width, item.frame.height)
        try:
            try:
                mask = read_mask(path, size)
            except SizeMismatchError as error:
                if not self._may_resize(parent, name, error):
                    return False
                mask = read_mask(path, size, resize=True)
        except UserError as error:
            self.notice.emit(Notice(Severity.ERROR, error.message, error.way_out))
            return False
        self._stand_still()
        self.use_mask(mask, text)
        return True

    def copy_previous(self) -> None:
        """Use the mask of the nearest earlier frame that has one; locked objects keep what they have here."""
        item, here = self._canvas.item, self._canvas.displayed_mask
        if item is None:
            return
        earlier = max((index for index in self._bridge.mask_kinds() if index < item.frame.index), default=None)
        mask = None if earlier is None else self._bridge.mask_at(earlier)[0]
        if mask is None:
            text = translate("EditingController", "No earlier frame has a mask.")
            self.notice.emit(
                Notice(Severity.INFO, text, translate("EditingController", "Paint this one, or track to it."))
            )
        elif mask.shape != item.frame.rgb.shape[:2]:
            self.notice.emit(
                Notice(
                    Severity.INFO, translate("EditingController", "The mask before is of a picture of another size.")
                )
            )
        else:
            locked = [thing.id for thing in self._objects.items if thing.locked]
            mask = np.where(np.isin(mask, locked), 0, mask).astype(np.uint8)
            if here is not None:
                mask = np.where(np.isin(here, locked), here, mask).astype(np.uint8)
            self._stand_still()
            self.use_mask(mask, translate("EditingController", "Copy mask"))

    def _stand_still(self) -> None:
        if self._bridge.mode is not Mode.FROZEN:
            self._bridge.freeze() if self._bridge.live else self._bridge.pause()

    def use_mask(self, mask: Mask, text: str) -> None:
        """Replace the mask of the frame shown as one step of history; objects it needs are added."""
        if not self._canvas.begin_edit():
            return
        for object_id in (int(i) for i in np.unique(mask) if i):
            if object_id not in self._objects:
                self._objects.add(object_id=object_id)
        first = min((int(i) for i in np.unique(mask) if i), default=0)
        if first:
            self._objects.select(first)
        self._canvas.edit.replace_mask(mask, text)

    def _may_resize(self, parent: QWidget, name: str, error: SizeMismatchError) -> bool:
        answer = ask(
            parent,
            self.tr("Resize mask"),
            translate("EditingController", "{name} has another size than the video.").format(name=name),
            told(error.message),
            [self.tr("&Resize it"), self.tr("Cancel")],
        )
        return answer == 0
