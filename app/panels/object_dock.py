"""The list of objects: colour, name, eye, lock, delete. Shows an `ObjectList` and changes nothing but that list."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QPoint, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QContextMenuEvent, QIcon, QKeyEvent, QKeySequence, QMouseEvent, QPainter, QPixmap
from PyQt6.QtWidgets import (
    QApplication,
    QColorDialog,
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.actions import Actions
from app.icons import draw, make_icon
from app.panels.controls import Button
from app.panels.state_look import ICONS, state_color, state_word
from app.state.objects import ObjectItem, ObjectList
from app.theme import Theme
from engine.object_state import ObjectState


def swatch(color: tuple[int, int, int], size: int = 16) -> QIcon:
    """A rounded square of one colour."""
    pixmap = QPixmap(size * 2, size * 2)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor(128, 128, 128))
    painter.setBrush(QColor(*color))
    painter.drawRoundedRect(pixmap.rect().adjusted(2, 2, -3, -3), 7, 7)
    painter.end()
    return QIcon(pixmap)


class NameEdit(QLineEdit):
    """A name that becomes a field on double click or F2; until then a click on it selects the object."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAcceptDrops(False)  # a dropped file is for the window
        self.editingFinished.connect(lambda: self.deselect())

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if self.hasFocus():
            super().mousePressEvent(event)
        elif event is not None:
            event.ignore()  # the row takes it

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        self.selectAll()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if self.hasFocus():
            super().mouseMoveEvent(event)
        elif event is not None:
            event.ignore()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if self.hasFocus():
            super().mouseReleaseEvent(event)
        elif event is not None:
            event.ignore()

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:  # noqa: N802
        if self.hasFocus():
            super().contextMenuEvent(event)
        elif event is not None:
            event.ignore()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
            if event.key() == Qt.Key.Key_Escape:
                self.undo()
            self.clearFocus()
            return
        super().keyPressEvent(event)


class ObjectRow(QFrame):
    """One object.

    Signals:
        dragged(int, int): it is being moved; its id, and where the pointer is on the screen, from above.
        dropped(int, int): it was let go there.
        menu_wanted(QPoint): a menu for this object, which is selected, should open here on the screen.
    """

    dragged = pyqtSignal(int, int)
    dropped = pyqtSignal(int, int)
    menu_wanted = pyqtSignal(QPoint)

    def __init__(self, item: ObjectItem, objects: ObjectList, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("objectRow")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.object_id = item.id
        self._objects = objects
        self._theme = theme
        self._item = item
        self._pressed: QPoint | None = None
        self._dragging = False
        self._color = Button()
        self._color.clicked.connect(self._choose_color)
        self._key = QLabel()
        self._key.setProperty("role", "muted")
        self._key.setFixedWidth(14)
        self._key.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.name = NameEdit(item.name)
        self.name.editingFinished.connect(self._rename)
        self.state = QLabel()
        self.state.setFixedWidth(16)
        self.eye = Button()
        self.eye.clicked.connect(lambda: objects.set_visible(self.object_id, not self._item.visible))
        self.lock = Button()
        self.lock.clicked.connect(lambda: objects.set_locked(self.object_id, not self._item.locked))
        self.delete = Button()
        self.delete.clicked.connect(lambda: objects.remove(self.object_id))
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 2, 4, 2)
        row.setSpacing(2)
        row.addWidget(self._key)
        row.addWidget(self._color)
        row.addWidget(self.name, 1)
        row.addWidget(self.state)
        for button in (self.eye, self.lock, self.delete):
            button.setIconSize(QSize(16, 16))
            row.addWidget(button)

    def show_item(self, item: ObjectItem, position: int, selected: bool, theme: Theme, shown: bool) -> None:
        self._item, self._theme = item, theme
        key = str((position + 1) % 10) if position < 10 else ""
        self._key.setText(key)
        self._color.setIcon(swatch(item.color))
        if not self.name.hasFocus():
            self.name.setText(item.name)
            self.name.setCursorPosition(0)
        off = theme.disabled
        self.eye.setIcon(make_icon("eye" if shown else "eye_off", theme.text if shown else off, off))
        self.lock.setIcon(make_icon("lock" if item.locked else "unlock", theme.text if item.locked else off, off))
        self.delete.setIcon(make_icon("trash", theme.muted, off))
        self._label(item, key)
        if self.property("selected") != selected:
            self.setProperty("selected", selected)
            if (style := self.style()) is not None:
                style.unpolish(self)
                style.polish(self)

    def show_state(self, state: ObjectState | None, theme: Theme) -> None:
        """How the object fares in the frame on display; None: not known."""
        if state is None:
            self.state.clear()
            self.state.setToolTip("")
            self.state.setAccessibleName("")
            return
        self.state.setPixmap(draw(ICONS[state], state_color(theme, state), 16))
        text = self.tr("%1 is %2").replace("%1", self._item.name).replace("%2", state_word(state))
        self.state.setToolTip(text)
        self.state.setAccessibleName(text)

    def _label(self, item: ObjectItem, key: str) -> None:
        hint = f" ({key})" if key else ""
        self.setAccessibleName(item.name)
        self.setToolTip(self.tr("Click to paint %1").replace("%1", item.name) + hint)
        self.name.setAccessibleName(self.tr("Name of object %1").replace("%1", str(item.id)))
        self.name.setToolTip(self.tr("Double click to rename") + hint)
        tips = (
            (self._color, self.tr("Change the colour of %1")),
            (self.eye, self.tr("Hide %1") if item.visible else self.tr("Show %1")),
            (self.lock, self.tr("Unlock %1") if item.locked else self.tr("Lock %1 against the brush")),
            (self.delete, self.tr("Delete %1 from every frame")),
        )
        for button, text in tips:
            button.setToolTip(text.replace("%1", item.name))
            button.setAccessibleName(text.replace("%1", item.name))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._objects.select(self.object_id)
            self._pressed = event.globalPosition().toPoint()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is None or self._pressed is None:
            return
        place = event.globalPosition().toPoint()
        if (place - self._pressed).manhattanLength() >= QApplication.startDragDistance():
            self._dragging = True
        if self._dragging:
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
            self.dragged.emit(self.object_id, place.y())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        was_dragging, self._dragging, self._pressed = self._dragging, False, None
        if was_dragging:
            self.unsetCursor()
            self.dropped.emit(self.object_id, event.globalPosition().toPoint().y())

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:  # noqa: N802
        if event is not None:
            self._objects.select(self.object_id)
            self.menu_wanted.emit(event.globalPos())

    def _rename(self) -> None:
        if self.object_id in self._objects and self.name.text().strip() != self._item.name:
            self._objects.rename(self.object_id, self.name.text())
            self.name.setText(self._item.name)

    def _choose_color(self) -> None:
        color = QColorDialog.getColor(
            QColor(*self._item.color), self, self.tr("Colour of %1").replace("%1", self._item.name)
        )
        if color.isValid():
            self._objects.recolor(self.object_id, (color.red(), color.green(), color.blue()))


class ObjectDock(QDockWidget):
    """The dock on the right. Rows are dragged to change the order of the list.

    Signals:
        menu_wanted(QPoint): a menu for the selected object should open here on the screen.
    """

    menu_wanted = pyqtSignal(QPoint)

    def __init__(self, objects: ObjectList, actions: Actions, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Objects"))
        self.setObjectName("objectDock")
        self.setAllowedAreas(Qt.DockWidgetArea.LeftDockWidgetArea | Qt.DockWidgetArea.RightDockWidgetArea)
        self.setFeatures(
            QDockWidget.DockWidgetFeature.DockWidgetMovable | QDockWidget.DockWidgetFeature.DockWidgetClosable
        )
        self._objects = objects
        self._theme = theme
        self._rows: dict[int, ObjectRow] = {}
        self._states: Mapping[int, ObjectState] = {}
        self.setTitleBarWidget(self._title(actions))
        self._empty = QLabel(
            self.tr("No objects yet.\n\nPaint on the picture: the first stroke makes object 1. N adds another one.")
        )
        self._empty.setProperty("role", "muted")
        self._empty.setWordWrap(True)
        policy = self._empty.sizePolicy()
        policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)  # a long text shall not widen the dock
        self._empty.setSizePolicy(policy)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._empty.setMargin(8)  # contents margins are lost when the theme changes
        inner = QWidget()
        self._column = QVBoxLayout(inner)
        self._column.setContentsMargins(4, 4, 4, 4)
        self._column.setSpacing(1)
        self._column.addWidget(self._empty)
        self._column.addStretch(1)
        self._gap_line = QFrame(inner)  # where a dragged row would go
        self._gap_line.setObjectName("gapLine")
        self._gap_line.setFixedHeight(2)
        self._gap_line.hide()
        area = QScrollArea()
        area.setWidget(inner)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setMinimumWidth(240)
        area.setAccessibleName(self.tr("Objects"))
        self._area = area
        self.setWidget(area)
        objects.changed.connect(self.refresh)
        objects.selection_changed.connect(self.refresh)
        self.refresh()

    def _title(self, actions: Actions) -> QFrame:
        title = QFrame()
        title.setObjectName("dockTitle")
        label = QLabel(self.tr("Objects"))
        label.setProperty("role", "heading")
        self._add_action = actions["new_object"]
        self.add_button = Button(self.tr("New object"))
        self.add_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.add_button.setIconSize(QSize(16, 16))
        self.add_button.clicked.connect(self._add_action.trigger)
        self._add_action.changed.connect(self._label_add_button)
        self._label_add_button()
        row = QHBoxLayout(title)
        row.setContentsMargins(10, 3, 4, 3)
        row.addWidget(label)
        row.addStretch(1)
        row.addWidget(self.add_button)
        title.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        return title

    def _label_add_button(self) -> None:
        key = self._add_action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        self.add_button.setText(self.tr("Add") + (f" ({key})" if key else ""))
        self.add_button.setToolTip(self._add_action.toolTip())
        self.add_button.setEnabled(self._add_action.isEnabled())

    def row(self, object_id: int) -> ObjectRow:
        return self._rows[object_id]

    def apply_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._gap_line.setStyleSheet(f"background: {theme.accent};")
        self.add_button.setIcon(make_icon("plus", theme.text, theme.disabled))
        self.refresh()

    def show_states(self, states: Mapping[int, ObjectState]) -> None:
        """How the objects fare in the frame on display (object id -> state)."""
        if states != self._states:
            self._states = dict(states)
            for object_id, row in self._rows.items():
                row.show_state(self._states.get(object_id), self._theme)

    def _new_row(self, item: ObjectItem) -> ObjectRow:
        row = self._rows[item.id] = ObjectRow(item, self._objects, self._theme)
        row.dragged.connect(self._show_gap)
        row.dropped.connect(self._drop)
        row.menu_wanted.connect(self.menu_wanted)
        return row

    def _gap_at(self, y: int) -> int:
        """Before which place of the list the pointer is, at this height of the screen."""
        rows = [self._rows[object_id] for object_id in self._objects.ids]
        return sum(row.mapToGlobal(row.rect().center()).y() < y for row in rows)

    def _show_gap(self, _object_id: int, y: int) -> None:
        ids, gap = self._objects.ids, self._gap_at(y)
        row = self._rows[ids[min(gap, len(ids) - 1)]]
        place = row.geometry().top() - 1 if gap < len(ids) else row.geometry().bottom()
        self._gap_line.setGeometry(row.x(), place, row.width(), 2)
        self._gap_line.show()
        self._gap_line.raise_()
        self._area.ensureVisible(0, place, 0, row.height())

    def _drop(self, object_id: int, y: int) -> None:
        self._gap_line.hide()
        if object_id in self._objects:
            gap = self._gap_at(y)
            self._objects.move(object_id, gap - (gap > self._objects.ids.index(object_id)))

    def refresh(self) -> None:
        """Show the list as it is now; rows that stay keep their focus."""
        items = self._objects.items
        for object_id in set(self._rows) - {item.id for item in items}:
            row = self._rows.pop(object_id)
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        for position, item in enumerate(items):
            row = self._rows.get(item.id) or self._new_row(item)
            if self._column.indexOf(row) != position:
                self._column.insertWidget(position, row)
            selected = item.id == self._objects.selected_id
            row.show_item(item, position, selected, self._theme, self._objects.shows(item))
            row.show_state(self._states.get(item.id), self._theme)
            if selected and row.isVisible():
                self._area.ensureWidgetVisible(row, 0, 8)
        self._empty.setVisible(not items)
