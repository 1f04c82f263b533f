"""F1: every key and mouse button on one sheet, made from the table of actions."""

from __future__ import annotations

from html import escape

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from app.actions import ACTIONS, MOUSE, Actions, group_title, native_key
from app.i18n import told, translate
from app.theme import Theme

_COLUMNS = 3


def sheet_rows(actions: Actions) -> list[tuple[str, list[tuple[str, str]]]]:
    """(group, [(keys, what they do)]) for every action that has a key, then the mouse."""
    groups: dict[str, list[tuple[str, str]]] = {}
    slots_done = False
    for spec in ACTIONS:
        keys = actions.keys(spec.id)
        if spec.id.startswith("object_"):
            defaults = all(actions.keys(s.id) == list(s.keys) for s in ACTIONS if s.id.startswith("object_"))
            if defaults:
                if not slots_done:
                    groups.setdefault(group_title(spec), []).append(
                        ("1 … 9, 0", translate("ShortcutSheet", "Select object 1 to 10"))
                    )
                slots_done = True
                continue
        if keys:
            title = translate("ShortcutSheet", "Tools") if spec.group == "Edit/Tool" else group_title(spec)
            row = (translate("ShortcutSheet", " or ").join(native_key(key) for key in keys), spec.plain_text)
            groups.setdefault(title, []).append(row)
    return [*groups.items(), (translate("ShortcutSheet", "Mouse"), [(told(keys), told(text)) for keys, text in MOUSE])]


class ShortcutSheet(QDialog):
    """Columns and a filter; stays open beside the work."""

    def __init__(self, actions: Actions, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keys and mouse"))
        self.resize(1060, 680)
        self._rows = sheet_rows(actions)
        self._theme = theme
        label = QLabel(self.tr("&Find"))
        self.filter = QLineEdit()
        self.filter.setAccessibleName(self.tr("Find a key or an action"))
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._show)
        label.setBuddy(self.filter)
        self.text = QTextBrowser()
        self.text.setAccessibleName(self.tr("Keys and mouse"))
        self.text.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        top = QHBoxLayout()
        top.addWidget(label)
        top.addWidget(self.filter, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 14, 14, 12)
        column.addLayout(top)
        column.addWidget(self.text, 1)
        column.addWidget(buttons)
        self._show()

    def _show(self) -> None:
        wanted = self.filter.text().casefold()
        groups = []
        for title, rows in self._rows:
            kept = [row for row in rows if wanted in f"{row[0]} {row[1]} {title}".casefold()]
            if kept:
                groups.append((title, kept))
        columns = self._columns(groups)
        cell = f'<td width="{100 // _COLUMNS}%" valign="top" style="padding-right:12px">'
        body = "".join(f"{cell}{''.join(column)}</td>" for column in columns)
        nothing = f"<p>{escape(self.tr('Nothing found.'))}</p>"
        self.text.setHtml(f'<table width="100%"><tr>{body}</tr></table>' if groups else nothing)

    def _columns(self, groups: list[tuple[str, list[tuple[str, str]]]]) -> list[list[str]]:
        """The groups in reading order, spread over columns of about the same height."""
        total = sum(len(rows) + 2 for _, rows in groups)
        columns: list[list[str]] = [[] for _ in range(_COLUMNS)]
        done = 0
        for title, rows in groups:
            height = len(rows) + 2
            middle = done + height / 2
            columns[min(int(middle * _COLUMNS / max(total, 1)), _COLUMNS - 1)].append(self._group(title, rows))
            done += height
        return columns

    def _group(self, title: str, rows: list[tuple[str, str]]) -> str:
        key_style = f"color:{self._theme.link}; font-weight:600; padding:2px 12px 2px 0"
        lines = "".join(
            f'<tr><td style="{key_style}">{escape(keys)}</td><td style="padding:2px 0">{escape(text)}</td></tr>'
            for keys, text in rows
        )
        heading = f'<p style="font-weight:600; font-size:large; margin:10px 0 2px 0">{escape(title)}</p>'
        return f"{heading}<table>{lines}</table>"
