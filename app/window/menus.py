"""Builds the menu bar from the table of actions."""

from __future__ import annotations

from PyQt6.QtWidgets import QMenu, QMenuBar

from app.actions import MENU_TITLES, TABLE, Actions, MenuSlot
from app.i18n import told


class MenuBuilder:
    """Fills a menu bar. `slots` then holds the sub-menus whose entries come at run time, by id."""

    def __init__(self, bar: QMenuBar, actions: Actions) -> None:
        self.slots: dict[str, QMenu] = {}
        self._menus: dict[str, QMenu] = {}
        self._sections: dict[str, int] = {}
        for path, title in MENU_TITLES.items():
            menu = bar.addMenu(told(title))
            assert menu is not None
            menu.setObjectName(f"menu{path}")
            self._menus[path] = menu
        for entry in TABLE:
            menu = self._menus[entry.group]
            if self._sections.setdefault(entry.group, entry.section) != entry.section:
                menu.addSeparator()
                self._sections[entry.group] = entry.section
            if isinstance(entry, MenuSlot):
                self._add_slot(menu, entry)
            else:
                menu.addAction(actions[entry.id])

    def _add_slot(self, menu: QMenu, slot: MenuSlot) -> None:
        sub = menu.addMenu(told(slot.text))
        assert sub is not None
        sub.setObjectName(f"menu_{slot.id}")
        sub.setToolTipsVisible(True)
        self.slots[slot.id] = sub
        self._menus[f"{slot.group}/{slot.text.replace('&', '')}"] = sub
