"""Give actions other keys; a key that is taken is told at once and cannot be saved."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.actions import ACTIONS, Actions, conflicts, group_title, native_key
from app.i18n import told
from app.key_presets import PRESETS, preset_keys


class KeyEditor(QDialog):
    """Keys apply when accepted."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Change keys"))
        self.resize(720, 560)
        self._actions = actions
        self._specs = list(ACTIONS)
        self._keys = {spec.id: actions.keys(spec.id) for spec in self._specs}
        self.table = QTableWidget(len(self._specs), 3)
        self.table.setAccessibleName(self.tr("Actions and their keys"))
        self.table.setHorizontalHeaderLabels([self.tr("Menu"), self.tr("Action"), self.tr("Keys")])
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        if (rows := self.table.verticalHeader()) is not None:
            rows.hide()
        if (header := self.table.horizontalHeader()) is not None:
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
            header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        self.edit = QKeySequenceEdit()
        self.edit.setAccessibleName(self.tr("New key of the chosen action"))
        self.edit.setMaximumSequenceLength(1)
        self.edit.keySequenceChanged.connect(self._on_key)
        self._clear = QPushButton(self.tr("No key"))
        self._clear.clicked.connect(lambda: self._assign([]))
        self._default = QPushButton(self.tr("Default"))
        self._default.clicked.connect(self._restore_one)
        self.presets = QComboBox()
        self.presets.setAccessibleName(self.tr("Keys as in another program"))
        self.presets.addItem(self.tr("Keys as in…"), "")
        for name in PRESETS:
            self.presets.addItem(name, name)
        self.presets.activated.connect(lambda _index: self.take_preset(self.presets.currentData()))
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok
            | QDialogButtonBox.StandardButton.Cancel
            | QDialogButtonBox.StandardButton.RestoreDefaults
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        if (all_defaults := self.buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults)) is not None:
            all_defaults.clicked.connect(self._restore_all)
        label = QLabel(self.tr("Press the &new key"))
        label.setBuddy(self.edit)
        row = QHBoxLayout()
        for widget in (label, self.edit, self._clear, self._default, self.presets):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 14, 14, 12)
        column.addWidget(self.table, 1)
        column.addLayout(row)
        column.addWidget(self.problem)
        column.addWidget(self.buttons)
        self._fill()
        self.table.selectRow(0)

    @property
    def _chosen(self) -> str | None:
        row = self.table.currentRow()
        return self._specs[row].id if row >= 0 else None

    def choose(self, action_id: str) -> None:
        """Select the row of an action."""
        self.table.selectRow(next(i for i, spec in enumerate(self._specs) if spec.id == action_id))

    def _fill(self) -> None:
        for row, spec in enumerate(self._specs):
            keys = ", ".join(native_key(key) for key in self._keys[spec.id])
            for column, text in enumerate((group_title(spec), spec.plain_text, keys)):
                item = QTableWidgetItem(text)
                item.setToolTip(told(spec.tip))
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
                self.table.setItem(row, column, item)
        texts = {spec.id: spec.plain_text for spec in self._specs}
        found = [
            self.tr("%1 is claimed by both “%2” and “%3”.")
            .replace("%1", native_key(key))
            .replace("%2", texts[first])
            .replace("%3", texts[second])
            for key, first, second in conflicts(self._keys)  # type: ignore[arg-type]
        ]
        self.problem.setText("\n".join(found[:3]))
        if (ok := self.buttons.button(QDialogButtonBox.StandardButton.Ok)) is not None:
            ok.setEnabled(not found)

    def _on_key(self, sequence: QKeySequence) -> None:
        if not sequence.isEmpty():
            self._assign([sequence.toString()])
            self.edit.clear()

    def _assign(self, keys: list[str]) -> None:
        if self._chosen is not None:
            self._keys[self._chosen] = keys
            self._fill()

    def _restore_one(self) -> None:
        row = self.table.currentRow()
        if row >= 0:
            self._assign(list(self._specs[row].keys))

    def take_preset(self, name: str) -> None:
        """Give every action the keys of a set; nothing happens for ""."""
        if name:
            self._keys = preset_keys(name, {spec.id: spec.keys for spec in self._specs})
            self._fill()

    def _restore_all(self) -> None:
        self._keys = {spec.id: list(spec.keys) for spec in self._specs}
        self._fill()

    def accept(self) -> None:
        for spec in self._specs:
            chosen = self._keys[spec.id]
            self._actions.set_keys(spec.id, None if chosen == list(spec.keys) else chosen)
        super().accept()
