"""What can be done with the objects as a list: show one alone, go through them, order them, make one of two."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import QObject, QPoint, Qt
from PyQt6.QtWidgets import QMenu

from app.actions import Actions
from app.i18n import translate
from app.panels.object_dock import ObjectDock, swatch
from app.state.objects import ObjectList

_IN_CONTEXT_MENU = ("solo", "object_up", "object_down", "merge_object", "delete_object")


class ObjectsController(QObject):
    """Connects the actions and the context menu of the dock with the list."""

    def __init__(self, actions: Actions, objects: ObjectList, dock: ObjectDock) -> None:
        super().__init__(dock)
        self._actions = actions
        self._objects = objects
        self._dock = dock
        actions.on_switch("solo", objects.set_solo)
        actions.on("object_next", lambda: objects.select_beside(+1))
        actions.on("object_previous", lambda: objects.select_beside(-1))
        actions.on("object_up", lambda: self._move(-1))
        actions.on("object_down", lambda: self._move(+1))
        actions.on("merge_object", self.choose_merge)
        dock.menu_wanted.connect(self._show_menu)
        objects.changed.connect(self._show_actions)
        objects.selection_changed.connect(self._show_actions)
        self._show_actions()

    def choose_merge(self) -> None:
        """Ask which object the selected one is a part of."""
        selected = self._objects.get(self._objects.selected_id)
        if selected is None or len(self._objects) < 2:
            return
        menu = self._menu(translate("ObjectsController", "Merge {name} into").format(name=selected.name))
        menu.addSection(menu.accessibleName())
        for place, item in enumerate(self._objects.items):
            if item is selected:
                continue
            mnemonic = f"&{(place + 1) % 10} " if place < 10 else ""  # the key that selects it
            entry = menu.addAction(swatch(item.color), mnemonic + item.name.replace("&", "&&"))
            if entry is not None:
                entry.triggered.connect(partial(self._merge, selected.id, item.id))
        menu.setActiveAction(next(entry for entry in menu.actions() if not entry.isSeparator()))
        row = self._dock.row(selected.id)
        if row.isVisible():
            menu.popup(row.mapToGlobal(row.rect().bottomLeft()))
        elif (window := self._dock.window()) is not None:
            menu.popup(window.mapToGlobal(window.rect().center()))

    def _merge(self, object_id: int, into: int, _checked: bool = False) -> None:
        if object_id in self._objects and into in self._objects:
            self._objects.merge(object_id, into)

    def _move(self, step: int) -> None:
        selected = self._objects.selected_id
        if selected:
            self._objects.move(selected, self._objects.ids.index(selected) + step)

    def _show_menu(self, where: QPoint) -> None:
        menu = self._menu(translate("ObjectsController", "Object"))
        menu.addActions([self._actions[action_id] for action_id in _IN_CONTEXT_MENU])
        menu.popup(where)

    def _menu(self, name: str) -> QMenu:
        menu = QMenu(self._dock)
        menu.setAccessibleName(name)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return menu

    def _show_actions(self) -> None:
        selected, count = self._objects.selected_id, len(self._objects)
        position = self._objects.ids.index(selected) if selected in self._objects else -1
        can = {
            "solo": bool(selected) or self._objects.solo,
            "object_next": count > 0,
            "object_previous": count > 0,
            "object_up": position > 0,
            "object_down": 0 <= position < count - 1,
            "merge_object": position >= 0 and count > 1,
        }
        for action_id, enabled in can.items():
            self._actions[action_id].setEnabled(enabled)
        self._actions["solo"].setChecked(self._objects.solo)
