"""The parts of the export dialog that ask: options of a format, the range of frames, which objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.i18n import told
from engine.export.formats import ExportFormat, Option
from engine.export.request import ExportObject, Value

_MOST_FRAMES = 99_999_999


class _CalmWheel(QObject):
    """Scrolling past a field must not change it: the wheel is the field's only while it has the keyboard."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        turned = event is not None and event.type() == QEvent.Type.Wheel
        if event is not None and turned and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def watch(self, field: QWidget) -> None:
        field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        field.installEventFilter(self)


class OptionForm(QWidget):
    """One row for each option of a format. Signals: changed()."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._wheel = _CalmWheel(self)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self.fields: dict[str, QWidget] = {}

    def show_format(
        self, format_: ExportFormat, values: Mapping[str, Value], pointless: frozenset[str] = frozenset()
    ) -> None:
        """Ask for the options of this format, beginning with these values; those that are pointless are not shown."""
        while self._form.rowCount():
            self._form.removeRow(0)
        self.fields = {}
        for option in format_.options:
            if option.key in pointless:
                continue
            field = self._make_field(option, values.get(option.key, option.default))
            field.setToolTip(told(option.help))
            field.setAccessibleDescription(told(option.help))
            self._wheel.watch(field)
            self.fields[option.key] = field
            if isinstance(field, QCheckBox):
                self._form.addRow(field)
            else:
                field.setAccessibleName(told(option.label))
                label = QLabel(told(option.label))
                label.setBuddy(field)
                self._form.addRow(label, field)
        self.setVisible(bool(self.fields))

    def _make_field(self, option: Option, value: Value) -> QWidget:
        if isinstance(value, bool):
            check = QCheckBox(told(option.label))
            check.setChecked(value)
            check.toggled.connect(lambda _on: self.changed.emit())
            return check
        if isinstance(value, int):
            spin = QSpinBox()
            spin.setRange(option.low, option.high)
            spin.setValue(value)
            spin.setSuffix(f" {told(option.unit)}" if option.unit else "")
            spin.valueChanged.connect(lambda _value: self.changed.emit())
            return spin
        if option.choices:
            combo = QComboBox()
            _may_shrink(combo)
            for key, text in option.choices:
                combo.addItem(told(text), key)
            combo.setCurrentIndex(combo.findData(value))
            combo.currentIndexChanged.connect(lambda _index: self.changed.emit())
            return combo
        edit = QLineEdit(value)
        edit.textChanged.connect(lambda _text: self.changed.emit())
        return edit

    def values(self) -> dict[str, Value]:
        return {key: _value_of(field) for key, field in self.fields.items()}


def _value_of(field: QWidget) -> Value:
    if isinstance(field, QCheckBox):
        return field.isChecked()
    if isinstance(field, QSpinBox):
        return field.value()
    if isinstance(field, QComboBox):
        return str(field.currentData())
    assert isinstance(field, QLineEdit)
    return field.text().strip()


def _may_shrink(combo: QComboBox) -> None:
    """Let it become narrower than its longest entry."""
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)


class RangeChooser(QWidget):
    """All frames, those between the marks, or any others. Signals: changed()."""

    changed = pyqtSignal()
    ALL, MARKS, CHOSEN = "all", "marks", "chosen"

    def __init__(
        self, frame_count: int | None, marks: tuple[int | None, int | None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._marks = marks
        self._wheel = _CalmWheel(self)
        last = _MOST_FRAMES if frame_count is None else max(0, frame_count - 1)
        first_mark, last_mark = marks[0] or 0, last if marks[1] is None else marks[1]
        self.which = QComboBox()
        self.which.setAccessibleName(self.tr("Frames to export"))
        self.which.addItem(self.tr("All frames"), self.ALL)
        if marks != (None, None):
            self.which.addItem(self.tr("Between the marks"), self.MARKS)
        self.which.addItem(self.tr("From – to"), self.CHOSEN)
        self.first = self._spin(self.tr("First frame"), last, first_mark)
        self.last = self._spin(self.tr("Last frame"), last, min(last_mark, last))
        _may_shrink(self.which)
        ends = QHBoxLayout()
        ends.setSpacing(6)
        ends.addWidget(self.first, 1)
        ends.addWidget(QLabel("–"))
        ends.addWidget(self.last, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.which)
        column.addLayout(ends)
        for field in (self.which, self.first, self.last):
            self._wheel.watch(field)
        self.which.currentIndexChanged.connect(self._on_which)
        self._on_which()

    def _spin(self, name: str, high: int, value: int) -> QSpinBox:
        spin = QSpinBox()
        spin.setRange(0, high)
        spin.setMinimumWidth(64)
        spin.setValue(value)
        spin.setAccessibleName(name)
        spin.valueChanged.connect(lambda _value: self.changed.emit())
        return spin

    def _on_which(self) -> None:
        choosing = self.which.currentData() == self.CHOSEN
        self.first.setEnabled(choosing)
        self.last.setEnabled(choosing)
        self.changed.emit()

    def choose(self, which: str) -> None:
        """ALL, MARKS or CHOSEN; MARKS counts as ALL when there are none."""
        self.which.setCurrentIndex(max(0, self.which.findData(which)))

    @property
    def frames(self) -> tuple[int | None, int | None]:
        """First and last frame, None where the video decides."""
        which = self.which.currentData()
        if which == self.MARKS:
            return self._marks
        return (self.first.value(), self.last.value()) if which == self.CHOSEN else (None, None)

    @property
    def valid(self) -> bool:
        first, last = self.frames
        return first is None or last is None or first <= last


class ObjectChooser(QPushButton):
    """A button with a menu of the objects, all of them chosen at first. Signals: changed()."""

    changed = pyqtSignal()

    def __init__(self, objects: Sequence[ExportObject], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._menu = QMenu(self)
        self.entries: dict[int, QAction] = {}
        for known in objects:
            action = QAction(known.name.replace("&", "&&"), self._menu)
            action.setCheckable(True)
            action.setChecked(True)
            action.toggled.connect(lambda _on: self._on_toggled())
            self._menu.addAction(action)
            self.entries[known.id] = action
        self.setMenu(self._menu)
        self.setAutoDefault(False)  # Enter means Export
        self._tell()

    @property
    def chosen(self) -> frozenset[int] | None:
        """The ids, None for all."""
        ids = frozenset(object_id for object_id, action in self.entries.items() if action.isChecked())
        return None if len(ids) == len(self.entries) else ids

    def _on_toggled(self) -> None:
        self._tell()
        self.changed.emit()

    def _tell(self) -> None:
        chosen = self.chosen
        if chosen is None:
            text = self.tr("All objects")
        elif len(chosen) == 1:
            text = self.entries[next(iter(chosen))].text()
        else:
            text = self.tr("%1 of %2 objects").replace("%1", str(len(chosen))).replace("%2", str(len(self.entries)))
        self.setText(text)
        self.setAccessibleName(self.tr("Objects to export: %1").replace("%1", text))
